"""Checks of streams that streamd publishes itself: `source` and `fallback`. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from streamd import names
from streamd.config.addresses import has_blank
from streamd.config.cycles import Feed
from streamd.config.data_path import DataPath
from streamd.config.models import Config, Stream, StreamSource
from streamd.config.own_servers import OwnServers
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.config.user_info import misleading
from streamd.errors import Problem

PULL_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "http", "https")

_FILES_ALONE = ("loop", "shuffle", "picture")
_PULL_ALONE = ("backup_url", "transport", "audio", "on_demand")


def check_sources(config: Config, source: Source, suggestions: Suggestions) -> Iterator[Problem]:
    """Yield what is wrong with the streams that streamd publishes itself.

    Args:
        config: to check.
        source: where it stands.
        suggestions: for names that are not known.
    """
    full = {names.full_name(name): name for name in config.streams}
    for name, stream in config.streams.items():
        path: DataPath = ("streams", name)
        if stream.source is None and stream.fallback is None:
            if stream.server is not None:
                yield source.error(
                    (*path, "server"),
                    "has no meaning without `source` or `fallback`; remove it",
                    unless=((*path, "source"), (*path, "fallback")),
                )
            continue
        yield from _stream(path, stream, config, source, suggestions)
        if stream.source is not None:
            yield from _source((*path, "source"), stream.source, source)
        ingest = full.get(names.ingest_name(names.full_name(name)))
        if stream.fallback is not None and stream.keys is not None and ingest is not None:
            yield source.error(
                ("streams", ingest),
                f"is where streams.{name} is published, as it has a fallback; rename one",
                at_name=True,
            )


def _stream(
    path: DataPath, stream: Stream, config: Config, source: Source, suggestions: Suggestions
) -> Iterator[Problem]:
    if names.has_wildcard(str(path[1])):
        what = "source" if stream.source is not None else "fallback"
        yield source.error(
            (*path, what), "goes with one stream, and this is a pattern; name the stream"
        )
    if stream.source is not None and stream.keys is not None:
        yield source.error(
            (*path, "keys"),
            "has no meaning with `source`, since streamd publishes this stream; remove it",
        )
    if stream.key_in_name:
        yield source.error(
            (*path, "key_in_name"),
            "does not go with `source` or `fallback`; publish with ?secret=KEY instead",
        )
    if stream.server is not None and stream.server not in config.servers:
        known = dict.fromkeys([*config.servers, *source.declared("servers")])
        if stream.server not in known:
            hint = suggestions.nearest(stream.server, known) or "; add it under `servers`"
            yield source.error(
                (*path, "server"),
                f"there is no server {stream.server}{hint}",
                unless=[("servers",)],
            )


def _source(path: DataPath, of: StreamSource, source: Source) -> Iterator[Problem]:
    kinds: tuple[DataPath, ...] = ((*path, "files"), (*path, "url"))
    if of.files is None and of.url is None:
        yield source.error(
            path, "is made of nothing; add `files` or `url`", at_name=True, unless=kinds
        )
        return
    if of.files is not None and of.url is not None:
        yield source.error(path, "has `files` and `url`; remove one", at_name=True)
        return
    kind, alien = ("files", _PULL_ALONE) if of.files is not None else ("url", _FILES_ALONE)
    for name in alien:
        if name in of.model_fields_set:
            yield source.error(
                (*path, name), f"has no meaning with `{kind}`; remove it", unless=kinds
            )
    if of.files is not None and not of.files:
        yield source.error((*path, "files"), "is empty; name a file")
    yield from _times(path, of, source)
    for name in ("url", "backup_url"):
        url = getattr(of, name)
        fault = None if url is None else pull_fault(url.get_secret_value())
        if fault is not None:
            yield source.error((*path, name), fault)
    if of.url is not None and of.url == of.backup_url:
        yield source.warning((*path, "backup_url"), "is the same address as `url`; give another")


def _times(path: DataPath, of: StreamSource, source: Source) -> Iterator[Problem]:
    if (of.start is None) != (of.end is None):
        given, missing = ("start", "end") if of.start is not None else ("end", "start")
        yield source.error(
            (*path, given), f"needs `{missing}` too; add it", unless=[(*path, missing)]
        )
    elif of.start is not None and of.start == of.end:
        yield source.error((*path, "end"), "is the same time as `start`; remove both for all day")
    if of.start is None and "timezone" in of.model_fields_set:
        yield source.error(
            (*path, "timezone"),
            "has no meaning without `start` and `end`; remove it",
            unless=[(*path, "start")],
        )


def pull_fault(url: str) -> str | None:
    """Say why an address cannot be pulled from and what to do, without repeating it."""
    if has_blank(url):
        return "holds a space or a control character; remove it, or write it as %20"
    fault = misleading(url)
    if fault is not None:
        return fault
    parts = _split(url)
    if parts is None or parts.scheme not in PULL_SCHEMES:
        return f"is not an address to pull from; begin it with {'://, '.join(PULL_SCHEMES)}://"
    if not parts.hostname:
        return "names no host; write for example rtsp://HOST/PATH"
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        return "has a port that is none; write a number from 1 to 65535"
    if parts.scheme == "srt" and port is None:
        return "names no port, and SRT has no usual one; write srt://HOST:PORT"
    return None


def _split(url: str) -> SplitResult | None:
    if re.match(r"[a-z]+://", url) is None:
        return None
    try:
        return urlsplit(url)
    except ValueError:
        return None


def source_feeds(config: Config, own: OwnServers) -> Iterator[Feed]:
    """Yield what is made of other streams: pulled from an own server, or of an ingest."""
    for name, stream in config.streams.items():
        full = names.full_name(name)
        path: DataPath = ("streams", name)
        if stream.fallback is not None and stream.keys is not None:
            yield Feed((*path, "fallback"), (names.ingest_name(full),), full)
        if stream.source is None:
            continue
        for field, url in (("url", stream.source.url), ("backup_url", stream.source.backup_url)):
            pulled = None if url is None else own.played(url.get_secret_value())
            if pulled is not None:
                yield Feed((*path, "source", field), (pulled,), full)
