"""Addresses taken apart: URLs that targets send to, and HOST:PORT that the daemon listens at."""

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache

from streamd.config.user_info import misleading

SCHEMES = ("rtmp", "rtmps", "srt")
_DEFAULT_PORTS = {"rtmp": 1935, "rtmps": 443}

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/?#]*)@)?(?P<host>\[[^\]/]+\]|[^:/?#\[\]@]*)"
    r"(?::(?P<port>[^/?#]*))?(?P<path>/[^?]*)?(?:\?(?P<query>.*))?"
)
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_STREAM_ID = re.compile(r"(?:^|[?&])streamid=([^&]*)")


class AddressError(ValueError):
    """An address cannot be sent to. The message does not repeat it: it may hold a key."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a target sends to.

    `host` is in lower case and without brackets; `path` begins with a slash or is empty; `query`
    is what follows the question mark; `user` is the name and password before the host.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    query: str = field(repr=False)
    user: str = field(default="", repr=False)

    def published(self) -> str | None:
        """Return the stream that is published by sending here, as `app/stream`."""
        if self.scheme != "srt":
            return self.path.strip("/") or None
        stream_id = _STREAM_ID.search(self.query)
        if stream_id is None:
            return None
        fields = stream_id[1].removeprefix("#!::").split(",")
        resource = next((part[2:] for part in fields if part.startswith("r=")), None)
        return resource.strip("/") if resource else None


def parse_address(url: str) -> Address:
    """Take an address apart.

    Raises:
        AddressError: saying what is wrong and what to do, without the address.
    """
    if has_blank(url):
        raise AddressError("holds a space or a control character; remove it")
    fault = misleading(url)
    if fault is not None:
        raise AddressError(fault)
    match = _ADDRESS.fullmatch(url)
    if match is None or match["scheme"] not in SCHEMES:
        raise AddressError(
            "is not an address to send to; begin it with rtmp://, rtmps:// or srt://"
        )
    if not match["host"]:
        raise AddressError("names no host; write for example rtmp://HOST/APP/KEY")
    if any(name not in ("app", "stream") for name in _PLACEHOLDER.findall(url)):
        raise AddressError("has a placeholder that is not known; there are {app} and {stream}")
    return Address(
        match["scheme"],
        match["host"].strip("[]").lower(),
        _port(match["scheme"], match["port"]),
        match["path"] or "",
        match["query"] or "",
        match["user"] or "",
    )


def split_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT, as `fields.Address` lets it through; the host comes without brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


@lru_cache(maxsize=4096)  # each status asks it for every publisher and target
def is_loopback(host: str) -> bool:
    """Tell whether a host, as in an address, is this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def join_address(host: str, port: int) -> str:
    """Return HOST:PORT, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def progress_address(hooks: str) -> str:
    """Return where FFmpegs report to (UDP) when the hooks are served at HOST:PORT.

    That is the same port, always on IPv4: a report tells its process by the IPv4 address that it
    is sent from, and a name may mean an IPv6 address first.
    """
    host, port = split_address(hooks)
    try:
        return join_address(str(ipaddress.IPv4Address(host)), port)
    except ValueError:
        return join_address("127.0.0.1", port)


def has_blank(text: str) -> bool:
    """Tell whether a text holds what no address can hold: spaces and control characters."""
    return _BLANK.search(text) is not None


def fill(template: str, stream: str) -> str:
    """Put `app/stream` (or a pattern) in the place of `{app}` and `{stream}`."""
    app, _, name = stream.rpartition("/")
    return template.replace("{app}", app).replace("{stream}", name)


def _port(scheme: str, text: str | None) -> int:
    if text is None and scheme in _DEFAULT_PORTS:
        return _DEFAULT_PORTS[scheme]
    if text is None:
        raise AddressError("names no port, and SRT has no usual one; write srt://HOST:PORT")
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise AddressError("has a port that is none; write a number from 1 to 65535")
    return int(text)
