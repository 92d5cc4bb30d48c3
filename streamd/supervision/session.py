"""Ends a program that was started for its answer, and all that it started. Stdlib only."""

import asyncio
import contextlib
import os
import signal

_PIPES_TIMEOUT_S = 5.0
"""What has left the session of a program may hold its pipes for ever."""


async def end_session(process: asyncio.subprocess.Process) -> None:
    """Kill a program that leads a session, where it runs, and wait until its pipes are closed too.

    Only then does asyncio forget it: what is left open when a loop ends is reported much later, as
    somebody else's fault.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PIPES_TIMEOUT_S):
            await process.communicate()
    await process.wait()
