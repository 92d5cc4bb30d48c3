"""Put together who publishes.

The servers' hooks tell at once and can be missed; their listings are complete and late. Both are
merged here, by pure functions with the time as an argument.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streamd.engines.base import LiveStream
from streamd.observed import Publisher

LISTING_GRACE_S = 2.0
"""A publisher that a hook let in may take so long to show in the server's listing."""


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
