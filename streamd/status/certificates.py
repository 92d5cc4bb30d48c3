"""What is said of a certificate. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime

from streamd.certificates.facts import CertificateFacts, CertificateState, expiring
from streamd.redact import redact_text
from streamd.status.snapshot import Snapshot

_DAY_S, _HOUR_S = 86_400.0, 3600.0


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One certificate.

    Attributes:
        state: `issuing`: there is none yet, and a self-signed one is served; `valid`; `renewing`;
            `failing`: the last try failed, and what was there before is served on; `expired`.
        since: when it came into this state, as far as that was seen.
        domains: that it is for.
        issuer, serial: of what is served; "" while that is self-signed.
        not_after: when that expires; None while it is self-signed.
        renew_at: when another one is obtained; None for files of the operator's.
        retry_at: when what failed is tried next; None when nothing waits for that.
        last_error: None when nothing is wrong.
    """

    state: CertificateState
    since: datetime | None
    domains: tuple[str, ...]
    issuer: str
    serial: str
    not_after: datetime | None
    renew_at: datetime | None
    retry_at: datetime | None
    last_error: str | None


def certificate_statuses(snapshot: Snapshot) -> dict[str, CertificateStatus]:
    """Return every certificate by name."""
    return {
        name: _status(snapshot, snapshot.certificates[name])
        for name in sorted(snapshot.certificates)
    }


def expiry_warnings(snapshot: Snapshot) -> tuple[str, ...]:
    """Return a line for each certificate that expires soon or has expired."""
    soon = expiring(snapshot.certificates, snapshot.now.timestamp())
    return tuple(f"certificate {name} {_left(left_s)}" for name, left_s in sorted(soon.items()))


def _left(left_s: float) -> str:
    if left_s <= 0:
        return "has expired"
    days = left_s / _DAY_S
    return f"expires in {days:.0f} days" if days >= 2 else f"expires in {left_s / _HOUR_S:.0f} h"


def _status(snapshot: Snapshot, facts: CertificateFacts) -> CertificateStatus:
    return CertificateStatus(
        state=facts.state,
        since=snapshot.since(f"certificate:{facts.name}", facts.state),
        domains=tuple(facts.domains),
        issuer=facts.issuer,
        serial=facts.serial,
        not_after=_moment(facts.not_after),
        renew_at=_moment(facts.renew_at),
        retry_at=_moment(facts.next_try_at),
        last_error=redact_text(facts.last_error) if facts.last_error else None,
    )


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
