"""Start, reload and stop media servers: the steps that take longer than a pass of the daemon."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import structlog

from streamd.desired import ServerSpec, reload_identity, restart_identity
from streamd.engines.base import MediaEngine
from streamd.errors import EngineError, StreamdError
from streamd.jobs import ServerJob, job_identity
from streamd.process_logs import log_file_name
from streamd.state import State
from streamd.supervision.process import ProcessRunner, ProcessSpec

log = structlog.get_logger()

ANSWER_TIMEOUT_S = 15.0
"""A server that was started answers at its API within this time, or has failed."""

DRAIN_TIMEOUT_S = 3.0
"""Publishers that were disconnected are gone within this time; then the server stops anyway."""

SERVER_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.05


class Servers:
    """The media servers' engines, and the operations on one server at a time.

    Args:
        state: where the servers keep their files.
        runner: supervisord.
        log_dir: where the processes' logs are.
        make_engine: builds the engine of a spec.
    """

    def __init__(
        self,
        state: State,
        runner: ProcessRunner,
        log_dir: Path,
        make_engine: Callable[[ServerSpec], MediaEngine],
    ) -> None:
        self._state = state
        self._runner = runner
        self._log_dir = log_dir
        self._make_engine = make_engine
        self._specs: dict[str, ServerSpec] = {}
        self._superseded: dict[str, MediaEngine] = {}
        self.engines: dict[str, MediaEngine] = {}
        self.quiesced: set[str] = set()
        self.redact: tuple[str, ...] = ()

    def adopt(self, specs: Mapping[str, ServerSpec], running: Collection[str]) -> list[MediaEngine]:
        """Take these as the servers, at once; engines of unchanged ones are kept.

        Args:
            specs: by name.
            running: servers whose process runs: what it was started from is asked through its
                old engine until it is stopped.

        Returns:
            Engines that are of no use any more, for the caller to close.
        """
        unused: list[MediaEngine] = []
        engines: dict[str, MediaEngine] = {}
        for name, engine in self.engines.items():
            old, new = self._specs[name], specs.get(name)
            if old == new:
                engines[name] = engine
            elif (
                name in running
                and name not in self._superseded
                and (new is None or restart_identity(old) != restart_identity(new))
            ):
                self._superseded[name] = engine
            else:
                unused.append(engine)
        for name in specs.keys() - engines.keys():
            engines[name] = self._make_engine(specs[name])
        self.engines.clear()
        self.engines.update(engines)
        self._specs = dict(specs)
        return unused

    def running_engine(self, server: str) -> MediaEngine | None:
        """Return the engine through which what runs under this name is asked."""
        return self._superseded.get(server) or self.engines.get(server)

    def input_url(self, server: str, stream: str) -> str:
        """Return where a server serves `app/stream` to FFmpeg."""
        return self.engines[server].input_url(stream)

    async def test(self, spec: ServerSpec, running: Iterable[ServerSpec] | None = None) -> None:
        """Test a spec with the server's own check, without touching what runs.

        Args:
            spec: what a server shall be started from.
            running: what runs now: its ports are taken, and will be given up in time. None
                leaves the ports unchecked, as at a start that may find its servers running.

        Raises:
            EngineError: the server would not start from it.
        """
        engine = self._make_engine(spec)
        try:
            await engine.test()
            if running is not None:
                await engine.check_ports(except_for=frozenset(_ports(running)))
        finally:
            await engine.close()

    async def start(self, job: ServerJob) -> None:
        """Start a server and wait until it answers.

        Raises:
            StreamdError: its files are not accepted, a port is taken, or it does not answer.
        """
        name = job.server.name
        engine = self.engines[name]
        rendered = engine.render()
        if not await asyncio.to_thread(_is_written, rendered.files):
            await engine.test()
            await engine.write()
        await engine.check_ports()
        spec = ProcessSpec(
            name=job.process,
            argv=rendered.argv,
            identity=job_identity(job),
            log_path=str(self._log_dir / log_file_name(job.process)),
            redact=self.redact,
            redact_patterns=rendered.names_in_log,
            stop_timeout_s=SERVER_STOP_TIMEOUT_S,
        )
        self.quiesced.discard(name)
        await self._forget_superseded(name)
        await self._runner.start([spec])
        await asyncio.to_thread(self._state.set_loaded, name, reload_identity(job.server))
        if await self._answers(engine, job.process):
            log.info("server.started", server=name, engine=job.server.engine)

    async def _answers(self, engine: MediaEngine, process: str) -> bool:
        """Wait until a server answers; False when its process has ended before."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            try:
                await engine.streams()
            except EngineError as error:
                observed = (await self._runner.list()).get(process)
                if observed is None or observed.state == "exited":
                    return False  # its exit is judged, with its log, where every exit is
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"it runs but does not answer at its API port ({error}); see "
                        f"`streamd logs {process}`"
                    ) from error
                await asyncio.sleep(_POLL_S)
            else:
                return True

    async def reload(self, job: ServerJob) -> None:
        """Make a running server take its new files."""
        engine = self.engines[job.server.name]
        await engine.test()
        await engine.write()
        await engine.reload()
        await asyncio.to_thread(
            self._state.set_loaded, job.server.name, reload_identity(job.server)
        )
        log.info("server.reloaded", server=job.server.name)

    async def stop(self, process: str) -> None:
        """Stop a server so that nothing is lost.

        Its publishers are refused from now on and disconnected, so that their leaving is told and
        everything that follows from it is done; then it gets SIGTERM.
        """
        name = process.removeprefix("server.")
        self.quiesced.add(name)
        engine = self.running_engine(name)
        if engine is not None:
            try:
                async with asyncio.timeout(DRAIN_TIMEOUT_S):
                    await _drain(engine)
            except (TimeoutError, StreamdError) as error:
                log.warning("server.drain_failed", server=name, error=str(error) or "timed out")
        try:
            await self._runner.stop([process])
        except StreamdError:
            self.quiesced.discard(name)
            raise
        await self._forget_superseded(name)
        log.info("server.stopped", server=name)

    async def _forget_superseded(self, name: str) -> None:
        """Close the engine of a process that has ended or is about to."""
        superseded = self._superseded.pop(name, None)
        if superseded is not None:
            await superseded.close()

    async def close(self) -> None:
        """Release every engine; the servers run on."""
        for engine in (*self.engines.values(), *self._superseded.values()):
            await engine.close()


def _ports(specs: Iterable[ServerSpec]) -> Iterator[int]:
    for spec in specs:
        for port in (spec.rtmp, spec.http, spec.https, spec.srt, spec.webrtc, spec.api):
            if port is not None:
                yield port


async def _drain(engine: MediaEngine) -> None:
    while live := (await engine.streams()).live:
        for stream in live:
            await engine.kick(stream.name, stream.client_id)
        await asyncio.sleep(_POLL_S)


def _is_written(files: Mapping[Path, str]) -> bool:
    try:
        return all(path.read_text(encoding="utf-8") == text for path, text in files.items())
    except OSError:
        return False
