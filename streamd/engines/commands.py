"""Run a media server's binary for its word on something: bounded in time, never through a shell."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from streamd.errors import EngineError

# What a server's own check needs and no more: SRS lets variables of its environment overrule its
# configuration file. A build with the address sanitizer would fail every check for what it leaks.
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C",
    "TZ": "UTC",
    "ASAN_OPTIONS": "detect_leaks=0",
}

_OUTPUT_BYTES = 1 << 20
_LOOK = "run it by hand to see why"


def executable(binary: str, advice: str) -> str:
    """Return a binary that can be run, as it was named.

    Args:
        binary: an absolute path.
        advice: what to do when it is missing.

    Raises:
        EngineError: it is not absolute, missing or not executable.
    """
    path = Path(binary)
    if shutil.which(binary) is None:
        problem = "is not an executable file; check its permissions" if path.exists() else None
        raise EngineError(f"{binary} {problem or f'is not there; {advice}'}")
    if not path.is_absolute():
        raise EngineError(f"{binary} is not a whole path; write it from / on")
    return binary


async def run(argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Run a command, and return its exit status and what it printed.

    Args:
        argv: an absolute path and arguments.
        timeout_s: it is killed after so many seconds.

    Raises:
        EngineError: it could not be run, or took too long.
    """
    # A file and not a pipe: a pipe would be waited for as long as any descendant holds it.
    with tempfile.TemporaryFile() as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=_ENVIRONMENT,
            )
        except OSError as error:
            raise EngineError(f"{argv[0]} cannot be run: {error.strerror}; {_LOOK}") from error
        try:
            async with asyncio.timeout(timeout_s):
                status = await process.wait()
        except TimeoutError as error:
            raise EngineError(
                f"{argv[0]} did not finish within {timeout_s:g} s; {_LOOK}"
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        output.seek(0)
        return status, output.read(_OUTPUT_BYTES).decode(errors="replace")
