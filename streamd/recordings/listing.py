"""Which recordings there are, from their directories alone: for a machine where no streamd runs."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamd.archive.layout import SPOOL, root_of
from streamd.archive.recording import Recording, runs_of
from streamd.archive.recording_json import FILE, LIST, from_json, read_list
from streamd.bounded import answers
from streamd.callbacks.events import timestamp
from streamd.desired import RecordingSpec
from streamd.errors import StreamdError
from streamd.text_table import table_lines

ANSWER_S = 60.0
"""A disk that has not told all that is on it after so long is given up."""

_COLUMNS = ("BEGAN", "STREAM", "STATE", "LENGTH", "SIZE", "RULE", "UUID", "PATH")


def find_recordings(
    rules: Iterable[RecordingSpec], limit_s: float = ANSWER_S
) -> tuple[Recording, ...]:
    """Return every recording that lies where some rules record to, the earliest first. Blocks.

    Those of a rule that is called otherwise by now are among them.

    Raises:
        StreamdError: a directory cannot be read, or does not answer.
    """
    found: list[Recording] = []
    for root in dict.fromkeys(root_of(rule.directory) for rule in rules):
        found += _within(root, limit_s)
    return tuple(sorted(found, key=lambda each: each.started_at))


def _within(root: str, limit_s: float) -> list[Recording]:
    found = answers({root: lambda: [*_walk(root)]}, limit_s).get(root)
    if found is None:
        raise StreamdError(
            f"{root} did not answer for {limit_s:g} s; if it is a mount, look at the server "
            "behind it"
        )
    if isinstance(found, OSError):
        raise StreamdError(f"{found.filename or root} cannot be read: {found.strerror}") from found
    return found


def _walk(root: str) -> Iterator[Recording]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # what is deleted meanwhile is no loss
            raise error

    for place, directories, files in os.walk(root, onerror=fail):
        directories[:] = sorted(name for name in directories if name != SPOOL)
        if FILE not in files:
            continue
        directories.clear()
        try:
            recording = from_json(Path(place, FILE).read_text("utf-8"), place)
            yield _grown(recording) if recording.state == "recording" else recording
        except (FileNotFoundError, ValueError):
            continue  # deleted meanwhile, or no recording of ours


def _grown(recording: Recording) -> Recording:
    """Return a recording that goes on with what is listed of it by now."""
    try:
        segments, _ = read_list(Path(recording.path, LIST).read_text("utf-8", errors="replace"))
    except OSError:
        return recording
    return replace(recording, runs=runs_of(segments) or recording.runs)


def recordings_json(found: Iterable[Recording]) -> dict[str, Any]:
    """Return recordings as plain dicts and lists."""
    return {"recordings": [_plain(each) for each in found]}


def _plain(recording: Recording) -> Mapping[str, Any]:
    artifact = recording.artifact
    return {
        "uuid": recording.uuid,
        "rule": recording.rule,
        "stream": recording.stream,
        "state": recording.state,
        "started_at": timestamp(recording.started_at),
        "ended_at": timestamp(recording.ended_at),
        "seconds": round(_seconds(recording), 3),
        "bytes": _bytes(recording),
        "path": recording.path,
        "file": artifact.file if artifact is not None else None,
        "sha256": artifact.sha256 if artifact is not None else None,
        "error": recording.error,
        "notes": list(recording.notes),
    }


def _seconds(recording: Recording) -> float:
    artifact = recording.artifact
    return artifact.seconds if artifact is not None else recording.seconds


def _bytes(recording: Recording) -> int:
    artifact = recording.artifact
    return artifact.bytes if artifact is not None else recording.bytes


def recordings_text(found: Sequence[Recording]) -> str:
    """Return recordings as a table for people, and below it what is wrong with them."""
    if not found:
        return "no recordings"
    lines = table_lines([_COLUMNS, *map(_row, found)])
    wrong = (f"{each.path}: {each.error}" for each in found if each.error)
    return "\n".join((*lines, *wrong))


def _row(recording: Recording) -> tuple[str, ...]:
    minutes, seconds = divmod(round(_seconds(recording)), 60)
    return (
        f"{datetime.fromtimestamp(recording.started_at, UTC):%Y-%m-%d %H:%M:%SZ}",
        recording.stream,
        recording.state,
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}",
        f"{_bytes(recording) / 1e6:.1f} MB",
        recording.rule,
        recording.uuid,
        recording.path,
    )
