"""What the models cannot see: things that concern two places of the file at once. Pure."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime

from streamd import names
from streamd.config.addresses import has_blank
from streamd.config.check_callbacks import check_callbacks
from streamd.config.check_certificates import check_certificates
from streamd.config.check_recordings import check_recordings
from streamd.config.check_servers import check_servers
from streamd.config.check_sources import check_sources, source_feeds
from streamd.config.check_targets import check_targets
from streamd.config.check_transcodes import check_transcodes, transcode_feeds
from streamd.config.data_path import DataPath
from streamd.config.defaults import Machine, engine_of
from streamd.config.known_streams import KnownStreams
from streamd.config.models import Config, Key, Stream
from streamd.config.own_servers import OwnServers
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.desired import EngineName
from streamd.errors import Problem

_LONGEST_ECHO = 16


def check(
    config: Config, source: Source, *, machine: Machine | None, now: datetime
) -> list[Problem]:
    """Return errors and warnings about a configuration whose fields are each in order.

    Args:
        config: to check.
        source: where it stands. It may hold more than `config`, of objects that are not in order.
        machine: the engines that are there; None leaves out what depends on them.
        now: for the windows of keys.
    """
    engines = engines_of(config, machine)
    suggestions = Suggestions()
    known = KnownStreams(config, source, suggestions)
    own = OwnServers(config)
    feeds = [*transcode_feeds(config), *source_feeds(config, own)]
    return [
        *check_servers(config, source, engines),
        *_keys(config, source, now),
        *_streams(config, source, suggestions),
        *_apps(config, source, engines),
        *check_sources(config, source, suggestions),
        *check_transcodes(config, source, known),
        *check_targets(config, source, known, own, feeds),
        *check_recordings(config, source, suggestions, known, engines),
        *check_certificates(config, source, suggestions),
        *check_callbacks(config, source),
    ]


def engines_of(config: Config, machine: Machine | None) -> dict[str, EngineName | None]:
    """Return the engine of each server, None where none is known."""
    engines: dict[str, EngineName | None] = {}
    for name, server in config.servers.items():
        known = machine is not None or server.engine != "auto" or server.binary is not None
        engine, binary = engine_of(server, machine or Machine(engines={}, ffmpeg=None))
        found = known and (server.engine != "auto" or binary is not None)
        engines[name] = engine if found else None
    return engines


def _keys(config: Config, source: Source, now: datetime) -> Iterator[Problem]:
    used = {
        name
        for stream in config.streams.values()
        if stream.keys is not None and stream.keys != "any"
        for name in stream.keys
    }
    secrets: dict[str, str] = {}
    for name, key in config.keys.items():
        path: DataPath = ("keys", name)
        yield from _key(path, key, source, now)
        digest = _digest(key)
        if digest is not None and secrets.setdefault(digest, name) != name:
            yield source.warning(
                path,
                f"has the same secret as keys.{secrets[digest]}, so that the one cannot be "
                "withdrawn without the other; give it its own",
                at_name=True,
            )
        if name not in used:
            yield source.warning(
                path,
                "no stream names this key; add it to the `keys` of one, or remove it",
                at_name=True,
            )


def _key(path: DataPath, key: Key, source: Source, now: datetime) -> Iterator[Problem]:
    if key.secret is None and key.secret_sha256 is None:
        yield source.error(
            path,
            "has no secret; add `secret` or `secret_sha256`",
            at_name=True,
            unless=((*path, "secret"), (*path, "secret_sha256")),
        )
    if key.secret is not None and key.secret_sha256 is not None:
        yield source.error(path, "has `secret` and `secret_sha256`; remove one", at_name=True)
    if key.secret is not None and has_blank(key.secret.get_secret_value()):
        yield source.error(
            (*path, "secret"), "holds a space or a control character; use letters and digits"
        )
    if key.not_after is None:
        return
    if key.not_before is not None and key.not_before >= key.not_after:
        yield source.error(
            (*path, "not_after"), "is not after `not_before`; the key would never be valid"
        )
    elif key.not_after <= now:
        yield source.warning(
            (*path, "not_after"),
            f"the key is refused since {key.not_after:%Y-%m-%d %H:%M} UTC; remove it, or set a "
            "later time",
        )


def _digest(key: Key) -> str | None:
    if key.secret is None:
        return key.secret_sha256
    return hashlib.sha256(key.secret.get_secret_value().encode()).hexdigest()


def _streams(config: Config, source: Source, suggestions: Suggestions) -> Iterator[Problem]:
    known = dict.fromkeys([*config.keys, *source.declared("keys")])
    full: dict[str, str] = {}
    for name, stream in config.streams.items():
        path: DataPath = ("streams", name)
        first = full.setdefault(names.full_name(name), name)
        if first != name:
            yield source.error(
                path, f"is the same stream as streams.{first}; remove one", at_name=True
            )
        if stream.keys is None:
            if stream.source is None:
                yield source.error(
                    path,
                    "says neither who may publish it nor what it is made of; add `keys` (or "
                    "`keys: any` for no authentication), or `source`",
                    at_name=True,
                    unless=((*path, "keys"), (*path, "source")),
                )
        elif stream.keys == "any":
            if stream.key_in_name:
                yield source.error(
                    (*path, "key_in_name"), "has no meaning with `keys: any`; remove it"
                )
        else:
            yield from _stream_keys(path, stream.keys, known, source, suggestions)
            yield from _keys_in_name(path, stream, config, source)


def _stream_keys(
    path: DataPath,
    keys: tuple[str, ...],
    known: Mapping[str, None],
    source: Source,
    suggestions: Suggestions,
) -> Iterator[Problem]:
    if not keys:
        yield source.error(
            (*path, "keys"),
            "is empty, so that nobody could publish; name a key, or write `any` for no "
            "authentication",
        )
    for position, key in enumerate(keys):
        where = (*path, "keys", position)
        if key not in known:
            hint = suggestions.nearest(key, known)
            # Long, and like no other name, it may be a secret in the place of its name.
            name = f"key {key}" if hint or len(key) < _LONGEST_ECHO else "key of this name"
            yield source.error(
                where,
                f"there is no {name}{hint or '; add it under `keys`'}",
                unless=[("keys",)],
            )
        elif key in keys[:position]:
            yield source.warning(where, "names the same key again; remove it")


def _keys_in_name(
    path: DataPath, stream: Stream, config: Config, source: Source
) -> Iterator[Problem]:
    if not stream.key_in_name or stream.keys is None or stream.keys == "any":
        return
    for position, name in enumerate(stream.keys):
        key = config.keys.get(name)
        if key is None or key.secret is None:
            continue
        # A name on the server is the stream's name, a dash and the secret.
        secret = key.secret.get_secret_value()
        if "/" in secret or not names.is_published_name(f"app/name-{secret}"):
            yield source.error(
                (*path, "keys", position),
                f"the secret of keys.{name} cannot stand in a stream's name; use letters, "
                "digits and _.~=+@,:- in it",
            )


def _apps(
    config: Config, source: Source, engines: Mapping[str, EngineName | None]
) -> Iterator[Problem]:
    """Check patterns of apps against nginx-rtmp, which has to be told its apps by name."""
    server = next((name for name, engine in engines.items() if engine == "nginx-rtmp"), None)
    if server is None:
        return
    written = [*config.streams, *filter(names.is_pattern, source.declared("streams"))]
    apps = {names.split(names.full_name(name))[0] for name in written}
    declared = {app for app in apps if not names.has_wildcard(app)} | {names.DEFAULT_APP}
    for name in config.streams:
        app, _ = names.split(names.full_name(name))
        if not names.has_wildcard(app):
            continue
        if app == "*" or any(names.matches(app, other) for other in declared):
            yield source.warning(
                ("streams", name),
                f"servers.{server} runs nginx-rtmp, which takes only apps that it is told by "
                f"name: {', '.join(sorted(declared))}; name others as APP/*",
                at_name=True,
            )
        else:
            yield source.error(
                ("streams", name),
                f"can match nothing on servers.{server}: nginx-rtmp takes only apps that it is "
                "told by name; name them as APP/*",
                at_name=True,
                unless=(("servers", server, "engine"), ("servers", server, "binary")),
            )
