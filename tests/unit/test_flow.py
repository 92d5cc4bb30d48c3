"""Whether an input goes on, and what has stalled."""

import math

from streamd.engines.base import LiveStream
from streamd.flow import (
    CONNECT_S,
    DELIVERY_S,
    HELD_BACK_S,
    INPUT_ALIVE_S,
    STALL_S,
    Advance,
    Flow,
    flows,
    is_stalled,
)
from streamd.observe import Listing

MAIN = ("main", "c1")


def listed(client_id: str, bytes_in: int) -> LiveStream:
    return LiveStream("live/a", client_id, bytes_in, 100, 0)


def listing(asked_at: float, *streams: LiveStream) -> dict[str, Listing]:
    return {"main": Listing(asked_at, streams)}


def test_an_advance_lies_between_the_count_of_one_listing_and_the_next_listing() -> None:
    flow: dict[tuple[str, str], Flow] = {}
    for asked_at, bytes_in in ((1.0, 10), (5.0, 10), (9.0, 11)):
        assert flow.get(MAIN) is None or not flow[MAIN].advances
        flow = flows(flow, {"main": Listing(asked_at, [listed("c1", bytes_in=bytes_in)], 3.0)})
    assert flow[MAIN].advances == (Advance(after=2.0, seen_at=9.0),)


def test_a_listing_from_before_the_last_one_tells_nothing() -> None:
    flow = flows({}, listing(2.0, listed("c1", bytes_in=10)))
    assert flows(flow, listing(1.0, listed("c1", bytes_in=11))) == flow


def test_a_counter_that_stood_still_for_longer_than_it_may_resumes() -> None:
    for counter_s, still_s, resumed in ((3.0, 4.0, False), (3.0, 4.1, True), (0.5, 1.6, True)):
        flow: dict[tuple[str, str], Flow] = {}
        for asked_at, bytes_in in ((0.0, 1), (still_s, 1), (5.0, 2)):
            stream = listed("c1", bytes_in=bytes_in)
            flow = flows(flow, {"main": Listing(asked_at, [stream], counter_s)})
        assert flow[MAIN].resumed_at == (5.0 if resumed else -math.inf)


def came(*advances: tuple[float, float], resumed_at: float = -math.inf) -> Flow:
    """Return the flow of media that came in after and was seen at each of these times."""
    return Flow(1, 0.0, 0.0, tuple(Advance(*each) for each in advances), resumed_at)


def test_media_that_stands_still_while_its_input_goes_on_has_stalled() -> None:
    alive = came((96.0, 97.0), (98.0, 99.0))
    assert is_stalled(0.0, 100.0 - STALL_S, alive, 100.0)
    assert not is_stalled(0.0, 100.1 - STALL_S, alive, 100.0)


def test_media_that_stands_still_with_its_input_has_not_stalled() -> None:
    assert not is_stalled(0.0, 50.0, came((49.0, 51.0)), 56.0)
    assert not is_stalled(0.0, 50.0, came(), 100.0)
    assert not is_stalled(0.0, 50.0, None, 100.0)


def test_an_input_that_is_silent_for_long_is_waited_for() -> None:
    seen = came((52.0, 53.0))
    assert is_stalled(0.0, 50.0, seen, 53.0 + INPUT_ALIVE_S)
    assert not is_stalled(0.0, 50.0, seen, 53.1 + INPUT_ALIVE_S)


def test_what_came_with_the_last_media_may_be_held_back_with_it() -> None:
    for after, stalled in ((HELD_BACK_S - 0.1, False), (HELD_BACK_S + 0.1, True)):
        assert is_stalled(0.0, 92.0, came((92.0 + after, 95.0)), 100.0) == stalled


def test_what_came_in_has_a_moment_to_be_sent_on() -> None:
    late = came((97.0, 98.0))
    assert not is_stalled(0.0, 90.0, late, 97.9 + DELIVERY_S)
    assert is_stalled(0.0, 90.0, late, 98.0 + DELIVERY_S)


def test_after_a_silence_a_target_gets_the_time_anew() -> None:
    resumed = came((96.0, 97.0), (99.0, 100.0), resumed_at=97.0)
    assert not is_stalled(0.0, 80.0, resumed, 96.9 + STALL_S)
    assert is_stalled(0.0, 80.0, resumed, 97.0 + STALL_S)


def test_a_start_gets_longer_than_what_has_begun() -> None:
    alive = came((99.0, 100.0))
    assert not is_stalled(100.0 - STALL_S, None, alive, 100.0)
    assert is_stalled(100.0 - CONNECT_S, None, alive, 100.0)
