"""Who publishes."""

from streamd.engines.base import LiveStream
from streamd.observe import LISTING_GRACE_S, Admission, Listing, present
from streamd.observed import Publisher

NOBODY: frozenset[tuple[str, str]] = frozenset()
MAIN = ("main", "c1")


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
