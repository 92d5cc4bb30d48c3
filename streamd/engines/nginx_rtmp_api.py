"""The statistics and control pages of nginx-rtmp, as far as streamd uses them."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from streamd.config.addresses import is_loopback
from streamd.engines.base import Player
from streamd.errors import EngineError

REQUEST_TIMEOUT_S = 5.0
_STRANGER = "another program may have its API port"
_LOOK = "if it goes on, see the server's log (`streamd logs`)"

MAX_BYTES = 64 << 20
"""A larger page of statistics is refused; one client takes some 250 bytes."""


@dataclass(frozen=True, slots=True)
class Published:
    """One stream that is published now, as the statistics have it.

    Attributes:
        app, name: of the stream.
        client_id: the publisher's.
        bytes_in: received so far.
        players: those who do not come from this machine.
        video, audio: codec, profile, and size or sample rate; None without.
    """

    app: str
    name: str
    client_id: str
    bytes_in: int
    players: tuple[Player, ...]
    video: str | None
    audio: str | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """A page of statistics: what is published, and what somebody waits for.

    Players that come from this machine are not counted.
    """

    published: Sequence[Published] = ()
    waited: frozenset[str] = frozenset()


class NginxRtmpApi:
    """Talks to one nginx. Everything raises EngineError when nginx does not do it.

    Args:
        port: of the API, on loopback.
        password: the path that it is hidden behind.
    """

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._base = f"http://127.0.0.1:{port}/{password}/"
        self._session: aiohttp.ClientSession | None = None

    async def statistics(self) -> Statistics:
        """Return every stream that somebody publishes or waits for."""
        return parse_statistics(await self._get("stat", {}))

    async def disconnect(self, app: str, name: str, client_id: str) -> None:
        """Close a publisher's connection; one that is gone is no error."""
        query = {"app": app, "name": name, "clientid": client_id}
        await self._get("control/drop/publisher", query)

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get(self, path: str, query: dict[str, str]) -> bytes:
        where = f"127.0.0.1:{self._port}"
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.get(self._base + path, params=query) as response:
                if response.status != 200:
                    raise EngineError(
                        f"nginx-rtmp does not answer at {where}: status {response.status}; "
                        "another nginx may have the port; stop it, or choose another in `listen`"
                    )
                return await _bounded(response)
        except TimeoutError as error:
            told = f"timed out after {REQUEST_TIMEOUT_S:.0f} s"
            raise EngineError(f"nginx-rtmp does not answer at {where}: {told}; {_LOOK}") from error
        except aiohttp.ClientConnectorError as error:
            told = error.strerror or "it does not listen"
            raise EngineError(f"nginx-rtmp does not answer at {where}: {told}; {_LOOK}") from error
        except aiohttp.ClientError as error:
            # Its text may hold the address with the password.
            told = type(error).__name__
            raise EngineError(f"nginx-rtmp does not answer at {where}: {told}; {_LOOK}") from error


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    length = 0
    async for chunk in response.content.iter_chunked(1 << 16):
        length += len(chunk)
        if length > MAX_BYTES:
            raise EngineError(
                f"nginx-rtmp answers with more than {MAX_BYTES >> 20} MB; {_STRANGER}"
            )
        chunks.append(chunk)
    return b"".join(chunks)


def parse_statistics(text: bytes) -> Statistics:
    """Read a page of `rtmp_stat`.

    Raises:
        EngineError: it is not one.
    """
    try:
        root = ET.fromstring(text)  # noqa: S314 - from our own server, over loopback, bounded
    except ET.ParseError as error:
        raise EngineError(
            f"nginx-rtmp's statistics cannot be read: {error}; {_STRANGER}"
        ) from error
    published = []
    waited = set()
    for application in root.iter("application"):
        app = application.findtext("name") or ""
        for stream in application.iter("stream"):
            name = stream.findtext("name") or ""
            clients = list(stream.iter("client"))
            publisher = next((each for each in clients if _publishes(each)), None)
            players = tuple(map(_player, filter(_is_viewer, clients)))
            if publisher is not None:
                published.append(_published(app, name, stream, publisher, players))
            elif players:
                waited.add(f"{app}/{name}")
    return Statistics(published, frozenset(waited))


def _publishes(client: ET.Element) -> bool:
    return client.find("publishing") is not None


def _is_viewer(client: ET.Element) -> bool:
    return not _publishes(client) and not is_loopback(client.findtext("address") or "")


def _player(client: ET.Element) -> Player:
    return Player(client.findtext("id") or "", client.findtext("address") or "", "rtmp")


def _published(
    app: str, name: str, stream: ET.Element, publisher: ET.Element, players: tuple[Player, ...]
) -> Published:
    return Published(
        app=app,
        name=name,
        client_id=publisher.findtext("id") or "",
        bytes_in=int(stream.findtext("bytes_in") or 0),
        players=players,
        video=_described(stream.find("meta/video"), ("codec", "profile"), ("width", "height")),
        audio=_described(stream.find("meta/audio"), ("codec", "profile", "sample_rate"), ()),
    )


def _described(meta: ET.Element | None, words: Sequence[str], size: Sequence[str]) -> str | None:
    if meta is None:
        return None
    parts = [meta.findtext(word) or "" for word in words]
    sides = [meta.findtext(side) or "0" for side in size]
    if "0" not in sides:  # as of a stream without video
        parts.append("x".join(sides))
    return " ".join(filter(None, parts)) or None
