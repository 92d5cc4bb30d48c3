"""Times of day between which something is wanted. Pure: the clock is an argument."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """From `start` to `end` every day, as a clock on a wall in `zone` shows them.

    `end` at or before `start` is on the next day; both the same is the whole day. Where the clocks
    change, a time that is left out counts as what it would have been before the change, and of
    one that comes twice the first counts (PEP 495).
    """

    start: time
    end: time
    zone: str

    def is_open(self, now: datetime) -> bool:
        """Tell whether `now` (aware) lies in the window, `start` included and `end` not."""
        return any(begins <= now < ends for begins, ends in self._around(now))

    def next_change(self, now: datetime) -> datetime:
        """Return when, in UTC, the window opens or closes next after `now` (aware)."""
        moments = [moment for pair in self._around(now) for moment in pair if moment > now]
        return min(moments)

    def _around(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the windows that begin yesterday, today and in the next two days."""
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        for days in (-1, 0, 1, 2):
            day = today + timedelta(days=days)
            last = day if self.end > self.start else day + timedelta(days=1)
            # In UTC, as two times of one zone are compared by what the clocks show.
            yield (
                datetime.combine(day, self.start, zone).astimezone(UTC),
                datetime.combine(last, self.end, zone).astimezone(UTC),
            )
