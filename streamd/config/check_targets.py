"""Checks of `targets`: what they send, where to, and whether two get in each other's way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from streamd import names, platforms
from streamd.config.addresses import Address, AddressError, has_blank, parse_address
from streamd.config.cycles import Feed, loops
from streamd.config.data_path import DataPath
from streamd.config.known_streams import KnownStreams
from streamd.config.models import Config, Target
from streamd.config.own_servers import OwnServers
from streamd.config.pattern_index import PatternIndex
from streamd.config.source import Source
from streamd.errors import Problem


@dataclass(frozen=True, slots=True)
class _Outlet:
    """One address that a target sends to: its own or its backup, with the key."""

    target: str
    path: DataPath
    streams: tuple[str, ...]  # full patterns
    address: Address
    enabled: bool

    def unless(self) -> Iterator[DataPath]:
        """Yield what decides where it sends, and whether it does."""
        for name in ("url", "platform", "key", "enabled"):
            yield "targets", self.target, name


def check_targets(
    config: Config,
    source: Source,
    known: KnownStreams,
    own: OwnServers,
    others: Iterable[Feed] = (),
) -> Iterator[Problem]:
    """Yield what is wrong with the targets, and every loop that they and others are part of.

    Args:
        config: to check.
        source: where it stands.
        known: the streams that can be sent.
        own: the servers of the file.
        others: what else makes one stream of another.
    """
    outlets: list[_Outlet] = []
    for name, target in config.targets.items():
        path: DataPath = ("targets", name)
        yield from _selection(path, target, source)
        yield from _unmatched(path, target, known)
        yield from _key(path, target, source)
        for outlet in _outlets(name, target, source):
            if isinstance(outlet, Problem):
                yield outlet
            else:
                outlets.append(outlet)
    enabled = [outlet for outlet in outlets if outlet.enabled]
    yield from _shared(enabled, source)
    yield from _cycles(enabled, others, own, source)


def patterns_of(target: Target) -> tuple[str, ...]:
    """Return what a target sends, as full patterns."""
    written = (target.stream,) if target.stream is not None else target.streams or ()
    return tuple(map(names.full_name, written))


def _selection(path: DataPath, target: Target, source: Source) -> Iterator[Problem]:
    if target.stream is None and target.streams is None:
        yield source.error(
            path,
            "sends nothing; add `stream` or `streams`",
            at_name=True,
            unless=((*path, "stream"), (*path, "streams")),
        )
    elif target.stream is not None and target.streams is not None:
        yield source.error(path, "has `stream` and `streams`; remove one", at_name=True)
    elif target.streams is not None and not target.streams:
        yield source.error((*path, "streams"), "is empty; name a stream, or set `enabled: false`")


def _unmatched(path: DataPath, target: Target, known: KnownStreams) -> Iterator[Problem]:
    if target.stream is not None:
        yield from known.unmatched((*path, "stream"), target.stream)
        return
    for position, text in enumerate(target.streams or ()):
        yield from known.unmatched((*path, "streams", position), text)


def _key(path: DataPath, target: Target, source: Source) -> Iterator[Problem]:
    preset = platforms.PLATFORMS[target.platform]
    if target.url is None and preset.server is None:
        if target.platform == "custom":
            message = "has no address; add `url`, or `platform` and `key`"
        else:
            message = f"needs `url`; {preset.title} gives each account its own server"
        yield source.error(
            path, message, at_name=True, unless=((*path, "url"), (*path, "platform"))
        )
    elif target.url is None and target.key is None:
        yield source.error(
            path,
            f"needs `key`; {preset.title} shows it under: {preset.key_hint}",
            at_name=True,
            unless=((*path, "key"), (*path, "url")),
        )
    if target.key is not None and has_blank(target.key.get_secret_value()):
        yield source.error((*path, "key"), "holds a space or a control character; remove it")


def _outlets(name: str, target: Target, source: Source) -> Iterator[_Outlet | Problem]:
    """Yield the addresses of a target that are in order, and what is wrong with the others."""
    key = target.key.get_secret_value() if target.key is not None else None
    streams = patterns_of(target)
    for field_name, platform, value in (
        ("url", target.platform, target.url),
        ("backup_url", "custom", target.backup_url),
    ):
        path: DataPath = ("targets", name, field_name)
        url = value.get_secret_value() if value is not None else None
        if url is None and (field_name == "backup_url" or not platforms.PLATFORMS[platform].server):
            continue
        try:
            address = parse_address(url) if url is not None else None
            whole = parse_address(platforms.compose(platform, url, key))
        except AddressError as error:
            # A key that cannot stand in an address is reported as the key.
            if not (key is not None and has_blank(key)):
                yield source.error(path, str(error))
            continue
        if address is not None:
            yield from _completeness(path, target, address, source)
            yield from _one_for_many(path, target, whole, source)
        yield _Outlet(name, path, streams, whole, target.enabled)


def _completeness(
    path: DataPath, target: Target, address: Address, source: Source
) -> Iterator[Problem]:
    if address.scheme == "srt":
        if target.key is not None and "streamid=" in address.query:
            yield source.error(path, "has a streamid already, which `key` would be; remove one")
        return
    segments = [segment for segment in address.path.split("/") if segment]
    if not segments:
        yield source.error(path, "names no app; write for example rtmp://HOST/APP/KEY")
    elif len(segments) == 1 and target.key is None:
        message = "ends at the app, without a stream key; append the key, or add `key`"
        if target.platform == "custom" or address.query:
            yield source.warning(path, message)
        else:
            yield source.error(path, message, unless=[(*path[:-1], "key")])


def _one_for_many(
    path: DataPath, target: Target, whole: Address, source: Source
) -> Iterator[Problem]:
    patterns = patterns_of(target)
    many = len(patterns) > 1 or any(map(names.has_wildcard, patterns))
    if many and "{stream}" not in whole.path + whole.query:
        yield source.warning(
            path,
            "is one address for several streams, and a receiver takes one at a time; put {stream} "
            "in it",
        )


@dataclass(slots=True)
class _Senders:
    """Who sends to one address, by what they send."""

    first: _Outlet
    index: PatternIndex = field(default_factory=PatternIndex)
    by_pattern: dict[str, _Outlet] = field(default_factory=dict)

    def add(self, outlet: _Outlet) -> None:
        for pattern in outlet.streams:
            self.by_pattern.setdefault(pattern, outlet)
            self.index.add(pattern)

    def same(self, outlet: _Outlet) -> tuple[str, _Outlet] | None:
        """Return a stream that both this and an earlier one send, and the earlier one."""
        for pattern in outlet.streams:
            for other in self.index.overlapping(pattern):
                if self.by_pattern[other].path != outlet.path:
                    narrower = max(pattern, other, key=names.specificity)
                    return narrower, self.by_pattern[other]
        return None


def _shared(outlets: Iterable[_Outlet], source: Source) -> Iterator[Problem]:
    """Find addresses that more than one target, or a target and its backup, send to."""
    senders: dict[Address, _Senders | _Outlet] = {}
    for outlet in outlets:
        known = senders.setdefault(outlet.address, outlet)
        if known is outlet:
            continue
        if isinstance(known, _Outlet):
            first, known = known, _Senders(known)
            known.add(first)
            senders[outlet.address] = known
        same = known.same(outlet)
        known.add(outlet)
        if same is not None and same[1].target != outlet.target:
            yield source.error(
                outlet.path,
                f"sends {same[0]} to the same address and key as targets.{same[1].target}; "
                "remove one",
                unless=(*outlet.unless(), *same[1].unless()),
            )
        elif same is not None:
            yield source.warning(outlet.path, "is the same address as `url`; give another")
        else:
            yield source.warning(
                outlet.path,
                f"is the same address and key as that of targets.{known.first.target}, and a "
                "receiver takes one stream at a time; give another, or disable one",
            )


def _cycles(
    outlets: Iterable[_Outlet], others: Iterable[Feed], own: OwnServers, source: Source
) -> Iterator[Problem]:
    """Find what comes back to where it came from through servers of this file."""
    feeds = [
        Feed(outlet.path, outlet.streams, published)
        for outlet in outlets
        for published in [own.published(outlet.address)]
        if published is not None
    ]
    for loop in loops([*feeds, *others]):
        way = [f"{feed.path[0]}.{feed.path[1]}" for feed in (*loop, loop[0])]
        yield source.error(
            loop[0].path,
            f"feeds itself without end: {' -> '.join(way)}; let one of them publish another "
            "stream, or elsewhere",
            unless=[
                *own.uncertain(source.left_out),
                *((*feed.path[:2], "enabled") for feed in loop),
                *((*feed.path[:2], "key") for feed in loop),
            ],
        )
