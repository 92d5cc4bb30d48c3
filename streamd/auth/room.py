"""Whether a stream's name is free on its server, and making it free where streamd itself has it.

The servers look whether a name is taken only after they have asked who may publish.
"""

import asyncio
import time
from typing import Protocol

import structlog

from streamd.auth.decide import Allowed, Decision, Refused
from streamd.engines.base import Streams
from streamd.errors import EngineError
from streamd.observed import Publisher

log = structlog.get_logger()

EVICTION_TIMEOUT_S = 2.0
"""streamd's own publisher is gone within this time, or the one that it is in the way of refused."""

LISTING_TIMEOUT_S = 1.0
"""A server that does not list its streams within this time is not asked whether a name is taken."""

_EVICTION_POLL_S = 0.005


class Server(Protocol):
    """What is needed of a `streamd.engines.base.MediaEngine`."""

    async def streams(self) -> Streams:
        """List what is being published and waited for now."""

    async def kick(self, stream: str, client_id: str) -> None:
        """Disconnect one publisher. One that is gone already is no error."""


async def is_taken(server: Server, name: str, client_id: str) -> bool:
    """Tell whether a server has another publisher of a name (`app/stream`) than some client."""
    try:
        async with asyncio.timeout(LISTING_TIMEOUT_S):
            listed = await server.streams()
    except (TimeoutError, EngineError):
        return False
    return any(live.name == name and live.client_id != client_id for live in listed.live)


async def make_room(allowed: Allowed, own: Publisher, server: Server | None) -> Decision:
    """Disconnect streamd's own publisher of a stream for one that may come.

    Args:
        allowed: the newcomer, who is let in at the first attempt then.
        own: who has the stream.
        server: of that; None: it is about to end, and so is what is published there.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(EVICTION_TIMEOUT_S):
            if server is not None:
                await _disconnect(own, server)
    except (TimeoutError, EngineError) as error:
        why = str(error) or f"not within {EVICTION_TIMEOUT_S:g} s"
        reason = f"streamd's own publisher of it could not be disconnected: {why}"
        return Refused("busy", reason, allowed.stream)
    log.info(
        "publisher.evicted",
        server=own.server,
        stream=own.stream,
        client=own.client_id,
        duration_s=round(time.monotonic() - began, 3),
    )
    return allowed


async def _disconnect(publisher: Publisher, server: Server) -> None:
    """Disconnect a publisher, and wait until its server does not list it any more."""
    await server.kick(publisher.published_as, publisher.client_id)
    while True:
        listed = await server.streams()
        if all(live.client_id != publisher.client_id for live in listed.live):
            return
        await asyncio.sleep(_EVICTION_POLL_S)
