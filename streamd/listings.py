"""Ask the media servers for their streams: soon after an event, otherwise at a slow pace."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import structlog

from streamd.engines.base import MediaEngine
from streamd.errors import EngineError
from streamd.observe import Listing
from streamd.servers import Servers

log = structlog.get_logger()

IDLE_S = 5.0
CONNECTING_S = 2.0
SUSPICIOUS_S = 0.5
SOON_S = 0.3
ASK_TIMEOUT_S = 4.0

PROBE_S = 15.0
DEAD_AFTER_PROBES = 3
"""A port that did not accept so many times in a row is dead, though the server answers."""

SILENT_S = 20.0
"""A server whose process runs and whose API has not answered for so long hangs."""


class Listings:
    """Each server's own list of what is published, as last told.

    A server that does not answer keeps its last listing and gets an entry in `errors`; one whose
    process has ended is dropped with `server_ended`.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._soon = asyncio.Event()
        self.latest: dict[str, Listing] = {}
        self.errors: dict[str, str] = {}
        self.ports: dict[str, Mapping[str, bool]] = {}
        self.versions: dict[str, str] = {}
        self.pace_s = IDLE_S
        self._probed_at: dict[str, float] = {}
        self._failed_probes: dict[str, int] = {}
        self._silent_since: dict[str, float] = {}

    def ask_soon(self) -> None:
        """Ask again shortly, because something has changed."""
        self._soon.set()

    def server_ended(self, server: str) -> None:
        """Note that a server's process has ended: nothing is published there."""
        self.latest[server] = Listing(time.monotonic())
        self._failed_probes.pop(server, None)
        self._silent_since.pop(server, None)
        self._probed_at.pop(server, None)
        self.ports.pop(server, None)
        self.versions.pop(server, None)

    def hangs(self, server: str) -> bool:
        """Tell whether a server that runs serves nobody any more, for good."""
        silent_since = self._silent_since.get(server)
        silent = silent_since is not None and time.monotonic() - silent_since >= SILENT_S
        return silent or self._failed_probes.get(server, 0) >= DEAD_AFTER_PROBES

    async def changes(self) -> AsyncIterator[Mapping[str, Listing]]:
        """Yield the listings each time they were asked for, for ever.

        `pace_s` may be set at any time, so that a stall is told from an input that has stopped.
        """
        while True:
            await self.ask()
            yield self.latest
            try:
                async with asyncio.timeout(self.pace_s):
                    await self._soon.wait()
                self._soon.clear()
                # What the event told of takes a moment to show in the server's listing.
                await asyncio.sleep(SOON_S)
            except TimeoutError:
                continue

    async def ask(self) -> None:
        """Ask every server once, all at the same time."""
        names = list(self._servers.engines)
        for name in (self.latest.keys() | self.errors.keys()) - set(names):
            self.latest.pop(name, None)
            self.errors.pop(name, None)
        await asyncio.gather(*(self._ask_one(name) for name in names))

    async def _ask_one(self, name: str) -> None:
        engine: MediaEngine | None = self._servers.running_engine(name)
        if engine is None:
            return
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                streams = await engine.streams()
        except (EngineError, TimeoutError) as error:
            self.errors[name] = str(error) or f"no answer within {ASK_TIMEOUT_S:.0f} s"
            self._silent_since.setdefault(name, asked_at)
        else:
            # One that ended meanwhile has a newer, empty listing.
            if asked_at >= self.latest.get(name, Listing(0.0)).asked_at:
                self.latest[name] = Listing(asked_at, streams)
            self.errors.pop(name, None)
            self._silent_since.pop(name, None)
            await self._probe(name, engine)

    async def _probe(self, name: str, engine: MediaEngine) -> None:
        """See from time to time whether each port still accepts.

        A listener of SRS that ran into its limit of connections is dead without a word, while
        the API goes on answering.
        """
        now = time.monotonic()
        if now - self._probed_at.get(name, -PROBE_S) < PROBE_S:
            return
        self._probed_at[name] = now
        await engine.tidy()
        try:
            self.versions[name] = self.versions.get(name) or await engine.version()
            ports = await engine.probe()
        except EngineError as error:
            self.errors[name] = str(error)
            return
        self.ports[name] = ports
        dead = sorted(port for port, accepts in ports.items() if not accepts)
        self._failed_probes[name] = self._failed_probes.get(name, 0) + 1 if dead else 0
        if dead:
            log.error("server.port_dead", server=name, ports=dead)
