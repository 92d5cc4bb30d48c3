"""Compare what shall exist with what exists, and say what to do: pure, sorted, printable.

`plan` looks at processes and publishers and is made anew in every pass of the daemon, so that it
holds after any interruption. `streamd.changes.compare` looks at two configurations, for people.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from streamd.auth.decide import authorised
from streamd.desired import RELOADABLE_FIELDS, Desired, reload_identity
from streamd.jobs import (
    Job,
    PlayoutJob,
    RecordJob,
    ServerJob,
    TargetJob,
    TranscodeJob,
    job_identity,
)
from streamd.observed import Observed, ObservedProcess
from streamd.process_names import server_of
from streamd.wanted import InputUrl, PlanIndex, earliest, history_of, wanted_jobs


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
            wake_at = earliest(wake_at, retry_at)
        else:
            steps.append(step)
    steps += _kicks(observed, index, clock)
    return Plan(tuple(sorted(steps, key=_order)), wake_at)


def _kicks(observed: Observed, index: PlanIndex, clock: datetime) -> Iterator[Kick]:
    """Yield who has to go. What streamd publishes itself goes with its process.

    SRS aborts where a kick meets a publisher that is leaving by itself (`SrsFastCoroutine::stop` in
    srs_app_st.cpp: an interrupted join; ossrs/srs 2369 is of the same kind).
    """
    for publisher in observed.publishers.values():
        reason = None if publisher.internal else authorised(publisher, index.auth, clock)
        if reason is not None:
            yield Kick(
                publisher.server,
                publisher.stream,
                publisher.published_as,
                publisher.client_id,
                reason,
            )


def is_finished(job: Job, process: ObservedProcess) -> bool:
    """Tell whether a process has done all that it was for: a playlist that ends has ended."""
    return (
        isinstance(job, PlayoutJob)
        and process.state == "exited"
        and process.exit_status == 0
        and process.identity == job_identity(job)
    )


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
        if (
            isinstance(job, TargetJob | TranscodeJob | RecordJob)
            and process.publisher != job.publisher
        ):
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
    return _KINDS.index(type(step)), server_of(name) is None, name
