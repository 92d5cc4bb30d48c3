"""Asks ffprobe what a media file holds, whatever the file is and wherever its name leads.

Stdlib only, as everything that a playout loads.
"""

import asyncio
import errno
import os
import stat
from pathlib import Path

from streamd.errors import MediaAccessError, MediaError
from streamd.ffmpeg.file_input import FORMATS, PROBE_BOUNDS
from streamd.ffmpeg.media import MediaFacts
from streamd.ffmpeg.media_json import facts_from_json
from streamd.supervision.session import end_session

_TIMEOUT_S = 10.0
_ENTRIES = (
    "format=format_name,duration"
    ":stream=index,codec_type,codec_name,profile,pix_fmt,width,height,sample_aspect_ratio"
    ",field_order,has_b_frames,avg_frame_rate,r_frame_rate,color_space,sample_rate,channels"
    ",duration:stream_disposition=attached_pic:stream_side_data=rotation"
    ":stream_tags=rotate"
)


async def probe(path: str, *, ffprobe: str, directories: tuple[str, ...]) -> MediaFacts:
    """Return what a media file holds. Takes about 0.1 s, and 10 s at most.

    The file is opened here and what is open is handed to ffprobe, which therefore sees neither
    another file of that name nor what its name ends with.

    Args:
        path: absolute; links are followed.
        ffprobe: the binary.
        directories: the file has to lie below one of them, links followed in both.

    Raises:
        MediaError: it cannot be played; says why and what to do.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            # A dead network file system holds up a thread, not the loop.
            descriptor, real = await asyncio.to_thread(_open, path, directories)
            try:
                status, answer, said = await _ask(ffprobe, descriptor)
            finally:
                os.close(descriptor)
    except TimeoutError as error:
        raise MediaError(
            f"{path} could not be read within {_TIMEOUT_S:.0f} s; check the disk that it is on, "
            "and the file"
        ) from error
    if status != 0:
        raise MediaError(f"{path} {_failure(said)}")
    facts = facts_from_json(answer, real)
    if facts is None:
        raise MediaError(f"{path} holds neither video nor sound nor a picture; take it out")
    return facts


def _open(path: str, directories: tuple[str, ...]) -> tuple[int, str]:
    """Open a regular file below one of the directories; return it and its real path."""
    try:
        _refuse_special(path, Path(path).stat())
        # Without waiting for a writer, should it have become a FIFO since.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise MediaAccessError(f"{path} {_open_failure(error)}") from error
    try:
        facts = os.fstat(descriptor)
        _refuse_special(path, facts)
        real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if not any(Path(real).is_relative_to(os.path.realpath(each)) for each in directories):
            raise MediaAccessError(
                f"{path} lies outside of source_directories"
                f"{f' (it is a link to {real})' if real != path else ''}; move it, or add its "
                "directory there"
            )
        if facts.st_size == 0:
            raise MediaError(f"{path} is empty; copy it again")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, real


def _refuse_special(path: str, facts: os.stat_result) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise MediaAccessError(f"{path} is a directory; name a file in it")
    if not stat.S_ISREG(facts.st_mode):
        raise MediaAccessError(f"{path} is no regular file; name one")


def _open_failure(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "does not exist; check the name"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "cannot be read: permission denied; let the user that streamd runs as read it"
    return f"cannot be read: {error.strerror}"


async def _ask(ffprobe: str, descriptor: int) -> tuple[int, bytes, str]:
    """Run ffprobe on what is open; return its exit status, answer and log."""
    argv = (
        *(ffprobe, "-hide_banner", "-loglevel", "level+warning"),
        *("-protocol_whitelist", "file", "-format_whitelist", ",".join(FORMATS), *PROBE_BOUNDS),
        *("-show_entries", _ENTRIES, "-of", "json", f"file:/dev/fd/{descriptor}"),
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
    except OSError as error:
        raise MediaError(
            f"{ffprobe} cannot be run: {error.strerror}; install FFmpeg, which it is part of"
        ) from error
    try:
        answer, said = await process.communicate()
    finally:
        await end_session(process)
    assert process.returncode is not None  # noqa: S101 - for mypy: waited for
    return process.returncode, answer, said.decode(errors="replace")


def _failure(said: str) -> str:
    """Say in an operator's words why ffprobe could not read a file."""
    if "moov atom not found" in said:
        return (
            "is truncated or was never finished: its index (moov) is missing; copy it again, or "
            "record it again"
        )
    if "not on whitelist" in said:
        return "is a playlist or of another kind that is not played; name media files alone"
    if "Number of streams exceeds" in said:
        return "has too many tracks; keep those that are to be played"
    if "Invalid data found" in said or "could not find codec parameters" in said:
        return "is no media file that FFmpeg can read, or is truncated; check it with ffprobe"
    lines = [line for line in said.splitlines() if line.strip()]
    return f"cannot be read: {lines[-1].rpartition(': ')[2] if lines else 'ffprobe says nothing'}"
