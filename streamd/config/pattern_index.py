"""Stream patterns, arranged so that those that meet a name are found without trying them all."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from streamd.names import matches, overlap

_LAST = "\U0010ffff"  # sorts behind every character that a name can hold


class PatternIndex:
    """A set of full patterns (`app/stream`) that answers for one name or pattern at a time.

    With 10,000 streams and 10,000 targets, comparing each with each is out of the question.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        # Patterns with a star by the text before the first star and the text behind the last one.
        self._by_ends: dict[tuple[str, str], list[str]] = {}
        self._end_lengths: set[tuple[int, int]] = set()
        # Everything by the text before its first star (a name is all such text), for ranges.
        self._by_head: dict[str, list[str]] = {}
        self._heads: list[str] = []
        for pattern in patterns:
            self.add(pattern)

    def add(self, pattern: str) -> None:
        """Put a full pattern in; twice is once."""
        head, star, _ = pattern.partition("*")
        known = self._by_head.setdefault(head, [])
        if not known:
            insort(self._heads, head)
        elif pattern in (self._by_ends.get(_ends(pattern), ()) if star else self._exact):
            return
        known.append(pattern)
        if not star:
            self._exact.add(pattern)
            return
        ends = _ends(pattern)
        self._by_ends.setdefault(ends, []).append(pattern)
        self._end_lengths.add((len(ends[0]), len(ends[1])))

    def matching(self, stream: str) -> Iterator[str]:
        """Yield the patterns that match one stream, a name without a star first."""
        if stream in self._exact:
            yield stream
        for head, tail in self._end_lengths:
            if head + tail > len(stream):
                continue
            candidates = self._by_ends.get((stream[:head], stream[len(stream) - tail :]), ())
            yield from (pattern for pattern in candidates if matches(pattern, stream))

    def overlapping(self, pattern: str) -> Iterator[str]:
        """Yield the patterns that share at least one possible stream with a pattern."""
        if "*" not in pattern:
            yield from self.matching(pattern)
            return
        head = pattern.partition("*")[0]
        for length in range(len(head)):
            for other in self._by_head.get(head[:length], ()):
                if overlap(pattern, other):
                    yield other
        first = bisect_left(self._heads, head)
        for found in self._heads[first : bisect_left(self._heads, head + _LAST)]:
            yield from (other for other in self._by_head[found] if overlap(pattern, other))


def _ends(pattern: str) -> tuple[str, str]:
    return pattern.partition("*")[0], pattern.rpartition("*")[2]
