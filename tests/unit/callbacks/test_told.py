"""What there is to tell, from what was told and what is."""

import uuid
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamd.callbacks.events import Event
from streamd.callbacks.teller import wanted
from streamd.callbacks.told import Client, Outlet, Present, Told, news
from streamd.status.job_state import TargetState
from streamd.status.targets import TargetStatus

EPOCH = "11111111-2222-3333-4444-555555555555"
NOTHING = Told(EPOCH)
BEFORE = Told(EPOCH, {}, {}, {})


def client(name: str = "c1", stream: str = "live/a", since: float = 100.0) -> Client:
    return Client(stream, "main", name, "192.0.2.9", "rtmp", "studio", since)


def clients(*found: Client) -> Mapping[str, Client]:
    return {each.name: each for each in found}


def target(
    state: TargetState, restarts: int = 0, *, stream: str | None = "live/a", backup: bool = False
) -> TargetStatus:
    return TargetStatus(
        state, None, 1, restarts, 0, 0, None, "refused by the platform" if restarts else None,
        stream, "rtmp://a.example.com/live2", backup,
    )  # fmt: skip


def told(found: list[Event]) -> list[tuple[str, str]]:
    return [(event.action, event.stream) for event in found]


# Publishers


def test_who_leaves_is_told_once_with_how_long_it_was_there() -> None:
    _, there = news(BEFORE, Present(clients(client())), 101.0)
    found, after = news(there, Present({}), 110.5)
    assert told(found) == [("on_unpublish", "live/a")]
    assert found[0].fields == {
        "client_id": "c1", "ip": "192.0.2.9", "protocol": "rtmp", "server": "main",
        "key": "studio", "seconds": 10.5,
    }  # fmt: skip
    assert news(after, Present({}), 111.0) == ([], after)


def test_who_stays_is_not_told_of() -> None:
    _, there = news(BEFORE, Present(clients(client())), 101.0)
    assert news(there, Present(clients(client())), 102.0) == ([], there)


def test_another_publisher_of_the_stream_ends_the_first() -> None:
    _, there = news(BEFORE, Present(clients(client("c1"))), 101.0)
    found, after = news(there, Present(clients(client("c2", since=102.0))), 103.0)
    assert told(found) == [("on_unpublish", "live/a")]
    assert found[0].fields["client_id"] == "c1"
    assert after.publishers == clients(client("c2", since=102.0))


def test_one_that_the_server_turned_away_for_another_was_never_there() -> None:
    """The server asks first, and looks whether the name is taken afterwards."""
    first, second = client("c1"), client("c2", since=105.0)
    _, there = news(BEFORE, Present(clients(first, second)), 106.0)
    found, after = news(there, Present(clients(first)), 108.0)
    assert found == []
    assert told(news(after, Present({}), 109.0)[0]) == [("on_unpublish", "live/a")]


def test_a_client_id_that_is_used_again_is_somebody_else() -> None:
    """nginx counts from 1 after each start."""
    _, there = news(BEFORE, Present(clients(client("1", since=100.0))), 101.0)
    found, _ = news(there, Present(clients(client("1", since=200.0))), 201.0)
    assert told(found) == [("on_unpublish", "live/a")]
    assert found[0].fields["seconds"] == 101.0


def test_one_that_only_the_server_lists_goes_on() -> None:
    """As when streamd has lost what it knew of its publishers."""
    _, there = news(BEFORE, Present(clients(client())), 101.0)
    listed = Present({}, seen=frozenset({"main c1", "main stranger"}))
    assert news(there, listed, 102.0) == ([], there)
    again = Present(clients(client(since=0.0)))
    assert news(there, again, 103.0) == ([], there)


def test_at_first_nothing_is_news() -> None:
    present = Present(
        clients(client()), players=clients(client("p1")), targets={"out": target("live")}
    )
    found, after = news(NOTHING, present, 101.0)
    assert found == []
    assert after.publishers is not None
    assert news(after, present, 102.0) == ([], after)


def test_the_same_news_has_the_same_id_and_other_news_another() -> None:
    """A kill after it was put into the outbox, and before it was noted, repeats it as it is."""
    _, there = news(BEFORE, Present(clients(client(), client("c2", "live/b"))), 101.0)
    first, _ = news(there, Present({}), 110.0)
    again, _ = news(there, Present({}), 120.0)
    assert [each.request_id for each in first] == [each.request_id for each in again]
    assert len({uuid.UUID(each.request_id) for each in first}) == 2
    other, _ = news(replace(there, epoch=str(uuid.uuid4())), Present({}), 110.0)
    assert not {each.request_id for each in first} & {each.request_id for each in other}


# Players


def test_who_comes_to_watch_and_goes_is_told() -> None:
    viewer = client("p1", since=0.0)
    found, there = news(BEFORE, Present(players=clients(viewer)), 50.0)
    assert told(found) == [("on_play", "live/a")]
    assert news(there, Present(players=clients(viewer)), 55.0)[0] == []
    gone, _ = news(there, Present(players={}), 60.0)
    assert told(gone) == [("on_stop", "live/a")]
    assert gone[0].fields["seconds"] == 10.0
    assert gone[0].request_id != found[0].request_id


def test_players_that_cannot_be_seen_are_as_they_were() -> None:
    _, there = news(BEFORE, Present(players=clients(client("p1"))), 50.0)
    assert news(there, Present(players=None), 60.0) == ([], there)


# Targets


def of_target(*statuses: TargetStatus) -> list[str]:
    """Return what is told while a target goes through these."""
    state = BEFORE
    found = []
    for status in statuses:
        events, state = news(state, Present(targets={"out@live/a": status}), 1.0)
        found += events
    assert len({event.request_id for event in found}) == len(found)
    assert all(event.fields["target"] == "out" for event in found)
    return [event.action.removeprefix("on_target_") for event in found]


def test_a_target_is_live_once_until_it_fails() -> None:
    assert of_target(target("connecting"), target("live"), target("live")) == ["live"]
    assert of_target(
        target("live"), target("backoff", 1), target("connecting", 1), target("backoff", 2),
        target("blocked", 2), target("connecting", 2), target("live", 2), target("stalled", 2),
    ) == ["live", "error", "live", "error"]  # fmt: skip


def test_a_failure_that_healed_between_two_looks_is_told() -> None:
    assert of_target(target("live"), target("live", 1)) == ["live", "error", "live"]
    assert of_target(target("live"), target("connecting", 1)) == ["live", "error"]


def test_that_the_first_address_goes_on_failing_while_the_backup_serves_is_no_news() -> None:
    assert of_target(
        target("live"), target("backoff", 3), target("live", 3, backup=True),
        target("live", 4, backup=True), target("live", 5, backup=True), target("live", 5),
    ) == ["live", "error", "live"]  # fmt: skip


def test_a_target_without_its_stream_begins_anew() -> None:
    assert of_target(target("live"), target("waiting"), target("connecting"), target("live")) == [
        "live", "live",
    ]  # fmt: skip
    assert of_target(target("live"), target("disabled"), target("waiting", stream=None)) == ["live"]


def test_why_it_fails_is_told_with_its_address_and_without_its_key() -> None:
    events, _ = news(BEFORE, Present(targets={"out": target("backoff", 1)}), 1.0)
    assert events[0].fields == {
        "target": "out", "address": "rtmp://a.example.com/live2", "backup": False,
        "error": "refused by the platform",
    }  # fmt: skip


# Whatever


def test_what_nobody_is_told_of_is_forgotten() -> None:
    state = Told(EPOCH, clients(client()), clients(client()), {"out": Outlet("live")})
    assert wanted(state, frozenset()) == NOTHING
    assert wanted(state, frozenset({"on_unpublish", "on_stop", "on_target_error"})) == state


NAMES = st.sets(st.sampled_from(["c1", "c2", "c3"]))


@given(st.lists(NAMES, max_size=10))
def test_every_visit_of_a_player_is_told_from_its_begin_to_its_end(visits: list[set[str]]) -> None:
    state = BEFORE
    there: set[str] = set()
    for moment, names in enumerate(visits, start=1):
        present = Present(players=clients(*(client(name, since=0.0) for name in names)))
        found, state = news(state, present, float(moment))
        begun = {e.fields["client_id"] for e in found if e.action == "on_play"}
        ended = {e.fields["client_id"] for e in found if e.action == "on_stop"}
        assert (begun, ended) == (names - there, there - names)
        there = names


STATES = st.sampled_from(["live", "waiting", "connecting", "stalled", "backoff", "blocked"])


@given(st.lists(st.tuples(STATES, st.integers(0, 1)), max_size=20))
def test_live_and_error_take_turns_while_a_stream_is_there(
    steps: list[tuple[TargetState, int]],
) -> None:
    state, restarts = BEFORE, 0
    last = ""
    for name, more in steps:
        restarts += more
        events, state = news(state, Present(targets={"out": target(name, restarts)}), 1.0)
        for event in events:
            assert event.action != last
            last = event.action
        if name == "waiting":
            last = ""
        elif name == "live":
            assert last == "on_target_live"
