"""Checks of `certificates`, and of everything that is served with one. Pure."""

from collections.abc import Iterator

from streamd.certificates.spec import covers
from streamd.config.certificate_models import NEED_BINDING, Acme, Certificate
from streamd.config.data_path import DataPath
from streamd.config.models import Config
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.errors import Problem

MOST_DOMAINS = 100
"""Let's Encrypt puts no more names into one certificate."""


def check_certificates(
    config: Config, source: Source, suggestions: Suggestions
) -> Iterator[Problem]:
    """Yield what is wrong with the certificates, and with what names them.

    Args:
        config: to check.
        source: where it stands.
        suggestions: for names that are not known.
    """
    for name, certificate in config.certificates.items():
        path: DataPath = ("certificates", name)
        yield from _kind(path, certificate, source)
        yield from _domains(path, certificate, source)
        if certificate.acme is not None:
            yield from _acme((*path, "acme"), certificate.acme, source)
    used = {*_users(config)}
    known = dict.fromkeys([*config.certificates, *source.declared("certificates")])
    for path, name in used:
        if name not in known:
            hint = suggestions.nearest(name, known) or (
                "; add it under `certificates`, or remove this first"
            )
            yield source.error(
                path, f"there is no certificate {name}{hint}", unless=[("certificates",)]
            )
    for name in config.certificates.keys() - {name for _, name in used}:
        yield source.warning(
            ("certificates", name),
            "nothing is served with it; name it as `certificate` of a server, or remove it",
            at_name=True,
        )
    yield from _servers(config, source)


def _users(config: Config) -> Iterator[tuple[DataPath, str]]:
    """Yield what names a certificate, and which."""
    for name, server in config.servers.items():
        if server.certificate is not None:
            yield ("servers", name, "certificate"), server.certificate
    if config.daemon.status_certificate is not None:
        yield ("daemon", "status_certificate"), config.daemon.status_certificate


def _kind(path: DataPath, certificate: Certificate, source: Source) -> Iterator[Problem]:
    files = (certificate.certificate_file, certificate.key_file)
    if certificate.acme is not None:
        for field, file in zip(("certificate_file", "key_file"), files, strict=True):
            if file is not None:
                yield source.error((*path, field), "is of no use beside `acme`; remove one of them")
    elif files == (None, None):
        yield source.error(
            path,
            "says nothing of where it comes from; add `acme: {}` to obtain it, or "
            "`certificate_file` and `key_file`",
            at_name=True,
            unless=[(*path, field) for field in ("acme", "certificate_file", "key_file")],
        )
    elif None in files:
        missing = "key_file" if certificate.key_file is None else "certificate_file"
        yield source.error(
            path,
            f"lacks `{missing}`; add it",
            at_name=True,
            unless=((*path, missing), (*path, "acme")),
        )


def _domains(path: DataPath, certificate: Certificate, source: Source) -> Iterator[Problem]:
    where = (*path, "domains")
    if certificate.acme is not None and not certificate.domains:
        yield source.error(path, "is for no name; add `domains`", at_name=True, unless=[where])
    if len(certificate.domains) > MOST_DOMAINS:
        yield source.error(
            where, f"holds more than {MOST_DOMAINS} names; spread them over several certificates"
        )
    acme = certificate.acme
    for position, domain in enumerate(certificate.domains):
        if domain in certificate.domains[:position]:
            yield source.error((*where, position), "names the same domain again; remove it")
        is_wild = domain.startswith("*.")
        if is_wild and acme is not None and acme.challenge.rfc2136 is None:
            yield source.error(
                (*where, position),
                "authorities give such a name to those who can change its DNS only; add "
                "`acme.challenge.rfc2136`, or write out the names",
                unless=[(*path, "acme", "challenge", "rfc2136")],
            )


def _acme(path: DataPath, acme: Acme, source: Source) -> Iterator[Problem]:
    challenge = acme.challenge
    named = [
        field for field in ("listen", "webroot", "rfc2136") if getattr(challenge, field) is not None
    ]
    for field in named[1:]:
        yield source.error(
            (*path, "challenge", field), f"there is `{named[0]}` already; remove one of them"
        )
    if acme.directory in NEED_BINDING and acme.eab is None:
        yield source.error(
            (*path, "directory"),
            f"{acme.directory} wants an account that was made on its web site; add `eab` with its "
            "`kid` and `hmac_key`",
            unless=[(*path, "eab")],
        )


def _servers(config: Config, source: Source) -> Iterator[Problem]:
    for name, server in config.servers.items():
        path: DataPath = ("servers", name)
        https = server.listen.https if server.listen is not None else None
        if https is not None and server.certificate is None:
            yield source.error(
                (*path, "listen", "https"),
                "needs a certificate; add `certificate: NAME` to the server, and NAME under "
                "`certificates`",
                unless=[(*path, "certificate")],
            )
        if server.certificate is None:
            continue
        if https is None:
            yield source.error(
                (*path, "certificate"),
                "is served nowhere; add a port such as `https: 8443` to the server's `listen`",
                unless=[(*path, "listen", "https")],
            )
        certificate = config.certificates.get(server.certificate)
        if certificate is None or not certificate.domains or "host" not in server.model_fields_set:
            continue
        if not covers(certificate.domains, server.host):
            yield source.warning(
                (*path, "host"),
                f"certificates.{server.certificate} is not for {server.host}, so that browsers "
                "refuse it; add the name to its `domains`",
            )
