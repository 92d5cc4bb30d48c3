from hypothesis import given
from hypothesis import strategies as st

from streamd.engines.rates import WINDOW_S, Rates


def _read(rates: Rates, readings: list[tuple[float, int]]) -> int:
    rate = 0
    for now, total in readings:
        rate = rates.update("a", total, now)
    return rate


def test_a_steady_counter_has_its_rate() -> None:
    assert _read(Rates(), [(t, t * 12_500) for t in range(8)]) == 100


def test_a_counter_that_advances_in_steps_has_the_rate_of_its_steps() -> None:
    rates = Rates()
    readings = [(float(t), t // 3 * 37_500) for t in range(12)]
    _read(rates, readings[:-1])
    assert rates.update("a", readings[-1][1], readings[-1][0]) == 100


def test_a_first_reading_and_a_burst_tell_nothing() -> None:
    rates = Rates()
    assert rates.update("a", 1000, 5.0) == 0
    assert rates.update("a", 90_000, 5.3) == 0


def test_a_counter_that_stopped_falls_to_nothing() -> None:
    readings = [(float(t), t * 12_500) for t in range(5)]
    assert _read(Rates(), [*readings, (4 + WINDOW_S + 0.1, 4 * 12_500)]) == 0


def test_the_rate_follows_a_change_within_the_window() -> None:
    slow = [(float(t), t * 12_500) for t in range(20)]
    fast = [(20.0 + t, 20 * 12_500 + t * 125_000) for t in range(12)]
    assert _read(Rates(), slow + fast) == 1000


def test_a_counter_that_starts_again_is_measured_anew() -> None:
    assert _read(Rates(), [(0, 10**9), (1, 10**9 + 5), (2, 0), (3, 12_500), (4, 25_000)]) == 100


def test_counters_are_apart_and_forgotten() -> None:
    rates = Rates()
    for t in range(5):
        rates.update("a", t * 12_500, t)
        assert rates.update("b", 0, t) == 0
    rates.keep(["b"])
    assert rates.update("a", 10**6, 5.0) == 0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**12)), min_size=1))
def test_no_rate_is_below_nothing(readings: list[tuple[float, int]]) -> None:
    rates = Rates()
    for now, total in sorted(readings):
        assert rates.update("a", total, now) >= 0
