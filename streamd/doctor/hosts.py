"""The hosts that the file sends to and pulls from, and what came of reaching them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from streamd.config.addresses import fill, is_loopback, join_address
from streamd.desired import Desired
from streamd.doctor.finding import Finding, error, listed, ok, unknown
from streamd.playout.spec import PullInput

TLS_SCHEMES = frozenset({"rtmps", "https"})
"""Over these FFmpeg is told to verify certificates."""

_PORTS = {"rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322, "http": 80, "https": 443}

Stage = Literal["name", "connection", "tls"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that somebody connects to; without a path, which may be a key."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Render as HOST:PORT."""
        return join_address(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far somebody got.

    Attributes:
        stage: the last step that was tried.
        addresses: what the name stands for.
        error: why that step failed; None when it did not.
    """

    stage: Stage
    addresses: tuple[str, ...] = ()
    error: str | None = None


def target_urls(desired: Desired) -> Iterator[tuple[str, str]]:
    """Yield where enabled targets send to, each after the place that says so."""
    for name, target in desired.targets.items():
        for url in target.urls if target.enabled else ():
            yield f"targets.{name}", url if target.many else fill(url, target.streams[0])


def source_urls(desired: Desired) -> Iterator[tuple[str, str]]:
    """Yield where streams are pulled from, each after the place that says so."""
    for name, source in desired.sources.items():
        for each in source.inputs:
            if isinstance(each, PullInput):
                yield f"streams.{name}", each.url


def endpoints(urls: Iterable[tuple[str, str]]) -> dict[Endpoint | None, tuple[str, ...]]:
    """Return every host of some addresses, with the places that name it.

    None stands for the hosts that depend on what stream is sent.
    """
    found: defaultdict[Endpoint | None, dict[str, None]] = defaultdict(dict)
    for where, url in urls:
        found[_endpoint(url)][where] = None
    return {endpoint: tuple(places) for endpoint, places in found.items()}


def _endpoint(url: str) -> Endpoint | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # with the name of a stream in it, which nobody checked
        return None
    return None if "{" in host or not host else Endpoint(parts.scheme, host, port)


def own_server(endpoint: Endpoint, desired: Desired) -> str | None:
    """Return the server of the same file that an endpoint is; None when it is another's."""
    for name, server in desired.servers.items():
        ports = (server.srt,) if endpoint.scheme == "srt" else (server.rtmp, server.http)
        here = is_loopback(endpoint.host) or endpoint.host == server.host
        if here and endpoint.port in ports:
            return name
    return None


def judge(
    endpoint: Endpoint, places: Sequence[str], reached: Reached, server: str | None
) -> Finding:
    """Judge what came of reaching an endpoint.

    Args:
        endpoint: where to.
        places: what names it.
        reached: what came of it.
        server: the server of the same file that it is; None when it is another's.
    """
    where = listed(places)
    if reached.error is not None and server is not None:
        return unknown(where, f"{endpoint} is the server {server} of this file, which does not run")
    if reached.error is not None:
        return error(where, *_failure(endpoint, reached))
    if endpoint.scheme == "srt":
        return unknown(where, f"{endpoint} has an address; whether SRT is spoken there is not seen")
    answers = "answers, and its certificate is good" if reached.stage == "tls" else "answers"
    return ok(where, f"{endpoint} {answers}")


def judge_unknown(places: Sequence[str]) -> Finding:
    """Say of what the host is not known."""
    return unknown(listed(places), "the host depends on the stream that is sent")


def _failure(endpoint: Endpoint, reached: Reached) -> tuple[str, str]:
    """Say what is wrong, and what to do."""
    if reached.stage == "name":
        return (
            f"the name {endpoint.host} is not found: {reached.error}",
            "correct the host in the file, or the name servers in /etc/resolv.conf",
        )
    if reached.stage == "connection":
        return (
            f"{endpoint} cannot be reached: {reached.error}",
            "correct host and port, or let this machine's firewall pass them; otherwise it is down",
        )
    return (
        f"{endpoint}: TLS fails: {reached.error}",
        "correct host and port, or install the authority's certificate (ca-certificates)",
    )
