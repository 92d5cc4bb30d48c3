"""Where the targets' hosts are, and what came of reaching them. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from streamd.config.addresses import AddressError, fill, is_loopback, join_address, parse_address
from streamd.desired import Desired, TargetSpec
from streamd.doctor.finding import Finding, error, ok, unknown

_NAMED = 3

Stage = Literal["name", "connection", "tls"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that something is sent to; without a path, which may be a key."""

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


def endpoints(targets: Mapping[str, TargetSpec]) -> dict[Endpoint, tuple[str, ...]]:
    """Return every host that enabled targets send to, with the names of those targets."""
    found: defaultdict[Endpoint, dict[str, None]] = defaultdict(dict)
    for name, target in targets.items():
        for url in target.urls if target.enabled else ():
            text = url if target.many else fill(url, target.streams[0])
            try:
                address = parse_address(text)
            except AddressError:  # with the stream's name in it, which nobody checked
                continue
            found[Endpoint(address.scheme, address.host, address.port)][name] = None
    return {endpoint: tuple(names) for endpoint, names in found.items()}


def own_server(endpoint: Endpoint, desired: Desired) -> str | None:
    """Return the server of the same file that an endpoint is; None when it is another's."""
    for name, server in desired.servers.items():
        port = server.srt if endpoint.scheme == "srt" else server.rtmp
        here = is_loopback(endpoint.host) or endpoint.host == server.host
        if here and port == endpoint.port:
            return name
    return None


def judge(
    endpoint: Endpoint, names: Sequence[str], reached: Reached, server: str | None
) -> Finding:
    """Judge what came of reaching an endpoint.

    Args:
        endpoint: where to.
        names: the targets that send there.
        reached: what came of it.
        server: the server of the same file that it is; None when it is another's.
    """
    where = _named(names)
    if reached.error is not None and server is not None:
        return unknown(where, f"{endpoint} is the server {server} of this file, which does not run")
    if reached.error is not None:
        return error(where, *_failure(endpoint, reached))
    if endpoint.scheme == "srt":
        return unknown(
            where,
            f"{endpoint} is {', '.join(reached.addresses)}; whether SRT is taken there is only "
            "known by sending",
        )
    answers = "answers, and its certificate is good" if reached.stage == "tls" else "answers"
    return ok(where, f"{endpoint} {answers}")


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
        f"{endpoint}: {reached.error}",
        "correct host and port, or install the authority's certificate (ca-certificates)",
    )


def without_host(targets: Mapping[str, TargetSpec], known: Collection[str]) -> Iterator[Finding]:
    """Yield a finding for each enabled target that is not among those whose host is known."""
    for name, target in targets.items():
        if target.enabled and name not in known:
            yield unknown(_named([name]), "its host depends on the stream that is sent")


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"targets.{name}" for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
