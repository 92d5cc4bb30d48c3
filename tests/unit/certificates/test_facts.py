"""What is said of a certificate, and of one that expires."""

import pytest

from streamd.certificates.attempts import Attempts
from streamd.certificates.facts import (
    CertificateFacts,
    CertificateState,
    Moments,
    expiring,
    facts_of,
)
from streamd.certificates.record import Installed, Record, Source
from streamd.certificates.spec import (
    AcmeSpec,
    Binding,
    CertificateSpec,
    Challenge,
    DnsChallenge,
    ListenChallenge,
    OrderSpec,
    WebrootChallenge,
    order_from_json,
    order_to_json,
)

NOW, DAY_S = 1_800_000_000.0, 86_400.0
SITE = CertificateSpec("site", ("a.example.com",), AcmeSpec("https://ca/dir"))


def installed(source: Source, *, left_days: float = 60) -> Installed:
    end = NOW + left_days * DAY_S
    return Installed(source, "w", "ab", "CA", ("a.example.com",), end - 90 * DAY_S, end)


@pytest.mark.parametrize(
    ("source", "left_days", "is_ordering", "error", "state"),
    [
        ("self-signed", 60, False, None, "issuing"),
        ("self-signed", 60, True, None, "issuing"),
        ("self-signed", 60, True, "no", "failing"),
        ("authority", 60, False, None, "valid"),
        ("authority", 60, True, None, "renewing"),
        ("authority", 60, False, "no", "failing"),
        ("authority", -1, False, "no", "expired"),
        ("own", -1, False, None, "expired"),
    ],
)
def test_the_state_says_what_is_to_be_known(
    source: Source,
    left_days: float,
    is_ordering: bool,
    error: str | None,
    state: CertificateState,
) -> None:
    record = Record(
        installed(source, left_days=left_days), Attempts(next_at=NOW + 60, last_error=error)
    )
    found = facts_of(SITE, record, Moments(NOW, NOW + 1), is_ordering=is_ordering, error=None)
    assert found.state == state
    assert (found.not_after is None) is (source == "self-signed")
    assert found.next_try_at == (NOW + 60 if error else None)


def test_soon_is_a_week_and_of_a_short_one_a_quarter() -> None:
    def one(lifetime_days: float, left_days: float) -> CertificateFacts:
        end = NOW + left_days * DAY_S
        begin = end - lifetime_days * DAY_S
        return CertificateFacts("x", "valid", (), not_before=begin, not_after=end)

    found = expiring(
        {
            "long": one(90, 8),
            "soon": one(90, 6.9),
            "short": one(6, 2),
            "late": one(6, 1),
            "over": one(90, -1),
            "none": CertificateFacts("none", "issuing", ()),
        },
        NOW,
    )
    assert found == {"soon": 6.9 * DAY_S, "late": DAY_S, "over": -DAY_S}


@pytest.mark.parametrize(
    "challenge",
    [
        ListenChallenge("127.0.0.1", 8079),
        WebrootChallenge("/var/www"),
        DnsChallenge("ns:53", "key", "c2VjcmV0", zone="example.com", wait_s=2.5),
    ],
)
def test_an_order_is_read_as_it_was_written(challenge: Challenge) -> None:
    acme = AcmeSpec("https://ca/dir", challenge, "a@b.c", "/ca", "p", Binding("kid", "bWFj"))
    order = OrderSpec(CertificateSpec("s", ("a", "b"), acme, key_kind="rsa"), "/d", "/o", True)
    assert order_from_json(order_to_json(order)) == order
    assert "bWFj" not in repr(order)
    assert "c2VjcmV0" not in repr(order)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"certificate": {"acme": null}}'])
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an? (order|certificate)|Expecting value"):
        order_from_json(text)


def test_own_files_are_not_blamed_for_what_failed_at_an_authority_before() -> None:
    own = CertificateSpec("site", (), None, "/c.pem", "/k.pem")
    record = Record(installed("own"), Attempts(3, NOW + 60, (), "no"))
    found = facts_of(own, record, Moments(NOW), is_ordering=False, error=None)
    assert (found.state, found.last_error, found.next_try_at) == ("valid", None, None)


@pytest.mark.parametrize(
    ("next_at", "allowed_at", "told"),
    [
        (NOW - 5, NOW - 5, None),
        (NOW + 60, NOW + 60, "the last order was ended"),
        (NOW + 60, NOW + 9000, "the authority's limits"),
    ],
)
def test_a_certificate_that_has_to_wait_says_what_for_and_until_when(
    next_at: float, allowed_at: float, told: str | None
) -> None:
    record = Record(installed("self-signed"), Attempts(1, next_at))
    found = facts_of(SITE, record, Moments(NOW, 0.0, allowed_at), is_ordering=False, error=None)
    assert (told or "None") in str(found.last_error)
    assert found.next_try_at == (allowed_at if told else None)
