"""Carry out a plan; what takes long with a server is in `streamd.servers`."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog

from streamd.engines.base import MediaEngine
from streamd.errors import FFmpegError, StreamdError
from streamd.jobs import Job, ProcessJob, ServerJob
from streamd.plan import Forget, Kick, Kill, Plan, Reload, Start, Step, Stop
from streamd.process_logs import log_file_name
from streamd.process_names import server_of
from streamd.processes import Workshop, process_of
from streamd.servers import Servers
from streamd.supervision.process import ProcessRunner, ProcessSpec

log = structlog.get_logger()

KICK_TIMEOUT_S = 2.0

T = TypeVar("T")

Spawn = Callable[[str, Job | None, Coroutine[Any, Any, None]], None]
"""Runs an operation in the background, under a name; a job is one that fails with it."""


class Applier:
    """Carries out plans.

    Args:
        runner: supervisord.
        servers: the media servers.
        log_dir: where the processes' logs go.
        spawn: runs what takes long (a server's start, reload, stop, a kick) in the background,
            so that one server's trouble holds up nothing else.
        on_failed: told of a job that cannot be started at all, and why.
    """

    def __init__(
        self,
        runner: ProcessRunner,
        servers: Servers,
        log_dir: Path,
        spawn: Spawn,
        on_failed: Callable[[Job, str], None],
    ) -> None:
        self._runner = runner
        self._servers = servers
        self._log_dir = log_dir
        self._spawn = spawn
        self._on_failed = on_failed
        self.workshop: Workshop | None = None

    async def apply(self, plan: Plan) -> None:
        """Do every step of a plan, those that only end something first.

        Raises:
            SupervisorError: supervisord could not be asked; what was not done is in the next plan.
        """
        for kill in _of(plan.steps, Kill):
            log.warning("process.killed", name=kill.process, pid=kill.pid, reason=kill.reason)
            _kill(kill.pid)
        for kick in _of(plan.steps, Kick):
            self._spawn(kick_name(kick), None, self._kick(kick))
        await self._stop(_of(plan.steps, Stop))
        forgotten = [step.process for step in _of(plan.steps, Forget)]
        if forgotten:
            await self._runner.forget(forgotten)
        for reload in _of(plan.steps, Reload):
            self._spawn(reload.process, reload.job, self._servers.reload(reload.job))
        await self._start(_of(plan.steps, Start))

    async def _kick(self, step: Kick) -> None:
        engine: MediaEngine | None = self._servers.running_engine(step.server)
        if engine is None:
            return
        try:
            async with asyncio.timeout(KICK_TIMEOUT_S):
                await engine.kick(step.published_as, step.client_id)
        except (TimeoutError, StreamdError) as error:
            log.warning(
                "publisher.kick_failed", stream=step.stream, error=str(error) or "timed out"
            )
        else:
            log.info("publisher.kicked", stream=step.stream, reason=step.reason)

    async def _stop(self, steps: Sequence[Stop]) -> None:
        processes = []
        for step in steps:
            if server_of(step.process) is not None:
                self._spawn(step.process, None, self._servers.stop(step.process))
            else:
                processes.append(step.process)
                log.info("process.stopped", name=step.process, reason=step.reason)
        if processes:
            await self._runner.stop(processes)

    async def _start(self, steps: Sequence[Start]) -> None:
        specs = []
        for step in steps:
            if isinstance(step.job, ServerJob):
                self._spawn(step.process, step.job, self._servers.start(step.job))
                continue
            try:
                specs.append(self._spec(step.job))
            except FFmpegError as error:
                self._on_failed(step.job, str(error))
        if specs:
            pids = await self._runner.start(specs)
            for name, pid in pids.items():
                if not pid:
                    continue  # its exit, and why, is in the next list
                log.info("process.started", name=name, pid=pid)

    def _spec(self, job: ProcessJob) -> ProcessSpec:
        assert self.workshop is not None, "a configuration is accepted with its FFmpeg"  # noqa: S101 - for mypy
        return process_of(job, self.workshop, str(self._log_dir / log_file_name(job.process)))


def kick_name(step: Kick) -> str:
    """Return the name under which a kick is spawned."""
    return f"kick.{step.server}.{step.client_id}"


def _of(steps: Sequence[Step], kind: type[T]) -> list[T]:
    return [step for step in steps if isinstance(step, kind)]


def _kill(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(descriptor)
