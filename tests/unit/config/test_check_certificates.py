"""What is wrong with certificates, and with what is served with them."""

import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from streamd.certificates import pem
from streamd.errors import ConfigError
from tests.unit.config.loading import SRS, load_text, problems_of

HEAD = "version: 1\nkeys: {studio: {secret: 12345678}}\nstreams: {show: {keys: [studio]}}\n"
SERVED = "servers: {main: {listen: {rtmp: 1935, http: 8080, https: 8443}, certificate: site}}\n"


def site(fields: str, *, served: str = SERVED) -> str:
    return f"{HEAD}{served}certificates:\n  site: {{{fields}}}\n"


@pytest.mark.parametrize(
    "text",
    [
        site("domains: [live.example.com], acme: {}"),
        site("domains: [A.Example.COM, xn--bcher-kva.example], acme: {email: ops@example.com}"),
        site(
            "domains: [a.b.c], acme: {directory: 'https://ca.internal/dir', ca_file: /etc/ca.pem}"
        ),
        site("domains: [a.example.com], acme: {challenge: {listen: '0.0.0.0:8079'}}"),
        site(
            "domains: [a.example.com], acme: {challenge: {webroot: /var/www}, profile: shortlived}"
        ),
        site(
            "domains: ['*.example.com'], acme: {challenge: {rfc2136: "
            "{server: 'ns.example.com:53', key: streamd, secret: c2VjcmV0, wait: 30s}}}"
        ),
        site(
            "domains: [a.example.com], acme: {directory: zerossl, eab: {kid: k, hmac_key: aGFsbG8}}"
        ),
        site(
            "domains: [a.example.com], acme: {}",
            served=SERVED + "daemon: {status_certificate: site}\n",
        ),
        site("certificate_file: /srv/a.pem, key_file: /srv/k.pem"),
    ],
)
def test_what_people_write_is_taken(tmp_path: Path, text: str) -> None:
    assert load_text(tmp_path, text, machine=None).warnings == ()


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        (site("domains: [a.example.com]"), "certificates.site", "says nothing of where it comes"),
        (site("acme: {}"), "certificates.site", "is for no name"),
        (site("certificate_file: /srv/a.pem"), "certificates.site", "lacks `key_file`"),
        (
            site("domains: [a.example.com], acme: {}, key_file: /srv/k.pem"),
            "certificates.site.key_file",
            "of no use beside `acme`",
        ),
        (
            site("domains: ['*.example.com'], acme: {}"),
            "certificates.site.domains[0]",
            "add `acme.challenge.rfc2136`",
        ),
        (
            site("domains: [a.example.com, A.example.com], acme: {}"),
            "certificates.site.domains[1]",
            "names the same domain again",
        ),
        (
            site("domains: [a.example.com], acme: {profile: 'short lived'}"),
            "certificates.site.acme.profile",
            "'short lived' has a character that none has; write lower-case",
        ),
        (
            site(
                "domains: [a.example.com], acme: {challenge: {rfc2136: "
                "{server: 'ns:53', key: k, secret: 'not base64'}}}"
            ),
            "certificates.site.acme.challenge.rfc2136.secret",
            "is not base64; write it as the name server's",
        ),
        (
            site("domains: [a.example.com], acme: {eab: {kid: k, hmac_key: 'a+b/'}}"),
            "certificates.site.acme.eab.hmac_key",
            "is not base64url; write it as the authority's",
        ),
        (site("domains: [localhost], acme: {}"), "certificates.site.domains[0]", "not a domain"),
        (site("domains: [203.0.113.5], acme: {}"), "certificates.site.domains[0]", "not a domain"),
        (site("domains: [bücher.example], acme: {}"), "certificates.site.domains[0]", "xn--"),
        (
            site("domains: [a.example.com], acme: {directory: zerossl}"),
            "certificates.site.acme.directory",
            "add `eab`",
        ),
        (
            site("domains: [a.example.com], acme: {directory: letsencrpt}"),
            "certificates.site.acme.directory",
            "write letsencrypt",
        ),
        (
            site(
                "domains: [a.example.com], "
                "acme: {challenge: {listen: '0.0.0.0:80', webroot: /var/www}}"
            ),
            "certificates.site.acme.challenge.webroot",
            "there is `listen` already",
        ),
        (
            site("domains: [a.example.com], acme: {challenge: {listen: '0.0.0.0:8080'}}"),
            "servers.main.listen.http",
            "already used by certificates.site.acme.challenge.listen",
        ),
        (
            site("domains: [a.example.com], acme: {}", served=SERVED.replace("site", "sight")),
            "servers.main.certificate",
            "there is no certificate sight; did you mean site?",
        ),
        (
            HEAD + "daemon: {status_certificate: site}\n",
            "daemon.status_certificate",
            "there is no certificate site",
        ),
        (
            HEAD + "servers: {main: {listen: {rtmp: 1935, http: 8080, https: 8443}}}\n",
            "servers.main.listen.https",
            "needs a certificate",
        ),
        (
            site(
                "domains: [a.example.com], acme: {}",
                served="servers: {main: {certificate: site}}\n",
            ),
            "servers.main.certificate",
            "is served nowhere",
        ),
        (
            site(
                "domains: [a.example.com], acme: {}",
                served="servers: {main: {listen: {rtmp: 1935, https: 8443}, certificate: site}}\n",
            ),
            "servers.main.listen.https",
            "needs `http` too",
        ),
    ],
)
def test_each_mistake_is_told_with_its_place(
    tmp_path: Path, text: str, where: str, told: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        load_text(tmp_path, text, machine=None)
    found = {problem.path: problem.message for problem in failure.value.problems}
    assert told in found[where]


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        (
            site("domains: [a.example.com], acme: {}", served=""),
            "certificates.site",
            "nothing is served with it",
        ),
        (
            site(
                "domains: [a.example.com], acme: {}",
                served=SERVED.replace("{main: {", "{main: {host: b.example.com, "),
            ),
            "servers.main.host",
            "certificates.site is not for b.example.com",
        ),
    ],
)
def test_what_may_not_be_meant_is_warned_of(
    tmp_path: Path, text: str, where: str, told: str
) -> None:
    (warning,) = load_text(tmp_path, text, machine=None).warnings
    assert (warning.path, told in warning.message) == (where, True)


def test_secrets_of_a_certificate_are_secrets(tmp_path: Path) -> None:
    text = site(
        "domains: ['*.example.com'], acme: {eab: {kid: k, hmac_key: VERYSECRETHMAC}, "
        "challenge: {rfc2136: {server: 'ns:53', key: k, secret: VERYSECRETTSIG00}}}"
    )
    loaded = load_text(tmp_path, text, machine=None)
    assert {"VERYSECRETHMAC", "VERYSECRETTSIG00"} <= loaded.secrets
    assert "VERYSECRET" not in repr(loaded.config)


NGINX_ALONE = SERVED.replace("{main: {", "{main: {engine: nginx-rtmp, ")
MADE = pem.self_signed(pem.make_key("ecdsa"), ("a.example.com",), time.time())
OTHER_KEY = pem.make_key("ecdsa")
WEAK = rsa.generate_private_key(65_537, 1024).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


def own_at(directory: Path, *, served: str = SERVED) -> str:
    fields = f"certificate_file: {directory}/c.pem, key_file: {directory}/k.pem"
    return site(fields, served=served)


@pytest.mark.parametrize(
    ("chain", "key", "field", "told"),
    [
        (MADE.fullchain, "junk", "key_file", "k.pem: the key cannot be read"),
        (MADE.fullchain, b"\xff\x00", "key_file", "convert it (`openssl pkey -inform der`)"),
        (MADE.fullchain, None, "key_file", "k.pem cannot be read: No such file"),
        (pem.self_signed(WEAK.decode(), ("a.b",), time.time()).fullchain, WEAK, "key_file", "1024"),
        (MADE.fullchain, OTHER_KEY, "certificate_file", "c.pem: the key is not that of"),
        ("junk", MADE.key, "certificate_file", "c.pem: holds no certificate"),
        (b"\xff\x00", MADE.key, "certificate_file", "convert it (`openssl x509 -inform der`)"),
        (None, MADE.key, "certificate_file", "c.pem cannot be read: No such file"),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) < 60 else "pem",
)
def test_what_is_wrong_with_own_files_is_told_at_the_one_that_is_at_fault(
    tmp_path: Path, chain: str | bytes | None, key: str | bytes | None, field: str, told: str
) -> None:
    files = {name: text for name, text in {"c.pem": chain, "k.pem": key}.items() if text}
    text = own_at(tmp_path, served=NGINX_ALONE)
    with pytest.raises(ConfigError) as failure:
        load_text(tmp_path, text, others=files)
    (problem,) = (each for each in failure.value.problems if not each.warning)
    assert problem.path == f"certificates.site.{field}"
    line = text.splitlines()[problem.line - 1]
    assert line[: problem.column - 1].endswith(f"{field}: ")
    assert told in problem.message


def test_a_key_of_a_kind_that_srs_does_not_take_is_told_at_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as failure:
        load_text(tmp_path, own_at(tmp_path), others={"c.pem": MADE.fullchain, "k.pem": MADE.key})
    (problem,) = (each for each in failure.value.problems if not each.warning)
    assert problem.path == "certificates.site.key_file"
    assert "takes RSA keys only" in problem.message


def test_own_files_are_looked_at_in_a_file_with_other_mistakes(tmp_path: Path) -> None:
    text = (
        "version: 1\nstreams: {a: {source: {url: 'rtsp://h/1'}, server: edge}}\n"
        "certificates: {own: {certificate_file: /none/c.pem, key_file: /none/k.pem}}\n"
        "targets: {t: {stream: a}}\n"
    )
    wrong = [line.split(": ")[1] for line in problems_of(tmp_path, text, machine=SRS)]
    assert wrong == ["streams.a.server", "certificates.own.certificate_file", "targets.t"]


def test_an_authority_that_is_no_text_is_told(tmp_path: Path) -> None:
    text = "version: 1\ncertificates: {c: {domains: [a.example.com], acme: {directory: {a: b}}}}\n"
    assert problems_of(tmp_path, text) == [
        "config.yaml:2:64: certificates.c.acme.directory: is a mapping; write `letsencrypt`, "
        "`letsencrypt-staging`, `zerossl` or web address"
    ]
