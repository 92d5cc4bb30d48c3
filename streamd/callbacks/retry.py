"""When a callback is tried again, and when no more. Pure."""

from streamd.waits import doubling_s

FIRST_S = 1.0
LIMIT_S = 600.0

GIVEN_UP_AFTER_S = 24 * 3600.0
"""What could not be delivered for so long is dropped."""

TRIED_AT_LEAST_S = 600.0
"""A streamd that was off for days tries for so long before it drops what it finds."""


def delay_s(attempts: int, jitter: float = 0.0) -> float:
    """Return the wait after so many failed attempts, in seconds.

    It doubles from 1 s to 10 min; `jitter` in [0, 1) shortens it by up to a quarter.
    """
    return doubling_s(attempts, FIRST_S, LIMIT_S, jitter=jitter)


def is_given_up(age_s: float, tried_s: float) -> bool:
    """Tell whether an event is too old to be sent.

    Args:
        age_s: since it happened, by the time of day, which may have leapt.
        tried_s: since this streamd tried it first.
    """
    return tried_s >= GIVEN_UP_AFTER_S or (
        age_s >= GIVEN_UP_AFTER_S and tried_s >= TRIED_AT_LEAST_S
    )
