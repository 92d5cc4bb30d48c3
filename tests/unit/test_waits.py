from hypothesis import given
from hypothesis import strategies as st

from streamd.waits import JITTER, doubling_s


def test_a_wait_doubles_to_its_limit() -> None:
    assert [doubling_s(n, 5.0, 300.0) for n in range(1, 9)] == [
        5, 10, 20, 40, 80, 160, 300, 300,
    ]  # fmt: skip


def test_less_than_one_failure_counts_as_one() -> None:
    assert doubling_s(0, 1.0, 9.0) == doubling_s(-7, 1.0, 9.0) == 1.0


@given(st.integers(), st.floats(0, 1, exclude_max=True))
def test_jitter_only_shortens(failures: int, jitter: float) -> None:
    whole = doubling_s(failures, 0.5, 1e6)
    assert (1 - JITTER) * whole <= doubling_s(failures, 0.5, 1e6, jitter=jitter) <= whole <= 1e6
