"""Stream patterns, arranged so that those that meet a name are found without trying them all."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from streamd.names import has_wildcard, matches, overlap

_LAST = "\U0010ffff"  # sorts behind every character that a name can hold


class PatternIndex:
    """A set of full patterns (`app/stream`) that answers for one name or pattern at a time.

    With 10,000 streams and 10,000 targets, comparing each with each is out of the question.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns: set[str] = set()
        # Patterns with a star by the text before the first star and the text behind the last one.
        self._by_ends: dict[tuple[str, str], list[str]] = {}
        self._end_lengths: set[tuple[int, int]] = set()
        # All patterns by one of these ends, the one behind read backwards.
        self._by_head = _Beginnings()
        self._by_tail = _Beginnings()
        for pattern in patterns:
            self.add(pattern)

    def add(self, pattern: str) -> None:
        """Put a full pattern in; twice is once."""
        if pattern in self._patterns:
            return
        self._patterns.add(pattern)
        head, tail = _ends(pattern)
        self._by_head.add(head, pattern)
        self._by_tail.add(tail[::-1], pattern)
        if has_wildcard(pattern):
            self._by_ends.setdefault((head, tail), []).append(pattern)
            self._end_lengths.add((len(head), len(tail)))

    def matching(self, stream: str) -> Iterator[str]:
        """Yield the patterns that match one stream, a name without a star first."""
        if stream in self._patterns:
            yield stream
        for head, tail in self._end_lengths:
            if head + tail > len(stream):
                continue
            candidates = self._by_ends.get((stream[:head], stream[len(stream) - tail :]), ())
            yield from (pattern for pattern in candidates if matches(pattern, stream))

    def overlapping(self, pattern: str) -> Iterator[str]:
        """Yield the patterns that share at least one possible stream with a pattern.

        The same pattern comes first.
        """
        if not has_wildcard(pattern):
            yield from self.matching(pattern)
            return
        if pattern in self._patterns:
            yield pattern
        head, tail = _ends(pattern)
        candidates = (
            self._by_head.compatible(head)
            if len(head) >= len(tail)
            else self._by_tail.compatible(tail[::-1])
        )
        yield from (other for other in candidates if other != pattern and overlap(pattern, other))


class _Beginnings:
    """Patterns by a text that they begin with, whatever follows."""

    def __init__(self) -> None:
        self._patterns: dict[str, list[str]] = {}
        self._texts: list[str] = []

    def add(self, text: str, pattern: str) -> None:
        if text not in self._patterns:
            self._patterns[text] = []
            insort(self._texts, text)
        self._patterns[text].append(pattern)

    def compatible(self, text: str) -> Iterator[str]:
        """Yield the patterns whose text begins with this one, or this one with theirs."""
        for length in range(len(text)):
            yield from self._patterns.get(text[:length], ())
        first = bisect_left(self._texts, text)
        for found in self._texts[first : bisect_left(self._texts, text + _LAST)]:
            yield from self._patterns[found]


def _ends(pattern: str) -> tuple[str, str]:
    """Return what stands before the first star and behind the last; twice a name without one."""
    return pattern.partition("*")[0], pattern.rpartition("*")[2]
