"""When an authority may be asked for a certificate: never so often that it would refuse. Pure.

Every try is written down before it is made, as though it had failed, and again before the authority
is asked to issue, as though it had; so a streamd that is killed over and over asks no more often
than one that runs on. The limits are Let's Encrypt's (letsencrypt.org/docs/rate-limits, 2025), each
with a distance to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_S = 7 * DAY_S

REFUSED_DELAYS_S = (60.0, 300.0, 1800.0, 7200.0, 43_200.0)
"""After the first, second, ... refusal in a row; the last one from then on."""

UNREACHABLE_DELAYS_S = (30.0, 120.0, 600.0, 1800.0)
"""An authority that is not there, or not well, is tried more often: it will be back."""

ASKED_DELAYS_S = (7200.0, 43_200.0)
"""After certificates that were asked for and did not arrive, of which a week has few."""

JITTER = 0.1
LONGEST_S = WEEK_S
"""A next try that is further away comes from a clock that was wrong."""

Outcome = Literal["open", "asked", "refused", "unreachable", "issued"]
"""`open`: under way, or killed; `asked`: likewise, and the authority may have issued."""

Failure = Literal["refused", "faulty", "unreachable", "unknown"]
"""Why there is no certificate: the authority refused; it has a fault of its own; it is not there;
nobody knows, so that what was written down holds."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try to get a certificate.

    Attributes:
        at: when it began, Unix time.
        names: that it was for.
        authority: URL of the directory.
        renews: there was one for just these names already.
        outcome: what came of it.
    """

    at: float
    names: tuple[str, ...]
    authority: str
    renews: bool = False
    outcome: Outcome = "open"


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was tried for one certificate.

    Attributes:
        failures: in a row.
        next_at: when it may be tried again, Unix time; 0: at once.
        tries: that still count for something, the earliest first.
        last_error: of the last failure, for an operator; None after a success.
    """

    failures: int = 0
    next_at: float = 0.0
    tries: tuple[Try, ...] = ()
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries in so many seconds.

    Attributes:
        most: tries.
        within_s: seconds.
        per: which of all tries count together.
        outcomes: that count.
        spares_renewals: another one for the same names neither counts nor is held back.
    """

    most: int
    within_s: float
    per: Literal["name", "set", "domain", "account"]
    outcomes: frozenset[Outcome]
    spares_renewals: bool = False


_COUNTED_LATE_S = 600.0
"""An authority counts what comes of a try at its end."""

_FAILED: frozenset[Outcome] = frozenset({"open", "refused"})
_ISSUED: frozenset[Outcome] = frozenset({"asked", "issued"})

LIMITS = (
    Limit(4, HOUR_S + _COUNTED_LATE_S, "name", _FAILED),  # 5 failed validations an hour
    Limit(4, WEEK_S + _COUNTED_LATE_S, "set", _ISSUED),  # 5 certificates for the same names a week
    # 50 certificates a registered domain and week
    Limit(40, WEEK_S + _COUNTED_LATE_S, "domain", _ISSUED, spares_renewals=True),
    Limit(250, 3 * HOUR_S + _COUNTED_LATE_S, "account", _FAILED | _ISSUED),  # 300 orders
)


def begun(attempts: Attempts, new: Try, *, jitter: float) -> Attempts:
    """Return what is known once a try has begun, which is what stays of one that is killed."""
    failures = attempts.failures + 1
    return replace(
        attempts,
        failures=failures,
        next_at=new.at + _delay_s(REFUSED_DELAYS_S, failures, jitter),
        tries=(*(each for each in attempts.tries if _counts(each, new.at)), new),
    )


def asked(attempts: Attempts, now: float, *, jitter: float) -> Attempts:
    """Return what is known once the authority is about to issue what the last try is for."""
    tries = _ended(attempts.tries, "asked")
    lost = sum(each.outcome == "asked" for each in tries)
    return replace(attempts, next_at=now + _delay_s(ASKED_DELAYS_S, lost, jitter), tries=tries)


def issued(attempts: Attempts) -> Attempts:
    """Return what is known once the last try has brought a certificate."""
    return Attempts(tries=_ended(attempts.tries, "issued"))


def failed(
    attempts: Attempts,
    error: str,
    now: float,
    *,
    failure: Failure,
    retry_after_s: float | None = None,
    jitter: float,
) -> Attempts:
    """Return what is known once the last try has failed.

    Args:
        attempts: as `begun` or `asked` returned them.
        error: why, for an operator.
        now: Unix time.
        failure: why, as it counts.
        retry_after_s: how long the authority asked to wait, seconds.
        jitter: in [0, 1).
    """
    is_asked = bool(attempts.tries) and attempts.tries[-1].outcome == "asked"
    if failure == "unknown" or (failure == "unreachable" and is_asked):
        tries, next_at = attempts.tries, attempts.next_at
    else:
        delays = REFUSED_DELAYS_S if failure == "refused" else UNREACHABLE_DELAYS_S
        tries = _ended(attempts.tries, "unreachable" if failure == "unreachable" else "refused")
        next_at = now + _delay_s(delays, attempts.failures, jitter)
    asked_to_wait_s = min(retry_after_s or 0.0, LONGEST_S)
    return replace(
        attempts, next_at=max(next_at, now + asked_to_wait_s), tries=tries, last_error=error
    )


def earliest(attempts: Attempts, all_tries: Iterable[Try], wanted: Try) -> float:
    """Return when a certificate may be tried next, Unix time; not after `wanted.at`: at once.

    Args:
        attempts: what was tried for this one.
        all_tries: what was tried for every certificate, this one's too.
        wanted: the try as it would be if it began now.
    """
    now = wanted.at
    next_at = attempts.next_at if attempts.next_at - now <= LONGEST_S else 0.0
    known = [each for each in all_tries if each.authority == wanted.authority and each.at <= now]
    return max([next_at, *(_free_at(limit, known, wanted) for limit in LIMITS)])


def forgiven(attempts: Attempts) -> Attempts:
    """Return attempts after somebody has mended what was wrong: the wait is over.

    The tries are kept, because the authority keeps them too.
    """
    return Attempts(tries=attempts.tries)


def registered_domain(name: str) -> str:
    """Return the part of a name that an authority counts by, as near as can be without its list.

    Of names as `a.example.co.uk` that is too little, which only makes streamd more careful.
    """
    return ".".join(name.removeprefix("*.").split(".")[-2:])


def _free_at(limit: Limit, tries: Sequence[Try], wanted: Try) -> float:
    if limit.spares_renewals and wanted.renews:
        return 0.0
    keys = _keys(limit, wanted)
    counted: dict[object, list[float]] = {key: [] for key in keys}
    for each in tries:
        if not _is_counted_by(limit, each, wanted.at):
            continue
        for key in keys & _keys(limit, each):
            counted[key].append(each.at)
    full = [sorted(times)[-limit.most] for times in counted.values() if len(times) >= limit.most]
    return max(full) + limit.within_s if full else 0.0


def _counts(tried: Try, now: float) -> bool:
    return any(_is_counted_by(limit, tried, now) for limit in LIMITS)


def _is_counted_by(limit: Limit, tried: Try, now: float) -> bool:
    return (
        tried.outcome in limit.outcomes
        and now - tried.at < limit.within_s
        and not (limit.spares_renewals and tried.renews)
    )


def _keys(limit: Limit, tried: Try) -> set[object]:
    if limit.per == "name":
        return set(tried.names)
    if limit.per == "set":
        return {frozenset(tried.names)}
    return set(map(registered_domain, tried.names)) if limit.per == "domain" else {""}


def _ended(tries: tuple[Try, ...], outcome: Outcome) -> tuple[Try, ...]:
    return (*tries[:-1], replace(tries[-1], outcome=outcome)) if tries else ()


def _delay_s(delays: Sequence[float], failures: int, jitter: float) -> float:
    delay_s = delays[min(max(failures, 1), len(delays)) - 1]
    return delay_s * (1.0 + JITTER * jitter)
