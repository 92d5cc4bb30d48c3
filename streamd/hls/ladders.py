"""Keep each server's playlists of ladders as what is on air, so that players choose a rendition."""

import asyncio
import time
from collections.abc import Iterable, Mapping

import structlog

from streamd.desired import Desired
from streamd.errors import EngineError
from streamd.hls.master import masters
from streamd.hls.master_file import renew_masters
from streamd.observe import Listing
from streamd.servers import Servers

log = structlog.get_logger()

RENEWED_AFTER_S = 10.0
"""Playlists are touched so often, because old ones are taken for left over and removed."""


class Ladders:
    """Writes the playlists of ladders.

    Args:
        servers: the media servers.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._written: dict[str, frozenset[str]] = {}
        self._texts: dict[str, Mapping[str, str]] = {}
        self._renewed_at: dict[str, float] = {}

    async def renew(self, desired: Desired, listings: Mapping[str, Listing]) -> None:
        """Write what has changed since the last call. What the disk refuses is logged."""
        for name in self._wanted(desired):
            listing = listings.get(name, Listing(0.0))
            live = {stream.name: stream for stream in listing.streams}
            await self._renew(name, masters(desired.transcodes.values(), live))

    def _wanted(self, desired: Desired) -> Iterable[str]:
        """Return the servers that have, or had, ladders over HTTP."""
        with_http = {name for name, server in desired.servers.items() if server.http}
        return sorted(with_http if desired.transcodes else with_http & self._written.keys())

    async def _renew(self, server: str, texts: Mapping[str, str]) -> None:
        now = time.monotonic()
        is_fresh = now - self._renewed_at.get(server, -RENEWED_AFTER_S) < RENEWED_AFTER_S
        engine = self._servers.running_engine(server)
        if engine is None or (is_fresh and self._texts.get(server) == texts):
            return
        before = self._written.get(server, frozenset())
        try:
            written = await asyncio.to_thread(renew_masters, engine.www, texts, before)
        except EngineError as error:
            log.error("ladder.not_written", server=server, error=str(error))
            return
        self._written[server] = written
        self._texts[server] = dict(texts)
        self._renewed_at[server] = now
