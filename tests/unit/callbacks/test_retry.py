"""When it is tried again, and when no more."""

from hypothesis import given
from hypothesis import strategies as st

from streamd.callbacks.retry import GIVEN_UP_AFTER_S, LIMIT_S, delay_s, is_given_up


def test_it_doubles_from_a_second_to_ten_minutes() -> None:
    assert [delay_s(n) for n in range(1, 13)] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600,
    ]  # fmt: skip


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_jitter_shortens_by_a_quarter_at_most(attempts: int, jitter: float) -> None:
    whole = delay_s(attempts)
    assert 0.75 * whole <= delay_s(attempts, jitter) <= whole <= LIMIT_S


def test_it_is_given_up_after_a_day() -> None:
    day = GIVEN_UP_AFTER_S
    assert not is_given_up(day - 1, day - 1)
    assert is_given_up(day, day)
    assert is_given_up(0.0, day)  # the clock was set back


def test_what_lay_there_for_days_is_tried_for_ten_minutes() -> None:
    assert not is_given_up(10 * GIVEN_UP_AFTER_S, 599)
    assert is_given_up(10 * GIVEN_UP_AFTER_S, 600)


def test_a_clock_that_leapt_ahead_drops_nothing_at_once() -> None:
    assert not is_given_up(50 * 365 * GIVEN_UP_AFTER_S, 0.0)
