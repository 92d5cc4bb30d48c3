"""When to try again what failed. Pure."""

from random import Random

from streamd.waits import doubling_s


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
        self._failures += 1
        jitter = self._random.random()
        return doubling_s(self._failures, self._first_s, self._limit_s, jitter=jitter)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._failures = 0
