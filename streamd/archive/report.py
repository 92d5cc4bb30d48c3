"""How an archive is, as it says itself in its status file, for streamd to read. Pure.

The file is written whole, by a rename, about once a second while something changes, and at least
every `ALIVE_S` otherwise: an older one is of an archive that hangs or does not run. Fields are only
ever added: a streamd meets archives of an older or newer release.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

ALIVE_S = 5.0
"""An archive that is well says so at least this often."""

LISTED = 50
"""So many finished recordings are told, the latest."""

ActiveState = Literal["recording", "waiting", "finishing", "uploading", "paused", "error"]
"""What happens to a recording now.

    recording  it grows
    waiting    its publisher is gone, and may be back in time
    finishing  it becomes what its rule asks for, or waits for its turn
    uploading  it is finished here, and on its way to the storage
    paused     there is no room for more of it
    error      it cannot be finished, or not be uploaded now; see `last_error`
"""

StorageState = Literal["idle", "uploading", "error"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Active:
    """A recording that something is still to be done with.

    Attributes:
        uuid, stream, path: of the recording; the path is that of its directory.
        state: what happens to it.
        since: when that began, Unix time.
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
        pending_files, pending_bytes: what is still to be uploaded.
        sent_bytes: what arrived since the archive runs.
        last_error: why the last try failed; None when it did not.
        retry_at: Unix time of the next try; None when none is waited for.
    """

    name: str
    state: StorageState = "idle"
    pending_files: int = 0
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
        spool: the directory that recorders may write to; "" before it is made.
        paused: there is no room: no recorder of this rule is to run.
        free_bytes, total_bytes: of the file system; None while it does not answer.
        kept: how many finished recordings are here.
        kept_bytes: how much they take.
        active: what is under way.
        finished: the latest `LISTED`, newest first.
        storage: None where recordings stay here alone.
        last_error: what is wrong with the archive itself, such as a directory that cannot be
            written; None when nothing is.
    """

    rule: str
    pid: int
    at: float
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


def to_json(report: Report) -> str:
    """Return the content of a status file."""
    return json.dumps(asdict(report), ensure_ascii=False) + "\n"


def from_json(text: str) -> Report:
    """Read a status file of this release or another one.

    Raises:
        ValueError: the text is none.
    """
    try:
        data = json.loads(text)
        storage = data.get("storage")
        told = data | {
            "active": tuple(_known(Active, each) for each in data.get("active", ())),
            "finished": tuple(_known(Finished, each) for each in data.get("finished", ())),
            "storage": None if storage is None else _known(StorageReport, storage),
        }
        report = _known(Report, told)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a report of an archive: {type(error).__name__}") from error
    if any(each.state not in get_args(ActiveState) for each in report.active):
        raise ValueError("not a report of an archive: a state that is not known")
    return report


def _known(kind: type[T], data: Mapping[str, Any]) -> T:
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type] # all are dataclasses
    return kind(**{name: value for name, value in data.items() if name in names})
