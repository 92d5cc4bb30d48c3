"""Be told at once when a process exits that is not a child of ours."""

import asyncio
import os
from collections.abc import Callable

POLL_INTERVAL_S = 0.5
"""How often a process is looked for when it cannot be watched (no descriptors are left)."""


class ExitWatcher:
    """Calls back once for each watched process when it exits, within milliseconds.

    To be used within a running event loop.
    """

    def __init__(self) -> None:
        self._pidfds: dict[int, int] = {}
        self._timers: dict[int, asyncio.TimerHandle | asyncio.Handle] = {}

    def watch(self, pid: int, callback: Callable[[], None]) -> None:
        """Call `callback` once when `pid` exits; soon, if it is gone already.

        A pid that is watched already keeps its first callback.
        """
        if pid in self._pidfds or pid in self._timers:
            return
        loop = asyncio.get_running_loop()
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # it is gone, or there are no descriptors left
            self._timers[pid] = loop.call_soon(self._poll, pid, callback)
        else:
            self._pidfds[pid] = pidfd
            loop.add_reader(pidfd, self._end, pid, callback)

    def unwatch(self, pid: int) -> None:
        """Forget a pid, without calling back."""
        timer = self._timers.pop(pid, None)
        if timer is not None:
            timer.cancel()
        pidfd = self._pidfds.pop(pid, None)
        if pidfd is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    def close(self) -> None:
        """Forget every pid, without calling back."""
        for pid in (*self._pidfds, *self._timers):
            self.unwatch(pid)

    def _end(self, pid: int, callback: Callable[[], None]) -> None:
        self.unwatch(pid)
        callback()

    def _poll(self, pid: int, callback: Callable[[], None]) -> None:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            self._end(pid, callback)
            return
        except PermissionError:  # it runs, as another user
            pass
        loop = asyncio.get_running_loop()
        self._timers[pid] = loop.call_later(POLL_INTERVAL_S, self._poll, pid, callback)


async def wait_for_exit(pidfd: int) -> None:
    """Wait until the process behind a pidfd has exited. The descriptor stays open."""
    loop = asyncio.get_running_loop()
    exited: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        loop.remove_reader(pidfd)
        exited.set_result(None)

    loop.add_reader(pidfd, wake)
    try:
        await exited
    finally:
        loop.remove_reader(pidfd)
