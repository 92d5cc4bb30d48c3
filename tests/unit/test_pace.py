"""How many processes are started a second."""

from hypothesis import given
from hypothesis import strategies as st

from streamd.pace import STARTS_PER_CORE_S, Pace


def test_a_second_s_worth_is_let_through_and_the_rest_waits() -> None:
    pace = Pace(cores=1)
    assert [pace.take(10.0) for _ in range(STARTS_PER_CORE_S + 1)] == [
        *[True] * STARTS_PER_CORE_S,
        False,
    ]
    assert pace.next_at() == 11.0
    assert pace.take(11.0)


@given(st.lists(st.floats(0, 20), max_size=200), st.integers(1, 4))
def test_no_second_ever_has_more(times: list[float], cores: int) -> None:
    pace = Pace(cores)
    taken = [moment for moment in sorted(times) if pace.take(moment)]
    for start in taken:
        within = [moment for moment in taken if start <= moment < start + 1.0]
        assert len(within) <= cores * STARTS_PER_CORE_S
