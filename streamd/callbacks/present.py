"""What is now, as callbacks are told of it: pure, from what the daemon knows anyway."""

from collections.abc import Callable, Iterable, Mapping

from streamd.callbacks.events import Action
from streamd.callbacks.told import Client, Present
from streamd.desired import Desired, StreamRule
from streamd.observed import Publisher
from streamd.status.snapshot import Snapshot
from streamd.status.targets import target_statuses


def present(
    desired: Desired,
    admitted: Iterable[Publisher],
    snapshot: Callable[[], Snapshot],
    actions: frozenset[Action],
    whole: bool,
) -> Present:
    """Return what is.

    Args:
        desired: for the names of streams.
        admitted: who was let in and has not left.
        snapshot: takes one.
        actions: what is told of.
        whole: look at players and targets too, which takes longer.
    """
    moment = snapshot()
    publishers = None
    seen: frozenset[str] = frozenset()
    if "on_unpublish" in actions:
        clients = [_publisher(each, desired.rules) for each in admitted if not each.internal]
        publishers = {client.name: client for client in clients}
        # Whom a hook let in counts as long as no hook or listing has told otherwise, and not as
        # long as a pass that came before remembers it.
        seen = frozenset(
            f"{each.server} {each.client_id}"
            for each in moment.observed.publishers.values()
            if each.since is None
        )
    players = targets = None
    if whole and actions & {"on_play", "on_stop"}:
        players = _players(moment, desired.rules)
    if whole and actions & {"on_target_live", "on_target_error"}:
        targets = target_statuses(moment)
    return Present(publishers, seen, players, targets)


def shown_name(stream: str, rules: Mapping[str, StreamRule]) -> str:
    """Return the name in the file of what is published; an ingest has that of its stream."""
    rule = rules.get(stream)
    return stream if rule is None or rule.ingest_of is None else rule.ingest_of


def _publisher(publisher: Publisher, rules: Mapping[str, StreamRule]) -> Client:
    return Client(
        shown_name(publisher.stream, rules),
        publisher.server,
        publisher.client_id,
        publisher.address,
        publisher.protocol,
        publisher.key,
        publisher.since.timestamp() if publisher.since is not None else 0.0,
    )


def _players(moment: Snapshot, rules: Mapping[str, StreamRule]) -> Mapping[str, Client] | None:
    """Return who plays, by name; None while some cannot be told apart."""
    # A name on the server may hold a key, so it is only looked up.
    names = {
        (each.server, each.published_as): stream
        for stream, each in moment.observed.publishers.items()
    }
    found = {}
    for server, streams in moment.live.items():
        for live in streams:
            stream = names.get((server, live.name))
            if live.players is None:
                return None
            if stream is None or shown_name(stream, rules) != stream:
                continue
            for player in live.players:
                client = Client(stream, server, player.client_id, player.address, player.protocol)
                found[client.name] = client
    return found
