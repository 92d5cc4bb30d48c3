"""How many processes are started a second, so that those that start first are live first."""

from collections import deque

STARTS_PER_CORE_S = 6
"""FFmpeg's start takes about a sixth of a second of a core. Two hundred that start at the same
time are all live at the end; at this pace each is live when its turn comes, and the end is the
same."""


class Pace:
    """Lets through a number of starts within any second.

    Args:
        cores: of the machine.
    """

    def __init__(self, cores: int) -> None:
        self._most = max(1, cores) * STARTS_PER_CORE_S
        self._starts: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Take one start (monotonic time), if there is one left in this second."""
        while self._starts and now - self._starts[0] >= 1.0:
            self._starts.popleft()
        if len(self._starts) >= self._most:
            return False
        self._starts.append(now)
        return True

    def next_at(self) -> float | None:
        """Return when the oldest start of the last second makes room; None without any."""
        return self._starts[0] + 1.0 if self._starts else None
