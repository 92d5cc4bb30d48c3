"""How an archive is, as streamd reads it in its status file (`streamd.archive.report`). Pure.

A streamd meets archives of an older or newer release: what is missing has its default, and what is
not known is left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

LISTED = 50
"""So many finished recordings are told of each rule, the latest."""

ActiveState = Literal["recording", "waiting", "finishing", "uploading", "paused", "error"]
"""What happens to a recording now.

    recording  it grows
    waiting    its publisher is gone, and may be back in time
    finishing  it becomes what its rule asks for, or waits for its turn
    uploading  it is finished here, and on its way to the storage
    paused     there is no room for more of it
    error      it does not go on; see `last_error`
"""

StorageState = Literal["idle", "uploading", "error"]


@dataclass(frozen=True, slots=True)
class Active:
    """A recording that something is still to be done with.

    Attributes:
        uuid, stream, path: of the recording; the path is that of its directory.
        state: what happens to it.
        since: when it began, Unix time.
        seconds: how much was recorded.
        bytes: how much the recording takes.
        uploaded: bytes of it that arrived at the storage.
        last_error: why it does not go on; None when it does.
    """

    uuid: str
    stream: str
    path: str
    state: ActiveState
    since: float
    seconds: float = 0.0
    bytes: int = 0
    uploaded: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A recording that nothing is left to do with.

    Attributes:
        uuid, stream, path: as of `Active`.
        started_at, ended_at: Unix times.
        seconds: how long it plays.
        bytes: of the artifact.
        file: the artifact in the directory, index.mp4 or index.m3u8; "" where there is none.
        url: the artifact's address; "" where it has none.
        uploaded: it arrived at the storage.
        local: it is here.
        error: why it could not be finished; None when it was.
    """

    uuid: str
    stream: str
    path: str
    started_at: float
    ended_at: float
    seconds: float = 0.0
    bytes: int = 0
    file: str = ""
    url: str = ""
    uploaded: bool = False
    local: bool = True
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StorageReport:
    """How it goes with the storage of a rule.

    Attributes:
        name: of the storage.
        state: `error` while the last try failed.
        pending_recordings, pending_bytes: what is still to be uploaded, and how much it takes.
        sent_bytes: what arrived since the archive runs.
        last_error: why the last try failed; None when it did not.
        retry_at: Unix time of the next try; None when none is waited for.
    """

    name: str
    state: StorageState = "idle"
    pending_recordings: int = 0
    pending_bytes: int = 0
    sent_bytes: int = 0
    last_error: str | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How an archive is.

    Attributes:
        rule: whose archive it is.
        pid: of the process.
        at: when this was true, Unix time.
        ready: it has looked at what is there, and all is well.
        spool: the directory that recorders may write to; "" before it is there.
        paused: there is no room: no recorder of this rule is to run.
        free_bytes, total_bytes: of the file system; None while it does not answer.
        kept: how many finished recordings are here.
        kept_bytes: how much they take.
        active: what is under way.
        finished: the latest `LISTED`, newest first.
        storage: None where recordings stay here alone.
        last_error: what is wrong with the archive itself; None when nothing is.
    """

    rule: str
    pid: int
    at: float
    ready: bool = False
    spool: str = ""
    paused: bool = False
    free_bytes: int | None = None
    total_bytes: int | None = None
    kept: int = 0
    kept_bytes: int = 0
    active: tuple[Active, ...] = ()
    finished: tuple[Finished, ...] = ()
    storage: StorageReport | None = None
    last_error: str | None = None


def trouble_of(report: Report) -> str | None:
    """Return why an archive does not get on; None when it does."""
    if report.last_error is not None:
        return report.last_error
    if report.storage is not None and report.storage.last_error is not None:
        return report.storage.last_error
    return next((each.last_error for each in report.active if each.last_error), None)


def read_report(text: str) -> Report:
    """Read a status file.

    Raises:
        ValueError: the text is none.
    """
    try:
        return _report(json.loads(text))
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"not a report of an archive: {type(error).__name__}") from error


def _report(data: Mapping[str, Any]) -> Report:
    space, kept = data.get("space") or {}, data.get("kept") or {}
    storage = data.get("storage")
    return Report(
        rule=str(data["rule"]),
        pid=int(data["pid"]),
        at=float(data["at"]),
        ready=bool(data.get("ready")),
        spool=str(data.get("spool") or ""),
        paused=bool(data.get("paused")),
        free_bytes=int(space["free"]) if space.get("total") else None,
        total_bytes=int(space["total"]) if space.get("total") else None,
        kept=int(kept.get("recordings", 0)),
        kept_bytes=int(kept.get("bytes", 0)),
        active=tuple(map(_active, data.get("recordings", ()))),
        finished=tuple(map(_finished, data.get("finished", ()))),
        storage=None if storage is None else _storage(storage),
        last_error=_text(data.get("error")),
    )


def _active(data: Mapping[str, Any]) -> Active:
    state = data["state"]
    upload = data.get("upload") or {}
    return Active(
        uuid=str(data["uuid"]),
        stream=str(data["stream"]),
        path=str(data["path"]),
        state=state if state in get_args(ActiveState) else "finishing",
        since=float(data["since"]),
        seconds=float(data.get("seconds", 0)),
        bytes=int(data.get("bytes", 0)),
        uploaded=int(upload.get("sent_bytes", 0)),
        last_error=_text(data.get("last_error")),
    )


def _finished(data: Mapping[str, Any]) -> Finished:
    return Finished(
        uuid=str(data["uuid"]),
        stream=str(data["stream"]),
        path=str(data["path"]),
        started_at=float(data["started_at"]),
        ended_at=float(data["ended_at"]),
        seconds=float(data.get("seconds", 0)),
        bytes=int(data.get("bytes", 0)),
        file=str(data.get("artifact") or ""),
        url=str(data.get("url") or ""),
        uploaded=bool(data.get("uploaded")),
        local=bool(data.get("local", True)),
        error=_text(data.get("last_error")),
    )


def _storage(data: Mapping[str, Any]) -> StorageReport:
    state: Any = data.get("state")
    retry_at = data.get("retry_at")
    return StorageReport(
        name=str(data["name"]),
        state=state if state in get_args(StorageState) else "idle",
        pending_recordings=int(data.get("pending_recordings", 0)),
        pending_bytes=int(data.get("pending_bytes", 0)),
        sent_bytes=int(data.get("sent_bytes", 0)),
        last_error=_text(data.get("last_error")),
        retry_at=None if retry_at is None else float(retry_at),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
