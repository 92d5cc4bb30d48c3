"""Which streams are asked for, by what servers list and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.demand import HELD_S, last_asked
from streamd.engines.base import LiveStream
from streamd.observe import Listing

DOOR = {"live/door": "main"}


def live(viewers: int, name: str = "live/door") -> LiveStream:
    return LiveStream(name, "c1", 1, 100, viewers)


def asked(
    *listings: Listing, before: dict[str, float] | None = None, running: bool = False
) -> dict[str, float]:
    """Return what is asked for at the time of the last listing."""
    found = before or {}
    for listing in listings:
        streams = {"live/door"} if running else set()
        found = last_asked(found, DOOR, {"main": listing}, streams, listing.asked_at)
    return found


def test_a_stream_that_somebody_waits_for_is_asked_for() -> None:
    assert asked(Listing(5.0, waited=frozenset({"live/door", "live/x"}))) == {"live/door": 5.0}


@pytest.mark.parametrize(("viewers", "found"), [(0, {}), (1, {"live/door": 5.0})])
def test_a_stream_is_asked_for_while_it_has_viewers(viewers: int, found: dict[str, float]) -> None:
    assert asked(Listing(5.0, [live(viewers)])) == found


def test_it_is_held_for_a_while_after_the_last_viewer_left() -> None:
    watched = Listing(5.0, [live(1)])
    assert asked(watched, Listing(4.9 + HELD_S, [live(0)])) == {"live/door": 5.0}
    assert asked(watched, Listing(5.0 + HELD_S, [live(0)])) == {}


def test_a_server_that_does_not_answer_any_more_is_believed_for_as_long() -> None:
    last = {"main": Listing(5.0, [live(1)])}
    found = last_asked({}, DOOR, last, {"live/door"}, 6.0)
    assert last_asked(found, DOOR, last, {"live/door"}, 4.9 + HELD_S) == {"live/door": 5.0}
    assert last_asked(found, DOOR, last, {"live/door"}, 5.0 + HELD_S) == {}


def test_what_an_earlier_streamd_started_goes_on_until_its_server_was_asked() -> None:
    before = last_asked({}, DOOR, {}, {"live/door"}, 5.0)
    assert before == {"live/door": 5.0}
    assert last_asked({}, DOOR, {}, set(), 5.0) == {}
    assert asked(Listing(4.9 + HELD_S, [live(0)]), before=before, running=True) == before
    assert asked(Listing(5.0 + HELD_S, [live(0)]), before=before, running=True) == {}


def test_another_server_tells_nothing_of_it() -> None:
    elsewhere = {"main": Listing(5.0), "two": Listing(5.0, waited=frozenset({"live/door"}))}
    assert last_asked({}, DOOR, elsewhere, set(), 5.0) == {}


def test_what_does_not_come_on_demand_any_more_is_forgotten() -> None:
    assert last_asked({"live/door": 5.0}, {}, {}, set(), 6.0) == {}


@given(
    st.lists(st.tuples(st.floats(0.1, 30), st.sampled_from(["nobody", "waits", "watches"]))),
)
def test_it_is_asked_for_if_and_only_if_it_was_within_the_time_that_it_is_held(
    course: list[tuple[float, str]],
) -> None:
    now, seen, found = 0.0, None, dict[str, float]()
    for after_s, what in course:
        now += after_s
        waited = frozenset({"live/door"}) if what == "waits" else frozenset[str]()
        streams = [live(1)] if what == "watches" else []
        found = asked(Listing(now, streams, waited=waited), before=found)
        seen = now if what != "nobody" else seen
        assert set(found) == ({"live/door"} if seen is not None and now - seen < HELD_S else set())
