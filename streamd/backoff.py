"""When a job that failed is tried again: a pure function of what happened to it so far."""

from dataclasses import dataclass, replace

from streamd.observed import JobHistory
from streamd.waits import doubling_s

FIRST_S = 0.2
LIMIT_S = 30.0
HEALTHY_AFTER_S = 60.0


def delay_s(failures: int, *, first_s: float = FIRST_S, jitter: float = 0.0) -> float:
    """Return the wait after the given number of failures in a row, in seconds.

    It doubles from `first_s` to 30 s; `jitter` in [0, 1) shortens it by up to a quarter, so that
    what failed together does not come back together. With `first_s` 0 the first retry is at once
    and the later ones as usual.
    """
    if failures <= 0:
        return 0.0
    if first_s == 0.0:
        if failures == 1:
            return 0.0
        failures, first_s = failures - 1, FIRST_S
    return doubling_s(failures, first_s, LIMIT_S, jitter=jitter)


@dataclass(frozen=True, slots=True)
class Failure:
    """One run that ended without being asked to.

    Attributes:
        run: `started_at` of the run, so that no exit is counted twice.
        error: what to show as `last_error`; None keeps the one before.
        permanent: it cannot heal by itself; it is still tried, at the slowest pace.
    """

    run: float
    error: str | None = None
    permanent: bool = False


def failed(
    history: JobHistory, failure: Failure, *, now: float, jitter: float, first_s: float = FIRST_S
) -> JobHistory:
    """Count a failed run, and set when the next may start.

    Args:
        history: what happened before.
        failure: the run that failed.
        now: monotonic time.
        jitter: in [0, 1), see `delay_s`.
        first_s: the first delay; 0 retries at once.
    """
    settled = settle(history, now)
    failures = settled.failures + 1
    wait = LIMIT_S if failure.permanent else delay_s(failures, first_s=first_s, jitter=jitter)
    return replace(
        settled,
        failures=failures,
        retry_at=now + wait,
        last_error=failure.error or settled.last_error,
        blocked=failure.permanent,
        healthy_since=None,
        judged_run=failure.run,
    )


def advanced(history: JobHistory, now: float) -> JobHistory:
    """Note that the job does what it is for (media arrives, a port answers)."""
    if history.healthy_since is None:
        history = replace(history, healthy_since=now, blocked=False)
    return settle(history, now)


def settle(history: JobHistory, now: float) -> JobHistory:
    """Forget the failures of a job that has been healthy for a minute."""
    if (
        history.failures
        and history.healthy_since is not None
        and now - history.healthy_since >= HEALTHY_AFTER_S
    ):
        return replace(history, failures=0, last_error=None, blocked=False)
    return history
