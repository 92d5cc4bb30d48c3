"""When an authority may be asked for a certificate: never so often that it would refuse. Pure.

Every try is written down before it is made, as though it had failed, so that a streamd that is
killed over and over asks no more often than one that runs on. The limits are Let's Encrypt's
(letsencrypt.org/docs/rate-limits, 2025), each with a distance to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_S = 7 * DAY_S

REFUSED_DELAYS_S = (60.0, 300.0, 1800.0, 7200.0, 43_200.0)
"""After the first, second, ... refusal in a row; the last one from then on."""

UNREACHABLE_DELAYS_S = (30.0, 120.0, 600.0, 1800.0)
"""An authority that is not there counts nothing, so that it is tried more often."""

JITTER = 0.1
LONGEST_S = WEEK_S
"""A next try that is further away comes from a clock that was wrong."""

Outcome = Literal["open", "refused", "unreachable", "issued"]


@dataclass(frozen=True, slots=True)
class Try:
    """One try to get a certificate: when it began (Unix time), for which names, what came of it."""

    at: float
    names: tuple[str, ...]
    outcome: Outcome = "open"


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was tried for one certificate.

    Attributes:
        failures: in a row.
        next_at: when it may be tried again, Unix time; 0: at once.
        tries: of the last week, the earliest first.
        last_error: of the last failure, for an operator; None after a success.
    """

    failures: int = 0
    next_at: float = 0.0
    tries: tuple[Try, ...] = ()
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries in so many seconds; `per` says which of all tries count together."""

    most: int
    within_s: float
    per: Literal["name", "set", "domain", "account"]
    outcomes: frozenset[Outcome]


_COUNTED: frozenset[Outcome] = frozenset({"open", "refused"})
_ISSUED: frozenset[Outcome] = frozenset({"open", "issued"})

LIMITS = (
    Limit(4, HOUR_S, "name", _COUNTED),  # 5 failed validations an hour
    Limit(4, WEEK_S, "set", _ISSUED),  # 5 certificates for the same names a week
    Limit(40, WEEK_S, "domain", _ISSUED),  # 50 certificates a registered domain and week
    Limit(250, 3 * HOUR_S, "account", frozenset({"open", "refused", "issued"})),  # 300 orders
)


def begun(attempts: Attempts, names: Sequence[str], now: float, *, jitter: float) -> Attempts:
    """Return what is known once a try has begun, which is what stays of one that is killed."""
    failures = attempts.failures + 1
    recent = [each for each in attempts.tries if 0 <= now - each.at < WEEK_S]
    return replace(
        attempts,
        failures=failures,
        next_at=now + _delay_s(REFUSED_DELAYS_S, failures, jitter),
        tries=(*recent, Try(now, tuple(names))),
    )


def issued(attempts: Attempts) -> Attempts:
    """Return what is known once the last try has brought a certificate."""
    return Attempts(tries=_ended(attempts.tries, "issued"))


def failed(
    attempts: Attempts,
    error: str,
    now: float,
    *,
    reached: bool,
    retry_after_s: float | None = None,
    jitter: float,
) -> Attempts:
    """Return what is known once the last try has failed.

    Args:
        attempts: as `begun` returned them.
        error: why, for an operator.
        now: Unix time.
        reached: the authority answered; otherwise it counts nothing against us.
        retry_after_s: how long it asked to wait, seconds.
        jitter: in [0, 1).
    """
    delays = REFUSED_DELAYS_S if reached else UNREACHABLE_DELAYS_S
    wait_s = max(_delay_s(delays, attempts.failures, jitter), retry_after_s or 0.0)
    return replace(
        attempts,
        next_at=now + min(wait_s, LONGEST_S),
        tries=_ended(attempts.tries, "refused" if reached else "unreachable"),
        last_error=error,
    )


def earliest(
    attempts: Attempts, all_tries: Iterable[Try], names: Sequence[str], now: float
) -> float:
    """Return when a certificate may be tried next, Unix time; not after `now`: at once.

    Args:
        attempts: what was tried for this one.
        all_tries: what was tried for every certificate at the same authority, this one's too.
        names: that it is for now.
        now: Unix time.
    """
    next_at = attempts.next_at if attempts.next_at - now <= LONGEST_S else 0.0
    known = [each for each in all_tries if each.at <= now]
    return max([next_at, *(_free_at(limit, known, names, now) for limit in LIMITS)])


def forgiven(attempts: Attempts) -> Attempts:
    """Return attempts after somebody has changed what was wrong: the wait is over.

    The tries are kept, because the authority keeps them too.
    """
    return replace(attempts, failures=0, next_at=0.0)


def registered_domain(name: str) -> str:
    """Return the part of a name that an authority counts by, as near as can be without its list.

    Of names as `a.example.co.uk` that is too little, which only makes streamd more careful.
    """
    return ".".join(name.removeprefix("*.").split(".")[-2:])


def _free_at(limit: Limit, tries: Sequence[Try], names: Sequence[str], now: float) -> float:
    wanted = _keys(limit, names)
    counted: dict[object, list[float]] = {key: [] for key in wanted}
    for each in tries:
        if each.outcome in limit.outcomes and now - each.at < limit.within_s:
            for key in wanted & _keys(limit, each.names):
                counted[key].append(each.at)
    full = [sorted(times)[-limit.most] for times in counted.values() if len(times) >= limit.most]
    return max(full) + limit.within_s if full else 0.0


def _keys(limit: Limit, names: Sequence[str]) -> set[object]:
    if limit.per == "name":
        return set(names)
    if limit.per == "set":
        return {frozenset(names)}
    return set(map(registered_domain, names)) if limit.per == "domain" else {""}


def _ended(tries: tuple[Try, ...], outcome: Outcome) -> tuple[Try, ...]:
    return (*tries[:-1], replace(tries[-1], outcome=outcome)) if tries else ()


def _delay_s(delays: Sequence[float], failures: int, jitter: float) -> float:
    delay_s = delays[min(max(failures, 1), len(delays)) - 1]
    return delay_s * (1.0 + JITTER * jitter)
