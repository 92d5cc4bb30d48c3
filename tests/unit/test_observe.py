"""Who publishes, and what has stalled."""

import math

from streamd.engines.base import LiveStream
from streamd.observe import (
    CONNECT_S,
    INPUT_LAG_S,
    LISTING_GRACE_S,
    STALL_S,
    Admission,
    Flow,
    Listing,
    flows,
    is_stalled,
    present,
)
from streamd.observed import Publisher

NOBODY: frozenset[tuple[str, str]] = frozenset()


def publisher(client_id: str, stream: str = "live/a", published_as: str | None = None) -> Publisher:
    return Publisher("main", stream, published_as or stream, client_id, key="studio")


def listed(client_id: str, name: str = "live/a", bytes_in: int = 1) -> LiveStream:
    return LiveStream(name, client_id, bytes_in, 100, 0)


def listing(asked_at: float, *streams: LiveStream) -> dict[str, Listing]:
    return {"main": Listing(asked_at, streams)}


def test_an_admitted_publisher_is_present_before_any_listing() -> None:
    found = present([Admission(publisher("c1"), 10.0)], {}, NOBODY)
    assert found.publishers == {"live/a": publisher("c1")}


def test_an_admitted_publisher_may_take_a_moment_to_show_in_the_listing() -> None:
    admitted = [Admission(publisher("c1"), 10.0)]
    soon = present(admitted, listing(10.0 + LISTING_GRACE_S - 0.1), NOBODY)
    assert "live/a" in soon.publishers
    late = present(admitted, listing(10.0 + LISTING_GRACE_S), NOBODY)
    assert not late.publishers
    assert late.over == {("main", "c1")}


def test_of_two_for_one_name_the_listed_one_publishes() -> None:
    admitted = [Admission(publisher("c1"), 1.0), Admission(publisher("c2"), 10.0)]
    found = present(admitted, listing(10.1, listed("c1")), NOBODY)
    assert found.publishers["live/a"].client_id == "c1"
    assert not found.over


def test_one_whose_leaving_was_told_is_gone_though_an_old_listing_has_it() -> None:
    found = present(
        [Admission(publisher("c1"), 1.0)], listing(2.0, listed("c1")), frozenset({("main", "c1")})
    )
    assert not found.publishers


def test_one_whom_no_hook_let_in_is_present_without_a_key() -> None:
    found = present([], listing(1.0, listed("c9")), NOBODY)
    assert found.publishers["live/a"].key is None


def test_one_whom_no_hook_let_in_is_known_without_the_secret_in_its_name() -> None:
    found = present([], listing(1.0, listed("c9", "lot/a-SECRET99")), NOBODY, lambda _: "lot/***")
    assert found.publishers == {"lot/***": Publisher("main", "lot/***", "lot/a-SECRET99", "c9")}
    admitted = [Admission(publisher("c1", published_as="live/a-SECRET99"), 1.0)]
    both = present(admitted, listing(5.0, listed("c1", "live/a-SECRET99")), NOBODY, lambda _: "x")
    assert set(both.publishers) == {"live/a"}


def test_a_key_in_the_name_does_not_make_a_second_stream() -> None:
    admitted = [Admission(publisher("c1", published_as="live/a-SECRET99"), 1.0)]
    found = present(admitted, listing(5.0, listed("c1", "live/a-SECRET99")), NOBODY)
    assert set(found.publishers) == {"live/a"}


def test_a_flow_is_dated_by_the_listing_before_its_advance() -> None:
    first = flows({}, listing(1.0, listed("c1", bytes_in=10)))
    second = flows(first, listing(2.0, listed("c1", bytes_in=10)))
    third = flows(second, listing(3.0, listed("c1", bytes_in=11)))
    assert [f["main", "c1"].advanced_at for f in (first, second, third)] == [
        -math.inf,
        -math.inf,
        2.0,
    ]


def test_media_that_stands_still_while_its_input_goes_on_has_stalled() -> None:
    alive = Flow(1, 99.0)
    assert is_stalled(0.0, 100.0 - STALL_S, alive, 100.0)
    assert not is_stalled(0.0, 100.1 - STALL_S, alive, 100.0)


def test_media_that_stands_still_with_its_input_has_not_stalled() -> None:
    assert not is_stalled(0.0, 50.0, Flow(1, 50.0), 100.0)
    assert not is_stalled(0.0, 50.0, None, 100.0)


def test_an_input_that_stopped_at_the_same_time_may_be_told_a_little_later() -> None:
    assert not is_stalled(0.0, 95.0, Flow(1, 95.0 + INPUT_LAG_S - 0.1), 100.5)
    assert is_stalled(0.0, 95.0, Flow(1, 95.0 + INPUT_LAG_S + 0.1), 100.5)


def test_a_start_gets_longer_than_what_has_begun() -> None:
    alive = Flow(1, 100.0)
    assert not is_stalled(100.0 - STALL_S, None, alive, 100.0)
    assert is_stalled(100.0 - CONNECT_S, None, alive, 100.0)
