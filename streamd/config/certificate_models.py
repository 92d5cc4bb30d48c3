"""Certificates as types: fields, defaults, meaning."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from streamd.config.fields import (
    AbsolutePath,
    Address,
    AuthorityAddress,
    BindingKey,
    DnsName,
    Domain,
    Duration,
    Email,
    TsigSecret,
)
from streamd.config.model import Model

AUTHORITIES: Mapping[str, str] = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "zerossl": "https://acme.zerossl.com/v2/DV90",
}
"""Authorities by the name that the file may call them; their own documentation has the URLs."""

NEED_BINDING = frozenset({"zerossl"})
"""Authorities that want an account of their own."""


class Rfc2136(Model):
    """A name server that takes updates signed with a key (RFC 2136, TSIG): BIND, Knot, PowerDNS."""

    server: Address = Field(description="The name server, as ns.example.com:53.")
    key: DnsName = Field(description="The key's name.")
    secret: TsigSecret = Field(description="The key itself, in base64.")
    algorithm: Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = Field(
        "hmac-sha256", description="The key's algorithm."
    )
    zone: DnsName | None = Field(
        None, description="The zone to update; by default the one that the name is in."
    )
    wait: Duration = Field(
        timedelta(seconds=5),
        description="How long the zone's other name servers need to have an update too.",
    )


class Challenge(Model):
    """How the authority is shown that the names are yours. At most one of these."""

    listen: Address | None = Field(
        None,
        description="streamd answers by HTTP itself, at this address, and sends everybody else "
        "who comes there to HTTPS. Authorities ask at port 80. The default: 0.0.0.0:80.",
    )
    webroot: AbsolutePath | None = Field(
        None,
        description="Another web server answers on port 80: answers are files in "
        "`.well-known/acme-challenge` below this directory.",
    )
    rfc2136: Rfc2136 | None = Field(
        None, description="Answers are put into the DNS; the only way to a name such as *.DOMAIN."
    )


class Eab(Model):
    """An account at the authority, made on its web site, that is to be used."""

    kid: str = Field(min_length=1, description="What the authority calls the account.")
    hmac_key: BindingKey = Field(description="The account's key, in base64url.")


def _kind_of_authority(value: Any) -> str:
    # In parentheses, as no field of the file is called: it stands in the locations of errors.
    return "(name)" if isinstance(value, str) and value in AUTHORITIES else "(url)"


class Acme(Model):
    """How a certificate is obtained."""

    email: Email | None = Field(
        None, description="Where the authority writes to when something is wrong."
    )
    directory: Annotated[
        Annotated[Literal["letsencrypt", "letsencrypt-staging", "zerossl"], Tag("(name)")]
        | Annotated[AuthorityAddress, Tag("(url)")],
        Discriminator(_kind_of_authority),
    ] = Field("letsencrypt", description="The authority, or the address of its ACME directory.")
    ca_file: AbsolutePath | None = Field(
        None,
        description="PEM file that the authority's own HTTPS is trusted by; by default the "
        "system's. For an authority of your own.",
    )
    challenge: Challenge = Field(
        default_factory=lambda: Challenge.model_validate({}),
        description="How it is shown that the names are yours.",
    )
    profile: str | None = Field(
        None,
        pattern=r"^[a-z0-9_-]{1,64}$",
        description="The kind of certificate, where the authority has several: `tlsserver` or "
        "`shortlived` (six days) at Let's Encrypt.",
    )
    eab: Eab | None = Field(
        None, description="An account of yours at the authority; ZeroSSL needs one."
    )


class Certificate(Model):
    """A certificate: obtained and renewed by streamd (`acme`), or from files of yours."""

    domains: tuple[Domain, ...] = Field(
        (), description="The names that it is for. Needed with `acme`; of files they are checked."
    )
    acme: Acme | None = Field(None, description="Obtain it from an authority, and renew it.")
    certificate_file: AbsolutePath | None = Field(
        None,
        description="Your own: PEM file of the certificate, followed by the intermediate ones. "
        "Watched; a new one is taken without a restart.",
    )
    key_file: AbsolutePath | None = Field(
        None, description="Its key, PEM, without a passphrase. Readable by streamd."
    )


EVERY_ADDRESS_80 = "0.0.0.0:80"


def listen_challenge(acme: Acme) -> str | None:
    """Return HOST:PORT at which streamd answers the authority itself; None where others do."""
    challenge = acme.challenge
    if challenge.webroot is not None or challenge.rfc2136 is not None:
        return None
    return challenge.listen or EVERY_ADDRESS_80
