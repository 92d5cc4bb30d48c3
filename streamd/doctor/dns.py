"""Asks the DNS what the resolver of the C library does not tell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dns.resolver import Resolver

LIFETIME_S = 3.0
"""For one name and those above it together, more or less."""


def allowed_authorities(name: str, resolver: "Resolver | None" = None) -> tuple[str, ...] | None:
    """Return the authorities that may issue for a name (CAA, RFC 8659). Blocks.

    Args:
        name: of a certificate.
        resolver: to ask; None: the machine's.

    Returns:
        Their names, as `letsencrypt.org`; None where there are no records, or they are not known.
    """
    # Not before it is needed: the daemon has no use for it.
    import dns.exception  # noqa: PLC0415
    import dns.name  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    try:
        asked = resolver or dns.resolver.Resolver()
        at = dns.name.from_text(name.removeprefix("*."))
        while at != dns.name.root:
            try:
                found = asked.resolve(at, "CAA", lifetime=LIFETIME_S)
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                at = at.parent()
                continue
            return _issuers(name, [(each.tag.decode(), each.value.decode()) for each in found])
    except (dns.exception.DNSException, OSError, UnicodeError):
        return None
    return None


def _issuers(name: str, records: Sequence[tuple[str, str]]) -> tuple[str, ...] | None:
    tags = {tag for tag, _ in records}
    wanted = "issuewild" if name.startswith("*.") and "issuewild" in tags else "issue"
    if wanted not in tags:
        return None
    values = (value.partition(";")[0].strip() for tag, value in records if tag == wanted)
    return tuple(value for value in values if value)
