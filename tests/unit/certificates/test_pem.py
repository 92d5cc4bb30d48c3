"""Certificates and keys: what is read, made, and refused."""

import base64
import contextlib
import ssl
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.certificates import pem
from streamd.certificates.pem import PairError
from streamd.certificates.spec import KeyKind

NOW = time.time()
NAMES = ("live.example.com", "*.cdn.example.com", "203.0.113.5")
_PEM = serialization.Encoding.PEM


class Link:
    """A certificate and its key, signed by another one or by itself."""

    def __init__(self, name: str, above: "Link | None" = None, *, ca: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = above or self
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=60))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )
        self.text = self.certificate.public_bytes(_PEM).decode()
        self.key_text = self.key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


ROOT = Link("Root")
MIDDLE = Link("Middle", ROOT)
LEAF = Link("live.example.com", MIDDLE, ca=False)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_a_self_signed_one_is_for_its_names_and_goes_with_its_key(kind: KeyKind) -> None:
    made = pem.self_signed(pem.make_key(kind), NAMES, NOW)
    assert pem.checked_pair(made.fullchain, made.key) == made
    assert pem.kind_of(made.key) == kind
    found = pem.read(made.fullchain)
    assert found.domains == NAMES
    assert found.self_signed
    assert found.not_before < NOW < found.not_after


def test_a_name_that_is_too_long_for_a_common_name_is_no_obstacle() -> None:
    long = f"{'a' * 60}.{'b' * 60}.example.com"
    assert pem.read(pem.self_signed(pem.make_key("ecdsa"), (long,), NOW).fullchain).domains == (
        long,
    )


def test_a_request_is_for_the_names_and_nothing_else() -> None:
    request = x509.load_pem_x509_csr(pem.signing_request(pem.make_key("ecdsa"), NAMES))
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [*names.get_values_for_type(x509.DNSName)] == [*NAMES[:2]]
    assert request.is_signature_valid
    assert len(request.extensions) == 1


def test_a_chain_is_served_in_order_with_what_stands_around_it_left_out() -> None:
    text = f"Bag Attributes\n{LEAF.text}\r\n# middle\n{MIDDLE.text}"
    pair = pem.checked_pair(text, LEAF.key_text)
    assert pair.fullchain == LEAF.text + MIDDLE.text
    assert pem.read(pair.fullchain).issuer == "Middle"
    assert pem.doubts(pair.fullchain, ("live.example.com",), NOW) == []


@pytest.mark.parametrize(
    ("chain", "key", "told"),
    [
        ("", LEAF.key_text, "holds no certificate"),
        (LEAF.key_text, LEAF.key_text, "holds no certificate"),
        (LEAF.text.replace("\nM", "\nX", 1), LEAF.key_text, "cannot be read; take another copy"),
        (LEAF.text, "no key", "the key cannot be read"),
        (LEAF.text, MIDDLE.key_text, "the key is not that of the certificate"),
        (MIDDLE.text + LEAF.text, LEAF.key_text, "is not the first in the file"),
        (LEAF.text + ROOT.text, LEAF.key_text, "are not one chain"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(chain: str, key: str, told: str) -> None:
    with pytest.raises(PairError, match=told):
        pem.checked_pair(chain, key)


def test_keys_that_nobody_takes_are_refused() -> None:
    none = serialization.NoEncryption()
    secret = serialization.BestAvailableEncryption(b"secret")
    for key, encryption, told in (
        (LEAF.key, secret, "passphrase"),
        (ed25519.Ed25519PrivateKey.generate(), none, "browsers do not take"),
    ):
        text = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption).decode()
        with pytest.raises(PairError, match=told):
            pem.checked_pair(LEAF.text, text)
    small = rsa.generate_private_key(65537, 1024)
    text = small.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, none).decode()
    made = pem.self_signed(text, ("a.example.com",), NOW)
    with pytest.raises(PairError, match="1024 bits"):
        pem.checked_pair(made.fullchain, text)


def test_what_may_not_be_meant_is_told() -> None:
    names = ("live.example.com", "other.example.com")
    told = pem.doubts(LEAF.text, names, NOW)
    assert "is not for other.example.com" in told[0]
    assert "comes alone" in told[1]
    assert "expired on" in pem.doubts(LEAF.text + MIDDLE.text, (), NOW + 70 * 86400)[0]
    assert "is not valid before" in pem.doubts(LEAF.text + MIDDLE.text, (), NOW - 9 * 86400)[0]


def test_a_serial_with_a_first_bit_of_one_is_written_as_a_positive_number() -> None:
    # The example of RFC 9773, 4.1: its serial is 87:65:43:21.
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    now = datetime.now(UTC)
    identifier = bytes.fromhex("69885b6b8746404119e1b37b8470".ljust(40, "0"))[:20]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "b")]))
        .public_key(key.public_key())
        .serial_number(0x87654321)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), critical=False)
        .sign(key, hashes.SHA256())
    )
    found = pem.read(made.public_bytes(_PEM).decode()).ari
    assert found is not None
    assert found.endswith(".AIdlQyE")


def test_the_links_of_a_chain_follow_each_other() -> None:
    for below, above in pairwise((LEAF, MIDDLE, ROOT)):
        below.certificate.verify_directly_issued_by(above.certificate)


@pytest.mark.filterwarnings("ignore")  # cryptography warns of what it reads all the same
@given(st.data())
@settings(max_examples=300)
def test_a_damaged_certificate_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    der = bytearray(LEAF.certificate.public_bytes(serialization.Encoding.DER))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    text = ssl.DER_cert_to_PEM_cert(bytes(der))
    with contextlib.suppress(PairError):
        pem.doubts(text, NAMES, NOW)
    try:
        pair = pem.checked_pair(text, LEAF.key_text)
    except PairError:
        return
    assert pem.installed(pair, "own").source == "own"


@given(st.binary(max_size=200) | st.just(b"\xff" * 50))
def test_whatever_stands_between_the_lines_of_pem_is_read_or_refused(content: bytes) -> None:
    inner = base64.encodebytes(content).decode()
    chain = f"-----BEGIN CERTIFICATE-----\n{inner}-----END CERTIFICATE-----\n"
    key = f"-----BEGIN PRIVATE KEY-----\n{inner}-----END PRIVATE KEY-----\n"
    for fullchain, private in ((chain, LEAF.key_text), (LEAF.text, key)):
        with pytest.raises(PairError):
            pem.checked_pair(fullchain, private)


def test_a_key_is_found_beside_its_certificate_and_after_its_parameters() -> None:
    assert pem.checked_pair(LEAF.text, LEAF.text + LEAF.key_text).key == LEAF.key_text
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert pem.checked_pair(LEAF.text, parameters + LEAF.key_text).key == LEAF.key_text
