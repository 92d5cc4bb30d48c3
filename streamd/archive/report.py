"""What an archive says of itself, in a file that streamd reads. Pure.

    {"version": 1, "rule": "archive", "pid": 4242, "at": 1795397400.1,
     "ready": true,              recorders may start: their spool is there
     "spool": "/srv/.spool/x",   what they write to; "" before it is there
     "paused": false,            recorders have to stop: the disk is full
     "error": null,              what is wrong with the rule as a whole
     "space": {"free": 0, "total": 0, "limit": 0},
     "kept": {"recordings": 0, "bytes": 0, "counted": true},
     "recordings": [...],        those that are not done (`_unfinished`)
     "finished": [...],          the last ones, newest first (`told`)
     "storage": null}            how uploads go (`StorageFacts`); null without

Times are Unix times. Fields are only ever added.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamd.archive.assign import Piece
from streamd.archive.keep import Space
from streamd.archive.layout import run_started_at
from streamd.archive.recording import Recording

VERSION = 1
MOST_FINISHED = 50


StorageState = Literal["idle", "uploading", "error"]


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """How uploads go.

    Attributes:
        name: of the storage.
        state: `error` while the last try failed.
        pending, pending_bytes: recordings that are to be uploaded, and what their artifacts take.
        sent_bytes: what arrived since the archive runs.
        error: what is wrong; None for nothing.
        retry_at: Unix time of the next try; None when none is waited for.
        progress: bytes on their way or there of each recording that is being uploaded, by uuid.
    """

    name: str
    state: StorageState
    pending: int
    pending_bytes: int
    sent_bytes: int
    error: str | None
    retry_at: float | None
    progress: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Facts:
    """How an archive is.

    Attributes:
        rule, pid: which one it is.
        ready: its spool is there, and all is well.
        spool: the directory that recorders write to; "" before it is there.
        paused: the disk is too full to record.
        error: what is wrong with all of it; None for nothing.
        space: of the file system; None while it is not known.
        limit: bytes that are to stay free.
        kept, kept_bytes: finished recordings, and what they take.
        counted: all of them were found.
        recordings: those that are not done.
        live: the last segment of each stream that is being recorded.
        troubles: what is wrong with a stream, or with a recording by its uuid.
        finished: the last ones, newest first, as `told` tells them.
        storage: None where recordings stay here alone.
    """

    rule: str
    pid: int
    ready: bool
    spool: str
    paused: bool
    error: str | None
    space: Space | None
    limit: int
    kept: int
    kept_bytes: int
    counted: bool
    recordings: Sequence[Recording]
    live: Mapping[str, Piece]
    troubles: Mapping[str, str]
    finished: Sequence[Mapping[str, Any]]
    storage: StorageFacts | None = None


def report(facts: Facts, now: float) -> dict[str, Any]:
    """Return what stands in the file.

    Args:
        facts: how the archive is.
        now: Unix time.
    """
    space = facts.space or Space(0, 0)
    return {
        "version": VERSION,
        "rule": facts.rule,
        "pid": facts.pid,
        "at": round(now, 3),
        "ready": facts.ready,
        "spool": facts.spool,
        "paused": facts.paused,
        "error": facts.error,
        "space": {"free": space.free, "total": space.total, "limit": facts.limit},
        "kept": {
            "recordings": facts.kept,
            "bytes": facts.kept_bytes,
            "counted": facts.counted,
        },
        "recordings": [*_unfinished(facts)],
        "finished": [*facts.finished][:MOST_FINISHED],
        "storage": None if facts.storage is None else _storage(facts.storage),
    }


def _storage(storage: StorageFacts) -> dict[str, Any]:
    return {
        "name": storage.name,
        "state": storage.state,
        "pending_recordings": storage.pending,
        "pending_bytes": storage.pending_bytes,
        "sent_bytes": storage.sent_bytes,
        "last_error": storage.error,
        "retry_at": storage.retry_at,
    }


def told(recording: Recording, url: str) -> dict[str, Any]:
    """Return what is told of a recording that is done.

    Args:
        recording: of which nothing is left to do.
        url: where its artifact can be fetched; "" for nowhere.
    """
    artifact = recording.artifact
    return {
        "stream": recording.stream,
        "uuid": recording.uuid,
        "state": recording.state,
        "started_at": recording.started_at,
        "ended_at": recording.ended_at,
        "reason": recording.reason,
        "path": recording.path,
        "artifact": artifact.file if artifact else None,
        "url": url,
        "seconds": round(artifact.seconds if artifact else recording.seconds, 3),
        "bytes": artifact.bytes if artifact else recording.bytes,
        "last_error": recording.error,
        "notes": list(recording.notes),
        "uploaded": recording.upload is not None,
        "local": True,
    }


def _unfinished(facts: Facts) -> Iterable[dict[str, Any]]:
    """Yield what is told of each recording that is not done: the last of a stream first."""
    progress = facts.storage.progress if facts.storage is not None else {}
    for recording in sorted(facts.recordings, key=lambda each: (each.stream, -each.started_at)):
        is_open = recording.state == "recording"
        piece = facts.live.get(recording.stream) if is_open else None
        trouble = facts.troubles.get(recording.stream) if is_open else None
        trouble = trouble or facts.troubles.get(recording.uuid) or recording.error
        yield {
            "stream": recording.stream,
            "uuid": recording.uuid,
            "state": _state(recording, piece, is_paused=facts.paused, trouble=trouble),
            "since": recording.started_at,
            "path": recording.path,
            "seconds": round(recording.seconds + _growing_s(recording, piece), 3),
            "bytes": recording.bytes + (piece.bytes if piece else 0),
            "last_error": trouble,
            "upload": {"sent_bytes": progress.get(recording.uuid, 0)},
        }


def _state(
    recording: Recording, piece: Piece | None, *, is_paused: bool, trouble: str | None
) -> str:
    if recording.state != "recording":
        return recording.state
    if trouble is not None:
        return "error"
    if piece is not None:
        return "recording"
    return "paused" if is_paused else "waiting"


def _growing_s(recording: Recording, piece: Piece | None) -> float:
    """Return about how long the segment is that is being written."""
    if piece is None:
        return 0.0
    begin = run_started_at(piece.spooled.run)
    if recording.runs and recording.runs[-1].run == piece.spooled.run:
        begin = recording.ended_at
    return max(0.0, piece.modified_at - begin)
