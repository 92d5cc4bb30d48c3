from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.retry import Retry


@given(st.integers())
def test_waits_double_up_to_the_limit(seed: int) -> None:
    retry = Retry(0.2, 5.0, Random(seed))
    waits = [retry.next_s() for _ in range(12)]
    for number, wait in enumerate(waits):
        whole = min(5.0, 0.2 * 2**number)
        assert 0.75 * whole <= wait <= whole


def test_a_success_begins_anew() -> None:
    retry = Retry(0.2, 5.0, Random(1))
    for _ in range(100):
        retry.next_s()
    retry.reset()
    assert retry.next_s() <= 0.2
