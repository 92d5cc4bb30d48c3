"""Certificates and keys as PEM: read, judged, made.

Nothing here is imported before there is a certificate in the file, since `cryptography` takes
memory that a daemon without one need not spend.
"""

import base64
import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtensionOID, NameOID

from streamd.certificates.record import Installed, Source
from streamd.certificates.spec import KeyKind, covers

SELF_SIGNED_FOR = timedelta(days=3650)
_CLOCKS_DIFFER = timedelta(days=1)
_LEAST_RSA_BITS, _RSA_EXPONENT = 2048, 65537
_LONGEST_COMMON_NAME = 64  # RFC 5280, A.1: ub-common-name

_BLOCK = re.compile(
    r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----[^\S\n]*\n?", re.DOTALL
)

_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class PairError(Exception):
    """A certificate and a key that cannot be served. The message says why and what to do."""


class UnfitKeyError(PairError):
    """It is the key alone that cannot be served, whatever the certificate."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with what vouches for it, and its key, as PEM."""

    fullchain: str
    key: str


@dataclass(frozen=True, slots=True)
class Read:
    """What stands in a certificate.

    Attributes:
        serial: in lower-case hex.
        issuer: as people know it.
        domains: names and addresses that it is for.
        not_before, not_after: Unix times.
        self_signed: nobody else vouches for it.
        ari: what the authority knows it by (RFC 9773, 4.1); None where it cannot be named so.
    """

    serial: str
    issuer: str
    domains: tuple[str, ...]
    not_before: float
    not_after: float
    self_signed: bool
    ari: str | None


@contextlib.contextmanager
def _read_with_care() -> Iterator[None]:
    """Translate what a damaged certificate, or one of an unknown kind, is found to be only later.

    `cryptography` reads its parts when they are asked for.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise PairError(
            f"holds a certificate that cannot be read ({error}); take another copy of it"
        ) from error


@_read_with_care()
def read(fullchain: str) -> Read:
    """Read the first certificate of a chain.

    Raises:
        PairError: there is none.
    """
    leaf = _certificates(fullchain)[0]
    return Read(
        serial=f"{leaf.serial_number:x}",
        issuer=_issuer(leaf),
        domains=_domains(leaf),
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        self_signed=leaf.issuer == leaf.subject,
        ari=_ari(leaf),
    )


def installed(pair: Pair, source: Source, wanted: str = "") -> Installed:
    """Return what is kept of a pair beside its files.

    Args:
        pair: that is served.
        source: where it comes from.
        wanted: what it was ordered for.
    """
    found = read(pair.fullchain)
    return Installed(
        source,
        wanted,
        found.serial,
        found.issuer,
        found.domains,
        found.not_before,
        found.not_after,
        None if found.self_signed else found.ari,
    )


def make_key(kind: KeyKind) -> str:
    """Return a new key."""
    if kind == "rsa":
        return _key_pem(rsa.generate_private_key(_RSA_EXPONENT, _LEAST_RSA_BITS))
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def kind_of(key: str) -> KeyKind:
    """Return what a key is. Raises PairError where it is none."""
    return "rsa" if isinstance(_load_key(key), rsa.RSAPrivateKey) else "ecdsa"


def self_signed(key: str, domains: Sequence[str], now: float) -> Pair:
    """Return a certificate that nobody vouches for, so that HTTPS can listen before there is one.

    Args:
        key: to sign it with.
        domains: that it is for.
        now: Unix time.
    """
    private = _load_key(key)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _common_name(domains))])
    moment = datetime.fromtimestamp(now, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _CLOCKS_DIFFER)
        .not_valid_after(moment + SELF_SIGNED_FOR)
        .add_extension(x509.SubjectAlternativeName(_general_names(domains)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    return Pair(made.public_bytes(serialization.Encoding.PEM).decode(), key)


def signing_request(key: str, domains: Sequence[str]) -> bytes:
    """Return the request for a certificate, as PEM."""
    request = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([]))
    names = x509.SubjectAlternativeName(_general_names(domains))
    signed = request.add_extension(names, critical=False).sign(_load_key(key), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


@_read_with_care()
def checked_pair(fullchain: str, key: str) -> Pair:
    """Return a pair that can be served, in the order in which it has to be.

    Raises:
        PairError: it cannot.
    """
    chain = _certificates(fullchain)
    private = _load_key(key)
    public = private.public_key()
    if public != chain[0].public_key():
        if any(public == other.public_key() for other in chain[1:]):
            raise PairError(
                "its own certificate is not the first in the file; put it before those that "
                "vouch for it"
            )
        raise PairError("the key is not that of the certificate; name the two that belong together")
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size < _LEAST_RSA_BITS:
        raise UnfitKeyError(
            f"the key has {private.key_size} bits, which browsers refuse; take one of 2048 or more"
        )
    for below, above in pairwise(chain):
        _make_sure_issued(below, above)
    text = "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in chain)
    read(text)  # so that nobody who has a pair meets a part of it that cannot be read
    return Pair(text, _key_pem(private))


def doubts(fullchain: str, domains: Sequence[str], now: float) -> list[str]:
    """Return what is wrong with a certificate that can be served all the same.

    Args:
        fullchain: as PEM.
        domains: that it should be for.
        now: Unix time.
    """
    found = read(fullchain)
    missing = [name for name in domains if not covers(found.domains, name)]
    told = []
    if missing:
        has = ", ".join(found.domains) or "nothing"
        told.append(f"is not for {', '.join(missing)}, but for {has}; take one that is")
    if now >= found.not_after:
        told.append(f"expired on {_day(found.not_after)}; take another one")
    elif now < found.not_before:
        told.append(f"is not valid before {_day(found.not_before)}; wait, or check the clock")
    if not found.self_signed and len(_certificates(fullchain)) == 1:
        told.append(
            "comes alone, so that players may not trust it; append the intermediate certificates "
            "of its authority"
        )
    return told


def _certificates(text: str) -> list[x509.Certificate]:
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise PairError(
            "holds no certificate; it has to be PEM text with -----BEGIN CERTIFICATE-----"
        )
    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError as error:
        raise PairError("holds a certificate that cannot be read; take another copy") from error


def _load_key(text: str) -> CertificateIssuerPrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise UnfitKeyError(
            "the key asks for a passphrase, and nobody is there to give it; write it without one "
            "(`openssl pkey`)"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnfitKeyError("the key cannot be read; it has to be PEM text") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UnfitKeyError("the key is of a kind that browsers do not take; take ECDSA or RSA")
    return key


def _key_pem(key: CertificateIssuerPrivateKeyTypes) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _make_sure_issued(below: x509.Certificate, above: x509.Certificate) -> None:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise PairError(
            f"its certificates are not one chain: {_subject(below)} is not signed by "
            f"{_subject(above)}; put each before the one that vouches for it"
        ) from error


def _domains(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))


def _general_names(domains: Sequence[str]) -> list[x509.GeneralName]:
    return [
        x509.DNSName(name) if address is None else x509.IPAddress(address)
        for name, address in ((name, _address(name)) for name in domains)
    ]


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _common_name(domains: Sequence[str]) -> str:
    return next((name for name in domains if len(name) <= _LONGEST_COMMON_NAME), "streamd")


def _issuer(certificate: x509.Certificate) -> str:
    names = certificate.issuer
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        found = names.get_attributes_for_oid(oid)
        if found:
            return str(found[0].value)
    return names.rfc4514_string()


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or ", ".join(_domains(certificate))


def _ari(certificate: x509.Certificate) -> str | None:
    try:
        found = certificate.extensions.get_extension_for_oid(
            ExtensionOID.AUTHORITY_KEY_IDENTIFIER
        ).value
    except x509.ExtensionNotFound:
        return None
    if not isinstance(found, x509.AuthorityKeyIdentifier) or found.key_identifier is None:
        return None
    serial = certificate.serial_number
    # As an ASN.1 INTEGER, which is signed, so that a first bit of 1 gets an octet before it.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1)
    return f"{_base64(found.key_identifier)}.{_base64(octets)}"


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
