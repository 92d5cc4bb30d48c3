"""SRS, the engine with every protocol.

Measured on SRS 6.0.157: a publisher is in the API's list 2 ms after on_publish is answered;
on_unpublish comes 5 ms after an RTMP publisher was killed, 5 s after an SRT one, and some seconds
after an SRT one was disconnected by the API, although whoever is disconnected is out of the list
within 5 ms. HTTP-FLV of a stream that is not there waits for it, and ends 10 ms after
on_unpublish. A browser that vanished is out of the list 10 to 13 s later.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from streamd.desired import ServerSpec
from streamd.engines import ports
from streamd.engines.base import (
    Capability,
    HookAnswer,
    HookRequest,
    LiveStream,
    RenderedServer,
    ServerSecrets,
)
from streamd.engines.commands import executable, run
from streamd.engines.hls_files import remove_expired
from streamd.engines.ports import OpenPort
from streamd.engines.rates import Rates
from streamd.engines.rendered import checked_copy, make_directories, write_files
from streamd.engines.srs_api import SrsApi
from streamd.engines.srs_config import api_endpoint, render_config, rtmp_endpoint
from streamd.engines.srs_hooks import answer_srs, parse_srs_hook
from streamd.errors import EngineError
from streamd.redact import Redactor

log = structlog.get_logger()

CHECK_TIMEOUT_S = 10.0

_MISSING = "install SRS (https://ossrs.io), or name its path in `binary`"

# SRS matches the path of HTTP-FLV as it was sent, so `+` has to stay; it decodes the others.
_PLAIN_IN_PATH = "/~=+@,:"

_LISTED_PLAYERS = 2000
"""With more players than this, those of this machine are not told apart from viewers."""

_REASON = re.compile(r"code=\d+(?:\([^)]*\))+ : (.+)")


class SrsEngine:
    """Drives one SRS.

    Args:
        spec: the server.
        directory: its own directory.
        secrets: shared with it.
        open_files: the hard limit on open files that SRS will run with.
    """

    name: str = "srs"
    capabilities: frozenset[Capability] = frozenset({"rtmp", "hls", "http-flv", "srt", "webrtc"})

    def __init__(
        self, spec: ServerSpec, directory: Path, secrets: ServerSecrets, open_files: int
    ) -> None:
        self._spec = spec
        self._directory = directory
        self._secrets = secrets
        self._open_files = open_files
        self._api = SrsApi(*api_endpoint(spec), secrets.api_password)
        self._rates = Rates()
        self._redact = Redactor((secrets.hook_path, secrets.api_password))

    def render(self) -> RenderedServer:
        """See `MediaEngine`."""
        config = self._directory / "srs.conf"
        text = render_config(self._spec, self._directory, self._secrets, self._open_files)
        return RenderedServer(
            files={config: text},
            directories=(self._directory, self._directory / "www"),
            argv=(self._spec.binary, "-c", str(config)),
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

    async def write(self) -> None:
        """See `MediaEngine`."""
        await asyncio.to_thread(write_files, self.render())

    async def test(self) -> None:
        """See `MediaEngine`. SRS checks names and not values; those were checked before."""
        rendered = self.render()
        await self.version()
        make_directories(rendered)
        (text,) = rendered.files.values()
        with checked_copy(text) as path:
            argv = (self._spec.binary, "-t", "-c", str(path))
            status, output = await run(argv, CHECK_TIMEOUT_S)
        if status != 0:
            told = self._redact(_reason(output))
            raise EngineError(f"SRS refuses its configuration: {told}")

    async def reload(self) -> None:
        """See `MediaEngine`."""
        await self._api.reload()

    async def version(self) -> str:
        """See `MediaEngine`."""
        binary = executable(self._spec.binary, _MISSING)
        _, output = await run((binary, "-v"), CHECK_TIMEOUT_S)
        match = re.search(r"\d+\.\d+\.\d+", output)
        if match is None:
            raise EngineError(f"{binary} does not tell its version; is it SRS?")
        return match[0]

    async def streams(self) -> Sequence[LiveStream]:
        """See `MediaEngine`."""
        now = time.monotonic()
        try:
            live = [item for item in await self._api.streams() if item["publish"]["active"]]
            players = sum(item["clients"] for item in live) - len(live)
            own = await self._players_of_this_machine() if 0 < players <= _LISTED_PLAYERS else {}
            found = [self._live_stream(item, own.get(item["id"], 0), now) for item in live]
        except (KeyError, TypeError) as error:
            raise EngineError(f"SRS lists its streams in a way unknown here: {error!r}") from error
        self._rates.keep(stream.client_id for stream in found)
        return found

    def _live_stream(self, item: dict[str, Any], own_players: int, now: float) -> LiveStream:
        client_id = item["publish"]["cid"]
        return LiveStream(
            # `name` is what its first client called it, a waiting HTTP-FLV player `cam.flv`.
            name=item["url"].lstrip("/"),
            client_id=client_id,
            bytes_in=item["recv_bytes"],
            kbps=self._rates.update(client_id, item["recv_bytes"], now),
            viewers=max(0, item["clients"] - 1 - own_players),
            video=_video(item["video"]),
            audio=_audio(item["audio"]),
        )

    async def _players_of_this_machine(self) -> Mapping[str, int]:
        return Counter(
            client["stream"]
            for client in await self._api.clients()
            if not client["publish"] and client["ip"].removeprefix("::ffff:").startswith("127.")
        )

    async def kick(self, stream: str, client_id: str) -> None:
        """See `MediaEngine`."""
        await self._api.disconnect(client_id)

    async def check_ports(self, *, except_for: frozenset[int] = frozenset()) -> None:
        """See `MediaEngine`."""
        opened = self._open_ports()
        if not self._spec.rtmp:
            host, number = rtmp_endpoint(self._spec)
            opened.append(OpenPort("api", number, "rtmp", host))
        await asyncio.to_thread(ports.check_free, opened, except_for)

    async def probe(self) -> Mapping[str, bool]:
        """See `MediaEngine`."""
        opened = self._open_ports()
        served = await asyncio.gather(*map(ports.is_served, opened))
        return {port.field: answer for port, answer in zip(opened, served, strict=True)}

    async def tidy(self) -> None:
        """See `MediaEngine`. SRS does so itself, but forgets when it is killed."""
        root, window_s = self._directory / "www", self._spec.hls_window_s
        await asyncio.to_thread(remove_expired, root, window_s=window_s, now=time.time())

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
        if spec.srt:
            opened.append(OpenPort("srt", spec.srt, "udp"))
        if spec.webrtc:
            opened.append(OpenPort("webrtc", spec.webrtc, "udp"))
        host, port = api_endpoint(spec)
        if port != spec.http:
            opened.append(OpenPort("api", port, "http", host))
        return opened


def _video(item: dict[str, Any] | None) -> str | None:
    if item is None:
        return None
    size = f"{item['width']}x{item['height']}" if item.get("width") else ""
    return " ".join(filter(None, (item["codec"], item.get("profile"), size)))


def _audio(item: dict[str, Any] | None) -> str | None:
    if item is None:
        return None
    return " ".join(filter(None, (item["codec"], item.get("profile"), str(item["sample_rate"]))))


def _reason(output: str) -> str:
    """Return what SRS complains of, out of its log."""
    found = _REASON.findall(output)
    lines = [line for line in output.splitlines() if line.strip()]
    return found[-1].strip() if found else (lines[-1].strip() if lines else "it says nothing")
