"""The daemon's loop: observe, plan, apply, again whenever something wakes it.

Level-triggered: an event only says that it is time to look. What a pass does follows from what is
desired and what is observed, never from which event came, so that an event that is lost or comes
twice costs time and nothing else.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from streamd.apply import Applier
from streamd.demand import last_asked
from streamd.desired import Desired
from streamd.errors import StreamdError
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.histories import Histories
from streamd.hls.ladders import Ladders
from streamd.jobs import Job, ServerJob
from streamd.listings import CONNECTING_S, IDLE_S, ON_CALL_S, SUSPICIOUS_S, Listings
from streamd.machine import find_ffprobe
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.operations import Operations, Turns
from streamd.plan import Kick, Kill, Plan, Start, Step, Stop, plan
from streamd.process_names import (
    archive_process_name,
    playout_process_name,
    reports_progress,
    server_process_name,
)
from streamd.process_watch import ProcessWatch
from streamd.processes import Workshop
from streamd.publishers import Publishers
from streamd.recordings.archives import Archives
from streamd.recordings.leaving import Leaving
from streamd.recordings.serving import restore, withhold
from streamd.servers import Servers
from streamd.stalls import Heed, Stalls, failure_of
from streamd.state import State
from streamd.supervision.process import ProcessRunner
from streamd.wanted import PlanIndex, is_on_call, wanted_jobs

log = structlog.get_logger()

IDLE_PASS_S = 5.0
"""A pass is made at least this often, whatever was or was not told."""

AGAIN_S = 0.01
"""The pass after one that did something, which is how streamd knows that it is done."""

RETRY_PASS_S = 1.0

STOPPING = "streamd is being stopped"

TICK_S = 1.0
CONNECTING_TICK_S = 0.2


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
        self.stalls = Stalls(self.listings, self.histories)
        self.archives = Archives(state.archives_directory, self.wake, self._silenced)
        self.leaving = Leaving(state.archives_directory, state.leaving_directory)
        self._ladders = Ladders(servers)
        self._operations = Operations(self.histories.not_started, self._operation_ended)
        self._turns = Turns(self._operations, os.cpu_count() or 1)
        not_startable = partial(self.histories.not_started, permanent=True)
        self.applier = Applier(runner, servers, log_dir, self._operations.spawn, not_startable)
        self.desired: Desired | None = None
        self.observed = Observed()
        self.converged = False
        self._index: PlanIndex | None = None
        self._jobs: Mapping[str, Job] = {}
        self._wake = asyncio.Event()
        self._passed = asyncio.Condition()
        self._begun = self._ended = 0
        self.passed_at = time.monotonic()
        self._watch = ProcessWatch(self.stalls, publishers, self.listings, self._exited)
        self._asked_at: Mapping[str, float] = {}
        self._on_call = False
        self._stopping = False

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

    def desire_nothing(self) -> None:
        """End everything, also archives with work left: streamd goes on with it when it is back."""
        assert self.desired is not None  # noqa: S101 - for mypy: the caller looked
        self._stopping = True
        self.desire(Desired(self.desired.ffmpeg, self.desired.daemon, {}, {}, {}, {}))

    def use_ffmpeg(self, ffmpeg: FFmpegBinary) -> None:
        """Make processes with this FFmpeg from now on."""
        self.applier.workshop = Workshop(
            ffmpeg,
            ffprobe=str(find_ffprobe(Path(ffmpeg.path)) or "ffprobe"),
            own_secret=self._state.server_secrets().publish_secret,
            cache_directory=str(self._state.slates_directory),
            outbox=str(self._state.outbox),
            archives_directory=str(self._state.archives_directory),
            servers_directory=str(self._state.servers_directory),
        )

    @property
    def progress(self) -> ProgressReceiver | None:
        """Where FFmpegs report to."""
        return self.stalls.progress

    def behind(self) -> frozenset[str]:
        """Return the names of the processes that encode more slowly than their input comes."""
        return self.stalls.behind(self.observed, self._jobs, time.monotonic())

    def take_progress(self, progress: ProgressReceiver) -> None:
        """Hear FFmpeg's reports there from now on."""
        self.stalls.hear(progress)

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

    async def passed(self) -> None:
        """Wait until a pass has ended, so that what is observed is true."""
        async with self._passed:
            await self._passed.wait()

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
            heed = self.stalls.look(self.observed, self._jobs, now)
            self.listings.set_pace(self._pace_s(heed))
            if self.stalls.stalled(self.observed, self._jobs, now):
                self.wake()
            await asyncio.sleep(CONNECTING_TICK_S if heed.connecting else TICK_S)

    def _pace_s(self, heed: Heed) -> float:
        if heed.suspicious:
            return SUSPICIOUS_S
        if self._on_call:
            return ON_CALL_S
        return CONNECTING_S if heed.connecting else IDLE_S

    async def list_streams(self) -> None:
        """Keep the servers' own lists of streams fresh, for ever."""
        async for listings in self.listings.changes():
            self.stalls.listed(listings)
            if self.desired is not None:
                await self._ladders.renew(self.desired, listings)
            now = time.monotonic()
            for name in self._watch.servers.keys() - self.listings.errors.keys():
                job = self._jobs.get(server_process_name(name))
                if job is not None:
                    self.histories.advanced(job, now)
            self.wake()

    async def close(self) -> None:
        """End operations that are under way; what runs, runs on."""
        await self._operations.close()
        self._watch.close()

    # One pass

    async def _pass(self) -> float:
        """Make one pass, and return how long to wait for the next, in seconds."""
        processes = await self._runner.list()
        desired, index = self.desired, self._index
        if desired is None or index is None:
            return IDLE_PASS_S
        leaving = {} if self._stopping else await self.leaving.look()
        if self.desired is not desired:  # so that all of a pass is of one configuration
            return AGAIN_S
        self._watch.look(processes)
        now = time.monotonic()
        clock = datetime.now(UTC)
        self.observed = Observed(
            processes=processes,
            publishers=self._publishers.present(self.listings.latest, now, index.auth.known_as),
            histories=self.histories.by_process,
            loaded={name: self._state.loaded(name) for name in desired.servers},
            spools=self.archives.spools,
            leaving=leaving,
            demanded=self._demanded(desired, processes, now),
        )
        self._jobs, _ = wanted_jobs(
            desired, self.observed, self._servers.input_url, now, clock, index
        )
        self._on_call = is_on_call(desired, self._jobs, clock)
        self._hear_archives(desired, now)
        self.histories.judge(processes, self._jobs)
        self.observed = replace(
            self.observed,
            histories=dict(self.histories.by_process),
            stalled=self.stalls.stalled(self.observed, self._jobs, now),
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
        if self._stopping:
            steps = [
                replace(step, reason=STOPPING) if isinstance(step, Kick) else step for step in steps
            ]
        todo = Plan(self._turns.take(steps, now), whole.wake_at)
        if todo:
            await self._apply(todo)
            return AGAIN_S
        self.converged = not steps and not self._operations and self._servers_run()
        if any(isinstance(step, Start) and reports_progress(step.process) for step in steps):
            return max(AGAIN_S, self._turns.starts_at(now) - now)
        return _wait_s(whole, index.next_change(clock), now, clock)

    def _hear_archives(self, desired: Desired, now: float) -> None:
        """Note which archives do what they are for."""
        for rule, heard in self.archives.heard.items():
            spec = desired.recordings.get(rule)
            job = self._jobs.get(archive_process_name(spec)) if spec is not None else None
            if job is not None and not heard.is_silent(now):
                self.histories.advanced(job, now)

    def _silenced(self, rule: str, is_silent: bool) -> None:
        """Let no server open what lies where an archive hangs: it would hang with it."""
        found = self.desired.recordings.get(rule) if self.desired is not None else None
        if found is None or found.served_by is None:
            return
        do = withhold if is_silent else restore
        try:
            do(self._state.servers_directory, found.served_by, rule)
        except OSError as error:
            log.error("recordings.not_withheld", rule=rule, error=error.strerror)

    def _demanded(
        self, desired: Desired, processes: Mapping[str, ObservedProcess], now: float
    ) -> frozenset[str]:
        servers = {spec.stream: spec.server for spec in desired.sources.values() if spec.on_demand}
        running = {stream for stream in servers if playout_process_name(stream) in processes}
        latest = self.listings.latest
        self._asked_at = last_asked(self._asked_at, servers, latest, running, now)
        return frozenset(self._asked_at)

    def _servers_run(self) -> bool:
        """Tell whether every server runs. A target's receiver is not in our hands."""
        processes = self.observed.processes
        return all(
            name in processes and processes[name].state == "running"
            for name, job in self._jobs.items()
            if isinstance(job, ServerJob)
        )

    async def _apply(self, todo: Plan) -> None:
        self.converged = False
        for step in todo.steps:
            if isinstance(step, Stop):
                self.histories.asked_to_end(self.observed.processes[step.process])
            elif isinstance(step, Kill):
                process = self.observed.processes[step.process]
                self.histories.asked_to_end(process, failure=failure_of(step.process))
        started = time.monotonic()
        await self.applier.apply(todo)
        duration = round(time.monotonic() - started, 3)
        log.info("plan.applied", steps=len(todo.steps), duration_s=duration)

    def _failures(self, step: Step) -> int:
        if not isinstance(step, Start):
            return 0
        history = self.histories.by_process.get(step.process)
        return history.failures if history else 0

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

    def _operation_ended(self) -> None:
        self.listings.ask_soon()
        self.wake()


def _wait_s(whole: Plan, window: datetime | None, now: float, clock: datetime) -> float:
    """Return how long nothing can come up by itself."""
    wait_s = IDLE_PASS_S
    if whole.wake_at is not None:
        wait_s = min(wait_s, whole.wake_at - now)
    if window is not None:
        wait_s = min(wait_s, (window - clock).total_seconds())
    return max(wait_s, 0.01)
