"""Tell which streams are asked for, of those that are pulled on demand only. Pure.

Viewers never depend on streamd: nobody asks it before a player is served. What they want is seen in
the servers' own lists, where a player of a stream that is not there waits.
"""

from collections.abc import Collection, Mapping

from streamd.observe import Listing

HELD_S = 20.0
"""A stream is pulled for so long after it was last seen to be asked for."""


def last_asked(
    before: Mapping[str, float],
    servers: Mapping[str, str],
    listings: Mapping[str, Listing],
    running: Collection[str],
    now: float,
) -> dict[str, float]:
    """Return the streams that are asked for, and when (monotonic) each was last seen to be.

    Args:
        before: what this returned last.
        servers: the server of each stream that is pulled on demand.
        listings: each server's list, by server; absent while it could not be asked yet. A stream
            that runs then was started by a streamd before this one, and goes on.
        running: the streams that are pulled now.
        now: the time.
    """
    asked = {name: _asked(listing) for name, listing in listings.items()}
    found = {}
    for stream, server in servers.items():
        at = before.get(stream)
        if server not in listings:
            at = now if stream in running else at
        elif stream in asked[server]:
            at = max(listings[server].asked_at, at or 0.0)
        if at is not None and now - at < HELD_S:
            found[stream] = at
    return found


def _asked(listing: Listing) -> frozenset[str]:
    return listing.waited | {stream.name for stream in listing.streams if stream.viewers}
