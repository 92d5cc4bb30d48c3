"""The name that was probably meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_LIKENESS = 0.6


class Suggestions:
    """Finds the known name that was probably meant.

    A comparison takes some microseconds, so that ten thousand wrong names among ten thousand
    would take minutes; after `comparisons` of them no more suggestions are made.
    """

    def __init__(self, comparisons: int = 50_000) -> None:
        self._left = comparisons

    def nearest(self, word: str, known: Iterable[str]) -> str:
        """Return `; did you mean X?` to put behind a message, or nothing."""
        best = self.nearest_name(word, known)
        return f"; did you mean {best}?" if best else ""

    def nearest_name(self, word: str, known: Iterable[str]) -> str:
        """Return the known name that was probably meant, or nothing."""
        best, likeness = "", _LIKENESS
        matcher = SequenceMatcher(autojunk=False)
        matcher.set_seq2(word)
        for name in known:
            self._left -= 1
            if self._left < 0:
                break
            matcher.set_seq1(name)
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) <= likeness:
                continue
            if matcher.ratio() > likeness:
                best, likeness = name, matcher.ratio()
        return best
