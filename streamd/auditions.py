"""Plays each stream when it begins, to make sure that it can be played.

SRS 6 drops what it knows of a stream that nobody publishes or plays, once every 3 s, also while it
asks whether somebody may publish it. The publisher is let in all the same, its stream is listed and
counted, HLS is made of it, and whoever asks for it by RTMP or HTTP-FLV waits for ever (ossrs/srs
issues 4182, 4624 and 4656; mended in 7.0.151 and 8.0.5, up to 6.0.191 not). A player that waits
already keeps that from happening, so one is there from before the answer on until it is sent
something. What still goes wrong before SRS asks is mended by disconnecting the publisher, who comes
back.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import structlog

from streamd.engines.base import Streams
from streamd.errors import EngineError

log = structlog.get_logger()

LOOK_S = 1.0
ABSENT_S = 60.0
"""Who is not let in within this time was refused."""

SENT_S, SENT_BYTES = 2.0, 10_000
"""A server that has counted so much of a publisher in so long has something for a player."""

MOST_KICKS = 3
"""In a row of one stream: then its trouble is another one."""


class AuditionEngine(Protocol):
    """What an audition needs of a `streamd.engines.base.MediaEngine`."""

    async def until_media(self, stream: str) -> None:
        """Play a stream until media of it has come."""

    async def streams(self) -> Streams:
        """List what is being published and waited for now."""

    async def kick(self, stream: str, client_id: str) -> None:
        """Disconnect one publisher."""


class Auditions:
    """The streams that begin now.

    Args:
        engines: the engine of each server, by name; looked up at each audition.
    """

    def __init__(self, engines: Mapping[str, AuditionEngine]) -> None:
        self._engines = engines
        self._running: set[asyncio.Task[None]] = set()
        self._kicks: Counter[tuple[str, str]] = Counter()
        self._asking: dict[str, asyncio.Task[Streams]] = {}

    async def begin(self, server: str, stream: str, client_id: str) -> None:
        """Have a player wait for a stream from now on, until there is media for it.

        Args:
            server: that it is about to be published on.
            stream: `app/stream` as the server will know it.
            client_id: of its publisher.
        """
        engine = self._engines.get(server)
        if engine is None:
            return
        task = asyncio.create_task(self._hold(engine, server, stream, client_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        for _ in range(2):  # until its player's task has begun too, and asks
            await asyncio.sleep(0)

    async def close(self) -> None:
        """End all auditions."""
        running = [*self._running, *self._asking.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _hold(self, engine: AuditionEngine, server: str, stream: str, client_id: str) -> None:
        hearing = asyncio.create_task(engine.until_media(stream))
        try:
            if await self._is_mute(engine, server, hearing, client_id):
                await self._kick(engine, server, stream, client_id)
            elif hearing.done():
                self._kicks.pop((server, stream), None)
        except EngineError as error:
            log.debug("audition.failed", server=server, error=str(error))
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _is_mute(
        self, engine: AuditionEngine, server: str, hearing: asyncio.Task[None], client_id: str
    ) -> bool:
        """Tell whether a server gives a player nothing of what it takes from a publisher."""
        began = time.monotonic()
        first: tuple[float, int] | None = None
        was_there = False
        while True:
            await asyncio.wait({hearing}, timeout=LOOK_S)
            if hearing.done():
                return False
            listed = await self._listed(engine, server)
            found = [each for each in listed.live if each.client_id == client_id]
            now = time.monotonic()
            if not found:
                if was_there or now - began >= ABSENT_S:
                    return False
                continue
            was_there = True
            (live,) = found
            if live.video is None and live.audio is None:
                continue
            first = first or (now, live.bytes_in)
            if now - first[0] >= SENT_S and live.bytes_in - first[1] >= SENT_BYTES:
                return not hearing.done()

    async def _listed(self, engine: AuditionEngine, server: str) -> Streams:
        """Ask a server for its streams: once at a time, however many come back to it at once."""
        asking = self._asking.get(server)
        if asking is None or asking.done():
            asking = self._asking[server] = asyncio.create_task(engine.streams())
        return await asyncio.shield(asking)

    async def _kick(self, engine: AuditionEngine, server: str, stream: str, client_id: str) -> None:
        self._kicks[server, stream] += 1
        kicks = self._kicks[server, stream]
        if kicks > MOST_KICKS:
            log.error(
                "publisher.unplayable",
                server=server,
                client=client_id,
                note="the server takes what it sends and gives it to nobody; restart the server "
                "when an interruption is allowed",
            )
            return
        log.warning(
            "publisher.unplayable",
            server=server,
            client=client_id,
            note="the server takes what it sends and gives it to nobody; it is disconnected, so "
            "that it comes back",
        )
        await engine.kick(stream, client_id)
