"""FFmpeg and ffprobe, at a priority that disturbs nobody."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from streamd.supervision.session import end_session
from streamd.supervision.spawn import die_with_parent

NICE = 19

_READ_BYTES = 65_536
_KEPT_BYTES = 200_000
"""Of what a program says, so much of the beginning is kept, and as much of the end."""


class ProgramError(Exception):
    """A program could not be run to its end, through no fault of what it was given."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended by itself: its exit status, its output, what it said."""

    status: int
    output: str
    said: str

    @property
    def last_words(self) -> str:
        """The last line that it said."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else "it says nothing"


async def run(argv: Sequence[str], *, stdin: str = "", timeout_s: float) -> Ended:
    """Run a program to its end. It dies with us, and when the caller is cancelled.

    Raises:
        ProgramError: it cannot be run, was killed, or took longer than `timeout_s` seconds.
    """
    parent = os.getpid()

    def before_exec() -> None:
        die_with_parent(parent)
        os.nice(NICE)

    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=before_exec,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout_s):
            _, output, said = await asyncio.gather(
                _write(process.stdin, stdin), _read(process.stdout), _read(process.stderr)
            )
            status = await process.wait()
    except TimeoutError as error:
        raise ProgramError(f"{argv[0]} took longer than {timeout_s:.0f} s") from error
    finally:
        await end_session(process)
    if status < 0:
        raise ProgramError(f"{argv[0]} was killed by signal {-status}")
    return Ended(status, output, said)


async def _write(writer: asyncio.StreamWriter | None, text: str) -> None:
    if writer is None:
        return
    with contextlib.suppress(ConnectionError):  # it ended before it had read all
        writer.write(text.encode())
        await writer.drain()
    writer.close()


async def _read(reader: asyncio.StreamReader | None) -> str:
    assert reader is not None  # noqa: S101 - for mypy: a pipe
    begin, end = bytearray(), bytearray()
    while data := await reader.read(_READ_BYTES):
        part = end if len(begin) >= _KEPT_BYTES else begin
        part += data
        del end[:-_KEPT_BYTES]
    return (begin + end).decode(errors="replace")
