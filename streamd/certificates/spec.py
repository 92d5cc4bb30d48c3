"""What certificates shall exist, as values, and as the JSON that an order is given. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

DNS_PORT = 53

FULLCHAIN, KEY = "fullchain.pem", "privkey.pem"

WELL_KNOWN = ".well-known/acme-challenge"
"""Where an authority asks for an answer (RFC 8555, 8.3)."""

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What an authority calls an answer (RFC 8555, 8.3)."""


@dataclass(frozen=True, slots=True)
class ListenChallenge:
    """streamd answers the authority itself, by HTTP at this address (HTTP-01, RFC 8555, 8.3)."""

    host: str = "0.0.0.0"  # noqa: S104 - the authority comes from outside
    port: int = 80


@dataclass(frozen=True, slots=True)
class WebrootChallenge:
    """A web server that is there already answers with files below this directory (HTTP-01)."""

    directory: str


@dataclass(frozen=True, slots=True)
class DnsChallenge:
    """The answer is put into the DNS by an update (DNS-01, RFC 8555, 8.4; RFC 2136).

    Attributes:
        server: HOST:PORT of the name server that takes updates.
        key: name of the TSIG key (RFC 8945).
        secret: of the key, in base64.
        algorithm: of the key, as `hmac-sha256`.
        zone: that is updated; None: the name server is asked which zone a name is in.
        wait_s: how long other name servers of the zone need to have the answer too, seconds.
    """

    server: str
    key: str
    secret: str = field(repr=False)
    algorithm: str = "hmac-sha256"
    zone: str | None = None
    wait_s: float = 0.0


Challenge = ListenChallenge | WebrootChallenge | DnsChallenge
ChallengeKind = Literal["listen", "webroot", "dns"]

KeyKind = Literal["ecdsa", "rsa"]
"""What a key is made as: ECDSA over P-256, or RSA of 2048 bits for whom that is too new."""

_CHALLENGES: Mapping[ChallengeKind, type[Challenge]] = {
    "listen": ListenChallenge,
    "webroot": WebrootChallenge,
    "dns": DnsChallenge,
}


@dataclass(frozen=True, slots=True)
class Binding:
    """An account elsewhere that an ACME account belongs to (RFC 8555, 7.3.4)."""

    kid: str
    hmac_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcmeSpec:
    """How a certificate is obtained.

    Attributes:
        directory: URL of the authority's directory.
        challenge: how it is shown that the names are ours.
        email: where the authority writes to; None for nowhere.
        ca_file: PEM file of who vouches for the authority's own certificate; None: the system's.
        profile: of the certificate, where the authority has several; None: its usual one.
        binding: None where the authority asks for none.
    """

    directory: str
    challenge: Challenge = field(default_factory=ListenChallenge)
    email: str | None = None
    ca_file: str | None = None
    profile: str | None = None
    binding: Binding | None = None

    @property
    def answered_by(self) -> ChallengeKind:
        """How the authority is answered, in one word."""
        return next(kind for kind, each in _CHALLENGES.items() if isinstance(self.challenge, each))


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """One certificate: from an authority (`acme`), or the operator's own files.

    Attributes:
        name: in the file.
        domains: that it is for; of own files they may be empty: whatever is in it.
        acme: None for own files.
        certificate_file, key_file: absolute paths of PEM files; None with `acme`.
        key_kind: what keys all who serve it can take.
    """

    name: str
    domains: tuple[str, ...]
    acme: AcmeSpec | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_kind: KeyKind = "ecdsa"


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """What an order has to know (`streamd.certificates.order`).

    Attributes:
        certificate: that is wanted; has `acme`.
        directory: of all certificates, below which its files, accounts and answers are.
        outbox: directory that the event of its being issued is dropped into.
        ask_only: ask the authority when to renew, and order nothing.
    """

    certificate: CertificateSpec
    directory: str
    outbox: str
    ask_only: bool = False


def as_data(spec: CertificateSpec) -> dict[str, Any]:
    """Return a certificate as JSON types. They hold secrets."""
    data = asdict(spec)
    if spec.acme is not None:
        data["acme"]["challenge"]["kind"] = spec.acme.answered_by
    return data


def from_data(data: dict[str, Any]) -> CertificateSpec:
    """Return the certificate that `as_data` wrote.

    Raises:
        ValueError: the data is of none.
    """
    try:
        acme = data.pop("acme")
        return CertificateSpec(
            **(data | {"domains": tuple(data["domains"])}),
            acme=None if acme is None else _acme(acme),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a certificate: {type(error).__name__}") from error


def _acme(data: dict[str, Any]) -> AcmeSpec:
    challenge, binding = data.pop("challenge"), data.pop("binding")
    return AcmeSpec(
        **data,
        challenge=_CHALLENGES[challenge.pop("kind")](**challenge),
        binding=None if binding is None else Binding(**binding),
    )


def order_to_json(order: OrderSpec) -> str:
    """Return an order as JSON. It holds secrets."""
    return json.dumps(asdict(order) | {"certificate": as_data(order.certificate)})


def order_from_json(text: str) -> OrderSpec:
    """Return the order that `order_to_json` wrote.

    Raises:
        ValueError: the text is none.
    """
    try:
        data = json.loads(text)
        return OrderSpec(from_data(data.pop("certificate")), **data)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an order: {type(error).__name__}") from error


def wanted_identity(spec: CertificateSpec) -> str:
    """Digest what another certificate has to be ordered for: names, authority, profile, key."""
    if spec.acme is None:
        return ""
    parts = [sorted(spec.domains), spec.acme.directory, spec.acme.profile, spec.key_kind]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def means_identity(spec: CertificateSpec) -> str:
    """Digest how a certificate is ordered: whoever changes that may have mended what failed."""
    if spec.acme is None:
        return ""
    return hashlib.sha256(json.dumps(asdict(spec.acme)).encode()).hexdigest()[:32]


def wait_s(spec: CertificateSpec) -> float:
    """Return how long an order does nothing but wait for other name servers, seconds."""
    challenge = spec.acme.challenge if spec.acme is not None else None
    return challenge.wait_s if isinstance(challenge, DnsChallenge) else 0.0


def covers(domains: Sequence[str], name: str) -> bool:
    """Tell whether a certificate for these domains is good for a name (RFC 6125, 6.4.3)."""
    lower = {each.lower() for each in domains}
    wild = f"*.{name.partition('.')[2]}"
    return name.lower() in lower or wild.lower() in lower


def certificate_paths(directory: str, name: str) -> tuple[str, str]:
    """Return where the chain and the key of a certificate are, whatever they are."""
    return f"{directory}/{name}/{FULLCHAIN}", f"{directory}/{name}/{KEY}"
