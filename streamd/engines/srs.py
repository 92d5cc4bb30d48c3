"""SRS, the engine with every protocol.

Measured on SRS 6.0.157: a publisher is in the API's list 2 ms after on_publish is answered;
on_unpublish comes 5 ms after an RTMP publisher was killed, 5 s after an SRT one, and some seconds
after an SRT one was disconnected by the API, although whoever is disconnected is out of the list
within 5 ms. HTTP-FLV of a stream that is not there waits for it, and ends 10 ms after
on_unpublish. A browser that vanished is out of the list 10 to 13 s later. Whoever asks to play
what nobody publishes waits and is listed so, by RTMP, HTTP-FLV, WebRTC (WHEP) and SRT; HLS is
answered with 404 and leaves no trace.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from streamd.config.addresses import is_loopback
from streamd.desired import ServerSpec
from streamd.engines import srs_log
from streamd.engines.base import (
    HookAnswer,
    HookRequest,
    LiveStream,
    OpenPort,
    Player,
    RenderedServer,
    ServerSecrets,
    Streams,
)
from streamd.engines.local import LocalServer
from streamd.engines.rates import Rates
from streamd.engines.srs_api import SrsApi
from streamd.engines.srs_config import api_endpoint, render_config, rtmp_endpoint
from streamd.engines.srs_hooks import answer_srs, parse_srs_hook
from streamd.engines.srs_player import until_media
from streamd.errors import EngineError

log = structlog.get_logger()

# SRS matches the path of HTTP-FLV as it was sent, so `+` has to stay; it decodes the others.
_PLAIN_IN_PATH = "/~=+@,:"

_Client = dict[str, Any]

_LISTED_PLAYERS = 2000
"""With more players than this, those of this machine are not told apart from viewers."""


class SrsEngine(LocalServer):
    """Drives one SRS.

    Args:
        spec: the server.
        directory: its own directory.
        secrets: shared with it.
        open_files: the hard limit on open files that SRS will run with.
    """

    name: str = "srs"
    counter_s = 3.0
    title = "SRS"
    advice = "install SRS (https://ossrs.io), or name its path in `binary`"

    def __init__(
        self, spec: ServerSpec, directory: Path, secrets: ServerSecrets, open_files: int
    ) -> None:
        super().__init__(spec, directory, secrets)
        self._open_files = open_files
        self._api = SrsApi(*api_endpoint(spec), secrets.api_password)
        self._rates = Rates()

    def render(self) -> RenderedServer:
        """See `MediaEngine`."""
        config = self._directory / "srs.conf"
        text = render_config(self._spec, self._directory, self._secrets, self._open_files)
        return RenderedServer(
            files={config: text},
            directories=(self._directory, self.www),
            argv=(self._spec.binary, "-c", str(config)),
            names_in_log=srs_log.STREAM_NAMES,
        )

    def input_url(self, stream: str) -> str:
        """See `MediaEngine`. HTTP-FLV where it can be: its first media comes soonest."""
        if self._spec.http:
            return f"http://127.0.0.1:{self._spec.http}/{quote(stream, safe=_PLAIN_IN_PATH)}.flv"
        host, port = rtmp_endpoint(self._spec)
        return f"rtmp://{host}:{port}/{stream}"

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        """See `MediaEngine`."""
        if content_type != "application/json":
            raise ValueError("not JSON")
        return parse_srs_hook(body)

    def answer(self, *, allow: bool) -> HookAnswer:
        """See `MediaEngine`."""
        return answer_srs(allow=allow)

    async def discard(self, request: HookRequest) -> None:
        """See `MediaEngine`."""
        if request.protocol != "webrtc":
            return
        try:
            await self._api.disconnect(request.client_id)
        except EngineError as error:
            log.warning(
                "server.discard_failed",
                server=self._spec.name,
                client=request.client_id,
                error=str(error),
            )

    async def reload(self) -> None:
        """See `MediaEngine`."""
        await self._api.reload()

    async def streams(self) -> Streams:
        """See `MediaEngine`."""
        now = time.monotonic()
        try:
            listed = await self._api.streams()
            idle = [item for item in listed if not item["publish"]["active"]]
            live = [item for item in listed if item["publish"]["active"]]
            count = sum(item["clients"] for item in listed) - len(live)
            players = await self._players() if 0 < count <= _LISTED_PLAYERS else None
            own = Counter(each["stream"] for each in players or () if is_loopback(each["ip"]))
            viewers = _viewers(players or ()) if count <= _LISTED_PLAYERS else None
            found = [self._live_stream(item, own[item["id"]], viewers, now) for item in live]
            waited = frozenset(_name(item) for item in idle if _is_waited(item, players))
        except (KeyError, TypeError) as error:
            raise EngineError(
                f"SRS lists its streams in a way unknown here ({error!r}); make sure that "
                "`binary` is SRS 6"
            ) from error
        self._rates.keep(stream.client_id for stream in found)
        return Streams(found, waited)

    def _live_stream(
        self,
        item: dict[str, Any],
        own_players: int,
        viewers: Mapping[str, tuple[Player, ...]] | None,
        now: float,
    ) -> LiveStream:
        client_id = item["publish"]["cid"]
        return LiveStream(
            name=_name(item),
            client_id=client_id,
            bytes_in=item["recv_bytes"],
            kbps=self._rates.update(client_id, item["recv_bytes"], now),
            viewers=max(0, item["clients"] - 1 - own_players),
            video=_video(item["video"]),
            audio=_audio(item["audio"]),
            players=None if viewers is None else viewers.get(item["id"], ()),
        )

    async def _players(self) -> Sequence[_Client]:
        return [client for client in await self._api.clients() if not client["publish"]]

    async def until_media(self, stream: str) -> None:
        """See `MediaEngine`."""
        await until_media(self.input_url(stream))

    async def kick(self, stream: str, client_id: str) -> None:
        """See `MediaEngine`."""
        await self._api.disconnect(client_id)

    async def close(self) -> None:
        """See `MediaEngine`."""
        await self._api.close()

    def _open_ports(self) -> list[OpenPort]:
        spec = self._spec
        opened = []
        if spec.rtmp:
            opened.append(OpenPort("rtmp", spec.rtmp, "rtmp"))
        if spec.http:
            opened.append(OpenPort("http", spec.http, "http"))
        if spec.https:
            opened.append(OpenPort("https", spec.https, "https"))
        if spec.srt:
            opened.append(OpenPort("srt", spec.srt, "udp"))
        if spec.webrtc:
            opened.append(OpenPort("webrtc", spec.webrtc, "udp"))
        host, port = api_endpoint(spec)
        if port != spec.http:
            opened.append(OpenPort("api", port, "http", host))
        return opened

    def _hidden_ports(self) -> list[OpenPort]:
        host, number = rtmp_endpoint(self._spec)
        return [] if self._spec.rtmp else [OpenPort("api", number, "rtmp", host)]

    def _check_argv(self, config: Path) -> tuple[str, ...]:
        # SRS checks names and not values; those were checked before.
        return (self._spec.binary, "-t", "-c", str(config))

    def _complaint(self, output: str) -> str:
        return srs_log.complaint(output)


def _name(item: dict[str, Any]) -> str:
    # `name` is what its first client called it, a waiting HTTP-FLV player `cam.flv`.
    name: str = item["url"].lstrip("/")
    return name


def _viewers(players: Sequence[_Client]) -> Mapping[str, tuple[Player, ...]]:
    """Return those who do not play from this machine, by the id of their stream."""
    found: defaultdict[str, tuple[Player, ...]] = defaultdict(tuple)
    for client in players:
        if not is_loopback(client["ip"]):
            kind = client["type"].partition("-")[0]  # as in `rtmp-play`
            address = client["ip"].removeprefix("::ffff:")
            player = Player(client["id"], address, "webrtc" if kind == "rtc" else kind)
            found[client["stream"]] += (player,)
    return found


def _is_waited(item: dict[str, Any], players: Sequence[_Client] | None) -> bool:
    """Tell whether somebody waits for a stream that nobody publishes.

    What comes in by RTMP, as all that streamd publishes itself, SRS does not send by SRT.
    """
    if players is None:  # too many to tell apart
        return bool(item["clients"] > 0)
    return any(
        client["stream"] == item["id"]
        and client["type"] != "srt-play"
        and not is_loopback(client["ip"])
        for client in players
    )


def _video(item: dict[str, Any] | None) -> str | None:
    if item is None:
        return None
    size = f"{item['width']}x{item['height']}" if item.get("width") else ""
    return " ".join(filter(None, (item["codec"], item.get("profile"), size)))


def _audio(item: dict[str, Any] | None) -> str | None:
    if item is None:
        return None
    return " ".join(filter(None, (item["codec"], item.get("profile"), str(item["sample_rate"]))))
