"""Publishers and probes: real media at hardly any cost."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.process import LoggedProgram

_ENCODE_TIMEOUT_S = 60
_SOON = ("-fpsprobesize", "0")  # the frame rate is not asked for, and it takes seconds to find


@cache
def ffmpeg_path() -> str:
    """Return the FFmpeg that tests run, or fail: it is part of what is tested."""
    path = shutil.which("ffmpeg")
    assert path is not None, "the tests need ffmpeg in PATH"
    return path


@cache
def clip(*, gop_s: int = 1, video_kbps: int = 0, audio_s: int = 12) -> Path:
    """Return a 12 s clip (H.264 160x120, 15 frames/s; AAC), encoded once.

    Test processes that run at once share it; playing it costs no encoding.

    Args:
        gop_s: seconds from keyframe to keyframe.
        video_kbps: bit rate, filled up to; 0 is what the picture needs, about 250.
        audio_s: where the audio ends; the video goes on.
    """
    directory = Path(tempfile.gettempdir()) / f"streamd-test-media-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"clip-3-{gop_s}-{video_kbps}-{audio_s}.mp4"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _encode(path, gop_s, video_kbps, audio_s)
    return path


def _encode(path: Path, gop_s: int, video_kbps: int, audio_s: int) -> None:
    part = path.with_suffix(".part")
    picture = "testsrc2=size=160x120:rate=15:duration=12"
    tone = f"sine=frequency=440:sample_rate=44100:duration={audio_s}"
    rate = f"{video_kbps}k"
    filled = ("-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr")
    subprocess.run(
        (
            *(ffmpeg_path(), "-v", "error", "-nostdin", "-y"),
            *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone),
            *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"),
            *("-g", str(15 * gop_s), "-keyint_min", str(15 * gop_s), "-sc_threshold", "0"),
            *(filled if video_kbps else ()),
            *("-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k"),
            *("-f", "mp4", str(part)),
        ),
        check=True,
        timeout=_ENCODE_TIMEOUT_S,
    )
    part.rename(path)


class Publisher(LoggedProgram):
    """A running FFmpeg that publishes the clip in real time, over and over."""


@contextlib.contextmanager
def publisher(
    url: str, *, media: Path | None = None, real_time: bool = True
) -> Iterator[Publisher]:
    """Publish the clip (or `media`, MP4) to an RTMP or SRT address until the block ends.

    Does not wait until the server took it: wait for what the test needs.
    """
    container = ("-f", "mpegts") if url.startswith("srt:") else ("-f", "flv")
    argv = (
        *(ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *(("-re",) if real_time else ()),
        *("-stream_loop", "-1", "-i", str(media or clip()), "-c", "copy"),
        *("-max_interleave_delta", "100000"),
        *container,
        url,
    )
    descriptor, name = tempfile.mkstemp(prefix="streamd-test-publisher-", suffix=".log")
    log_path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running = Publisher(process, log_path)
        try:
            yield running
        finally:
            running.stop()
    finally:
        log_path.unlink()


def ffprobe(
    url: str, *, timeout: float = 20, options: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Return the streams of an address as ffprobe describes them.

    Raises:
        subprocess.TimeoutExpired: nothing came within `timeout` seconds.
        subprocess.CalledProcessError: it cannot be read; `stderr` says why.
    """
    argv = ("ffprobe", "-v", "error", *_SOON, *options, "-show_streams", "-of", "json", url)
    result = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=True, text=True
    )
    streams: list[dict[str, Any]] = json.loads(result.stdout)["streams"]
    return streams


def decoded_frames(url: str, *, frames: int = 15, timeout: float = 30) -> int:
    """Decode video of an address and return how many frames came out, `frames` at most."""
    argv = (
        *(ffmpeg_path(), "-v", "error", "-nostdin", *_SOON, "-i", url, "-map", "0:v:0"),
        *("-frames:v", str(frames), "-f", "framemd5", "-"),
    )
    result = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=True, text=True
    )
    return sum(not line.startswith("#") for line in result.stdout.splitlines())
