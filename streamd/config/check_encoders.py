"""Checks of the encoders that transcodes need: each is tried on this machine, not only listed."""

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from streamd.config.defaults import Machine
from streamd.config.models import Config
from streamd.config.source import Source
from streamd.errors import FFmpegError, Problem
from streamd.ffmpeg.try_encoder import try_encoder


def check_encoders(config: Config, source: Source, *, machine: Machine) -> Iterator[Problem]:
    """Yield the transcodes whose encoder this FFmpeg, or this machine, does not have.

    Each encoder is asked to encode one picture, which takes about 0.1 s; what was asked of a binary
    once is not asked again until its file changes.
    """
    ffmpeg = config.ffmpeg or machine.ffmpeg
    if ffmpeg is None:
        return
    for name, transcode in config.transcodes.items():
        codec = transcode.video.codec
        fault = _fault(ffmpeg, codec) if transcode.enabled else None
        if fault is not None:
            yield source.error(
                ("transcodes", name, "video", "codec"),
                f"{ffmpeg} cannot encode with {codec} on this machine: {fault}; write h264, or "
                "install what this encoder needs (docs/transcoding.md)",
                unless=(("ffmpeg",), ("transcodes", name, "enabled")),
            )


def _fault(ffmpeg: Path, codec: str) -> str | None:
    try:
        status = ffmpeg.stat()
    except OSError:
        return None  # that it is missing is said elsewhere
    return _tried(ffmpeg, codec, (status.st_ino, status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=64)
def _tried(ffmpeg: Path, codec: str, _stamp: object) -> str | None:
    try:
        return asyncio.run(try_encoder(ffmpeg, codec))
    except FFmpegError as error:
        return str(error)
