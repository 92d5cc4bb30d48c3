"""Who publishes: what hooks and listings told so far, kept over a restart of streamd."""

import time
from collections.abc import Callable, Iterator, Mapping

from streamd.auth.sessions import Sessions
from streamd.observe import Admission, Listing, present
from streamd.observed import Publisher

LEFT_KEPT_S = 10.0
"""A listing asked for before a publisher left may still name it; it is not believed so long."""

_Key = tuple[str, str]


class Publishers:
    """Keeps the admissions of hooks, and merges them with the servers' listings.

    Args:
        sessions: where admissions are remembered for a streamd that comes after this one.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._admissions: dict[_Key, Admission] = {}
        self._left: dict[_Key, float] = {}

    def remember(self) -> None:
        """Take over those whom a streamd before this one let in."""
        for publisher in self._sessions.load():
            self._admissions[publisher.server, publisher.client_id] = Admission(publisher)

    def admitted(self, publisher: Publisher) -> None:
        """Note a publisher that a hook let in."""
        key = (publisher.server, publisher.client_id)
        self._left.pop(key, None)
        self._admissions[key] = Admission(publisher, time.monotonic())
        self._sessions.add(publisher)

    def gone(self, server: str, client_id: str) -> None:
        """Note that a publisher has left."""
        self._left[server, client_id] = time.monotonic()
        self._drop((server, client_id))

    def of(self, stream: str) -> Publisher | None:
        """Return whoever was let in last to publish `app/stream` and has not left."""
        found = [
            admission.publisher
            for admission in self._admissions.values()
            if admission.publisher.stream == stream
        ]
        return found[-1] if found else None

    def all(self) -> Iterator[Publisher]:
        """Yield everybody who was let in and has not left."""
        return (admission.publisher for admission in self._admissions.values())

    def server_ended(self, server: str) -> None:
        """Note that a server's process has ended: whoever published there is gone."""
        for key in [key for key in self._admissions if key[0] == server]:
            self.gone(*key)

    def keep_servers(self, servers: set[str]) -> None:
        """Drop those who published on servers that do not run any more."""
        for server in {server for server, _ in self._admissions} - servers:
            self.server_ended(server)

    def present(
        self,
        listings: Mapping[str, Listing],
        now: float,
        known_as: Callable[[str], str] = str,
    ) -> Mapping[str, Publisher]:
        """Return who publishes now, by `app/stream`; `known_as` is that of `observe.present`."""
        for key in [key for key, at in self._left.items() if now - at > LEFT_KEPT_S]:
            del self._left[key]
        presence = present(self._admissions.values(), listings, frozenset(self._left), known_as)
        for key in presence.over:
            self._drop(key)
        return presence.publishers

    def _drop(self, key: _Key) -> None:
        self._admissions.pop(key, None)
        self._sessions.remove(*key)
