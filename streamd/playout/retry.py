"""When to try again what failed. Pure."""

from random import Random

_JITTER = 0.25


class Retry:
    """Waits that double, each shortened by up to a quarter, so that what failed together parts.

    Args:
        first_s: the first wait.
        limit_s: the longest.
        random: what they are shortened by.
    """

    def __init__(self, first_s: float, limit_s: float, random: Random) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._random = random
        self._failures = 0

    def next_s(self) -> float:
        """Count a failure, and return how long to wait."""
        wait = min(self._limit_s, self._first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return wait * (1.0 - _JITTER * self._random.random())

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._failures = 0
