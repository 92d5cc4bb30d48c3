"""What callbacks were told last, and what there is to tell now. Pure.

Whoever publishes or watches, and how each target fares, is compared with what was told before. So
what is missed, comes twice, or changes while streamd is down is told all the same.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from streamd.callbacks import events
from streamd.callbacks.events import Event
from streamd.status.targets import TargetStatus

_ERROR_STATES = frozenset({"backoff", "blocked", "stalled"})
_NOT_SENT = frozenset({"waiting", "disabled"})


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who publishes or plays.

    Attributes:
        stream: `app/stream` as the file names it.
        server: name of the media server.
        client_id: the media server's own.
        ip, protocol: as known; "" where they are not.
        key: name of the key that let a publisher in.
        since: Unix time; 0 for not known.
    """

    stream: str
    server: str
    client_id: str
    ip: str = ""
    protocol: str = ""
    key: str | None = None
    since: float = 0.0

    @property
    def name(self) -> str:
        """What it is known by while it is there."""
        return f"{self.server} {self.client_id}"

    def fields(self) -> dict[str, object]:
        """Return what a body tells of it."""
        return events.client_fields(
            client_id=self.client_id,
            ip=self.ip,
            protocol=self.protocol,
            server=self.server,
            key=self.key,
        )


@dataclass(frozen=True, slots=True)
class Outlet:
    """What was told of one entry of a target.

    Attributes:
        state: `live`, `error`, or nothing yet.
        restarts: as its status told then.
    """

    state: Literal["", "live", "error"] = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What was told so far. None: nothing of the kind is to be told.

    Attributes:
        epoch: a UUID of its own, from which those of events are drawn.
        publishers, players: by `Client.name`.
        targets: by entry, as in the status.
        serial: how many events were told of targets.
    """

    epoch: str
    publishers: Mapping[str, Client] | None = None
    players: Mapping[str, Client] | None = None
    targets: Mapping[str, Outlet] | None = None
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Present:
    """What is. None: it was not looked at, or cannot be seen.

    Attributes:
        publishers: who was let in and has not left.
        seen: names of publishers whom only a server's listing tells of.
        players: who watches.
        targets: by entry.
    """

    publishers: Mapping[str, Client] | None = None
    seen: frozenset[str] = frozenset()
    players: Mapping[str, Client] | None = None
    targets: Mapping[str, TargetStatus] | None = None


@dataclass(slots=True)
class _News:
    epoch: uuid.UUID
    at: float
    serial: int
    events: list[Event] = field(default_factory=list)

    def id(self, action: str, subject: str) -> str:
        # The same for the same news, so that a kill before it is noted as told repeats it as it is.
        return str(uuid.uuid5(self.epoch, f"{action} {subject}"))

    def next_id(self, action: str, subject: str) -> str:
        self.serial += 1
        return self.id(action, f"{subject} {self.serial}")


def news(told: Told, present: Present, at: float) -> tuple[list[Event], Told]:
    """Return what is to be told now, oldest first, and what is told after that.

    What is seen for the first time in the life of `told` is not news, except a player or a target
    of a kind that was told before.

    Args:
        told: so far.
        present: what is.
        at: Unix time.
    """
    found = _News(uuid.UUID(told.epoch), at, told.serial)
    if present.publishers is not None:
        told = replace(told, publishers=_publishers(told.publishers, present, found))
    if present.players is not None:
        told = replace(told, players=_players(told.players, present.players, found))
    if present.targets is not None:
        told = replace(told, targets=_targets(told.targets, present.targets, found))
    return found.events, replace(told, serial=found.serial)


def _publishers(
    before: Mapping[str, Client] | None, present: Present, found: _News
) -> Mapping[str, Client]:
    publishers = present.publishers or {}
    now, left = _compared(before or {}, publishers, present.seen, found.at)
    for client in left:
        if not _never_was(client, now):
            found.events.append(_left(events.on_unpublish, "on_unpublish", client, found))
    return now


def _compared(
    before: Mapping[str, Client], present: Mapping[str, Client], seen: frozenset[str], at: float
) -> tuple[dict[str, Client], list[Client]]:
    """Return who is there now, and who left, the longest there first."""
    now: dict[str, Client] = {}
    left: list[Client] = []
    for name, client in before.items():
        current = present.get(name)
        if (current is None and name in seen) or (
            current is not None and current.since in (0.0, client.since)
        ):
            now[name] = client
        else:
            left.append(client)
    for name, client in present.items():
        if name not in now:
            now[name] = client if client.since else replace(client, since=at)
    return now, sorted(left, key=lambda client: client.since)


def _never_was(client: Client, now: Mapping[str, Client]) -> bool:
    """Tell whether a publisher was turned away by its server because another was there before.

    The servers ask first and look whether a name is taken afterwards.
    """
    return any(
        other.stream == client.stream
        and other.server == client.server
        and other.since <= client.since
        for other in now.values()
    )


def _left(make: Callable[..., Event], action: str, client: Client, found: _News) -> Event:
    return make(
        found.id(action, f"{client.name} {client.since}"),
        client.stream,
        found.at,
        seconds=max(0.0, found.at - client.since),
        client=client.fields(),
    )


def _players(
    before: Mapping[str, Client] | None, present: Mapping[str, Client], found: _News
) -> Mapping[str, Client]:
    now, left = _compared(before or {}, present, frozenset(), found.at)
    if before is None:
        return now
    found.events += [_left(events.on_stop, "on_stop", client, found) for client in left]
    for name, client in now.items():
        if before.get(name) != client:
            request_id = found.id("on_play", f"{name} {client.since}")
            found.events.append(
                events.on_play(request_id, client.stream, found.at, client=client.fields())
            )
    return now


def _targets(
    before: Mapping[str, Outlet] | None, present: Mapping[str, TargetStatus], found: _News
) -> Mapping[str, Outlet]:
    now = {}
    for entry, status in present.items():
        if status.stream is None or status.state in _NOT_SENT:
            continue
        if before is None:
            now[entry] = _first(status)
        else:
            known = before.get(entry, Outlet(restarts=status.restarts))
            now[entry] = _outlet(entry, known, status, found)
    return now


def _first(status: TargetStatus) -> Outlet:
    state: Literal["", "live", "error"] = "live" if status.state == "live" else ""
    return Outlet("error" if status.state in _ERROR_STATES else state, status.restarts)


def _outlet(entry: str, known: Outlet, status: TargetStatus, found: _News) -> Outlet:
    # While the backup serves, the first address goes on failing, which is no news.
    failed_meanwhile = status.restarts > known.restarts and not status.backup
    fails = status.state in _ERROR_STATES or failed_meanwhile
    outlet = replace(known, restarts=status.restarts)
    assert status.stream is not None, "left out before"  # noqa: S101 - for mypy
    target = entry.partition("@")[0]
    if fails and outlet.state != "error":
        outlet = replace(outlet, state="error")
        found.events.append(
            events.on_target_error(
                found.next_id("on_target_error", entry),
                status.stream,
                found.at,
                target=target,
                address=status.address,
                backup=status.backup,
                error=status.last_error or status.state,
            )
        )
    if status.state == "live" and outlet.state != "live":
        outlet = replace(outlet, state="live")
        found.events.append(
            events.on_target_live(
                found.next_id("on_target_live", entry),
                status.stream,
                found.at,
                target=target,
                address=status.address,
                backup=status.backup,
            )
        )
    return outlet
