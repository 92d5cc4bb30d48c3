"""Media files of the kinds that people have, each encoded once for all test processes."""

import contextlib
import fcntl
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.support.media import ffmpeg_path

_ENCODE_TIMEOUT_S = 60
_VERSION = 1

_PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=3")
_TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3")
_H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-pix_fmt", "yuv420p")
_AAC = ("-c:a", "aac", "-ac", "2", "-b:a", "64k")
_MPEG2 = ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-b:v", "2M", "-c:a", "mp2")
_X265 = ("-preset", "ultrafast", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le")
_VP9 = ("-deadline", "realtime", "-cpu-used", "8")
_BASELINE = ("-profile:v", "baseline", "-x264-params", "scenecut=0")

# By name: what FFmpeg is given to make it; `@NAME` is another sample.
_MADE: dict[str, tuple[str, ...]] = {
    "film.mp4": (*_PICTURE, *_TONE, *_H264, *_AAC),
    "film.ts": ("-i", "@film.mp4", "-c", "copy"),
    "film.mkv": ("-i", "@film.mp4", "-c", "copy"),
    "film.flv": ("-i", "@film.mp4", "-c", "copy"),
    "film.mov": ("-i", "@film.mp4", "-c", "copy"),
    "silent.mp4": ("-i", "@film.mp4", "-c", "copy", "-an"),
    "edited.mp4": ("-ss", "1.3", "-i", "@film.mp4", "-c", "copy"),
    "turned.mp4": ("-i", "@film.mp4", "-c", "copy", "-metadata:s:v:0", "rotate=90"),
    "covered.mp4": (
        *("-i", "@film.mp4", "-i", "@red.png", "-map", "1", "-map", "0", "-c", "copy"),
        *("-disposition:v:0", "attached_pic"),
    ),
    "baseline.mp4": (
        *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=2"),
        *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=2"),
        *(*_H264, *_BASELINE, "-c:a", "aac", "-ac", "1"),
    ),
    "broadcast.ts": (
        *("-f", "lavfi", "-i", "testsrc2=size=352x288:rate=50:duration=3", *_TONE),
        *("-vf", "interlace,setsar=16/11", *_MPEG2),
    ),
    "interlaced.mp4": (
        *("-f", "lavfi", "-i", "testsrc2=size=160x128:rate=50:duration=2"),
        *("-vf", "interlace", *_H264, "-flags", "+ildct+ilme"),
    ),
    "ten-bit.mkv": (*_PICTURE, *_TONE, "-c:v", "libx265", *_X265, "-c:a", "libopus"),
    "colours.mp4": (*_PICTURE, *_H264[:-1], "yuv422p"),
    "vp9.webm": (*_PICTURE, *_TONE, "-c:v", "libvpx-vp9", *_VP9, "-c:a", "libopus"),
    "av1.mkv": (*_PICTURE, "-c:v", "libsvtav1", "-preset", "12"),
    "old.avi": (*_PICTURE, *_TONE, "-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "film.avi": ("-i", "@film.mp4", "-c", "copy"),
    "ac3.mkv": ("-i", "@film.mp4", "-c:v", "copy", "-c:a", "ac3"),
    "pcm.mov": ("-i", "@film.mp4", "-c:v", "copy", "-c:a", "pcm_s16le"),
    "sound.mp3": (*_TONE, "-c:a", "libmp3lame"),
    "sound.aac": (*_TONE, *_AAC),
    "sound.m4a": (*_TONE, *_AAC),
    "sound.flac": (*_TONE, "-c:a", "flac"),
    "cover.mp3": (
        *("-i", "@sound.mp3", "-i", "@red.png", "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v:0", "attached_pic"),
    ),
    "red.png": ("-f", "lavfi", "-i", "color=red:size=201x101", "-frames:v", "1"),
    "blue.jpg": ("-f", "lavfi", "-i", "color=blue:size=200x100", "-frames:v", "1"),
}

NAMES = tuple(_MADE)
"""Every sample."""


@cache
def sample(name: str) -> Path:
    """Return a file of 2 or 3 s, or a picture; it must not be changed."""
    directory = Path(tempfile.gettempdir()) / f"streamd-test-media-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"sample-{_VERSION}-{name}"
    given = [
        str(sample(text[1:])) if text.startswith("@") else text for text in _MADE[name]
    ]  # before the lock is taken
    with (directory / f"lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = path.with_name(f"part-{path.name}")
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
            subprocess.run(
                (ffmpeg_path(), "-v", "error", "-nostdin", *given, str(part)),
                check=True,
                timeout=_ENCODE_TIMEOUT_S,
                env={"PATH": os.defpath, "SVT_LOG": "0"},
            )
            part.rename(path)
    return path
