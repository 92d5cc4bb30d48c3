"""What the doctor says of certificates."""

import pytest

from streamd.certificates.attempts import Attempts
from streamd.certificates.record import Installed, Record, Source
from streamd.certificates.spec import (
    AcmeSpec,
    CertificateSpec,
    DnsChallenge,
    ListenChallenge,
)
from streamd.doctor.certificates import (
    CAA_IDENTITIES,
    Domain,
    challenge_ports,
    judge_domain,
    judge_port,
    judge_served,
)

LETSENCRYPT = next(iter(CAA_IDENTITIES))
NAME, HERE, ELSEWHERE = "live.example.com", "203.0.113.5", "198.51.100.7"
SITE = CertificateSpec("site", (NAME,), AcmeSpec(LETSENCRYPT))
NOW, DAY_S = 1_800_000_000.0, 86_400.0


@pytest.mark.parametrize(
    ("domain", "levels", "told"),
    [
        (Domain(NAME, [HERE]), ["ok"], "which is this machine"),
        (Domain(NAME), ["error"], "does not resolve"),
        (Domain(NAME, [ELSEWHERE]), ["warning"], f"leads to {ELSEWHERE}, and this machine has"),
        (Domain(NAME, [HERE, ELSEWHERE]), ["warning"], "let its record lead here"),
        (Domain(NAME, [HERE], ["sectigo.com"]), ["error", "ok"], "let only sectigo.com issue"),
        (Domain(NAME, [HERE], []), ["error", "ok"], "let only nobody issue"),
        (Domain(NAME, [HERE], ["letsencrypt.org"]), ["ok"], "this machine"),
    ],
)
def test_what_would_keep_an_authority_from_issuing_is_told(
    domain: Domain, levels: list[str], told: str
) -> None:
    found = [*judge_domain(SITE, domain, [HERE])]
    assert [each.level for each in found] == levels
    assert told in found[0].what + found[0].do


def test_in_the_dns_nobody_has_to_be_led_here() -> None:
    spec = CertificateSpec("site", (NAME,), AcmeSpec(LETSENCRYPT, DnsChallenge("ns:53", "k", "s")))
    assert [*judge_domain(spec, Domain(NAME, []), [HERE])] == []
    assert judge_port(spec) is None


def test_each_port_is_looked_at_once() -> None:
    other = CertificateSpec("other", ("x.example.com",), AcmeSpec(LETSENCRYPT))
    elsewhere = CertificateSpec("e", (NAME,), AcmeSpec(LETSENCRYPT, ListenChallenge("::1", 8079)))
    found = [*challenge_ports({"site": SITE, "other": other, "e": elsewhere})]
    assert [(where, port.number) for where, port in found] == [
        ("certificates.site.acme.challenge.listen", 80),
        ("certificates.e.acme.challenge.listen", 8079),
    ]
    assert judge_port(SITE) is None
    warned = judge_port(elsewhere)
    assert warned is not None
    assert "authorities ask at port 80" in warned.what


@pytest.mark.parametrize(
    ("source", "left_days", "error", "level", "told"),
    [
        ("self-signed", 3000, None, "unknown", "there is none yet"),
        ("self-signed", 3000, "port 80 is closed", "error", "port 80 is closed"),
        ("authority", 60, None, "ok", "from CA, until"),
        ("authority", 5, None, "warning", "expires on"),
        ("authority", -1, None, "error", "expired on"),
        ("own", -1, None, "error", "expired on"),
    ],
)
def test_the_present_one_is_judged(
    source: Source, left_days: float, error: str | None, level: str, told: str
) -> None:
    end = NOW + left_days * DAY_S
    installed = Installed(source, "", "ab", "CA", (NAME,), end - 90 * DAY_S, end)
    found = judge_served(SITE, Record(installed, Attempts(last_error=error)), NOW)
    assert (found.level, told in found.what) == (level, True)


def test_a_name_that_is_missing_yet_is_told() -> None:
    spec = CertificateSpec("site", (NAME, "cdn.example.com"), AcmeSpec(LETSENCRYPT))
    installed = Installed("authority", "", "ab", "CA", (NAME,), NOW, NOW + 90 * DAY_S)
    assert "is not for cdn.example.com yet" in judge_served(spec, Record(installed), NOW).what
