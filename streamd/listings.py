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
SUSPICIOUS_S = 1.0
SOON_S = 0.3
ASK_TIMEOUT_S = 4.0


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
        self.suspicious = False

    def ask_soon(self) -> None:
        """Ask again shortly, because something has changed."""
        self._soon.set()

    def server_ended(self, server: str) -> None:
        """Note that a server's process has ended: nothing is published there."""
        self.latest[server] = Listing(time.monotonic())

    async def changes(self) -> AsyncIterator[Mapping[str, Listing]]:
        """Yield the listings each time they were asked for, for ever.

        `suspicious` set makes the pace a second, so that a stall can be told from an input that
        has stopped.
        """
        while True:
            await self.ask()
            yield self.latest
            try:
                async with asyncio.timeout(SUSPICIOUS_S if self.suspicious else IDLE_S):
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
        else:
            # One that ended meanwhile has a newer, empty listing.
            if asked_at >= self.latest.get(name, Listing(0.0)).asked_at:
                self.latest[name] = Listing(asked_at, streams)
            self.errors.pop(name, None)
