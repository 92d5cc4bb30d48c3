"""How FFmpeg is told to join segments into one file, and whether it did. Pure."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from streamd.archive.mpegts import CLOCK_HZ
from streamd.archive.recording import Segment, durations
from streamd.archive.tracks import Format
from streamd.callbacks.events import timestamp

TOLERANCE_S = 1.0
"""A file may be shorter or longer than what it was made of by so much."""

ENTRIES = (
    "format=duration:stream=codec_type,codec_name,profile,width,height,avg_frame_rate,sample_rate"
    ",channels,duration,nb_frames"
)
"""What `judge` wants to know of ffprobe."""

_DAMAGE = re.compile(
    "corrupt decoded frame|Error while decoding|Error submitting packet to decoder"
)

_LOOKED_AT_S = 0.2
_MOST_LOOKED_AT = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of joining.

    Attributes:
        fault: why the file cannot be kept; None where it can.
        seconds: how long it plays.
        video, audio: what the tracks are; None without.
        notes: what is not as it should be, for an operator.
    """

    fault: str | None
    seconds: float = 0.0
    video: dict[str, Any] | None = None
    audio: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


def concat_list(directory: str, segments: Sequence[Segment]) -> str:
    """Return the segments as FFmpeg's concat demuxer reads them.

    It is told how long each is. By itself it would put each behind the longer of the tracks of the
    one before, and be off by half a minute after an hour.
    """
    lines = ["ffconcat version 1.0"]
    for segment, seconds in zip(segments, durations(segments), strict=True):
        lines += [_file_line(directory, segment), f"duration {seconds:.6f}"]
    return "\n".join([*lines, ""])


def sample_list(directory: str, segments: Sequence[Segment]) -> tuple[str, list[Segment]]:
    """Return a list of pictures to look at, and which segments they are of: all, or many.

    It is the first of each, and of the last of a run all.
    """
    step = max(1, math.ceil(len(segments) / _MOST_LOOKED_AT))
    chosen = list(segments[::step])
    lines = ["ffconcat version 1.0"]
    for segment, next_ in zip_longest(chosen, chosen[1:]):
        lines.append(_file_line(directory, segment))
        if next_ is not None and next_.place[0] == segment.place[0]:
            lines.append(f"outpoint {segment.start / CLOCK_HZ + _LOOKED_AT_S:.6f}")
        lines.append("duration 1")
    return "\n".join([*lines, ""]), chosen


def _file_line(directory: str, segment: Segment) -> str:
    path = f"file:{directory}/{segment.file}".replace("'", "'\\''")
    return f"file '{path}'"


def join_argv(ffmpeg: str, target: str, format_: Format, started_at: float) -> tuple[str, ...]:
    """Return how a list on stdin becomes an MP4 that plays before all of it has arrived.

    Args:
        ffmpeg: the binary.
        target: path of the file.
        format_: what the segments are made of.
        started_at: Unix time, which the file tells players.
    """
    tracks = (format_.video, "0:v:0"), (format_.audio, "0:a:0")
    # Players of Apple know H.265 by this name alone.
    tag = ("-tag:v", "hvc1") if format_.video and format_.video.codec == "hevc" else ()
    return (
        *_listed_input(ffmpeg),
        *(text for track, name in tracks if track for text in ("-map", name)),
        *("-c", "copy", *tag, "-movflags", "+faststart"),
        *("-metadata", f"creation_time={timestamp(started_at)}"),
        *("-f", "mp4", "-y", f"file:{target}"),
    )


def look_argv(ffmpeg: str) -> tuple[str, ...]:
    """Return how the first pictures of a list on stdin are decoded, for what is said meanwhile."""
    return (
        *_listed_input(ffmpeg, "-threads", "1", "-skip_frame", "nokey"),
        *("-map", "0:v:0", "-f", "null", "-"),
    )


def is_damaged(line: str) -> bool:
    """Tell whether a line of FFmpeg's log says that a picture cannot be decoded."""
    return _DAMAGE.search(line) is not None


def _listed_input(ffmpeg: str, *options: str) -> tuple[str, ...]:
    return (
        *(ffmpeg, "-hide_banner", "-nostats", "-loglevel", "level+warning"),
        *(*options, "-protocol_whitelist", "file,pipe"),
        *("-f", "concat", "-safe", "0", "-i", "pipe:0"),
    )


def judge(answer: str, format_: Format | None, expected_s: float | None) -> Verdict:
    """Judge a file.

    Args:
        answer: what ffprobe says of it, `ENTRIES` as JSON.
        format_: what it was made of; None: of whatever there is.
        expected_s: how long all segments are; None: however long it is.
    """
    try:
        data = json.loads(answer)
        streams = {str(each["codec_type"]): each for each in data["streams"]}
        seconds = _number(data["format"].get("duration"))
    except (ValueError, KeyError, TypeError, AttributeError):
        seconds = 0.0
    if not seconds:
        return Verdict("ffprobe cannot read what FFmpeg made of the segments")
    kinds = ("video", "audio")
    wanted = [name for name in kinds if name in streams]
    if format_ is not None:
        wanted = [name for name in kinds if getattr(format_, name) is not None]
    lost = [name for name in wanted if name not in streams]
    if lost:
        return Verdict(f"FFmpeg left out the {' and the '.join(lost)}")
    if expected_s is not None and abs(seconds - expected_s) > TOLERANCE_S:
        return Verdict(f"it plays {seconds:.1f} s, and its segments are {expected_s:.1f} s long")
    tracks = {name: _track(streams[name]) for name in wanted}
    return Verdict(
        None,
        seconds=round(seconds, 3),
        video=tracks.get("video"),
        audio=tracks.get("audio"),
        notes=tuple(_short_tracks(tracks, seconds)),
    )


def _short_tracks(tracks: dict[str, dict[str, Any]], seconds: float) -> list[str]:
    words = {"video": "picture", "audio": "sound"}
    return [
        f"the {words[name]} ends after {track['seconds']:.1f} s of {seconds:.1f} s"
        for name, track in tracks.items()
        if 0 < track["seconds"] < seconds - TOLERANCE_S
    ]


def _track(stream: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "codec": str(stream.get("codec_name", "")),
        "profile": str(stream.get("profile", "")),
        "seconds": _number(stream.get("duration")),
        "frames": int(_number(stream.get("nb_frames"))),
    }
    if stream.get("codec_type") == "video":
        above, _, below = str(stream.get("avg_frame_rate", "")).partition("/")
        rate = _number(above) / (_number(below) or 1.0)
        sizes = {name: int(_number(stream.get(name))) for name in ("width", "height")}
        return {**found, **sizes, "fps": round(rate, 3)}
    return found | {name: int(_number(stream.get(name))) for name in ("sample_rate", "channels")}


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type] # whatever it is
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0
