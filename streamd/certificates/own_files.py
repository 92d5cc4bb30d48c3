"""The operator's own certificates: read, judged, and never trusted to stay as they are."""

import time
from pathlib import Path
from typing import Literal

from streamd.certificates import pem
from streamd.certificates.spec import CertificateSpec

MAX_BYTES = 1 << 20


def read_pair(spec: CertificateSpec) -> pem.Pair:
    """Return the pair of own files, in the order in which it has to be served. Blocks.

    Raises:
        UnfitKeyError: the key cannot be served, whatever the certificate.
        PairError: they cannot be served. Both say which file, why, and what to do.
    """
    assert spec.certificate_file is not None  # noqa: S101 - for mypy: own files
    assert spec.key_file is not None  # noqa: S101 - likewise
    chain = _text(spec.certificate_file, "x509", pem.PairError)
    key = _text(spec.key_file, "pkey", pem.UnfitKeyError)
    try:
        pair = pem.checked_pair(chain, key)
    except pem.UnfitKeyError as error:
        raise pem.UnfitKeyError(f"{spec.key_file}: {error}") from error
    except pem.PairError as error:
        raise pem.PairError(f"{spec.certificate_file}: {error}") from error
    if spec.key_kind == "rsa" and pem.kind_of(pair.key) != "rsa":
        raise pem.UnfitKeyError(
            f"{spec.key_file}: SRS, which serves this certificate, takes RSA keys only; get one "
            "for an RSA key of 2048 bits or more"
        )
    return pair


def doubts(spec: CertificateSpec, pair: pem.Pair) -> list[str]:
    """Return what is wrong with a pair that can be served all the same."""
    found = pem.doubts(pair.fullchain, spec.domains, time.time())
    return [f"{spec.certificate_file} {doubt}" for doubt in found]


def _text(path: str, kind: Literal["x509", "pkey"], failure: type[pem.PairError]) -> str:
    """Return what is in a file, of which `openssl` knows the kind; raise `failure` for no text."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES).decode()
    except OSError as error:
        raise failure(
            f"{path} cannot be read: {error.strerror}; put it there, readable by streamd's user"
        ) from error
    except UnicodeDecodeError as error:
        raise failure(
            f"{path} is not PEM text; convert it (`openssl {kind} -inform der`)"
        ) from error
