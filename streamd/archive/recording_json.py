"""What stands in the directory of a recording about it. Pure.

`recording.json` is for people and programs to read; fields are only ever added to it.
`segments.csv` lists the segments while there are any; it only grows, so that a long recording
costs no more to write down than a short one, and it is right up to its last whole line.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, get_args

from streamd.archive.layout import parse_file
from streamd.archive.recording import (
    Artifact,
    Reason,
    Recording,
    Run,
    Segment,
    State,
    gaps,
    runs_of,
)
from streamd.archive.tracks import AudioTrack, Format, VideoTrack
from streamd.callbacks.events import timestamp

FILE = "recording.json"
LIST = "segments.csv"
MP4 = "index.mp4"
PLAYLIST = "index.m3u8"
VERSION = 1

LIST_HEADER = "file,start,ticks,bytes,ended_at\n"

_STATES: tuple[State, ...] = get_args(State)
_REASONS: tuple[Reason, ...] = get_args(Reason)
_TEXTS = ("uuid", "rule", "stream")
_FIELDS = (
    *("version", *_TEXTS, "state", "reason", "started_at", "ended_at", "seconds", "bytes"),
    *("format", "artifact", "error", "notes", "gaps", "runs", "begin_told", "end_told", "upload"),
)


def to_json(recording: Recording) -> str:
    """Return what stands in `recording.json`: everything but the segments."""
    runs = recording.runs
    told = {
        "version": VERSION,
        "uuid": recording.uuid,
        "rule": recording.rule,
        "stream": recording.stream,
        "state": recording.state,
        "reason": recording.reason,
        "started_at": timestamp(recording.started_at),
        "ended_at": timestamp(recording.ended_at),
        "seconds": round(recording.seconds, 3),
        "bytes": recording.bytes,
        "format": None if recording.format is None else asdict(recording.format),
        "artifact": None if recording.artifact is None else asdict(recording.artifact),
        "error": recording.error,
        "notes": list(recording.notes),
        "gaps": [_with_times(asdict(gap), "begin", "end") for gap in gaps(runs)],
        "runs": [_with_times(asdict(run), "started_at", "ended_at") for run in runs],
        "begin_told": recording.begin_told,
        "end_told": recording.end_told,
        "upload": recording.upload,
    }
    return json.dumps({**recording.unknown, **told}, ensure_ascii=False, indent=1) + "\n"


def from_json(text: str, path: str, segments: tuple[Segment, ...] | None = None) -> Recording:
    """Read what `to_json` wrote, in this release or a later one.

    Args:
        text: of the file.
        path: the directory that the file is in.
        segments: that are listed there; None: not read. What they add up to is newer than what
            the file says. While more may come it is also all that counts: a kill can come between
            what the file says of a first segment and the segment.

    Raises:
        ValueError: the text is none.
    """
    try:
        return _recording(json.loads(text), path, segments)
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a recording: {type(error).__name__} {error}") from error


def list_lines(segments: Iterable[Segment]) -> str:
    """Return what is added to `segments.csv`."""
    return "".join(
        f"{each.file},{each.start},{each.ticks},{each.bytes},{each.ended_at:.3f}\n"
        for each in segments
    )


def read_list(text: str) -> tuple[tuple[Segment, ...], bool]:
    """Return the segments that are listed, and whether all of the list could be read.

    A list that was not written to its end ends with the last whole line, and what is no line of
    its own is passed over.
    """
    *lines, rest = text.split("\n")
    segments: dict[str, Segment] = {}
    whole = not rest
    for line in lines:
        if line == LIST_HEADER.rstrip("\n"):
            continue
        segment = _listed(line)
        if segment is None:
            whole = False
        else:
            segments[segment.file] = segment
    return tuple(segments.values()), whole


def _listed(line: str) -> Segment | None:
    try:
        file, start, ticks, size, ended_at = line.split(",")
        found = Segment(file, int(start), int(ticks), int(size), float(ended_at))
    except ValueError:
        return None
    return found if parse_file(file) is not None else None


def _recording(data: dict[str, Any], path: str, listed: tuple[Segment, ...] | None) -> Recording:
    known = {name: data.pop(name, None) for name in _FIELDS}
    state, reason = known["state"], known["reason"] or ""
    if state not in _STATES or reason not in _REASONS:
        raise ValueError(f"not a recording: state {state!r}, reason {reason!r}")
    if not all(isinstance(known[name], str) and known[name] for name in _TEXTS):
        raise ValueError("not a recording: it does not say of what")
    artifact, format_, told = known["artifact"], known["format"], known["runs"] or ()
    if listed == () and state == "recording":
        format_, told = None, ()
    segments = listed or ()
    runs = runs_of(segments) or tuple(_run(each) for each in told)
    return Recording(
        uuid=known["uuid"],
        rule=known["rule"],
        stream=known["stream"],
        path=path,
        started_at=_time(known["started_at"]),
        state=state,
        segments=segments,
        runs=runs,
        format=None if format_ is None else _format(format_),
        reason=reason,
        artifact=None if artifact is None else Artifact(**_only(Artifact, artifact)),
        error=None if known["error"] is None else str(known["error"]),
        notes=tuple(map(str, known["notes"] or ())),
        begin_told=bool(known["begin_told"]),
        end_told=bool(known["end_told"]),
        upload=None if known["upload"] is None else dict(known["upload"]),
        unknown=data,
    )


def _with_times(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return data | {name: timestamp(data[name]) for name in names}


def _time(text: str) -> float:
    return round(datetime.fromisoformat(text).timestamp(), 3)


def _run(data: dict[str, Any]) -> Run:
    times = {name: _time(data[name]) for name in ("started_at", "ended_at")}
    return Run(**(_only(Run, data) | times))


def _format(data: dict[str, Any]) -> Format:
    video, audio = data.get("video"), data.get("audio")
    return Format(
        declared=tuple(map(str, data["declared"])),
        video=None if video is None else VideoTrack(**_only(VideoTrack, video)),
        audio=None if audio is None else AudioTrack(**_only(AudioTrack, audio)),
    )


def _only(kind: type[Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a type has; a later release may have written more."""
    return {name: data[name] for name in kind.__dataclass_fields__ if name in data}
