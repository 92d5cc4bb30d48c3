"""What is said of finished recordings, and of storages: as archives say it. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from streamd.recordings.report import LISTED, Finished, StorageReport, StorageState
from streamd.redact import redact_text
from streamd.status.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class RecordedStatus:
    """A finished recording.

    Attributes:
        rule, stream, uuid, path: of the recording.
        started_at, ended_at: what time of day it tells of.
        seconds, bytes: of the artifact.
        file: the artifact in the directory; None where there is none.
        url: where it can be fetched; None where it cannot.
        uploaded: it arrived at the storage.
        local: it is on this machine.
        error: why it could not be finished; None when it was.
    """

    rule: str
    stream: str
    uuid: str
    path: str
    started_at: datetime
    ended_at: datetime
    seconds: float
    bytes: int
    file: str | None
    url: str | None
    uploaded: bool
    local: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """A storage, over all rules that upload to it.

    Attributes:
        state: `error` while the last try of some rule failed.
        since: when it came into this state, as far as that was seen.
        pending_recordings, pending_bytes: what is still to be uploaded, and how much it takes.
        sent_bytes: what arrived since the archives run.
        retry_at: the next try; None when none is waited for.
        last_error: None when nothing is wrong.
    """

    state: StorageState
    since: datetime | None
    pending_recordings: int
    pending_bytes: int
    sent_bytes: int
    retry_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """What a rule has kept, and the room that there is for more.

    Attributes:
        kept: finished recordings that are here.
        kept_bytes: how much they take.
        free_bytes, total_bytes: of the file system; None while it does not answer.
    """

    kept: int
    kept_bytes: int
    free_bytes: int | None
    total_bytes: int | None


def archive_statuses(snapshot: Snapshot) -> dict[str, ArchiveStatus]:
    """Return what is known of the archive of each rule."""
    rules = snapshot.desired.recordings if snapshot.desired is not None else {}
    found = {}
    for rule in sorted(rules):
        if rule in snapshot.archives:
            report = snapshot.archives[rule].report
            found[rule] = ArchiveStatus(
                report.kept, report.kept_bytes, report.free_bytes, report.total_bytes
            )
    return found


def recorded_statuses(snapshot: Snapshot) -> tuple[RecordedStatus, ...]:
    """Return the latest finished recordings of all rules, newest first."""
    rules = snapshot.desired.recordings if snapshot.desired is not None else {}
    found = [
        _recorded(rule, each)
        for rule in rules
        if rule in snapshot.archives
        for each in snapshot.archives[rule].report.finished
    ]
    return tuple(sorted(found, key=lambda each: each.ended_at, reverse=True)[:LISTED])


def _recorded(rule: str, each: Finished) -> RecordedStatus:
    return RecordedStatus(
        rule=rule,
        stream=each.stream,
        uuid=each.uuid,
        path=each.path,
        started_at=_time(each.started_at),
        ended_at=_time(each.ended_at),
        seconds=round(each.seconds, 1),
        bytes=each.bytes,
        file=each.file or None,
        url=each.url or None,
        uploaded=each.uploaded,
        local=each.local,
        error=redact_text(each.error) if each.error else None,
    )


def storage_statuses(snapshot: Snapshot) -> dict[str, StorageStatus]:
    """Return every storage by name."""
    storages = snapshot.desired.storages if snapshot.desired is not None else {}
    reports: defaultdict[str, list[StorageReport]] = defaultdict(list)
    for facts in snapshot.archives.values():
        if facts.report.storage is not None:
            reports[facts.report.storage.name].append(facts.report.storage)
    return {name: _storage(snapshot, name, reports[name]) for name in sorted(storages)}


def _storage(snapshot: Snapshot, name: str, reports: Sequence[StorageReport]) -> StorageStatus:
    states = {each.state for each in reports}
    state: StorageState = "uploading" if "uploading" in states else "idle"
    if "error" in states:
        state = "error"
    errors = (each.last_error for each in reports if each.last_error)
    return StorageStatus(
        state=state,
        since=snapshot.since(f"storage:{name}", state),
        pending_recordings=sum(each.pending_recordings for each in reports),
        pending_bytes=sum(each.pending_bytes for each in reports),
        sent_bytes=sum(each.sent_bytes for each in reports),
        retry_at=min(_retries(reports), default=None),
        last_error=next(map(redact_text, errors), None),
    )


def _retries(reports: Sequence[StorageReport]) -> Iterator[datetime]:
    return (_time(each.retry_at) for each in reports if each.retry_at is not None)


def _time(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
