"""What is sent next: in order within a stream, and no stream waits for another."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.callbacks.events import Event
from streamd.callbacks.lanes import AT_ONCE, Lane, Lanes
from streamd.callbacks.outbox import Kept
from streamd.callbacks.retry import GIVEN_UP_AFTER_S


def kept(number: int, stream: str = "live/a", callback: str = "cb", at: float = 0.0) -> Kept:
    return Kept(callback, f"{number:04d}", Event(str(number), "on_stop", stream, at))


def taken(lanes: Lanes, now: float = 0.0, callback: str = "cb") -> list[Lane]:
    found = []
    while (lane := lanes.take(callback, now)) is not None:
        found.append(lane)
    return found


def test_one_stream_is_sent_one_after_another() -> None:
    lanes = Lanes()
    for number in range(3):
        lanes.add(kept(number), 0.0)
    sent = []
    for _ in range(3):
        (lane,) = taken(lanes)
        sent.append(lanes.sent(lane, 0.0).name)
    assert sent == ["0000", "0001", "0002"]
    assert taken(lanes) == []
    assert lanes.waiting("cb") == 0
    assert lanes.callbacks() == set()


def test_streams_and_callbacks_do_not_wait_for_each_other() -> None:
    lanes = Lanes()
    lanes.add(kept(1, "live/a"), 0.0)
    lanes.add(kept(2, "live/b"), 0.0)
    lanes.add(kept(1, "live/a", "other"), 0.0)
    assert [lane.stream for lane in taken(lanes)] == ["live/a", "live/b"]
    assert [lane.stream for lane in taken(lanes, callback="other")] == ["live/a"]


def test_what_failed_waits_and_what_comes_after_it_waits_too() -> None:
    lanes = Lanes()
    lanes.add(kept(1), 0.0)
    lanes.add(kept(2), 0.0)
    (lane,) = taken(lanes)
    assert lanes.failed(lane, 10.0, jitter=0.0, reached=True) == 1.0
    assert taken(lanes, 10.9) == []
    assert lanes.next_at("cb") == 11.0
    (lane,) = taken(lanes, 11.0)
    assert lane.waiting[0].name == "0001"
    assert lanes.failed(lane, 11.0, jitter=0.0, reached=True) == 2.0
    assert lanes.failing("cb") == [lane]
    assert lanes.waiting("cb") == 2


def test_only_so_many_are_under_way_to_one_callback() -> None:
    lanes = Lanes()
    for number in range(20):
        lanes.add(kept(number, f"live/{number}"), 0.0)
    under_way = taken(lanes)
    assert len(under_way) == AT_ONCE
    assert lanes.next_at("cb") is None
    lanes.sent(under_way[0], 0.0)
    assert len(taken(lanes)) == 1


def test_a_server_that_is_back_gets_at_once_what_could_not_reach_it() -> None:
    lanes = Lanes()
    for number, stream in enumerate(("live/gone", "live/wrong", "live/next")):
        lanes.add(kept(number, stream), 0.0)
    gone, wrong, following = taken(lanes)
    lanes.failed(gone, 0.0, jitter=0.0, reached=False)
    lanes.failed(wrong, 0.0, jitter=0.0, reached=True)
    lanes.sent(following, 0.5)
    assert [lane.stream for lane in taken(lanes, 0.5)] == ["live/gone"]


def test_one_event_is_not_taken_twice() -> None:
    lanes = Lanes()
    assert lanes.add(kept(1), 0.0)
    assert not lanes.add(kept(1), 0.0)
    assert lanes.waiting("cb") == 1


def test_what_is_not_delivered_for_a_day_is_given_up() -> None:
    lanes = Lanes()
    lanes.add(kept(1, at=0.0), 0.0)
    lanes.add(kept(2, at=GIVEN_UP_AFTER_S), 0.0)
    lanes.add(kept(3, "live/new", at=GIVEN_UP_AFTER_S), 0.0)
    assert lanes.give_up("cb", 0.0, GIVEN_UP_AFTER_S) == []  # not tried yet
    under_way = taken(lanes)
    assert lanes.give_up("cb", 700.0, GIVEN_UP_AFTER_S) == []
    for lane in under_way:
        lanes.failed(lane, 0.0, jitter=0.0, reached=True)
    assert [each.name for each in lanes.give_up("cb", 700.0, GIVEN_UP_AFTER_S)] == ["0001"]
    assert lanes.waiting("cb") == 2
    assert [lane.waiting[0].name for lane in taken(lanes, 700.0)] == ["0003", "0002"]


def test_what_a_removed_callback_was_to_be_told_is_kept_for_a_day() -> None:
    lanes = Lanes()
    lanes.add(kept(1, at=0.0), 0.0)
    lanes.add(kept(2, at=10.0), 0.0)
    assert lanes.expire("cb", GIVEN_UP_AFTER_S - 1) == []
    assert [each.name for each in lanes.expire("cb", GIVEN_UP_AFTER_S)] == ["0001"]
    assert lanes.waiting("cb") == 1


def test_of_too_many_the_oldest_go_but_what_is_being_sent() -> None:
    lanes = Lanes()
    for number in range(6):
        lanes.add(kept(number, f"live/{number % 2}"), 0.0)
    taken(lanes)  # 0 and 1
    assert [each.name for each in lanes.trim("cb", 3)] == ["0002", "0003", "0004"]
    assert lanes.waiting("cb") == 3
    assert lanes.trim("cb", 3) == []


def test_another_address_is_tried_at_once() -> None:
    lanes = Lanes()
    lanes.add(kept(1), 0.0)
    (lane,) = taken(lanes)
    lanes.failed(lane, 0.0, jitter=0.0, reached=True)
    lanes.hurry("cb", 0.1)
    assert taken(lanes, 0.1) == [lane]


def test_on_its_way_is_what_was_not_tried_or_is_being_sent() -> None:
    lanes = Lanes()
    assert not lanes.is_on_its_way("cb", "live/a")
    lanes.add(kept(1), 0.0)
    assert lanes.is_on_its_way("cb", "live/a")
    (lane,) = taken(lanes)
    assert lanes.is_on_its_way("cb", "live/a")
    lanes.failed(lane, 0.0, jitter=0.0, reached=True)
    assert not lanes.is_on_its_way("cb", "live/a")


@given(
    st.lists(st.integers(0, 4), max_size=40),
    st.lists(st.tuples(st.sampled_from(["sent", "wrong", "dead"]), st.integers(0, 9)), min_size=1),
)
def test_whatever_fails_all_arrive_once_and_in_order(
    streams: list[int], outcomes: list[tuple[str, int]]
) -> None:
    """Events are added, tried with any outcome, and tried again until all have arrived."""
    lanes = Lanes()
    for number, stream in enumerate(streams):
        lanes.add(kept(number, f"live/{stream}"), 0.0)
    arrived: defaultdict[str, list[str]] = defaultdict(list)
    now, step = 0.0, 0
    under_way: list[Lane] = []
    while lanes.waiting("cb"):
        under_way += taken(lanes, now)
        assert len(under_way) <= AT_ONCE
        assert len({lane.stream for lane in under_way}) == len(under_way)
        if not under_way:
            at = lanes.next_at("cb")
            assert at is not None
            assert at > now
            now = at
            continue
        outcome, which = outcomes[step % len(outcomes)] if step < 200 else ("sent", 0)
        step += 1
        lane = under_way.pop(which % len(under_way))
        if outcome == "sent":
            arrived[lane.stream].append(lanes.sent(lane, now).name)
        else:
            lanes.failed(lane, now, jitter=0.0, reached=outcome == "wrong")
    for name, names in arrived.items():
        expected = [f"{n:04d}" for n, each in enumerate(streams) if f"live/{each}" == name]
        assert names == expected
    assert sum(map(len, arrived.values())) == len(streams)
    assert lanes.next_at("cb") is None


@pytest.mark.parametrize("number", [20_000])
def test_ten_thousands_of_streams_are_no_matter(number: int) -> None:
    lanes = Lanes()
    for n in range(number):
        lanes.add(kept(n, f"live/{n}"), 0.0)
    arrived = 0
    while (lane := lanes.take("cb", 0.0)) is not None:
        lanes.sent(lane, 0.0)
        arrived += 1
    assert arrived == number
