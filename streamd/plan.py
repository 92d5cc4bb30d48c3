"""Compare what shall exist with what exists, and say what to do: pure, sorted, printable.

`plan` looks at processes and publishers and is made anew in every pass of the daemon, so that it
holds after any interruption. `streamd.changes` looks at two configurations, for people.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from streamd import names
from streamd.auth.decide import AuthIndex, authorised
from streamd.desired import (
    RELOADABLE_FIELDS,
    Desired,
    SourceSpec,
    TargetSpec,
    TranscodeSpec,
    identity,
    reload_identity,
    restart_identity,
)
from streamd.ffmpeg.transcode_argv import sharing_a_process
from streamd.jobs import Job, PlayoutJob, ServerJob, TargetJob, TranscodeJob
from streamd.observed import JobHistory, Observed, ObservedProcess, Publisher

BACKUP_AFTER_FAILURES = 3
"""A target's backup address is taken after so many failures of the first in a row."""

BACKUP_GIVEN_UP_AFTER_S = 5.0
"""The backup goes on beside the first address until media has arrived there for so long."""

BACKUP_SUFFIX = "~backup"
SOUND_SUFFIX = "~sound"

InputUrl = Callable[[str, str], str]
"""Gives the address at which a server (by name) serves a stream to FFmpeg."""


@lru_cache(maxsize=32768)
def job_identity(job: Job) -> str:
    """Return what a process is known by: another identity is another process."""
    if isinstance(job, ServerJob):
        return restart_identity(job.server)
    return identity(job)


@dataclass(frozen=True, slots=True)
class Start:
    """Start a process that does not run."""

    process: str
    job: Job
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a process; where its job is still wanted, the next pass starts it anew."""

    process: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End a process that hangs. Its exit counts as a failure."""

    process: str
    pid: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Make a running server take its new files."""

    process: str
    job: ServerJob
    reason: str


@dataclass(frozen=True, slots=True)
class Kick:
    """Disconnect a publisher who may not publish any more."""

    server: str
    stream: str
    published_as: str = field(repr=False)
    client_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop an exited process that is not wanted any more from supervisord's list."""

    process: str


Step = Kick | Stop | Kill | Forget | Reload | Start


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, in order, and the monotonic time at which to look again (None: no need)."""

    steps: tuple[Step, ...] = ()
    wake_at: float | None = None

    def __bool__(self) -> bool:
        return bool(self.steps)


class TargetIndex:
    """Finds the targets that a stream is sent to, in time that does not grow with their number.

    Disabled targets are left out.
    """

    def __init__(self, targets: Iterable[TargetSpec]) -> None:
        self._exact: defaultdict[str, list[TargetSpec]] = defaultdict(list)
        self._patterns: list[tuple[str, TargetSpec]] = []
        for target in targets:
            if not target.enabled:
                continue
            for pattern in target.streams:
                if names.has_wildcard(pattern):
                    self._patterns.append((pattern, target))
                else:
                    self._exact[pattern].append(target)

    def of(self, stream: str) -> Mapping[str, TargetSpec]:
        """Return the enabled targets of `app/stream` by name."""
        found = {target.name: target for target in self._exact.get(stream, ())}
        for pattern, target in self._patterns:
            if target.name not in found and names.matches(pattern, stream):
                found[target.name] = target
        return found


class PlanIndex:
    """What a plan looks up, made once for each configuration."""

    def __init__(self, desired: Desired) -> None:
        self.auth = AuthIndex(desired)
        self.targets = TargetIndex(desired.targets.values())
        self.transcodes: defaultdict[str, list[TranscodeSpec]] = defaultdict(list)
        for transcode in desired.transcodes.values():
            self.transcodes[transcode.stream].append(transcode)
        self._windows = {source.window for source in desired.sources.values() if source.window}

    def is_ingest(self, stream: str) -> bool:
        """Tell whether `app/stream` goes nowhere by itself, because a playout takes it."""
        rule = self.auth.rule_for(stream)
        return rule is not None and rule.ingest_of is not None

    def next_change(self, now: datetime) -> datetime | None:
        """Return when a key or the time of a source next begins or ends, None when none does."""
        moments = [window.next_change(now) for window in self._windows]
        key = self.auth.next_change(now)
        return min(moments if key is None else [key, *moments], default=None)


def server_process(server: str) -> str:
    """Return the name of the process that runs a media server."""
    return f"server.{server}"


def playout_process(stream: str) -> str:
    """Return the name of the process that publishes a stream of streamd's own making."""
    return f"playout.{stream}"


def transcode_process(transcode: TranscodeSpec) -> str:
    """Return the name of the process that makes a transcode, with all others of its stream.

    Those of sound alone have one of their own (`streamd.ffmpeg.transcode_argv.sharing_a_process`).
    """
    suffix = SOUND_SUFFIX if transcode.video.codec == "none" else ""
    return f"transcode.{transcode.stream}{suffix}"


def target_process(target: TargetSpec, stream: str, *, backup: bool = False) -> str:
    """Return the name of the process that sends a stream to a target."""
    entry = f"{target.name}@{stream}" if target.many else target.name
    return f"target.{entry}{BACKUP_SUFFIX if backup else ''}"


def wanted_jobs(
    desired: Desired,
    observed: Observed,
    input_url: InputUrl,
    now: float,
    clock: datetime,
    index: PlanIndex | None = None,
) -> tuple[dict[str, Job], float | None]:
    """Return every job that shall run now, by process name, and when that may change by itself.

    Args:
        desired: what shall exist.
        observed: who publishes, and what happened to jobs.
        input_url: where each stream is read.
        now: monotonic time.
        clock: the time of day (aware).
        index: spares building the `PlanIndex` of `desired` anew.
    """
    index = index or PlanIndex(desired)
    jobs: dict[str, Job] = {}
    wake_at: float | None = None
    for name, server in desired.servers.items():
        process = server_process(name)
        jobs[process] = ServerJob(process, server)
    for source in desired.sources.values():
        if _is_wanted(source, observed, index, clock):
            playout = _playout_job(desired, source)
            jobs[playout.process] = playout
    for stream, publisher in observed.publishers.items():
        if not _is_sent_on(publisher, desired, index, clock):
            continue
        for transcodes in sharing_a_process(index.transcodes.get(stream, ())):
            transcoding = _transcode_job(desired, transcodes, publisher, input_url)
            jobs[transcoding.process] = transcoding
        for target in index.targets.of(stream).values():
            first = target_process(target, stream)
            job = _target_job(desired, target, publisher, input_url, backup=False)
            jobs[first] = job
            if len(target.urls) < 2:
                continue
            wanted, changes_at = _wants_backup(history_of(job, observed), now)
            if wanted:
                backup = target_process(target, stream, backup=True)
                jobs[backup] = _target_job(desired, target, publisher, input_url, backup=True)
                wake_at = _earliest(wake_at, changes_at)
    return jobs, wake_at


def _is_sent_on(publisher: Publisher, desired: Desired, index: PlanIndex, clock: datetime) -> bool:
    if publisher.server not in desired.servers or index.is_ingest(publisher.stream):
        return False
    # Whoever may not be there is being disconnected.
    return authorised(publisher, index.auth, clock) is None


def is_on_call(desired: Desired, jobs: Mapping[str, Job], clock: datetime) -> bool:
    """Tell whether a stream would be published as soon as somebody asks for it.

    Args:
        desired: what shall exist.
        jobs: what is wanted now (`wanted_jobs`).
        clock: the time of day (aware).
    """
    return any(
        source.on_demand and _is_due(source, clock) and playout_process(source.stream) not in jobs
        for source in desired.sources.values()
    )


def _is_due(source: SourceSpec, clock: datetime) -> bool:
    return source.window is None or source.window.is_open(clock)


def _is_wanted(source: SourceSpec, observed: Observed, index: PlanIndex, clock: datetime) -> bool:
    if not _is_due(source, clock):
        return False
    if not source.on_demand or source.stream in observed.demanded:
        return True
    return bool(index.targets.of(source.stream)) or source.stream in index.transcodes


def _playout_job(desired: Desired, source: SourceSpec) -> PlayoutJob:
    return PlayoutJob(
        process=playout_process(source.stream),
        stream=source.stream,
        publish_url=f"{desired.servers[source.server].loopback_rtmp}/{source.stream}",
        inputs=source.inputs,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
    )


def _transcode_job(
    desired: Desired,
    transcodes: Sequence[TranscodeSpec],
    publisher: Publisher,
    input_url: InputUrl,
) -> TranscodeJob:
    return TranscodeJob(
        process=transcode_process(transcodes[0]),
        stream=publisher.stream,
        input_url=input_url(publisher.server, publisher.published_as),
        publish_url=desired.servers[publisher.server].loopback_rtmp,
        transcodes=tuple(sorted(transcodes, key=lambda each: each.name)),
        publisher=publisher.client_id,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
        input_secret=publisher.published_as != publisher.stream,
    )


def history_of(job: Job, observed: Observed) -> JobHistory | None:
    """Return what happened to a job, None when its name stood for another job before."""
    history = observed.histories.get(job.process)
    return history if history is not None and history.job == job_identity(job) else None


def is_finished(job: Job, process: ObservedProcess) -> bool:
    """Tell whether a process has done all that it was for: a playlist that ends has ended."""
    return (
        isinstance(job, PlayoutJob)
        and process.state == "exited"
        and process.exit_status == 0
        and process.identity == job_identity(job)
    )


def _target_job(
    desired: Desired,
    target: TargetSpec,
    publisher: Publisher,
    input_url: InputUrl,
    *,
    backup: bool,
) -> TargetJob:
    app, name = names.split(publisher.stream)
    url = target.urls[1 if backup else 0]
    return TargetJob(
        process=target_process(target, publisher.stream, backup=backup),
        target=target.name,
        stream=publisher.stream,
        input_url=input_url(publisher.server, publisher.published_as),
        output_url=url.replace("{app}", app).replace("{stream}", name),
        publisher=publisher.client_id,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
        input_secret=publisher.published_as != publisher.stream,
    )


def _wants_backup(history: JobHistory | None, now: float) -> tuple[bool, float | None]:
    if history is None or history.failures < BACKUP_AFTER_FAILURES:
        return False, None
    if history.healthy_since is None:
        return True, None
    healed_at = history.healthy_since + BACKUP_GIVEN_UP_AFTER_S
    return now < healed_at, healed_at


def _earliest(one: float | None, other: float | None) -> float | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)


def plan(
    desired: Desired,
    observed: Observed,
    input_url: InputUrl,
    *,
    now: float,
    clock: datetime,
    index: PlanIndex | None = None,
) -> Plan:
    """Say what brings the machine to what is desired.

    Args:
        desired: what shall exist.
        observed: what exists.
        input_url: where each stream is read.
        now: monotonic time, for retries.
        clock: the time of day (aware), for key windows.
        index: `PlanIndex` of `desired`, when the caller keeps one.

    Returns:
        Steps sorted by kind and name: kicks first, starts last. Empty when nothing is to be done
        now. Carrying it out in part, in any order, and planning again leads to the same end.
    """
    index = index or PlanIndex(desired)
    kicks: list[Step] = []
    for publisher in observed.publishers.values():
        reason = authorised(publisher, index.auth, clock)
        if reason is not None:
            kicks.append(
                Kick(
                    publisher.server,
                    publisher.stream,
                    publisher.published_as,
                    publisher.client_id,
                    reason,
                )
            )
    wanted, wake_at = wanted_jobs(desired, observed, input_url, now, clock, index)
    steps: list[Step] = []
    for name, process in observed.processes.items():
        if name not in wanted:
            if process.state == "running":
                steps.append(Stop(name, "not wanted any more"))
            elif process.state == "exited":
                steps.append(Forget(name))
    for name, job in wanted.items():
        step, retry_at = _step_for(job, observed.processes.get(name), observed)
        if step is None:
            continue
        if retry_at is not None and retry_at > now:
            wake_at = _earliest(wake_at, retry_at)
        else:
            steps.append(step)
    return Plan(tuple(sorted(kicks + steps, key=_order)), wake_at)


def _step_for(
    job: Job, process: ObservedProcess | None, observed: Observed
) -> tuple[Step | None, float | None]:
    """Return what a wanted job needs, and when at the earliest (None: now)."""
    history = history_of(job, observed)
    if process is not None and is_finished(job, process):
        return None, None
    if process is None or process.state == "exited":
        reason = "wanted" if process is None else "exited"
        return Start(job.process, job, reason), history.retry_at if history else None
    if process.state == "stopping":
        return None, None
    if process.identity != job_identity(job):
        if isinstance(job, TargetJob | TranscodeJob) and process.publisher != job.publisher:
            return Stop(job.process, "the publisher changed"), None
        return Stop(job.process, "its definition changed"), None
    if job.process in observed.stalled:
        return Kill(job.process, process.pid, "it hangs"), None
    if isinstance(job, ServerJob):
        loaded = observed.loaded.get(job.server.name, "")
        takes_any = bool(RELOADABLE_FIELDS[job.server.engine])
        if not takes_any or loaded in ("", reload_identity(job.server)):
            return None, None
        return Reload(job.process, job, "settings that it takes while it runs changed"), (
            history.retry_at if history else None
        )
    return None, None


_KINDS: tuple[type, ...] = (Kick, Kill, Stop, Forget, Reload, Start)


def _order(step: Step) -> tuple[int, bool, str]:
    name = f"{step.server}/{step.stream}" if isinstance(step, Kick) else step.process
    return _KINDS.index(type(step)), not name.startswith("server."), name
