"""When a certificate is renewed."""

from hypothesis import given
from hypothesis import strategies as st

from streamd.certificates.lifetime import Window, ask_again_s, renew_at, spread_of

DAY_S = 86_400.0
SPREADS = st.floats(0, 1, exclude_max=True)


@given(begin=st.floats(0, 1e10), days=st.floats(0.01, 400), spread=SPREADS)
def test_without_advice_a_third_is_left_and_half_of_a_short_one(
    begin: float, days: float, spread: float
) -> None:
    at = renew_at(begin, begin + days * DAY_S, window=None, spread=spread)
    share = (at - begin) / (days * DAY_S)
    latest = 1 / 2 if days < 10 else 2 / 3
    assert latest - 1 / 30 - 1e-3 <= share <= latest + 1e-3


@given(start=st.floats(0, 60), length=st.floats(0.01, 60), spread=SPREADS)
def test_advice_is_followed_as_long_as_it_leaves_time(
    start: float, length: float, spread: float
) -> None:
    window = Window(start * DAY_S, (start + length) * DAY_S)
    at = renew_at(0, 90 * DAY_S, window=window, spread=spread)
    assert at == min(window.start + spread * (window.end - window.start), 72 * DAY_S)


def test_a_certificate_that_is_to_be_replaced_now_is() -> None:
    past = Window(1.0, 2.0)
    assert renew_at(50 * DAY_S, 140 * DAY_S, window=past, spread=0.5) < 50 * DAY_S


def test_a_window_that_is_none_counts_as_no_advice() -> None:
    none = renew_at(0, 90 * DAY_S, window=None, spread=0.5)
    assert renew_at(0, 90 * DAY_S, window=Window(9.0, 9.0), spread=0.5) == none


def test_certificates_are_spread_and_each_keeps_its_place() -> None:
    spreads = [spread_of(f"{n:x}") for n in range(100)]
    assert len(set(spreads)) == 100
    assert all(0 <= each < 1 for each in spreads)
    assert spread_of("a") == spread_of("a")


def test_how_often_the_authority_is_asked_is_bounded() -> None:
    assert [ask_again_s(told) for told in (None, 1.0, 3600.0, 1e9)] == [21600, 60, 3600, 86400]
