"""The facts in ffprobe's JSON. Pure."""

import json
import math
from collections.abc import Mapping
from typing import Any

from streamd.ffmpeg.media import AudioFacts, MediaFacts, VideoFacts

_PICTURE_FORMATS = ("jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe")
_FASTEST_FPS = 240.0
_UNKNOWN = ("", "unknown", "unspecified", "reserved")

_Stream = Mapping[str, Any]


def facts_from_json(answer: bytes | str, path: str) -> MediaFacts | None:
    """Return what ffprobe says of a file; None where that is nothing that can be played.

    Args:
        answer: `-of json` of its format and streams.
        path: of the file.
    """
    try:
        return _facts(json.loads(answer), path)
    except (ValueError, TypeError, AttributeError):  # it is no ffprobe that answers
        return None


def _facts(data: _Stream, path: str) -> MediaFacts | None:
    streams: list[_Stream] = data.get("streams", [])
    container: _Stream = data.get("format", {})
    name = str(container.get("format_name", "")).partition(",")[0]
    moving = [each for each in streams if _is_video(each) and not _is_cover(each)]
    covers = [each for each in streams if _is_video(each) and _is_cover(each)]
    sounds = [each for each in streams if _is_audio(each)]
    if not moving and not covers and not sounds:
        return None
    picture = (not moving and bool(covers)) or name in _PICTURE_FORMATS
    return MediaFacts(
        path=path,
        format=name,
        duration_s=0.0 if name in _PICTURE_FORMATS else _duration(container, streams),
        video=next((_video(each) for each in (*moving, *covers)), None),
        audio=next((_audio(each) for each in sounds), None),
        picture=picture,
    )


def _is_video(stream: _Stream) -> bool:
    named = stream.get("codec_type") == "video" and stream.get("codec_name") is not None
    return named and _number(stream.get("width")) > 0 and _number(stream.get("height")) > 0


def _is_cover(stream: _Stream) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _is_audio(stream: _Stream) -> bool:
    named = stream.get("codec_type") == "audio" and stream.get("codec_name") is not None
    return named and _number(stream.get("sample_rate")) > 0 and _number(stream.get("channels")) > 0


def _duration(container: _Stream, streams: list[_Stream]) -> float:
    whole = _number(container.get("duration"))
    return whole or max((_number(each.get("duration")) for each in streams), default=0.0)


def _video(stream: _Stream) -> VideoFacts:
    return VideoFacts(
        codec=str(stream["codec_name"]),
        width=int(_number(stream["width"])),
        height=int(_number(stream["height"])),
        fps=_fps(stream),
        profile=_named(stream.get("profile")),
        pixel_format=_named(stream.get("pix_fmt")),
        has_b_frames=_number(stream.get("has_b_frames")) > 0,
        interlaced=stream.get("field_order") in ("tt", "bb", "tb", "bt"),
        rotation=_rotation(stream),
        pixel_aspect=_ratio(stream.get("sample_aspect_ratio"), ":") or 1.0,
        colour_matrix=_named(stream.get("color_space")),
        index=int(_number(stream.get("index"))),
    )


def _audio(stream: _Stream) -> AudioFacts:
    return AudioFacts(
        codec=str(stream["codec_name"]),
        sample_rate=int(_number(stream["sample_rate"])),
        channels=int(_number(stream["channels"])),
        profile=_named(stream.get("profile")),
        index=int(_number(stream.get("index"))),
    )


def _fps(stream: _Stream) -> float:
    average = _ratio(stream.get("avg_frame_rate"), "/")
    fps = average or _ratio(stream.get("r_frame_rate"), "/")
    return fps if fps <= _FASTEST_FPS else 0.0


def _rotation(stream: _Stream) -> int:
    """Return clockwise degrees, a multiple of 90; the display matrix counts the other way."""
    matrices = (each.get("rotation") for each in stream.get("side_data_list", ()))
    against = next((_number(each) for each in matrices if each is not None), None)
    clockwise = _number(stream.get("tags", {}).get("rotate")) if against is None else -against
    return round(clockwise / 90) * 90 % 360


def _named(value: object) -> str:
    return "" if value in _UNKNOWN or not isinstance(value, str) else value


def _ratio(value: object, separator: str) -> float:
    above, _, below = str(value).partition(separator)
    divisor = _number(below)
    return _number(above) / divisor if divisor else 0.0


def _number(value: object) -> float:
    """Return a number; 0 for what is none."""
    try:
        number = float(value)  # type: ignore[arg-type] # whatever it is
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0
