"""What is said of certificates, everywhere where something is said."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from streamd.certificates.facts import CertificateFacts
from streamd.status import metrics
from streamd.status.page import page
from streamd.status.report import report, status_of
from streamd.status.snapshot import Snapshot
from streamd.status.text import status_text
from tests.support.snapshots import NOW, snapshot

VALID = CertificateFacts(
    "site",
    "valid",
    ("live.example.com", "cdn.example.com"),
    serial="ab12",
    issuer="Let's Encrypt",
    not_before=(NOW - timedelta(days=30)).timestamp(),
    not_after=(NOW + timedelta(days=60)).timestamp(),
    renew_at=(NOW + timedelta(days=30)).timestamp(),
)
FAILING = replace(
    VALID,
    name="old",
    state="failing",
    not_after=(NOW + timedelta(days=5)).timestamp(),
    last_error="port 80 is closed <to> the authority",
    next_try_at=(NOW + timedelta(minutes=5)).timestamp(),
)
NONE = CertificateFacts("new", "issuing", ("new.example.com",))


def having(*facts: CertificateFacts) -> Snapshot:
    return replace(snapshot(), certificates={each.name: each for each in facts})


def entry(of: Snapshot, name: str) -> dict[str, Any]:
    entries = report(of)["certificates"]
    assert isinstance(entries, dict)
    found: dict[str, Any] = entries[name]
    return found


def test_the_report_has_what_the_contract_says() -> None:
    found = entry(having(VALID, FAILING, NONE), "old")
    assert found["state"] == "failing"
    assert found["domains"] == ["live.example.com", "cdn.example.com"]
    assert found["not_after"] == "2026-07-06T12:00:00.000Z"
    assert found["renew_at"] == "2026-07-31T12:00:00.000Z"
    assert found["retry_at"] == "2026-07-01T12:05:00.000Z"
    assert found["last_error"].startswith("port 80 is closed")
    assert entry(having(NONE), "new")["not_after"] is None


def test_what_expires_soon_is_warned_of_and_does_not_count_as_not_converged() -> None:
    status = status_of(having(VALID, FAILING))
    assert status.warnings == ("certificate old expires in 5 days",)
    over = replace(FAILING, not_after=(NOW - timedelta(days=1)).timestamp())
    assert status_of(having(over)).warnings == ("certificate old has expired",)
    late = replace(FAILING, not_after=(NOW + timedelta(hours=20)).timestamp())
    assert status_of(having(late)).warnings == ("certificate old expires in 20 h",)
    assert status_of(having(VALID)).warnings == ()


def test_text_and_page_show_them() -> None:
    of = having(VALID, FAILING, NONE)
    text = status_text(report(of))
    assert "certificate old expires in 5 days" in text
    assert "live.example.com cdn.example.com" in text
    shown = page(status_of(of))
    assert "Let&#x27;s Encrypt" in shown
    assert "self-signed" in shown
    assert "port 80 is closed &lt;to&gt; the authority" in shown
    assert "certificate old expires in 5 days" in shown
    assert "Certificates" not in page(status_of(snapshot()))


def test_metrics_tell_when_they_expire_and_how_they_are() -> None:
    text = metrics.exposition(metrics.sample(having(VALID, FAILING, NONE))).decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    shown = lines['streamd_certificate_not_after_seconds{certificate="site"}']
    assert float(shown) == VALID.not_after
    assert 'streamd_certificate_not_after_seconds{certificate="new"}' not in lines
    assert lines['streamd_certificate_state{certificate="new",state="issuing"}'] == "1.0"
    assert lines['streamd_certificate_state{certificate="new",state="valid"}'] == "0.0"
