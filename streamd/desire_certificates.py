"""From the certificates of the file to what shall exist. Pure."""

from collections.abc import Collection
from pathlib import Path

from streamd.certificates.spec import (
    AcmeSpec,
    Binding,
    CertificateSpec,
    Challenge,
    DnsChallenge,
    ListenChallenge,
    WebrootChallenge,
    certificate_paths,
)
from streamd.config.addresses import split_address
from streamd.config.certificate_models import (
    AUTHORITIES,
    EVERY_ADDRESS_80,
    Acme,
    Certificate,
)
from streamd.config.certificate_models import Challenge as ChallengeFields
from streamd.config.defaults import Machine, engine_of
from streamd.config.models import Config
from streamd.desired import EngineName


def certificates_directory(state_directory: Path | None) -> str:
    """Return where certificates are kept; `state_directory` is None in a check without one."""
    return str(Path(state_directory or "/", "certificates"))


def served_paths(name: str, state_directory: Path | None) -> tuple[str, str]:
    """Return the paths of a certificate's chain and key."""
    return certificate_paths(certificates_directory(state_directory), name)


def engines_with(name: str, config: Config, machine: Machine) -> set[EngineName]:
    """Return the engines of the servers that a certificate is for."""
    return {
        engine_of(server, machine)[0]
        for server in config.servers.values()
        if server.certificate == name
    }


def certificate_spec(
    name: str, certificate: Certificate, served_by: Collection[EngineName]
) -> CertificateSpec:
    """Fill in every default of a certificate.

    Args:
        name: of it.
        certificate: as the file has it.
        served_by: the engines of the servers that have it.
    """
    own, key = certificate.certificate_file, certificate.key_file
    return CertificateSpec(
        name,
        certificate.domains,
        acme=None if certificate.acme is None else _acme(certificate.acme),
        certificate_file=None if own is None else str(own),
        key_file=None if key is None else str(key),
        # SRS 6 reads keys with SSL_use_RSAPrivateKey_file (srs_app_conn.cpp).
        key_kind="rsa" if "srs" in served_by else "ecdsa",
    )


def _acme(acme: Acme) -> AcmeSpec:
    eab = acme.eab
    return AcmeSpec(
        AUTHORITIES.get(acme.directory, acme.directory),
        _challenge(acme.challenge),
        email=acme.email,
        ca_file=None if acme.ca_file is None else str(acme.ca_file),
        profile=acme.profile,
        binding=None if eab is None else Binding(eab.kid, eab.hmac_key.get_secret_value()),
    )


def _challenge(challenge: ChallengeFields) -> Challenge:
    dns = challenge.rfc2136
    if dns is not None:
        return DnsChallenge(
            dns.server,
            dns.key,
            dns.secret.get_secret_value(),
            dns.algorithm,
            dns.zone,
            dns.wait.total_seconds(),
        )
    if challenge.webroot is not None:
        return WebrootChallenge(str(challenge.webroot))
    return ListenChallenge(*split_address(challenge.listen or EVERY_ADDRESS_80))
