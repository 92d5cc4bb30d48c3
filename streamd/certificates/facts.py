"""How certificates are, as everything that is shown of them is made of. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from streamd.certificates.attempts import Attempts
from streamd.certificates.record import Installed, Record
from streamd.certificates.spec import CertificateSpec

CertificateState = Literal["issuing", "valid", "renewing", "failing", "expired"]

WARN_BEFORE_S = 7 * 86_400.0
_HELD = (
    "it was tried so often of late that its authority would refuse; streamd tries again when the "
    "authority's limits allow it"
)

_CUT_OFF = "the last order was ended before anybody knew what came of it; streamd tries again"

SHORT_SHARE = 0.25
"""A certificate of a few days is warned of when this share of its lifetime is left."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate.

    Attributes:
        name: in the file.
        state: `issuing`: there is none yet, a self-signed one is served; `valid`; `renewing`:
            another one is being obtained; `failing`: the last try failed; `expired`.
        domains: that the file asks for; of own files what they are for.
        serial, issuer: of what is served; "" while that is self-signed.
        not_before, not_after: of what is served, Unix times; None likewise.
        renew_at: when another one will be obtained, Unix time; None for own files.
        next_try_at: when it is tried again after a failure, Unix time; None for none.
        last_error: why the last try failed, for an operator.
    """

    name: str
    state: CertificateState
    domains: Sequence[str]
    serial: str = ""
    issuer: str = ""
    not_before: float | None = None
    not_after: float | None = None
    renew_at: float | None = None
    next_try_at: float | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """When it is, and when a certificate is ordered, Unix times.

    Attributes:
        now: the time.
        due_at: when another one is to be obtained; None for own files.
        allowed_at: when the limits of its authority allow another try.
    """

    now: float
    due_at: float | None = None
    allowed_at: float = 0.0


def facts_of(
    spec: CertificateSpec,
    record: Record,
    moments: Moments,
    *,
    is_ordering: bool,
    error: str | None,
) -> CertificateFacts:
    """Return how a certificate is.

    Args:
        spec: what the file asks for.
        record: what is known of it.
        moments: of now, and of the next order.
        is_ordering: one is being obtained now.
        error: what is wrong now beside what the record says.
    """
    now, due_at = moments.now, moments.due_at
    installed = record.installed
    # What failed before its files became the operator's own is of no interest any more.
    attempts = record.attempts if spec.acme is not None else Attempts()
    next_at = max(attempts.next_at, moments.allowed_at)
    is_due = due_at is not None and due_at <= now
    told = error or attempts.last_error
    if told is None and is_due and next_at > now and not is_ordering:
        told = _HELD if next_at > attempts.next_at else _CUT_OFF
    served = installed if installed is not None and installed.source != "self-signed" else None
    return CertificateFacts(
        spec.name,
        _state(served, now, is_due=is_ordering or is_due, error=told),
        spec.domains or (installed.domains if installed else ()),
        serial=served.serial if served else "",
        issuer=served.issuer if served else "",
        not_before=served.not_before if served else None,
        not_after=served.not_after if served else None,
        renew_at=due_at if served else None,
        next_try_at=next_at if told and next_at > now else None,
        last_error=told,
    )


def _state(
    served: Installed | None, now: float, *, is_due: bool, error: str | None
) -> CertificateState:
    if served is not None and served.not_after <= now:
        return "expired"
    if error is not None:
        return "failing"
    if served is None:
        return "issuing"
    return "renewing" if is_due else "valid"


def expiring(facts: Mapping[str, CertificateFacts], now: float) -> dict[str, float]:
    """Return the certificates that expire soon, with the seconds that are left (below 0: over).

    Soon is within 7 days; of one that lives a few days alone, within a quarter of that.
    """
    found = {}
    for name, each in facts.items():
        if each.not_after is None or each.not_before is None:
            continue
        left_s = each.not_after - now
        if left_s < min(WARN_BEFORE_S, SHORT_SHARE * (each.not_after - each.not_before)):
            found[name] = left_s
    return found
