"""Which addresses mean a stream on a server of the file itself. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from streamd import names
from streamd.config.addresses import Address
from streamd.config.data_path import DataPath
from streamd.config.left_out import LeftOut
from streamd.config.models import Config

_HTTP_ENDINGS = (".flv", ".m3u8", ".ts")


class OwnServers:
    """The addresses at which the servers of a configuration are published to and played."""

    def __init__(self, config: Config) -> None:
        self._hosts = {"localhost", "0.0.0.0", "::", "::1"}  # noqa: S104 - compared with only
        self._hosts |= {server.host.strip("[]").lower() for server in config.servers.values()}
        listens = [server.listen for server in config.servers.values() if server.listen]
        usual = len(listens) < len(config.servers)
        self._rtmp = {listen.rtmp for listen in listens} | ({1935} if usual else set())
        self._srt = {listen.srt for listen in listens} | ({10080} if usual else set())
        self._http = {listen.http for listen in listens} | ({8080} if usual else set())

        self._listens: list[DataPath] = [("servers", name, "listen") for name in config.servers]

    def uncertain(self, left_out: LeftOut) -> Iterator[DataPath]:
        """Yield the paths of ports that are usual ones, because what the file has is wrong."""
        return filter(left_out.concerns, self._listens)

    def published(self, address: Address) -> str | None:
        """Return the stream that sending to an address publishes here; None elsewhere."""
        ports = self._srt if address.scheme == "srt" else self._rtmp
        if address.port not in ports or not self._is_here(address.host):
            return None
        return address.published()

    def played(self, url: str) -> str | None:
        """Return the `app/stream` that an address plays from here; None elsewhere."""
        try:
            # In the stream id of SRT a `#` begins no fragment: `streamid=#!::r=live/x`.
            parts = urlsplit(url, allow_fragments=False)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return None
        if not self._is_here(host):
            return None
        stream = parts.path.strip("/")
        if parts.scheme == "rtmp":
            served = (port or 1935) in self._rtmp
        elif parts.scheme == "http":
            served = (port or 80) in self._http
            stream = re.sub("|".join(map(re.escape, _HTTP_ENDINGS)) + "$", "", stream)
        elif parts.scheme == "srt":
            served = port in self._srt
            stream = _resource(parts.query)
        else:
            return None
        return stream if served and names.is_published_name(stream) else None

    def _is_here(self, host: str) -> bool:
        return host in self._hosts or re.fullmatch(r"127(\.\d+){3}", host) is not None


def _resource(query: str) -> str:
    stream_id = dict(parse_qsl(query, keep_blank_values=True)).get("streamid", "")
    fields = stream_id.removeprefix("#!::").split(",")
    return next((part[2:] for part in fields if part.startswith("r=")), "").strip("/")
