"""Checks of `daemon` and `servers`: ports, what an engine can do, what HLS needs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamd.config.addresses import is_loopback, progress_address, split_address
from streamd.config.certificate_models import listen_challenge
from streamd.config.data_path import DataPath
from streamd.config.defaults import listen_of
from streamd.config.fields import write_duration
from streamd.config.models import Config, Server
from streamd.config.source import Source
from streamd.desired import EngineName
from streamd.engines.capabilities import lacking
from streamd.errors import Problem

_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared with, never listened on
_LOOPBACK = "127.0.0.1"
_LISTENERS: Mapping[str, tuple[str, str]] = {
    "rtmp": ("TCP", _EVERY_ADDRESS),
    "http": ("TCP", _EVERY_ADDRESS),
    "https": ("TCP", _EVERY_ADDRESS),
    "srt": ("UDP", _EVERY_ADDRESS),
    "webrtc": ("UDP", _EVERY_ADDRESS),
    "api": ("TCP", _LOOPBACK),
}
_FRAGMENTS = 3  # RFC 8216, 6.2.2: a live playlist of less than three segments stalls players


@dataclass(frozen=True, slots=True)
class _Listener:
    path: DataPath
    protocol: str
    host: str
    port: int
    unless: tuple[DataPath, ...] = ()  # what else decides that it listens there

    def clashes(self, other: "_Listener") -> bool:
        return self.host == other.host or _EVERY_ADDRESS in (self.host, other.host)


def check_servers(
    config: Config, source: Source, engines: Mapping[str, EngineName | None]
) -> Iterator[Problem]:
    """Yield what is wrong with the daemon and the media servers.

    Args:
        config: to check.
        source: where it stands.
        engines: the engine of each server, None where it depends on a machine that is not known.
    """
    yield from _daemon(config, source)
    yield from _ports(config, source, engines)
    if not config.servers and not source.declared("servers"):
        yield source.error(("servers",), "is empty; name a server, or remove it for the usual one")
    for name, server in config.servers.items():
        yield from _listen(name, server, source, engines[name])
        yield from _hls(name, server, source)


def _daemon(config: Config, source: Source) -> Iterator[Problem]:
    if not is_loopback(split_address(config.daemon.hooks)[0]):
        yield source.error(
            ("daemon", "hooks"),
            "is reachable from other machines, which could then let publishers in; listen on "
            "127.0.0.1",
        )
    status_host, _ = split_address(config.daemon.status)
    if not is_loopback(status_host) and config.daemon.status_token is None:
        yield source.error(
            ("daemon", "status"),
            "is reachable from other machines; add `status_token`, or listen on 127.0.0.1",
            unless=[("daemon", "status_token")],
        )


def _listeners(config: Config, engines: Mapping[str, EngineName | None]) -> Iterator[_Listener]:
    host, port = split_address(config.daemon.status)
    yield _Listener(("daemon", "status"), "TCP", _numeric(host), port)
    host, port = split_address(config.daemon.hooks)
    yield _Listener(("daemon", "hooks"), "TCP", _numeric(host), port)
    host, port = split_address(progress_address(config.daemon.hooks))
    yield _Listener(("daemon", "hooks"), "UDP", _numeric(host), port)
    yield from _challenges(config)
    for name, server in config.servers.items():
        # Not knowing the engine, count the ports that both open.
        listen = listen_of(server, engines[name] or "nginx-rtmp")
        unless = ("servers", name, "engine"), ("servers", name, "binary")
        for kind, (protocol, host) in _LISTENERS.items():
            number: int | None = getattr(listen, kind)
            if number is not None:
                path = ("servers", name, "listen", kind)
                by_engine = () if server.listen is not None else unless
                yield _Listener(path, protocol, host, number, by_engine)


def _challenges(config: Config) -> Iterator[_Listener]:
    """Yield where authorities are answered; several certificates may share one address."""
    seen = set()
    for name, certificate in config.certificates.items():
        listen = None if certificate.acme is None else listen_challenge(certificate.acme)
        if listen is not None and listen not in seen:
            seen.add(listen)
            host, port = split_address(listen)
            path = ("certificates", name, "acme", "challenge", "listen")
            others = tuple((*path[:-1], other) for other in ("webroot", "rfc2136"))
            yield _Listener(path, "TCP", _numeric(host), port, others)


def _numeric(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared with, never listened on
        return _EVERY_ADDRESS
    return _LOOPBACK if host == "localhost" else host


def _ports(
    config: Config, source: Source, engines: Mapping[str, EngineName | None]
) -> Iterator[Problem]:
    taken: dict[tuple[str, int], list[_Listener]] = {}
    for listener in _listeners(config, engines):
        others = taken.setdefault((listener.protocol, listener.port), [])
        first = next((other for other in others if other.clashes(listener)), None)
        if first is None:
            others.append(listener)
            continue
        default = "" if source.written(listener.path) else " (the default)"
        yield source.error(
            listener.path,
            f"{listener.protocol} port {listener.port}{default} is already used by "
            f"{'.'.join(map(str, first.path))}; choose another",
            unless=(first.path, *first.unless, *listener.unless),
        )


def _listen(
    name: str, server: Server, source: Source, engine: EngineName | None
) -> Iterator[Problem]:
    if server.listen is None:
        return
    path: DataPath = ("servers", name, "listen")
    if server.listen.rtmp is None:
        yield source.error(
            path,
            "names no `rtmp` port, which every server needs; add for example `rtmp: 1935`",
            unless=[(*path, "rtmp")],
        )
    if server.listen.https is not None and server.listen.http is None:
        yield source.error(
            (*path, "https"),
            "needs `http` too, which it serves the same as; add `http: 8080`",
            unless=[(*path, "http")],
        )
    if server.listen.webrtc is not None and server.listen.http is None:
        yield source.error(
            (*path, "webrtc"),
            "needs `http` too, where WebRTC clients connect first; add for example `http: 8080`",
            unless=[(*path, "http")],
        )
    for kind, title in lacking(engine).items() if engine else ():
        if getattr(server.listen, kind, None) is not None:
            cause = ", which `auto` found here," if server.engine == "auto" else ""
            yield source.error(
                (*path, kind),
                f"the engine {engine}{cause} has no {title}; remove this port, or use SRS",
                unless=(("servers", name, "engine"), ("servers", name, "binary")),
            )


def _hls(name: str, server: Server, source: Source) -> Iterator[Problem]:
    path: DataPath = ("servers", name, "hls")
    if not server.hls.fragment:
        yield source.error((*path, "fragment"), "is no time at all; write for example 2s")
    elif server.hls.window < _FRAGMENTS * server.hls.fragment:
        least = write_duration(_FRAGMENTS * server.hls.fragment)
        yield source.error(
            (*path, "window"),
            f"is shorter than {_FRAGMENTS} fragments, so that players stall; write {least} or more",
            unless=[(*path, "fragment")],
        )
