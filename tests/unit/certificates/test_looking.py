"""Certificates are looked at in a process of its own, which says what it found."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamd.certificates import pem
from streamd.certificates.looking import LookError, judge_own, serve_all
from streamd.certificates.record import from_json
from streamd.certificates.spec import AcmeSpec, CertificateSpec
from streamd.certificates.store import Store

NOW = 1_800_000_000.0


def test_what_is_wrong_is_said_by_name_and_the_rest_is_done(tmp_path: Path) -> None:
    store = Store(tmp_path / "certificates")
    store.prepare()
    site = CertificateSpec("site", ("live.example.com",), AcmeSpec("https://ca/dir"))
    own = CertificateSpec("own", (), None, str(tmp_path / "none.pem"), str(tmp_path / "none.key"))
    (store.directory / "site").mkdir()
    (store.directory / "site/record.json").write_text("{")
    seen = serve_all(store.directory, tmp_path / "outbox", [site, own])
    assert seen.errors.keys() == {"own"}
    assert "cannot be read: No such file" in seen.errors["own"]
    assert [Path(path).name.partition(".damaged")[0] for path, _ in seen.set_aside] == [
        "record.json"
    ]
    record = from_json((store.directory / "site/record.json").read_text())
    assert record.installed is not None
    assert record.installed.domains == site.domains


def test_own_files_are_judged_and_not_touched(tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    made = pem.self_signed(pem.make_key("ecdsa"), ("a.example.com",), NOW)
    chain.write_text(made.fullchain)
    key.write_text(made.key)
    good = CertificateSpec("good", ("b.example.com",), None, str(chain), str(key))
    bad = CertificateSpec("bad", (), None, str(chain), str(chain))
    seen = judge_own([good, bad])
    assert "is not for b.example.com" in seen.doubts["good"][0]
    assert "the key cannot be read" in seen.errors["bad"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chain.pem", "key.pem"]


def test_a_process_that_ends_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no memory' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(LookError, match="no memory"):
        judge_own([])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(LookError, match="No such file"):
        judge_own([])


def test_the_daemon_itself_needs_no_cryptography() -> None:
    code = (
        "import sys; import streamd.daemon, streamd.config.load, streamd.certificates.keeper; "
        "assert not {'cryptography', 'opendal', 'acme', 'dns'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
