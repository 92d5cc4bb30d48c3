"""What is now, as callbacks are told of it."""

from dataclasses import replace

from streamd.callbacks.events import Action
from streamd.callbacks.present import present, shown_name
from streamd.callbacks.told import Present
from streamd.desired import Desired, StreamRule
from streamd.engines.base import LiveStream, Player
from streamd.observed import Publisher
from streamd.status.snapshot import Snapshot
from tests.support.snapshots import DESIRED, SHOW, running, snapshot

ALL: frozenset[Action] = frozenset({"on_unpublish", "on_play", "on_target_live"})
RULES = {
    "live/show": StreamRule("live/show", frozenset(), internal=True, ingest="in/show"),
    "in/show": StreamRule("in/show", None, ingest_of="live/show"),
}
INGEST = replace(SHOW, stream="in/show", published_as="in/show")
OWN = Publisher("main", "live/show", "live/show", "c2", internal=True)
PLAYER = Player("p1", "198.51.100.9", "flv")


def look(
    moment: Snapshot,
    *admitted: Publisher,
    desired: Desired = DESIRED,
    actions: frozenset[Action] = ALL,
    whole: bool = True,
) -> Present:
    return present(desired, admitted, lambda: moment, actions, whole)


def live(name: str, *players: Player) -> LiveStream:
    return LiveStream(name, "c1", 1, 1, len(players), players=players)


def test_who_was_let_in_publishes_and_streamd_itself_does_not() -> None:
    found = look(snapshot(), SHOW, OWN)
    assert found.publishers is not None
    (client,) = found.publishers.values()
    assert (client.stream, client.client_id, client.key) == ("live/show", "c1", "studio")
    assert (client.ip, client.since) == ("198.51.100.7", SHOW.since.timestamp())  # type: ignore[union-attr] # it has one


def test_who_publishes_for_a_stream_with_a_fallback_is_told_under_its_name() -> None:
    desired = replace(DESIRED, rules=RULES)
    found = look(snapshot(publishers=(INGEST, OWN)), INGEST, OWN, desired=desired)
    assert found.publishers is not None
    assert [each.stream for each in found.publishers.values()] == ["live/show"]
    assert shown_name("in/show", RULES) == "live/show"
    assert shown_name("live/other", RULES) == "live/other"


def test_whom_no_hook_let_in_is_seen() -> None:
    listed = Publisher("main", "live/show", "live/show", "c9")
    assert look(snapshot(publishers=(listed,))).seen == {"main c9"}


def test_who_has_left_is_not_seen_although_the_last_pass_remembers_it() -> None:
    assert look(snapshot(publishers=(SHOW,))).seen == frozenset()


def test_players_are_told_by_the_streams_name_in_the_file() -> None:
    """On the server the name may hold a key."""
    keyed = replace(SHOW, published_as="live/show-hunter2hunter2")
    streams = {"main": [live("live/show-hunter2hunter2", PLAYER), live("live/unknown", PLAYER)]}
    found = look(snapshot(publishers=(keyed,), live=streams))
    assert found.players is not None
    (client,) = found.players.values()
    assert (client.stream, client.name, client.ip) == ("live/show", "main p1", "198.51.100.9")
    assert client.protocol == "flv"


def test_who_plays_an_ingest_is_nobody() -> None:
    desired = replace(DESIRED, rules=RULES)
    moment = snapshot(publishers=(INGEST,), live={"main": [live("in/show", PLAYER)]})
    assert look(moment, desired=desired).players == {}


def test_too_many_players_cannot_be_seen() -> None:
    crowd = replace(live("live/show"), players=None)
    assert look(snapshot(live={"main": [crowd]})).players is None


def test_only_what_is_told_of_is_looked_at() -> None:
    moment = snapshot(running("target.youtube", 7))
    assert look(moment, SHOW, actions=frozenset({"on_publish"})) == Present()
    part = look(moment, SHOW, whole=False)
    assert part.publishers is not None
    assert (part.players, part.targets) == (None, None)
    targets = look(moment, SHOW).targets
    assert targets is not None
    assert set(targets) == {"youtube", "partner", "rooms"}
