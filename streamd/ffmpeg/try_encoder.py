"""Tries an encoder out. That it is compiled in does not mean that this machine can use it."""

import re
from pathlib import Path

from streamd.desired import VideoSpec
from streamd.ffmpeg.binary import run
from streamd.ffmpeg.transcode_options import device_arguments, encoder_of, video_arguments

# Some encoders take nothing smaller.
_WIDTH, _HEIGHT = 640, 360
_BLACK = bytes(_WIDTH * _HEIGHT) + bytes([128]) * (_WIDTH * _HEIGHT // 2)

_PICTURE = (
    *("-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", f"{_WIDTH}x{_HEIGHT}"),
    *("-framerate", "30", "-i", "pipe:0"),
)
_ERROR = re.compile(
    r"^(?P<component>(?:\[[^\]@]+ @ 0x[0-9a-f]+\] )+)?\[(?:error|fatal|panic)\] (?P<text>.*)$",
    re.MULTILINE,
)
_LONGEST = 300


async def try_encoder(ffmpeg: Path, codec: str) -> str | None:
    """Encode one picture, with the options that a transcode of this codec has. Takes about 0.1 s.

    Args:
        ffmpeg: the binary.
        codec: as in the file: `h264`, `h264_nvenc`, `h264_vaapi` or `h264_qsv`; of `copy` and
            `none` there is nothing to try.

    Returns:
        None when it works, otherwise what FFmpeg says is in the way.

    Raises:
        FFmpegError: FFmpeg cannot be run, or did not end within 15 s.
    """
    if encoder_of(codec) is None:
        return None
    video = VideoSpec(codec, bitrate=1_000_000)  # type: ignore[arg-type] # any name is tried
    status, said = await run(
        ffmpeg,
        (
            *("-loglevel", "level+error", *device_arguments((codec,)), *_PICTURE),
            *(*video_arguments(video), "-frames:v", "1", "-f", "null", "-"),
        ),
        stdin=_BLACK,
    )
    return None if status == 0 else _reason(said, status)


def _reason(said: str, status: int) -> str:
    """Return the first complaint of a part of FFmpeg; the program's own come later."""
    complaints = list(_ERROR.finditer(said))
    for match in complaints:
        if match["component"]:
            return match["text"][:_LONGEST]
    return complaints[0]["text"][:_LONGEST] if complaints else f"FFmpeg ended with status {status}"
