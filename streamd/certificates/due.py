"""What is to be done next for a certificate, and when. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from streamd.certificates.attempts import Try, earliest, forgiven
from streamd.certificates.lifetime import renew_at, spread_of
from streamd.certificates.record import Record
from streamd.certificates.spec import CertificateSpec, means_identity, wanted_identity


@dataclass(frozen=True, slots=True)
class Due:
    """What is next.

    Attributes:
        what: to order, or to ask the authority when to renew.
        at: when, Unix time.
        allowed_at: when an order is allowed at the earliest, Unix time.
    """

    what: Literal["order", "ask"]
    at: float
    allowed_at: float


def known_of(spec: CertificateSpec, record: Record) -> Record:
    """Return a record as it counts for what the file asks for now.

    Other names, another authority or another way to it are a new start: whoever changed them waits
    for nothing. What was tried is kept, as the authority keeps it.
    """
    wanted, means = wanted_identity(spec), means_identity(spec)
    if (record.wanted, record.means) == (wanted, means):
        return record
    attempts = forgiven(record.attempts)
    return replace(record, attempts=attempts, wanted=wanted, means=means)


def try_now(spec: CertificateSpec, record: Record, now: float) -> Try:
    """Return the try to get a certificate that would begin now."""
    assert spec.acme is not None  # noqa: S101 - for mypy: only what is ordered is due
    present = record.installed
    renews = (
        present is not None
        and present.source == "authority"
        and set(map(str.lower, present.domains)) == set(map(str.lower, spec.domains))
    )
    return Try(now, spec.domains, spec.acme.directory, renews)


def order_at(spec: CertificateSpec, record: Record) -> float:
    """Return when another certificate is wanted, Unix time; 0: now, since this one is not right."""
    installed = record.installed
    if installed is None or installed.wanted != wanted_identity(spec):
        return 0.0
    return renew_at(
        installed.not_before,
        installed.not_after,
        window=record.window,
        spread=spread_of(installed.serial),
    )


def due(spec: CertificateSpec, record: Record, all_tries: Iterable[Try], now: float) -> Due:
    """Return what is next for a certificate.

    Args:
        spec: from an authority.
        record: what is known of it (`known_of`).
        all_tries: of every certificate, this one's too.
        now: Unix time.
    """
    wanted_at = order_at(spec, record)
    allowed_at = earliest(record.attempts, all_tries, try_now(spec, record, now))
    order = Due("order", max(wanted_at, allowed_at), allowed_at)
    is_asked = wanted_at > 0 and record.installed is not None and record.installed.ari is not None
    if is_asked and record.ask_at < order.at:
        return Due("ask", record.ask_at, allowed_at)
    return order
