"""What feeds itself, alone or around through others. Such a loop never ends."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamd import names
from streamd.config.addresses import fill
from streamd.config.data_path import DataPath
from streamd.config.pattern_index import PatternIndex

MAX_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Feed:
    """What makes streams of streams on the servers of one file: a target, a transcode, a source.

    Attributes:
        path: of what says so.
        reads: full patterns of what it takes.
        published: what it publishes, as `app/stream`, with `{app}` and `{stream}` open.
    """

    path: DataPath
    reads: tuple[str, ...]
    published: str


def loops(feeds: Sequence[Feed]) -> Iterator[tuple[Feed, ...]]:
    """Yield the feeds of each loop, in the order in which a stream comes to them first.

    No feed is yielded twice.

    Streams are followed and not targets: that one target reads some of what another publishes
    does not mean that anything goes around. Names multiply only where somebody builds them to;
    after `MAX_STEPS` names no more are followed.
    """
    graph = _Graph(feeds)
    for feed in feeds:
        for pattern in feed.reads:
            while loop := graph.walk(pattern, feed):
                # They have to be changed anyway, and other loops may run through them.
                graph.remove(loop)
                yield loop


class _Graph:
    """Which feed turns which stream into which."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._readers: dict[str, dict[DataPath, Feed]] = {}
        for feed in feeds:
            for pattern in feed.reads:
                self._readers.setdefault(pattern, {})[feed.path] = feed
        self._index = PatternIndex(self._readers)
        self._harmless: set[str] = set()

    def remove(self, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            for pattern in feed.reads:
                self._readers[pattern].pop(feed.path, None)

    def walk(self, pattern: str, first: Feed) -> tuple[Feed, ...]:
        """Follow what a feed reads, depth first; return the feeds of the first loop met."""
        if first.path not in self._readers[pattern]:
            return ()
        way: dict[str, Feed] = {pattern: first}  # stream -> who reads it, in the order of the way
        pending = [iter([(first, fill(first.published, pattern))])]
        while pending and len(self._harmless) < MAX_STEPS:
            step = next(pending[-1], None)
            if step is None:
                pending.pop()
                stream, _ = way.popitem()
                if pending:  # of the start only one reader was followed
                    self._harmless.add(stream)
                continue
            reader, published = step
            way[next(reversed(way))] = reader
            if published in way:
                return _distinct(list(way.values())[list(way).index(published) :])
            if len(published) > names.MAX_NAME_LENGTH:
                # A name that grows without end, by feeds that have been here before.
                paths = Counter(feed.path for feed in way.values())
                grown = _distinct([feed for feed in way.values() if paths[feed.path] > 1])
                if grown:
                    return grown
            elif published not in self._harmless:
                way[published] = reader
                pending.append(self._onward(published))
        return ()

    def _onward(self, stream: str) -> Iterator[tuple[Feed, str]]:
        """Yield who reads a stream or a pattern of streams, and what it makes of it."""
        for pattern in self._index.overlapping(stream):
            # Of two patterns the one without a star is all that both can mean.
            both = stream if names.has_wildcard(pattern) else pattern
            for feed in list(self._readers[pattern].values()):
                yield feed, fill(feed.published, both)


def _distinct(feeds: Sequence[Feed]) -> tuple[Feed, ...]:
    return tuple({feed.path: feed for feed in feeds}.values())
