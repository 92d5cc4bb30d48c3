"""How fast counters advance that a server adds up at its own pace."""

from collections import deque
from collections.abc import Iterable

WINDOW_S = 10.0
SHORTEST_S = 1.0
"""Over less time than this no rate is told: a publisher begins with a burst."""


class Rates:
    """Kilobits per second of several byte counters, over about the last 10 s.

    Only the moments at which a counter changed count, so that a server that adds up every 3 s is
    not taken to be silent in between.
    """

    def __init__(self) -> None:
        self._changes: dict[str, deque[tuple[float, int]]] = {}

    def update(self, key: str, total_bytes: int, now: float) -> int:
        """Take a reading of one counter, and return its rate; 0 until it is known.

        Args:
            key: names the counter.
            total_bytes: what it says.
            now: the time in seconds, on a clock that never goes back.
        """
        changes = self._changes.setdefault(key, deque())
        if changes and total_bytes < changes[-1][1]:
            changes.clear()
        if not changes or total_bytes > changes[-1][1]:
            changes.append((now, total_bytes))
        while len(changes) > 2 and changes[1][0] <= now - WINDOW_S:
            changes.popleft()
        (first_at, first), (last_at, last) = changes[0], changes[-1]
        if now - last_at > WINDOW_S or last_at - first_at < SHORTEST_S:
            return 0
        return round((last - first) * 8 / 1000 / (last_at - first_at))

    def keep(self, keys: Iterable[str]) -> None:
        """Forget every counter but these."""
        kept = set(keys)
        for key in self._changes.keys() - kept:
            del self._changes[key]
