"""Notes which processes begin and end, and draws what follows from a server's end."""

import time
from collections.abc import Callable, Mapping
from functools import partial

import structlog

from streamd.listings import Listings
from streamd.observed import ObservedProcess
from streamd.process_names import server_of
from streamd.publishers import Publishers
from streamd.stalls import Stalls
from streamd.supervision.exits import ExitWatcher

log = structlog.get_logger()


class ProcessWatch:
    """Watches the processes that run.

    Args:
        stalls: told of each process that begins or ends.
        publishers: told of each server that ended, with whoever published on it.
        listings: told which servers run.
        on_exit: told of a pid as soon as its process has exited.
    """

    def __init__(
        self,
        stalls: Stalls,
        publishers: Publishers,
        listings: Listings,
        on_exit: Callable[[int], None],
    ) -> None:
        self._stalls = stalls
        self._publishers = publishers
        self._listings = listings
        self._on_exit = on_exit
        self._exits = ExitWatcher()
        self._pids: frozenset[int] = frozenset()
        self._servers: Mapping[str, int] | None = None

    @property
    def servers(self) -> Mapping[str, int]:
        """The servers that ran at the last look, with their pids."""
        return self._servers or {}

    def look(self, processes: Mapping[str, ObservedProcess]) -> None:
        """Take the processes that there are now."""
        now = time.monotonic()
        pids = {process.pid: name for name, process in processes.items() if process.pid}
        for pid in pids.keys() - self._pids:
            self._exits.watch(pid, partial(self._on_exit, pid))
            self._stalls.started(pids[pid], pid, now)
        for pid in self._pids - pids.keys():
            self._stalls.ended(pid)
        self._pids = frozenset(pids)
        self._look_at_servers(
            {server: pid for pid, name in pids.items() if (server := server_of(name)) is not None}
        )

    def _look_at_servers(self, running: Mapping[str, int]) -> None:
        if self._servers is None:  # the first look: what a streamd before this one left
            self._publishers.keep_servers(set(running))
        for server, pid in self.servers.items():
            if running.get(server) != pid:
                log.warning("server.ended", server=server)
                self._publishers.server_ended(server)
        self._listings.set_running(running)
        self._servers = running

    def close(self) -> None:
        """Watch no more."""
        self._exits.close()
