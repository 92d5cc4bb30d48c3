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

INPUT_LAG_S = 3.6
"""An input that stops may seem to go on for so long, because SRS counts its bytes every 3 s."""

SILENCE_S = 3.3
"""A counter that stood still over listings of so long is a publisher that sent nothing."""

INPUT_ALIVE_S = 8.0
"""An input counts as live when it advanced within this time: twice what its counter may lag."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A server's own list of its streams, and the monotonic time at which it was asked for."""

    asked_at: float
    streams: Sequence[LiveStream] = ()


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
class Flow:
    """How far a stream's input came, and the time (monotonic) after which that last advanced.

    An advance lies somewhere between two listings; `advanced_at` is the earlier one and `seen_at`
    the later. `resumed_at` is when it last went on after a silence. Both begin at -infinity.
    """

    bytes_in: int
    advanced_at: float = -math.inf
    listed_at: float = 0.0
    seen_at: float = 0.0
    resumed_at: float = -math.inf


def flows(
    before: Mapping[tuple[str, str], Flow], listings: Mapping[str, Listing]
) -> dict[tuple[str, str], Flow]:
    """Return each publisher's `Flow`, by (server, client id), after new listings."""
    after: dict[tuple[str, str], Flow] = {}
    for server, listing in listings.items():
        for stream in listing.streams:
            key = (server, stream.client_id)
            last = before.get(key)
            if last is not None and listing.asked_at <= last.listed_at:
                after[key] = last
            elif last is None:
                after[key] = Flow(
                    stream.bytes_in, listed_at=listing.asked_at, seen_at=listing.asked_at
                )
            elif stream.bytes_in <= last.bytes_in:
                after[key] = replace(last, bytes_in=stream.bytes_in, listed_at=listing.asked_at)
            else:
                was_silent = last.listed_at - last.seen_at > SILENCE_S
                after[key] = Flow(
                    stream.bytes_in,
                    advanced_at=last.listed_at,
                    listed_at=listing.asked_at,
                    seen_at=listing.asked_at,
                    resumed_at=listing.asked_at if was_silent else last.resumed_at,
                )
    return after


def is_stalled(started_at: float, advanced_at: float | None, flow: Flow | None, now: float) -> bool:
    """Tell whether a process has stalled, all times monotonic.

    Args:
        started_at: when the process was first seen.
        advanced_at: when its media last advanced; None when it never did.
        flow: its input; None while unknown, which is never a stall.
        now: the time.
    """
    if flow is None or now - flow.advanced_at > INPUT_ALIVE_S:
        return False
    if advanced_at is None:
        return now - max(started_at, flow.resumed_at) >= CONNECT_S
    went_on = flow.advanced_at - advanced_at >= INPUT_LAG_S
    # After a silence of its publisher a target gets the time anew.
    return went_on and now - max(advanced_at, flow.resumed_at) >= STALL_S
