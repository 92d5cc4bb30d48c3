"""Repeated failures from one address slow that address."""

from hypothesis import given
from hypothesis import strategies as st

from streamd.auth.slowdown import ADDRESSES_KEPT, FORGOTTEN_AFTER_S, LONGEST_DELAY_S, Slowdown


def test_the_first_failures_are_free_and_further_ones_take_ever_longer() -> None:
    slowdown = Slowdown()
    delays = [slowdown.failed("192.0.2.1", now_s=number) for number in range(10)]
    assert delays == [0, 0, 0, 0.5, 1, 2, 4, 5, 5, 5]


def test_other_addresses_are_not_slowed() -> None:
    slowdown = Slowdown()
    for number in range(10):
        slowdown.failed("192.0.2.1", number)
    assert slowdown.failed("192.0.2.2", 10) == 0


def test_failures_are_forgotten_after_a_while_without_one() -> None:
    slowdown = Slowdown()
    for _ in range(10):
        slowdown.failed("192.0.2.1", 0)
    assert slowdown.failed("192.0.2.1", FORGOTTEN_AFTER_S - 1) == LONGEST_DELAY_S
    assert slowdown.failed("192.0.2.1", 2 * FORGOTTEN_AFTER_S - 1) == 0


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    slowdown = Slowdown()
    delays = [slowdown.failed(f"2001:db8:0:1::{number}", number) for number in range(1, 5)]
    assert delays[-1] == 0.5
    assert slowdown.failed("2001:db8:0:2::1", 5) == 0


def test_an_ipv4_address_written_as_ipv6_is_the_same_address() -> None:
    slowdown = Slowdown()
    for number in range(3):
        slowdown.failed("192.0.2.1", number)
    assert slowdown.failed("::ffff:192.0.2.1", 3) == 0.5


@given(st.lists(st.tuples(st.text(max_size=100), st.floats(0, 1e9))))
def test_a_delay_is_bounded_whatever_an_address_looks_like(
    failures: list[tuple[str, float]],
) -> None:
    slowdown = Slowdown()
    for address, now_s in failures:
        assert 0 <= slowdown.failed(address, now_s) <= LONGEST_DELAY_S


def test_the_table_is_bounded_and_the_least_lately_seen_goes_first() -> None:
    slowdown = Slowdown()
    for number in range(4):
        slowdown.failed("often", number)
    for number in range(ADDRESSES_KEPT + 10):
        slowdown.failed(f"address-{number}", number)
        slowdown.failed("often", number)
    assert len(slowdown) == ADDRESSES_KEPT
    assert slowdown.failed("often", 0) == LONGEST_DELAY_S
    assert slowdown.failed("address-1", 0) == 0
