"""What files and directories of recordings are called. Pure.

    ROOT/.spool/RULE/APP!STREAM!RUN-000000.ts    what a recorder writes
    DIRECTORY/NAME/RUN-000000.ts                 the same, once it belongs to a recording

ROOT is the part of the rule's directory before its first token. RUN is when the recorder started
and its pid, so that no recorder ever writes over what another one has written.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streamd import names
from streamd.supervision.protocol import SPAWNED

SPOOL = ".spool"

TOKENS = ("app", "stream", "date", "time", "uuid")
"""What can stand in braces in the directory and the name of recordings."""

_TOKEN = re.compile(r"\{(" + "|".join(TOKENS) + r")\}")

_BETWEEN = "!"  # in no stream's name
_SPOOLED = re.compile(
    r"(?P<stream>[^/]+)!(?P<run>\d{8}T\d{6}\.\d{6}Z-\d+)-(?P<number>\d{6,9})\.ts", re.ASCII
)
_LONGEST_PART = 240  # bytes; file systems take 255
_DIGEST = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Spooled:
    """What the name of a segment in the spool says; in the order in which they were recorded.

    Attributes:
        stream: `app/stream`.
        run: of the recorder, as `20261123T013000.123456Z-4242`.
        number: counts from 0 within the run.
    """

    stream: str
    run: str
    number: int

    @property
    def spooled_as(self) -> str:
        """The name in the spool."""
        return f"{self.stream.replace('/', _BETWEEN)}{_BETWEEN}{self.file}"

    @property
    def file(self) -> str:
        """The name in the directory of a recording."""
        return f"{self.run}-{self.number:06d}.ts"


def root_of(directory: str) -> str:
    """Return a rule's directory up to the part that has its first token."""
    fixed, brace, _ = directory.partition("{")
    return (fixed.rpartition("/")[0] if brace else fixed.rstrip("/")) or "/"


def spool_of(directory: str, rule: str) -> str:
    """Return the directory that the recorders of a rule write to."""
    return f"{root_of(directory).rstrip('/')}/{SPOOL}/{rule}"


def segment_pattern(spool: str, stream: str) -> str:
    """Return what FFmpeg's segment muxer is to call what it records of `app/stream`.

    `SPAWNED` in it is filled when the recorder starts.

    Raises:
        ValueError: the stream has a name that streamd lets onto no server.
    """
    if not names.is_published_name(stream):
        raise ValueError(f"{stream!r} is no name of a stream")
    stem = f"{spool}/{stream.replace('/', _BETWEEN)}{_BETWEEN}".replace("%", "%%")
    return f"{stem}{SPAWNED}-%06d.ts"


def parse_spooled(name: str) -> Spooled | None:
    """Read the name of a segment in the spool; None for what is none."""
    match = _SPOOLED.fullmatch(name)
    if match is None:
        return None
    found = Spooled(
        match["stream"].replace(_BETWEEN, "/"), match["run"], int(match["number"], base=10)
    )
    is_own = found.spooled_as == name and names.is_published_name(found.stream)
    return found if is_own and _run_time(found.run) is not None else None


def parse_file(name: str) -> tuple[str, int] | None:
    """Read the name of a segment in the directory of a recording: its run and number."""
    found = parse_spooled(f"a{_BETWEEN}b{_BETWEEN}{name}")
    return None if found is None else (found.run, found.number)


def run_started_at(run: str) -> float:
    """Return when a run started by the clock of the machine, Unix time.

    Raises:
        ValueError: this is no run.
    """
    moment = _run_time(run)
    if moment is None:
        raise ValueError(f"{run!r} is no run")
    return moment


def _run_time(run: str) -> float | None:
    try:
        moment = datetime.strptime(run.partition("-")[0], "%Y%m%dT%H%M%S.%f%z")
    except ValueError:
        return None
    return (moment - _EPOCH) / timedelta(seconds=1)


def recording_path(directory: str, name: str, *, stream: str, started_at: float, uuid: str) -> str:
    """Return the directory of a recording: always below the rule's root, whatever it is called.

    Args:
        directory: of the rule, with tokens.
        name: likewise, below it.
        stream: `app/stream`.
        started_at: Unix time; the tokens say it in UTC.
        uuid: of the recording.
    """
    app, stream_name = names.split(stream)
    moment = _EPOCH + timedelta(seconds=started_at)
    texts = {
        "app": "/".join(map(_part, app.split("/"))),
        "stream": _part(stream_name),
        "date": f"{moment:%Y-%m-%d}",
        "time": f"{moment:%H%M%SZ}",
        "uuid": _part(uuid),
    }
    root = root_of(directory)
    below = f"{directory[len(root) :]}/{name}"
    filled = _TOKEN.sub(lambda match: texts[match[1]], below)
    parts = [_part(part) for part in filled.split("/") if part]
    return "/".join([root.rstrip("/"), *parts])


def _part(text: str) -> str:
    """Return one part of a path that says a text, and differs wherever the text does."""
    plain = "".join(
        each if each.isprintable() and each not in "/\\" else "_"
        for each in unicodedata.normalize("NFC", text)
    )
    if plain.startswith("."):
        plain = f"_{plain[1:]}"
    if plain == text and text and len(plain.encode()) <= _LONGEST_PART:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    kept = plain.encode()[: _LONGEST_PART - _DIGEST - 1].decode(errors="ignore")
    return f"{kept}~{digest}"
