"""How long to wait before what failed is tried again. Pure."""

JITTER = 0.25
"""The largest part that a wait is shortened by."""

_MOST_DOUBLINGS = 30  # so that a count that never ends stays a number


def doubling_s(failures: int, first_s: float, limit_s: float, *, jitter: float = 0.0) -> float:
    """Return the wait after so many failures in a row, in seconds.

    Args:
        failures: less than one counts as one.
        first_s: after the first; it doubles with each further one.
        limit_s: the longest.
        jitter: in [0, 1), what it is shortened by, up to a quarter, so that what failed together
            does not come back together.
    """
    doublings = min(max(failures, 1) - 1, _MOST_DOUBLINGS)
    return min(limit_s, first_s * 2.0**doublings) * (1.0 - JITTER * jitter)
