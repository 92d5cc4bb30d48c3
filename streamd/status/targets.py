"""What is said of a target: from what FFmpeg reports it has sent, never from what should be."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from streamd.config.addresses import fill
from streamd.desired import TargetSpec
from streamd.ffmpeg.track import Track
from streamd.observed import JobHistory, ObservedProcess
from streamd.process_names import target_process_name
from streamd.redact import redact_text, redact_url
from streamd.status.job_state import TargetState, job_state
from streamd.status.snapshot import Snapshot
from streamd.stream_index import StreamIndex

_NO_HISTORY = JobHistory()
_RANK = {"live": 0, "stalled": 1, "connecting": 2}


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One target, or one stream of a target that has many.

    Attributes:
        state: `live` media advances at the output; `waiting` the stream is not live;
            `connecting` FFmpeg runs or is about to, and nothing was sent yet; `stalled` it sent
            and stopped; `backoff` it failed and is tried again at `retry_at`; `blocked` likewise,
            and the error cannot heal by itself; `disabled` by the file.
        since: when it came into this state, as far as that was seen.
        pid: 0 when no FFmpeg runs.
        restarts: starts after the first, since streamd runs.
        bytes: sent since streamd runs.
        kbps: sent lately, kilobits per second.
        retry_at: when it is tried again; None when it is not waiting for that.
        last_error: redacted; None after a minute of health.
        stream: `app/stream`; None for the one entry of a target of which no stream is live.
        address: where it is sent, without credentials and key.
        backup: `address` is the backup address.
    """

    state: TargetState
    since: datetime | None
    pid: int
    restarts: int
    bytes: int
    kbps: int
    retry_at: datetime | None
    last_error: str | None
    stream: str | None
    address: str
    backup: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """One address of an entry, and the process that sends to it."""

    state: TargetState
    url: str
    backup: bool
    history: JobHistory = _NO_HISTORY
    process: ObservedProcess | None = None
    track: Track | None = None


def target_statuses(snapshot: Snapshot) -> dict[str, TargetStatus]:
    """Return every target by `NAME`, or `NAME@app/stream` where it has many, sorted by name."""
    if snapshot.desired is None:
        return {}
    targets = snapshot.desired.targets
    index = StreamIndex(each for each in targets.values() if each.enabled)
    live: defaultdict[str, list[str]] = defaultdict(list)
    for stream in sorted(snapshot.observed.publishers):
        rule = snapshot.desired.rules.get(stream)
        if rule is not None and rule.ingest_of is not None:
            continue  # it goes nowhere by itself
        for name in index.of(stream):
            live[name].append(stream)
    return {
        key: _status(snapshot, target, key, stream)
        for name, target in sorted(targets.items())
        for key, stream in _entries(target, live[name])
    }


def sent_bytes(snapshot: Snapshot, process: str) -> tuple[int, int, int]:
    """Return what a process's earlier runs sent, its pid, and what its present run has sent."""
    earlier, last_pid, last = snapshot.memory.sent.get(process, (0, 0, 0))
    observed = snapshot.observed.processes.get(process)
    pid = observed.pid if observed else 0
    track = snapshot.tracks.get(pid) if pid else None
    if pid == last_pid or track is None:
        return earlier, last_pid, max(last, track.bytes if track else 0)
    return earlier + last, pid, track.bytes


def _entries(target: TargetSpec, live: list[str]) -> Iterator[tuple[str, str | None]]:
    if not target.many:
        yield target.name, target.streams[0]
    elif not live:
        yield target.name, None
    else:
        for stream in live:
            yield f"{target.name}@{stream}", stream


def _status(snapshot: Snapshot, target: TargetSpec, key: str, stream: str | None) -> TargetStatus:
    runs = _runs(snapshot, target, stream)
    # While the backup serves, the first address is tried again beside it.
    tried = [run for run in runs if not run.backup or (run.process and run.process.pid)]
    shown = min(tried, key=lambda run: _RANK.get(run.state, 3))
    errors = (run.history.last_error for run in (shown, *runs))
    error = next(filter(None, errors), None)
    processes = [] if stream is None else _processes(target, stream)
    waits = shown.state in {"backoff", "blocked"} and shown.history.retry_at > snapshot.monotonic
    return TargetStatus(
        state=shown.state,
        since=_since(snapshot, shown, key),
        pid=shown.process.pid if shown.process else 0,
        restarts=sum(run.history.restarts for run in runs),
        bytes=sum(sum(sent_bytes(snapshot, name)[::2]) for name in processes),
        kbps=round(shown.track.kbps or 0) if shown.track and shown.state == "live" else 0,
        retry_at=snapshot.wall(shown.history.retry_at) if waits else None,
        last_error=redact_text(error, *target.urls) if error else None,
        stream=stream,
        address=redact_url(shown.url),
        backup=shown.backup,
    )


def _processes(target: TargetSpec, stream: str) -> list[str]:
    return [target_process_name(target, stream, backup=n > 0) for n in range(len(target.urls))]


def _runs(snapshot: Snapshot, target: TargetSpec, stream: str | None) -> list[_Run]:
    if not target.enabled or stream is None:
        return [_Run("waiting" if target.enabled else "disabled", target.urls[0], backup=False)]
    runs = []
    for n, process_name in enumerate(_processes(target, stream)):
        process = snapshot.observed.processes.get(process_name)
        history = snapshot.observed.histories.get(process_name, _NO_HISTORY)
        track = snapshot.tracks.get(process.pid) if process and process.pid else None
        state = job_state(snapshot, process, track, history, stream)
        runs.append(_Run(state, fill(target.urls[n], stream), n > 0, history, process, track))
    return runs


def _since(snapshot: Snapshot, run: _Run, key: str) -> datetime | None:
    if run.state == "live" and run.history.healthy_since is not None:
        return snapshot.wall(run.history.healthy_since)
    if run.state == "connecting" and run.process is not None and run.process.started_at:
        return datetime.fromtimestamp(run.process.started_at, UTC)
    return snapshot.since(f"target:{key}", run.state)
