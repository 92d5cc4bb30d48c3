"""When a certificate is renewed. Pure.

An authority may say when (ARI, RFC 9773); otherwise after two thirds of the lifetime, or after half
of one under ten days, as Let's Encrypt advises for its certificates of 90, 45 and 6 days.
"""

import hashlib
from dataclasses import dataclass

SHORT_LIFETIME_S = 10 * 86_400.0
LATE_SHARE, EARLY_SHARE = 2 / 3, 1 / 2
JITTER_SHARE = 1 / 30
"""What was issued together is renewed spread over this share of the lifetime."""

LATEST_SHARE = 4 / 5
"""Whatever an authority advises, later than this would leave too little time for its failures."""

ASK_EVERY_S = 6 * 3600.0
LEAST_ASK_S, MOST_ASK_S = 60.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Window:
    """When an authority wants a certificate to be renewed, Unix times."""

    start: float
    end: float


def spread_of(serial: str) -> float:
    """Return a number in [0, 1) that a certificate keeps, however often it is asked for."""
    return int.from_bytes(hashlib.sha256(serial.encode()).digest()[:6]) / 2**48


def renew_at(not_before: float, not_after: float, *, window: Window | None, spread: float) -> float:
    """Return when a certificate is to be renewed, Unix time.

    Args:
        not_before: Unix time.
        not_after: likewise.
        window: what the authority advises; a moment in it is taken.
        spread: in [0, 1), see `spread_of`.
    """
    lifetime = not_after - not_before
    if window is not None and window.start < window.end:
        advised = window.start + spread * (window.end - window.start)
        return min(advised, not_before + LATEST_SHARE * lifetime)
    share = EARLY_SHARE if lifetime < SHORT_LIFETIME_S else LATE_SHARE
    return not_before + (share - spread * JITTER_SHARE) * lifetime


def ask_again_s(retry_after_s: float | None) -> float:
    """Return after how many seconds an authority is asked again when to renew."""
    if retry_after_s is None:
        return ASK_EVERY_S
    return min(max(retry_after_s, LEAST_ASK_S), MOST_ASK_S)
