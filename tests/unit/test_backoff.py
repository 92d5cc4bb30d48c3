"""When a failed job is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from streamd.backoff import (
    FIRST_S,
    HEALTHY_AFTER_S,
    LIMIT_S,
    Failure,
    advanced,
    delay_s,
    failed,
    settle,
)
from streamd.observed import JobHistory


def test_the_delay_doubles_to_its_limit() -> None:
    assert [delay_s(n) for n in range(10)] == [0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30]


def test_a_first_delay_of_nothing_then_goes_on_as_usual() -> None:
    assert [delay_s(n, first_s=0.0) for n in range(4)] == [0, 0, FIRST_S, 2 * FIRST_S]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_only_shortens_and_by_a_quarter_at_most(failures: int, jitter: float) -> None:
    whole = delay_s(failures)
    assert 0.75 * whole <= delay_s(failures, jitter=jitter) <= whole <= LIMIT_S


def test_a_failure_is_counted_with_its_error_and_its_retry() -> None:
    history = failed(JobHistory(), Failure(5.0, "refused"), now=100.0, jitter=0.0)
    assert history == JobHistory(failures=1, retry_at=100.2, last_error="refused", judged_run=5.0)
    again = failed(history, Failure(6.0), now=101.0, jitter=0.0)
    assert (again.failures, again.retry_at, again.last_error) == (2, 101.4, "refused")


def test_an_error_that_cannot_heal_is_tried_at_the_slowest_pace() -> None:
    history = failed(JobHistory(), Failure(1.0, "wrong key", permanent=True), now=0.0, jitter=0.9)
    assert history.blocked
    assert history.retry_at == LIMIT_S


def test_health_of_a_minute_forgets_failures_and_less_does_not() -> None:
    history = failed(JobHistory(), Failure(1.0, "refused"), now=0.0, jitter=0.0)
    healthy = advanced(history, 10.0)
    assert settle(healthy, 10.0 + HEALTHY_AFTER_S - 0.1).failures == 1
    settled = settle(healthy, 10.0 + HEALTHY_AFTER_S)
    assert (settled.failures, settled.last_error) == (0, None)


def test_a_failure_after_a_minute_of_health_is_a_first_one() -> None:
    history = failed(JobHistory(), Failure(1.0, "refused"), now=0.0, jitter=0.0)
    for run in range(5):
        history = failed(history, Failure(float(run)), now=1.0, jitter=0.0)
    history = advanced(history, 50.0)
    assert failed(history, Failure(9.0), now=50.0 + HEALTHY_AFTER_S, jitter=0.0).failures == 1
