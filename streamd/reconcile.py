"""The daemon's loop: observe, plan, apply, again whenever something wakes it.

Level-triggered: an event only says that it is time to look. What a pass does follows from what is
desired and what is observed, never from which event came, so that an event that is lost or comes
twice costs time and nothing else.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from streamd.apply import Applier, kick_name
from streamd.desired import Desired
from streamd.errors import StreamdError
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.histories import Histories
from streamd.jobs import Job, ServerJob, TargetJob
from streamd.listings import CONNECTING_S, IDLE_S, SUSPICIOUS_S, Listings
from streamd.observe import STALL_S, Flow, flows, is_stalled
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.pace import Pace
from streamd.plan import (
    Kick,
    Kill,
    Plan,
    PlanIndex,
    Start,
    Step,
    Stop,
    plan,
    server_process,
    wanted_jobs,
)
from streamd.publishers import Publishers
from streamd.servers import Servers
from streamd.state import State
from streamd.supervision.exits import ExitWatcher
from streamd.supervision.process import ProcessRunner

log = structlog.get_logger()

IDLE_PASS_S = 5.0
"""A pass is made at least this often, whatever was or was not told."""

AGAIN_S = 0.01
"""The pass after one that did something, which is how streamd knows that it is done."""

RETRY_PASS_S = 1.0
END_AGAIN_S = 1.0
"""A kick or a kill that has not taken effect is repeated after this time."""

TICK_S = 1.0
CONNECTING_TICK_S = 0.2
SUSPICIOUS_AFTER_S = 2.0

STALLED = f"media stopped advancing for {STALL_S:.0f} s while the stream went on"
HANGS = "it stopped answering, or a port of it stopped accepting connections"


class Reconciler:
    """Makes the machine as desired and keeps it so.

    Args:
        runner: supervisord.
        servers: the media servers.
        publishers: who publishes, as told by hooks.
        state: what running servers were loaded with.
        log_dir: where the processes' logs are.
    """

    def __init__(
        self,
        runner: ProcessRunner,
        servers: Servers,
        publishers: Publishers,
        state: State,
        log_dir: Path,
    ) -> None:
        self._runner = runner
        self._servers = servers
        self._publishers = publishers
        self._state = state
        self.listings = Listings(servers)
        self.histories = Histories(log_dir)
        self.applier = Applier(runner, servers, log_dir, self._spawn, self._not_started)
        self.progress: ProgressReceiver | None = None
        self.desired: Desired | None = None
        self.observed = Observed()
        self.converged = False
        self._index: PlanIndex | None = None
        self._jobs: Mapping[str, Job] = {}
        self._wake = asyncio.Event()
        self._passed = asyncio.Condition()
        self._begun = self._ended = 0
        self.passed_at = time.monotonic()
        self._exits = ExitWatcher()
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._flows: Mapping[tuple[str, str], Flow] = {}
        self._seen_at: dict[int, float] = {}
        self._ended_at: dict[str, float] = {}
        self._pace = Pace(os.cpu_count() or 1)
        self._alive: Mapping[str, int] | None = None

    # What wakes the loop

    def wake(self) -> None:
        """Make a pass soon."""
        self._wake.set()

    def desire(self, desired: Desired) -> None:
        """Take what shall exist from now on. `Servers.adopt` comes first."""
        self.desired = desired
        self._index = PlanIndex(desired)
        self.converged = False
        self.wake()

    def take_progress(self, progress: ProgressReceiver) -> None:
        """Hear FFmpeg's reports there from now on."""
        self.progress = progress
        for process in self.observed.processes.values():
            if process.pid and process.name.startswith("target."):
                progress.register(process.pid)

    def admitted(self, publisher: Publisher) -> None:
        """Note a publisher that a hook let in."""
        self._publishers.admitted(publisher)
        self.listings.ask_soon()
        self.wake()

    def gone(self, server: str, client_id: str) -> None:
        """Note that a hook told of a publisher's leaving."""
        self._publishers.gone(server, client_id)
        self.listings.ask_soon()
        self.wake()

    async def settled(self) -> None:
        """Wait until a pass that began after this call found nothing more to do."""
        begun = self._begun
        self.wake()
        async with self._passed:
            await self._passed.wait_for(lambda: self._ended > begun and self.converged)

    # The loops, each a task of the daemon's

    async def run(self) -> None:
        """Make passes for ever."""
        while True:
            self._wake.clear()
            self._begun += 1
            begun = self._begun
            wait_s = IDLE_PASS_S
            try:
                wait_s = await self._pass()
            except StreamdError as error:
                self.converged = False
                log.error("pass.failed", error=str(error))
                wait_s = RETRY_PASS_S
            self.passed_at = time.monotonic()
            async with self._passed:
                self._ended = begun
                self._passed.notify_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def tick(self) -> None:
        """Read FFmpeg's reports, and wake the loop when one has stalled, for ever."""
        while True:
            now = time.monotonic()
            connecting = False
            if self.progress is not None:
                self.progress.drain(now)
                connecting = self._note_progress(now)
                if self._stalled(now):
                    self.wake()
            await asyncio.sleep(CONNECTING_TICK_S if connecting else TICK_S)

    async def list_streams(self) -> None:
        """Keep the servers' own lists of streams fresh, for ever."""
        async for listings in self.listings.changes():
            self._flows = flows(self._flows, listings)
            now = time.monotonic()
            for name in (self._alive or {}).keys() - self.listings.errors.keys():
                job = self._jobs.get(f"server.{name}")
                if job is not None:
                    self.histories.advanced(job, now)
            self.wake()

    async def close(self) -> None:
        """End operations that are under way; what runs, runs on."""
        for task in self._operations.values():
            task.cancel()
        await asyncio.gather(*self._operations.values(), return_exceptions=True)
        self._exits.close()

    # One pass

    async def _pass(self) -> float:
        """Make one pass, and return how long to wait for the next, in seconds."""
        processes = await self._runner.list()
        # Taken after the wait and used without another, so that all is of one configuration.
        desired, index = self.desired, self._index
        if desired is None or index is None:
            return IDLE_PASS_S
        self._watch(processes)
        now = time.monotonic()
        clock = datetime.now(UTC)
        self.observed = Observed(
            processes=processes,
            publishers=self._publishers.present(self.listings.latest, now),
            histories=self.histories.by_process,
            loaded={name: self._state.loaded(name) for name in desired.servers},
        )
        self._jobs, _ = wanted_jobs(desired, self.observed, self._servers.input_url, now, index)
        self.histories.judge(processes, self._jobs)
        self.observed = replace(
            self.observed,
            histories=dict(self.histories.by_process),
            stalled=self._stalled(now),
        )
        whole = plan(
            desired,
            self.observed,
            self._servers.input_url,
            now=now,
            clock=clock,
            index=index,
        )
        # What failed least is started first, so that many that fail cannot starve the others.
        steps = sorted(whole.steps, key=self._failures)
        todo = Plan(tuple(step for step in steps if self._is_due(step, now)), whole.wake_at)
        if todo:
            await self._apply(todo, now)
            return AGAIN_S
        self.converged = not steps and not self._operations and self._servers_run()
        if any(isinstance(step, Start) and isinstance(step.job, TargetJob) for step in steps):
            return max(AGAIN_S, (self._pace.next_at() or now) - now)
        return _wait_s(whole, index.auth.next_change(clock), now, clock)

    def _servers_run(self) -> bool:
        """Tell whether every server runs. A target's receiver is not in our hands."""
        processes = self.observed.processes
        return all(
            name in processes and processes[name].state == "running"
            for name, job in self._jobs.items()
            if isinstance(job, ServerJob)
        )

    async def _apply(self, todo: Plan, now: float) -> None:
        self.converged = False
        for step in todo.steps:
            if isinstance(step, Kick):
                self._ended_at[kick_name(step)] = now
            elif isinstance(step, Stop):
                self.histories.asked_to_end(self.observed.processes[step.process])
            elif isinstance(step, Kill):
                process = self.observed.processes[step.process]
                is_target = step.process.startswith("target.")
                self._ended_at[f"kill.{step.pid}"] = now
                failure = STALLED if is_target else HANGS
                self.histories.asked_to_end(process, failure=failure)
        started = time.monotonic()
        await self.applier.apply(todo)
        duration = round(time.monotonic() - started, 3)
        log.info("plan.applied", steps=len(todo.steps), duration_s=duration)

    def _failures(self, step: Step) -> int:
        if not isinstance(step, Start):
            return 0
        history = self.histories.by_process.get(step.process)
        return history.failures if history else 0

    def _is_due(self, step: Step, now: float) -> bool:
        """Leave out what is under way, and starts beyond the pace."""
        if isinstance(step, Start) and isinstance(step.job, TargetJob):
            return self._pace.take(now)
        if isinstance(step, Kick | Kill):
            name = kick_name(step) if isinstance(step, Kick) else f"kill.{step.pid}"
            if isinstance(step, Kill) and step.process in self._operations:
                return False  # its start says itself when it takes too long
            return now - self._ended_at.get(name, -END_AGAIN_S) >= END_AGAIN_S
        return step.process not in self._operations

    def _watch(self, processes: Mapping[str, ObservedProcess]) -> None:
        """Be woken by exits, and draw what follows from a server's."""
        now = time.monotonic()
        pids = {process.pid: name for name, process in processes.items() if process.pid}
        for pid in pids.keys() - self._seen_at.keys():
            self._seen_at[pid] = now
            self._exits.watch(pid, partial(self._exited, pid))
            if self.progress is not None and pids[pid].startswith("target."):
                self.progress.register(pid)
        for pid in self._seen_at.keys() - pids.keys():
            del self._seen_at[pid]
            if self.progress is not None:
                self.progress.forget(pid)
        self._watch_servers(
            {
                name.removeprefix("server."): pid
                for pid, name in pids.items()
                if name.startswith("server.")
            }
        )
        self._ended_at = {name: at for name, at in self._ended_at.items() if now - at < END_AGAIN_S}

    def _watch_servers(self, alive: Mapping[str, int]) -> None:
        """Take the servers that run, with their pids; whoever published on an ended one is gone."""
        if self._alive is None:  # the first pass: what a streamd before this one left
            self._publishers.keep_servers(set(alive))
        for server, pid in (self._alive or {}).items():
            if alive.get(server) != pid:
                log.warning("server.ended", server=server)
                self._publishers.server_ended(server)
        self.listings.set_running(alive)
        self._alive = alive

    def _exited(self, pid: int) -> None:
        """Note an exit at once: supervisord, which tells the rest, may have ended too."""
        self.observed = replace(
            self.observed,
            processes={
                name: replace(process, state="exited", pid=0) if process.pid == pid else process
                for name, process in self.observed.processes.items()
            },
        )
        self.wake()

    # FFmpeg's reports

    def _running_targets(self) -> list[tuple[ObservedProcess, TargetJob]]:
        return [
            (process, job)
            for process in self.observed.processes.values()
            if process.state == "running"
            and isinstance(job := self._jobs.get(process.name), TargetJob)
        ]

    def _note_progress(self, now: float) -> bool:
        """Note which targets send media; tell whether one has yet to begin."""
        if self.progress is None:
            return False
        connecting = suspicious = False
        for process, job in self._running_targets():
            track = self.progress.tracks.get(process.pid)
            if track is None or track.advanced_at is None:
                connecting = True
            elif now - track.advanced_at < SUSPICIOUS_AFTER_S:
                self.histories.advanced(job, now)
            else:
                suspicious = True
        self.listings.set_pace(
            SUSPICIOUS_S if suspicious else CONNECTING_S if connecting else IDLE_S
        )
        return connecting

    def _stalled(self, now: float) -> frozenset[str]:
        if self.progress is None:
            return frozenset()
        stalled = {
            server_process(server) for server in self._alive or () if self.listings.hangs(server)
        }
        for process, job in self._running_targets():
            publisher = self.observed.publishers.get(job.stream)
            if publisher is None:
                continue
            track = self.progress.tracks.get(process.pid)
            advanced_at = track.advanced_at if track is not None else None
            flow = self._flows.get((publisher.server, publisher.client_id))
            started_at = self._seen_at.get(process.pid, now)
            if is_stalled(started_at, advanced_at, flow, now):
                stalled.add(process.name)
        return frozenset(stalled)

    # Operations in the background

    def _spawn(self, name: str, job: Job | None, operation: Coroutine[Any, Any, None]) -> None:
        if name in self._operations:
            operation.close()
            return
        self._operations[name] = asyncio.create_task(self._operate(name, job, operation), name=name)

    async def _operate(
        self, name: str, job: Job | None, operation: Coroutine[Any, Any, None]
    ) -> None:
        try:
            await operation
        except Exception as error:
            expected = isinstance(error, StreamdError)
            log.error("operation.failed", name=name, error=str(error), exc_info=not expected)
            if job is not None:
                said = str(error) if expected else f"an error in streamd: {error!r}"
                self.histories.not_started(job, said)
        finally:
            del self._operations[name]
            self.listings.ask_soon()
            self.wake()

    def _not_started(self, job: Job, error: str) -> None:
        self.histories.not_started(job, error, permanent=True)


def _wait_s(whole: Plan, window: datetime | None, now: float, clock: datetime) -> float:
    """Return how long nothing can come up by itself."""
    wait_s = IDLE_PASS_S
    if whole.wake_at is not None:
        wait_s = min(wait_s, whole.wake_at - now)
    if window is not None:
        wait_s = min(wait_s, (window - clock).total_seconds())
    return max(wait_s, 0.01)
