"""Run a media server's binary for its word on something: bounded in time, never through a shell."""

import asyncio
import os
import shutil
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


def executable(binary: str, advice: str) -> str:
    """Return the absolute path of a binary that can be run.

    Args:
        binary: a path, or a name looked up in PATH.
        advice: what to do when it is missing.

    Raises:
        EngineError: it is missing or not executable.
    """
    found = shutil.which(binary)
    if found is not None:
        return str(Path(found).absolute())
    if Path(binary).exists():
        raise EngineError(f"{binary} is not an executable file; check its permissions")
    raise EngineError(f"{binary} is not there; {advice}")


async def run(argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Run a command, and return its exit status and what it printed.

    Args:
        argv: an absolute path and arguments.
        timeout_s: it is killed after so many seconds.

    Raises:
        EngineError: it could not be run, or took too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_ENVIRONMENT,
        )
    except OSError as error:
        raise EngineError(f"{argv[0]} cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise EngineError(f"{argv[0]} did not finish within {timeout_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None, "it was waited for"  # noqa: S101 - for mypy
    return process.returncode, output.decode(errors="replace")
