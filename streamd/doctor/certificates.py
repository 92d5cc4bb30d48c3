"""Certificates: what would keep an authority from issuing them, and when they expire. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from streamd.certificates.facts import WARN_BEFORE_S
from streamd.certificates.record import Record
from streamd.certificates.spec import CertificateSpec, ListenChallenge, covers
from streamd.doctor.finding import Finding, error, listed, ok, unknown, warning
from streamd.engines.base import OpenPort

HTTP_PORT = 80

CAA_IDENTITIES: Mapping[str, str] = {
    "https://acme-v02.api.letsencrypt.org/directory": "letsencrypt.org",
    "https://acme-staging-v02.api.letsencrypt.org/directory": "letsencrypt.org",
    "https://acme.zerossl.com/v2/DV90": "sectigo.com",
}
"""What CAA records call an authority (RFC 8659), as each documents it."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What is known of a name.

    Attributes:
        name: of a certificate.
        addresses: that it stands for.
        caa: authorities that its CAA records allow; None: there are none, or they are not known.
    """

    name: str
    addresses: Sequence[str] = ()
    caa: Sequence[str] | None = None


def challenge_ports(specs: Mapping[str, CertificateSpec]) -> Iterator[tuple[str, OpenPort]]:
    """Yield where authorities are answered, each once, with the field that says so."""
    seen = set()
    for name, spec in specs.items():
        challenge = spec.acme.challenge if spec.acme is not None else None
        if isinstance(challenge, ListenChallenge) and challenge not in seen:
            seen.add(challenge)
            port = OpenPort("challenge", challenge.port, "http", challenge.host)
            yield f"certificates.{name}.acme.challenge.listen", port


def judge_domain(spec: CertificateSpec, domain: Domain, own: Sequence[str]) -> Iterator[Finding]:
    """Judge whether an authority could find that a name is ours.

    Args:
        spec: of the certificate; from an authority.
        domain: one of its names.
        own: addresses of this machine that others reach.
    """
    where = f"certificates.{spec.name}"
    assert spec.acme is not None  # noqa: S101 - for mypy: as said
    identity = CAA_IDENTITIES.get(spec.acme.directory)
    if domain.caa is not None and identity is not None and identity not in domain.caa:
        yield error(
            where,
            f"CAA records let only {listed(domain.caa) or 'nobody'} issue for {domain.name}",
            f'add to its DNS: CAA 0 issue "{identity}"',
        )
    if not isinstance(spec.acme.challenge, ListenChallenge):
        return
    leads = f"{domain.name} leads to {listed(domain.addresses)}"
    if not domain.addresses:
        yield error(
            where,
            f"the name {domain.name} does not resolve",
            "add an A or AAAA record that leads to this machine",
        )
    elif set(domain.addresses) <= set(own):
        yield ok(where, f"{leads}, which is this machine")
    else:
        yield warning(
            where,
            f"{leads}, and this machine has {listed(own) or 'no address that others reach'}",
            "let its record lead here; where another machine passes port 80 on to this one, it is "
            "right as it is",
        )


def judge_port(spec: CertificateSpec) -> Finding | None:
    """Judge whether authorities find the port that streamd answers at; None where they do."""
    challenge = spec.acme.challenge if spec.acme is not None else None
    if not isinstance(challenge, ListenChallenge) or challenge.port == HTTP_PORT:
        return None
    return warning(
        f"certificates.{spec.name}.acme.challenge.listen",
        f"authorities ask at port 80, and streamd answers at {challenge.port}",
        f"let something pass port 80 on to {challenge.port}, or listen at 0.0.0.0:80",
    )


def judge_served(spec: CertificateSpec, record: Record, now: float) -> Finding:
    """Judge the certificate that is served.

    Args:
        spec: what the file asks for.
        record: what is known of it.
        now: Unix time.
    """
    where, installed = f"certificates.{spec.name}", record.installed
    if installed is None or installed.source == "self-signed":
        said = record.attempts.last_error
        if said is None:
            return unknown(where, "there is none yet; streamd obtains it while it runs")
        return error(
            where, f"there is none yet: {said}", "mend that; streamd tries again by itself"
        )
    day = f"{datetime.fromtimestamp(installed.not_after, UTC):%Y-%m-%d %H:%M} UTC"
    missing = [name for name in spec.domains if not covers(installed.domains, name)]
    renew = "replace the files" if spec.acme is None else "see `last_error` in `streamd status`"
    if installed.not_after <= now:
        return error(where, f"expired on {day}", renew)
    if missing:
        return warning(where, f"the present one is not for {listed(missing)} yet", renew)
    short = (installed.not_after - installed.not_before) / 4
    if installed.not_after - now < min(WARN_BEFORE_S, short):
        return warning(where, f"expires on {day}", renew)
    return ok(where, f"from {installed.issuer}, until {day}")
