"""What shall exist, as values: the configuration with every default and reference filled in.

`desire` is the only way from a `Config` to a `Desired`. It is a pure function of the file and of
the facts about the machine that the caller gathered (`Machine`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streamd import names, platforms
from streamd.config.models import Config, Daemon, Key, Listen, Server, Target

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

EngineName = Literal["srs", "nginx-rtmp"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What `desire` has to know of the machine, gathered by `streamd.machine`.

    `engines` holds the path of each engine's binary that was found by itself; a `binary:` in the
    file needs none of them.
    """

    engines: Mapping[EngineName, Path]
    ffmpeg: Path | None


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One media server. Ports that are None are not opened; durations in seconds."""

    name: str
    engine: EngineName
    binary: str
    host: str
    rtmp: int | None
    http: int | None
    srt: int | None
    webrtc: int | None
    api: int
    hls_fragment_s: float
    hls_window_s: float
    webrtc_candidate: str | None
    hooks: str  # HOST:PORT that the server asks about publishers
    apps: tuple[str, ...]  # for an engine that has to declare them; () for one that need not


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A publishing key, known by its SHA-256 alone."""

    name: str
    sha256: str = field(repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Tell whether `now` lies in the key's window [not_before, not_after)."""
        return (self.not_before is None or self.not_before <= now) and (
            self.not_after is None or now < self.not_after
        )


@dataclass(frozen=True, slots=True)
class StreamRule:
    """Who may publish what matches `pattern` (full: `app/stream`). `keys` None: anybody."""

    pattern: str
    keys: frozenset[str] | None
    key_in_name: bool = False


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A place to send streams to. `urls` are the first and the backup address, with keys.

    They may hold `{app}` and `{stream}`. `many` tells that each stream gets an entry of its own.
    """

    name: str
    streams: tuple[str, ...]
    many: bool
    platform: str
    urls: tuple[str, ...] = field(repr=False)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that shall exist, each kind keyed by name (rules by pattern)."""

    ffmpeg: str
    daemon: Daemon
    servers: Mapping[str, ServerSpec]
    keys: Mapping[str, KeySpec]
    rules: Mapping[str, StreamRule]
    targets: Mapping[str, TargetSpec]


def identity(value: "DataclassInstance") -> str:
    """Return a short digest of a frozen dataclass, equal for equal values only.

    What runs carries the identity of what it was started from, so that a daemon that comes back
    can tell what it may keep. It digests meaning and not an argv, so that a release of streamd
    that builds an argv differently leaves what is on air alone. A field that has its default is
    left out: a release that adds one, with a default that means what was before, changes no
    identity either.
    """
    return _digest([(type(value).__name__, dict(_meaning(value)))])


def _meaning(
    value: "DataclassInstance", skipped: frozenset[str] = frozenset()
) -> Iterator[tuple[str, object]]:
    for each in fields(value):
        found = getattr(value, each.name)
        if each.name not in skipped and found != each.default:
            yield each.name, found


def _digest(parts: Iterable[tuple[str, object]]) -> str:
    text = json.dumps(sorted(parts), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


RELOADABLE_FIELDS: Mapping[EngineName, frozenset[str]] = {
    # SRS takes these on a reload with the publisher kept and HLS numbering continued (measured).
    "srs": frozenset({"hls_fragment_s", "hls_window_s", "webrtc_candidate"}),
    # A reload of nginx strands live streams in the old configuration, so it restarts instead.
    "nginx-rtmp": frozenset(),
}
"""What a running server of each engine takes without a restart."""

UNSEEN_FIELDS = frozenset({"host"})
"""What a server does not know of at all: it is only printed in URLs."""


def restart_identity(server: ServerSpec) -> str:
    """Digest what a running server cannot take without a restart."""
    skipped = RELOADABLE_FIELDS[server.engine] | UNSEEN_FIELDS
    return _digest(_meaning(server, skipped))


def reload_identity(server: ServerSpec) -> str:
    """Digest what a running server takes by a reload."""
    return _digest((name, getattr(server, name)) for name in RELOADABLE_FIELDS[server.engine])


def engine_of(server: Server, machine: Machine) -> tuple[EngineName, Path | None]:
    """Decide which engine a server runs on, and its binary (None: not found)."""
    if server.engine != "auto":
        return server.engine, server.binary or machine.engines.get(server.engine)
    if server.binary is not None:
        engine: EngineName = "nginx-rtmp" if "nginx" in server.binary.name else "srs"
        return engine, server.binary
    if "srs" in machine.engines:
        return "srs", machine.engines["srs"]
    return "nginx-rtmp", machine.engines.get("nginx-rtmp")


def listen_of(server: Server, engine: EngineName) -> Listen:
    """Return a server's ports: those named, or every port of the engine at its usual number."""
    if server.listen is not None:
        return server.listen
    if engine == "srs":
        return Listen(rtmp=1935, http=8080, srt=10080, webrtc=8000, api=1985)
    return Listen(rtmp=1935, http=8080, srt=None, webrtc=None, api=1985)


def desire(config: Config, machine: Machine) -> Desired:
    """Fill in every default and reference of a checked configuration."""
    rules = {}
    for text, stream in config.streams.items():
        pattern = names.full_name(text)
        keys = None if stream.keys == "any" else frozenset(stream.keys)
        rules[pattern] = StreamRule(pattern, keys, stream.key_in_name)
    return Desired(
        ffmpeg=str(config.ffmpeg or machine.ffmpeg or "ffmpeg"),
        daemon=config.daemon,
        servers={
            name: _server(name, server, machine, config, tuple(rules))
            for name, server in config.servers.items()
        },
        keys={name: _key(name, key) for name, key in config.keys.items()},
        rules=rules,
        targets={name: _target(name, target) for name, target in config.targets.items()},
    )


def _server(
    name: str, server: Server, machine: Machine, config: Config, patterns: tuple[str, ...]
) -> ServerSpec:
    engine, binary = engine_of(server, machine)
    listen = listen_of(server, engine)
    apps: set[str] = set()
    if engine == "nginx-rtmp":
        apps = {app for app, _ in map(names.split, patterns) if not names.has_wildcard(app)}
        apps.add(names.DEFAULT_APP)
    return ServerSpec(
        name=name,
        engine=engine,
        binary=str(binary or ("srs" if engine == "srs" else "nginx")),
        host=server.host,
        rtmp=listen.rtmp,
        http=listen.http,
        srt=listen.srt,
        webrtc=listen.webrtc,
        api=listen.api,
        hls_fragment_s=server.hls.fragment.total_seconds(),
        hls_window_s=server.hls.window.total_seconds(),
        webrtc_candidate=server.webrtc_candidate,
        hooks=config.daemon.hooks,
        apps=tuple(sorted(apps)),
    )


def _key(name: str, key: Key) -> KeySpec:
    sha256 = key.secret_sha256
    if key.secret is not None:
        sha256 = hashlib.sha256(key.secret.get_secret_value().encode()).hexdigest()
    assert sha256 is not None, "checked: a key has secret or secret_sha256"  # noqa: S101 - for mypy
    return KeySpec(name, sha256, key.not_before, key.not_after)


def _target(name: str, target: Target) -> TargetSpec:
    patterns = target.streams if target.stream is None else (target.stream,)
    full = tuple(names.full_name(text) for text in patterns or ())
    key = target.key.get_secret_value() if target.key else None
    url = target.url.get_secret_value() if target.url else None
    urls = [platforms.compose(target.platform, url, key)]
    if target.backup_url is not None:
        urls.append(platforms.compose("custom", target.backup_url.get_secret_value(), key))
    many = len(full) > 1 or any(map(names.has_wildcard, full))
    return TargetSpec(name, full, many, target.platform, tuple(urls), target.enabled)
