"""Brings supervisord back whenever it ends."""

import asyncio
import os
from collections.abc import Callable

import structlog

from streamd.errors import StreamdError
from streamd.supervision.exits import wait_for_exit
from streamd.supervision.supervisord import Supervisord

log = structlog.get_logger()

AGAIN_S = 1.0


async def keep_up(supervisord: Supervisord, *, external: bool, on_up: Callable[[], None]) -> None:
    """Keep supervisord running, for ever.

    Args:
        supervisord: the client of it, which starts it too.
        external: somebody else starts it, so that it is only waited for.
        on_up: called each time that it runs anew.
    """
    while True:
        try:
            pid = await supervisord.ensure_running(external=external)
        except StreamdError as error:
            log.error("supervisord.unavailable", error=str(error))
            await asyncio.sleep(AGAIN_S)
            continue
        on_up()
        await _exit_of(pid)
        log.error("supervisord.ended", pid=pid)


async def _exit_of(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await wait_for_exit(descriptor)
    finally:
        os.close(descriptor)
