"""An rtmp:// address, taken apart. Pure."""

from dataclasses import dataclass, field
from urllib.parse import unquote

from streamd.redact import Redactor

_SCHEME = "rtmp://"
_USUAL_PORT = 1935


@dataclass(frozen=True, slots=True)
class RtmpAddress:
    """Where a stream is published or played.

    Attributes:
        host, port: of the server; an IPv6 host without its brackets.
        app: everything between the host and the last part of the path: `live`, `in/lot`.
        stream: the last part, with the query behind it as it is sent: `cam?secret=...`.
    """

    host: str
    port: int
    app: str
    stream: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> "RtmpAddress":
        """Take an address apart; nothing in it is decoded.

        Raises:
            ValueError: it is no rtmp:// address of a stream. Does not show it.
        """
        place, question, query = url.partition("?")
        authority, _, path = place.removeprefix(_SCHEME).partition("/")
        app, _, name = path.rpartition("/")
        if not (place.startswith(_SCHEME) and authority and app and name):
            raise ValueError("not an address of the form rtmp://HOST:PORT/APP/STREAM")
        host, port = _host_and_port(authority.rpartition("@")[2])
        return cls(host, port, app, name + question + query)

    @property
    def place(self) -> str:
        """The host and the port, which is all that is shown to people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def tc_url(self) -> str:
        """The address of the app."""
        return f"{_SCHEME}{self.place}/{self.app}"

    def without_secrets(self, text: str) -> str:
        """Return a text with every value of the query masked."""
        _, _, query = self.stream.partition("?")
        values = {pair.partition("=")[2] or pair for pair in query.split("&")}
        return Redactor((*values, *map(unquote, values)))(text)


def _host_and_port(authority: str) -> tuple[str, int]:
    host, colon, port = authority.rpartition(":")
    if not colon or port.endswith("]"):
        return authority.strip("[]"), _USUAL_PORT
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) <= 0xFFFF:
        raise ValueError(f"a port between 1 and 65535 is needed, not {port!r}")
    return host.strip("[]"), int(port)
