"""Put together what is observed: who publishes, whose input goes on, what has stalled.

The servers' hooks tell at once and can be missed; their listings are complete and late. Both are
merged here, by pure functions with the time as an argument.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from streamd.engines.base import LiveStream
from streamd.observed import Publisher

LISTING_GRACE_S = 2.0
"""A publisher that a hook let in may take so long to show in the server's listing."""

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
class Listing:
    """A server's own list of its streams.

    Attributes:
        asked_at: the monotonic time at which it was asked for.
        streams: that are published.
        counter_s: how old the counts of bytes in it may be; see `MediaEngine.counter_s`.
        waited: names of streams that nobody publishes and that somebody waits for.
    """

    asked_at: float
    streams: Sequence[LiveStream] = ()
    counter_s: float = 0.0
    waited: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Admission:
    """A publisher that a hook let in, and when (monotonic; 0 for one let in before a restart)."""

    publisher: Publisher
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Presence:
    """Who publishes (by `app/stream`), and which admissions have proven to be over."""

    publishers: Mapping[str, Publisher] = field(default_factory=dict)
    over: frozenset[tuple[str, str]] = frozenset()


def present(
    admissions: Iterable[Admission],
    listings: Mapping[str, Listing],
    left: frozenset[tuple[str, str]],
    known_as: Callable[[str], str] = str,
) -> Presence:
    """Decide who publishes now.

    Args:
        admissions: those whom hooks let in.
        listings: each server's list, by server; absent while it could not be asked yet.
        left: (server, client id) of those whose leaving a hook told of lately.
        known_as: what a listed stream is called whose publisher no hook let in; its name may hold
            a secret.

    A publisher is present when the listing has it, or when the listing is older than it can be
    seen in. One in the listing whom no hook let in is present without a key, so that whoever
    decides about keys sees it. Of two for one stream the listed one wins.
    """
    listed = {
        (server, stream.client_id): stream
        for server, listing in listings.items()
        for stream in listing.streams
    }
    publishers: dict[str, Publisher] = {}
    over: set[tuple[str, str]] = set()
    awaited: list[Publisher] = []
    known: set[tuple[str, str]] = set()
    for admission in admissions:
        publisher = admission.publisher
        key = (publisher.server, publisher.client_id)
        known.add(key)
        if key in left:
            over.add(key)
        elif key in listed:
            publishers[publisher.stream] = publisher
        elif _may_come(admission, listings.get(publisher.server)):
            awaited.append(publisher)
        else:
            over.add(key)
    for key, stream in listed.items():
        if key not in known and key not in left:
            name = known_as(stream.name)
            publishers.setdefault(name, Publisher(key[0], name, stream.name, stream.client_id))
    for publisher in awaited:
        publishers.setdefault(publisher.stream, publisher)
    return Presence(publishers, frozenset(over))


def _may_come(admission: Admission, listing: Listing | None) -> bool:
    return listing is None or listing.asked_at < admission.at + LISTING_GRACE_S


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
