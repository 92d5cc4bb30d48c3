"""What is said of recordings that are under way: from what archives say of themselves. Pure."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from streamd import names
from streamd.desired import Desired, RecordingSpec
from streamd.observed import JobHistory
from streamd.process_names import archive_process_name, record_process_name, rule_of_archive
from streamd.recordings.report import Active, ActiveState, trouble_of
from streamd.redact import redact_text
from streamd.status.snapshot import Snapshot
from streamd.wanted import PlanIndex

GROWING: tuple[ActiveState, ...] = ("recording", "waiting", "paused")
"""The states of a recording that more may come to."""

_FIRST_REPORT_S = 10.0
"""An archive has said how it is so long after its start, unless its disk does not answer."""

_SILENT = "its archive does not answer; if `directory` is on a mount, look at the server behind it"


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """The recording of one stream by one rule; of a rule that has none, the rule itself.

    Attributes:
        state: `recording` it grows; `waiting` for the stream, or for its publisher to come back;
            `finishing` it becomes what the rule asks for; `uploading` it is on its way to the
            storage; `paused` there is no room; `error` see `last_error`.
        since: when it came into this state.
        uuid, path: of the recording; None where there is none.
        seconds: how much was recorded.
        bytes: how much it takes.
        uploaded: bytes of it that arrived at the storage.
        others: further recordings of this stream that are not finished yet.
        pid: of the recorder; 0 when none runs.
        restarts: starts of the recorder after the first, since streamd runs.
        last_error: None when nothing is wrong.
    """

    state: ActiveState
    since: datetime | None
    uuid: str | None
    path: str | None
    seconds: float
    bytes: int
    uploaded: int
    others: int
    pid: int
    restarts: int
    last_error: str | None


def recording_statuses(snapshot: Snapshot) -> dict[str, RecordingStatus]:
    """Return what is recorded, as `RULE@app/stream`; `RULE` where a rule has nothing to record."""
    if snapshot.desired is None:
        return {}
    found = {}
    live = _live(snapshot, snapshot.desired)
    for rule in sorted(snapshot.desired.recordings.values(), key=lambda each: each.name):
        active = _active(snapshot, rule.name)
        named = {stream for stream in rule.streams if not names.has_wildcard(stream)}
        streams = sorted(live[rule.name] | active.keys() | named)
        for stream in streams:
            found[f"{rule.name}@{stream}"] = _of_stream(
                snapshot, rule, stream, active.get(stream, []), stream in live[rule.name]
            )
        if not streams:
            found[rule.name] = _of_rule(snapshot, rule)
    return found


def _live(snapshot: Snapshot, desired: Desired) -> defaultdict[str, set[str]]:
    """Return by rule the streams that are live and shall be recorded."""
    index = PlanIndex(desired)
    live: defaultdict[str, set[str]] = defaultdict(set)
    for stream in snapshot.observed.publishers:
        if not index.is_ingest(stream):
            for rule in index.recordings.of(stream):
                live[rule].add(stream)
    return live


def _active(snapshot: Snapshot, rule: str) -> dict[str, list[Active]]:
    """Return by stream what is under way, that which grows first, then the latest."""
    facts = snapshot.archives.get(rule)
    found: defaultdict[str, list[Active]] = defaultdict(list)
    for each in facts.report.active if facts is not None else ():
        found[each.stream].append(each)
    for several in found.values():
        several.sort(key=lambda each: (each.state not in GROWING, -each.since))
    return found


def _of_stream(
    snapshot: Snapshot, rule: RecordingSpec, stream: str, active: list[Active], is_live: bool
) -> RecordingStatus:
    process = snapshot.observed.processes.get(record_process_name(rule.name, stream))
    history = snapshot.observed.histories.get(record_process_name(rule.name, stream), JobHistory())
    first = active[0] if active else None
    runs = process is not None and process.state == "running"
    trouble = _trouble(snapshot, rule)
    state: ActiveState = first.state if first is not None else "waiting"
    since = _time(first.since) if first is not None else None
    error = first.last_error if first is not None else None
    if is_live and (first is None or first.state not in ("recording", "error")):
        state, since = ("recording" if runs else "waiting"), None
        if runs and process is not None and process.started_at:
            since = _time(process.started_at)
    if is_live and not runs and history.last_error is not None:
        state, error = "error", history.last_error
    if is_live and _is_paused(snapshot, rule.name):
        state, error = "paused", _no_room(snapshot, rule)
    if trouble is not None and (is_live or first is not None):
        state, error = "error", trouble
    return RecordingStatus(
        state=state,
        since=since or snapshot.since(f"recording:{rule.name}@{stream}", state),
        uuid=first.uuid if first is not None else None,
        path=first.path if first is not None else None,
        seconds=round(first.seconds, 1) if first is not None else 0.0,
        bytes=first.bytes if first is not None else 0,
        uploaded=first.uploaded if first is not None else 0,
        others=max(0, len(active) - 1),
        pid=process.pid if process is not None else 0,
        restarts=history.restarts,
        last_error=redact_text(error) if error else None,
    )


def _of_rule(snapshot: Snapshot, rule: RecordingSpec) -> RecordingStatus:
    state: ActiveState = "waiting"
    error = _trouble(snapshot, rule)
    if error is not None:
        state = "error"
    elif _is_paused(snapshot, rule.name):
        state, error = "paused", _no_room(snapshot, rule)
    return RecordingStatus(
        state=state,
        since=snapshot.since(f"recording:{rule.name}", state),
        uuid=None,
        path=None,
        seconds=0.0,
        bytes=0,
        uploaded=0,
        others=0,
        pid=0,
        restarts=0,
        last_error=redact_text(error) if error else None,
    )


def _is_paused(snapshot: Snapshot, rule: str) -> bool:
    facts = snapshot.archives.get(rule)
    return facts is not None and facts.report.paused


def _trouble(snapshot: Snapshot, rule: RecordingSpec) -> str | None:
    """Return what is wrong with the archive of a rule."""
    archive = archive_process_name(rule)
    process = snapshot.observed.processes.get(archive)
    history = snapshot.observed.histories.get(archive, JobHistory())
    facts = snapshot.archives.get(rule.name)
    if process is None or process.state != "running":
        return history.last_error and f"its archive does not run: {history.last_error}"
    if facts is not None and facts.is_silent:
        return _SILENT
    if facts is None and snapshot.now.timestamp() - process.started_at > _FIRST_REPORT_S:
        return _SILENT
    return facts.report.last_error if facts is not None else None


def leaving_warnings(snapshot: Snapshot) -> tuple[str, ...]:
    """Return a line for each archive whose rule is gone, until it has done its work."""
    lines = []
    for process, report in sorted(snapshot.leaving.items()):
        rule = rule_of_archive(process)
        if report is None:
            lines.append(f"recordings of {rule}, which is not in the file any more: {_SILENT}")
        elif report.active:
            trouble = trouble_of(report)
            lines.append(
                f"{len(report.active)} recordings of {rule}, which is not in the file any more, "
                f"are being finished and uploaded{f': {redact_text(trouble)}' if trouble else ''}"
            )
    return tuple(lines)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _no_room(snapshot: Snapshot, rule: RecordingSpec) -> str:
    report = snapshot.archives[rule.name].report
    free = "" if report.free_bytes is None else f" ({_size(report.free_bytes)})"
    return f"too little of the disk is free{free}; make room, or lower `keep`"


def _time(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
