"""What waits to be sent, in memory: one lane for each callback and stream. Pure.

Within a lane one event is sent after another, in order; lanes know nothing of each other. Times
are monotonic and in seconds.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamd.callbacks import retry
from streamd.callbacks.outbox import Kept

AT_ONCE = 8
"""So many requests are under way to one callback at a time."""


@dataclass(slots=True)
class Lane:
    """What waits for one callback about one stream.

    Attributes:
        callback, stream: whose.
        waiting: oldest first.
        attempts: failed ones of the oldest, in a row.
        due_at: when the oldest is tried next.
        tried_since: when the oldest was tried first; None: not yet.
        is_busy: it is being sent now.
        ticket: of its place in the order of what is due; an older one means nothing.
    """

    callback: str
    stream: str
    waiting: deque[Kept] = field(default_factory=deque)
    attempts: int = 0
    due_at: float = 0.0
    tried_since: float | None = None
    is_busy: bool = False
    ticket: int = 0


class Lanes:
    """Says what is to be sent next."""

    def __init__(self) -> None:
        self._lanes: defaultdict[str, dict[str, Lane]] = defaultdict(dict)
        self._unreached: defaultdict[str, set[str]] = defaultdict(set)
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._due: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
        self._busy: defaultdict[str, int] = defaultdict(int)
        self._tickets = 0

    def add(self, kept: Kept, now: float) -> bool:
        """Let one more event wait; False: it does already."""
        if kept.name in self._names[kept.callback]:
            return False
        self._names[kept.callback].add(kept.name)
        lane = self._lane(kept.callback, kept.event.stream)
        if lane is None:
            lane = Lane(kept.callback, kept.event.stream)
            self._lanes[lane.callback][lane.stream] = lane
            self._schedule(lane, now)
        lane.waiting.append(kept)
        return True

    def take(self, callback: str, now: float) -> Lane | None:
        """Return a lane of which one event may be sent now, and count it as busy; None for none."""
        due = self._due[callback]
        while due and self._busy[callback] < AT_ONCE:
            at, ticket, stream = due[0]
            lane = self._lane(callback, stream)
            is_past = lane is None or lane.is_busy or lane.ticket != ticket
            if lane is not None and not is_past and at > now:
                return None
            heapq.heappop(due)
            if lane is None or is_past:
                continue
            lane.is_busy = True
            if lane.tried_since is None:
                lane.tried_since = now
            self._busy[callback] += 1
            return lane
        return None

    def sent(self, lane: Lane, now: float) -> Kept:
        """Note that the oldest of a lane arrived, and return it.

        Whatever could not reach this callback's server is tried at once.
        """
        self._free(lane)
        kept = self._pop(lane, now)
        for stream in self._unreached.pop(lane.callback, ()):
            other = self._lane(lane.callback, stream)
            if other is not None and not other.is_busy:
                self._schedule(other, now)
        return kept

    def failed(self, lane: Lane, now: float, *, jitter: float, reached: bool) -> float:
        """Note that the oldest of a lane did not arrive, and return the wait until the next try."""
        self._free(lane)
        lane.attempts += 1
        if not reached:
            self._unreached[lane.callback].add(lane.stream)
        wait_s = retry.delay_s(lane.attempts, jitter)
        self._schedule(lane, now + wait_s)
        return wait_s

    def give_up(self, callback: str, now: float, wall: float) -> list[Kept]:
        """Drop what is too old to be sent, and return it.

        Args:
            callback: whose.
            now: monotonic time.
            wall: Unix time.
        """
        dropped = []
        for lane in list(self._of(callback)):
            while (
                lane.waiting
                and not lane.is_busy
                and lane.tried_since is not None
                and retry.is_given_up(wall - lane.waiting[0].event.at, now - lane.tried_since)
            ):
                tried_since = lane.tried_since
                dropped.append(self._pop(lane, now))
                # What came after it waited for it, and was as good as tried.
                lane.tried_since = tried_since
        return dropped

    def expire(self, callback: str, wall: float) -> list[Kept]:
        """Drop and return what is too old to be sent to a callback that nobody names any more."""
        old = [
            (lane, kept)
            for lane in list(self._of(callback))
            for kept in list(lane.waiting)[lane.is_busy :]
            if wall - kept.event.at >= retry.GIVEN_UP_AFTER_S
        ]
        self._drop(old)
        return [kept for _, kept in old]

    def trim(self, callback: str, limit: int) -> list[Kept]:
        """Drop the oldest that wait for a callback beyond a number, and return them."""
        over = len(self._names[callback]) - limit
        if over <= 0:
            return []
        oldest = sorted(
            (
                (kept.name, lane, kept)
                for lane in self._of(callback)
                for kept in list(lane.waiting)[lane.is_busy :]
            ),
            key=lambda found: found[0],
        )[:over]
        self._drop([(lane, kept) for _, lane, kept in oldest])
        return [kept for _, _, kept in oldest]

    def hurry(self, callback: str, now: float) -> None:
        """Try everything that waits for a callback at once, as when its address has changed."""
        for lane in self._of(callback):
            lane.attempts = 0
            if not lane.is_busy:
                self._schedule(lane, now)

    def is_on_its_way(self, callback: str, stream: str) -> bool:
        """Tell whether something about a stream is being sent, or about to, for the first time."""
        lane = self._lane(callback, stream)
        return lane is not None and (lane.is_busy or lane.attempts == 0)

    def callbacks(self) -> set[str]:
        """Return the callbacks for which something waits."""
        return {callback for callback, lanes in self._lanes.items() if lanes}

    def waiting(self, callback: str) -> int:
        """Return how many events wait for a callback, with those being sent."""
        return len(self._names[callback])

    def is_failing(self, callback: str) -> bool:
        """Tell whether the oldest event of some lane of a callback has failed."""
        return any(lane.attempts for lane in self._of(callback))

    def failing(self, callback: str) -> list[Lane]:
        """Return the lanes of a callback whose oldest event has failed."""
        return [lane for lane in self._of(callback) if lane.attempts]

    def next_at(self, callback: str) -> float | None:
        """Return when something of a callback is due; None when nothing waits for its time."""
        if self._busy[callback] >= AT_ONCE:
            return None
        due = self._due[callback]
        while due:
            at, ticket, stream = due[0]
            lane = self._lane(callback, stream)
            if lane is not None and not lane.is_busy and lane.ticket == ticket:
                return at
            heapq.heappop(due)
        return None

    def _of(self, callback: str) -> Iterator[Lane]:
        return iter(self._lanes[callback].values())

    def _lane(self, callback: str, stream: str) -> Lane | None:
        return self._lanes[callback].get(stream)

    def _free(self, lane: Lane) -> None:
        lane.is_busy = False
        self._busy[lane.callback] -= 1

    def _drop(self, dropped: list[tuple[Lane, Kept]]) -> None:
        for lane, kept in dropped:
            lane.waiting.remove(kept)
            self._names[lane.callback].discard(kept.name)
            if not lane.waiting:
                del self._lanes[lane.callback][lane.stream]

    def _pop(self, lane: Lane, now: float) -> Kept:
        kept = lane.waiting.popleft()
        self._names[lane.callback].discard(kept.name)
        lane.attempts, lane.tried_since = 0, None
        if lane.waiting:
            self._schedule(lane, now)
        else:
            del self._lanes[lane.callback][lane.stream]
        return kept

    def _schedule(self, lane: Lane, at: float) -> None:
        self._tickets += 1
        lane.due_at, lane.ticket = at, self._tickets
        heapq.heappush(self._due[lane.callback], (at, self._tickets, lane.stream))
