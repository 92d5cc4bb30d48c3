"""Whether a stream's input goes on, and whether what it feeds has stalled. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from streamd.observe import Listing

STALL_S = 5.0
"""Media that has not advanced for so long, with a live input, has stalled."""

CONNECT_S = 30.0
"""A start that has sent nothing for so long, with a live input, has stalled."""

DELIVERY_S = 2.0
"""What came in shows in an FFmpeg's reports after so long at the latest, unless it has stalled.

It reports every second, and a second is to spare.
"""

HELD_BACK_S = 0.6
"""An FFmpeg whose input stops keeps the last of it, up to so much, until more comes."""

SILENCE_S = 1.0
"""A counter that stood still so much longer than it may is a publisher that sent nothing."""

INPUT_ALIVE_S = 8.0
"""An input counts as live when it was seen to advance within this time.

It is more than twice what the slowest counter takes, and longer than from listing to listing.
"""


@dataclass(frozen=True, slots=True)
class Advance:
    """Media that came in, after one moment and before another (monotonic).

    A server counts it some time after it came, and is asked some time after that.
    """

    after: float
    seen_at: float


@dataclass(frozen=True, slots=True)
class Flow:
    """How far a stream's input came.

    Attributes:
        bytes_in: counted so far.
        listed_at: when that was asked for.
        still_since: since when it has been counted so.
        advances: the latest, oldest first.
        resumed_at: when it was last seen to go on after a silence; -infinity before the first.
    """

    bytes_in: int
    listed_at: float
    still_since: float
    advances: tuple[Advance, ...] = ()
    resumed_at: float = -math.inf

    def goes_on(self, now: float) -> bool:
        """Tell whether media has come in lately."""
        return bool(self.advances) and now - self.advances[-1].seen_at <= INPUT_ALIVE_S

    def seen_after(self, moment: float) -> float | None:
        """Return when media was first seen to have come in after a moment, None if never.

        What came long ago is forgotten, so that this may be some later media.
        """
        return next((each.seen_at for each in self.advances if each.after >= moment), None)


def flows(
    before: Mapping[tuple[str, str], Flow], listings: Mapping[str, Listing]
) -> dict[tuple[str, str], Flow]:
    """Return each publisher's `Flow`, by (server, client id), after new listings."""
    return {
        (server, stream.client_id): _flow(
            before.get((server, stream.client_id)), stream.bytes_in, listing
        )
        for server, listing in listings.items()
        for stream in listing.streams
    }


def _flow(last: Flow | None, bytes_in: int, listing: Listing) -> Flow:
    now = listing.asked_at
    if last is None:
        return Flow(bytes_in, now, now)
    if now <= last.listed_at:
        return last
    if bytes_in <= last.bytes_in:
        return replace(last, bytes_in=bytes_in, listed_at=now)
    advance = Advance(last.listed_at - listing.counter_s, now)
    was_silent = last.listed_at - last.still_since > listing.counter_s + SILENCE_S
    return Flow(
        bytes_in,
        listed_at=now,
        still_since=now,
        advances=(*(a for a in last.advances if now - a.seen_at < INPUT_ALIVE_S), advance),
        resumed_at=now if was_silent else last.resumed_at,
    )


def is_stalled(started_at: float, advanced_at: float | None, flow: Flow | None, now: float) -> bool:
    """Tell whether a process has stalled, all times monotonic.

    It has when its media stands still, although more of its input came in, and long enough ago to
    have been sent on.

    Args:
        started_at: when the process was first seen.
        advanced_at: when its media last advanced; None when it never did.
        flow: its input; None while unknown, which is never a stall.
        now: the time.
    """
    if flow is None or not flow.goes_on(now):
        return False
    if advanced_at is None:
        return now - max(started_at, flow.resumed_at) >= CONNECT_S
    came_at = flow.seen_after(advanced_at + HELD_BACK_S)
    if came_at is None or now - came_at < DELIVERY_S:
        return False
    # After a silence of its publisher a target gets the time anew.
    return now - max(advanced_at, flow.resumed_at) >= STALL_S
