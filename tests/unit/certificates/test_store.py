"""Certificates on disk: replaced as a pair, private, and never lost to damage."""

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streamd.certificates import pem
from streamd.certificates.attempts import Attempts, Try
from streamd.certificates.due import order_at
from streamd.certificates.record import Record
from streamd.certificates.serving import serve
from streamd.certificates.spec import AcmeSpec, CertificateSpec, certificate_paths, wanted_identity
from streamd.certificates.store import Store

as_root_alone = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOW = time.time()
NOBODY = 65_534
SITE = CertificateSpec("site", ("live.example.com",), AcmeSpec("https://ca/dir"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "certificates")
    made.prepare()
    return made


def served(store: Store, spec: CertificateSpec = SITE) -> tuple[Record, str | None]:
    record, error = serve(store, spec, store.directory.parent / "outbox")
    return record or Record(), error


def put(store: Store, pair: pem.Pair, record: Record | None = None) -> None:
    (store.directory / "site").mkdir(exist_ok=True)
    store.install("site", pair, pem.installed(pair, "authority"), record or Record())


def by_an_authority(*names: str) -> pem.Pair:
    """Return what somebody else vouches for."""
    key, signer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True
        )
        .sign(signer, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())


def test_https_can_listen_before_there_is_a_certificate(store: Store) -> None:
    record, error = served(store)
    assert error is None
    assert record.installed is not None
    assert (record.installed.source, record.installed.domains) == ("self-signed", SITE.domains)
    chain, key = (
        Path(path).read_text() for path in certificate_paths(str(store.directory), "site")
    )
    assert pem.checked_pair(chain, key).fullchain == chain
    assert served(store)[0] == record  # and stays the same


def test_an_issued_one_is_never_touched(store: Store) -> None:
    pair = pem.self_signed(pem.make_key("ecdsa"), SITE.domains, NOW)
    put(store, pair)
    assert served(store)[0].installed == pem.installed(pair, "authority")
    assert store.pair("site") == (pair.fullchain, pair.key)


def test_whoever_reads_one_file_after_the_other_meets_a_pair(store: Store) -> None:
    key = pem.make_key("ecdsa")
    pairs = [pem.self_signed(key, (f"{n}.example.com",), NOW) for n in range(40)]
    put(store, pairs[0])
    paths = [Path(path) for path in certificate_paths(str(store.directory), "site")]
    stop, wrong = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                pem.checked_pair(*(path.read_text() for path in paths))
            except (OSError, pem.PairError) as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for pair in pairs[1:]:
        put(store, pair)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len([*(store.directory / "site/versions").iterdir()]) == 2


def test_everything_is_private_and_what_was_open_is_closed(store: Store) -> None:
    served(store)
    assert store.prepare() == []
    key = Path(certificate_paths(str(store.directory), "site")[1]).resolve()
    key.chmod(0o644)
    store.directory.chmod(0o755)
    assert set(store.prepare()) == {store.directory, key}
    for path in (store.directory, *store.directory.rglob("*")):
        assert path.is_symlink() or not path.stat().st_mode & 0o077, path


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"version": 1}', "\x00"])
def test_a_damaged_record_is_set_aside_and_read_from_the_certificate(
    store: Store, damage: str
) -> None:
    pair = pem.self_signed(pem.make_key("ecdsa"), SITE.domains, NOW)
    put(store, pair)
    (store.directory / "site/record.json").write_text(damage)
    record, error = served(store)
    assert error is None
    assert record.installed is not None
    assert record.installed.serial == pem.read(pair.fullchain).serial
    (aside,) = (path for path, _ in store.set_aside)
    assert aside.read_text() == damage
    assert store.pair("site") == (pair.fullchain, pair.key)


@pytest.mark.parametrize("damage", [pem.make_key("ecdsa").encode(), b"junk", b"\xff\0", b""])
def test_files_that_do_not_go_together_are_set_aside_and_replaced(
    store: Store, damage: bytes
) -> None:
    before = pem.self_signed(pem.make_key("ecdsa"), SITE.domains, NOW)
    put(store, before)
    key = Path(certificate_paths(str(store.directory), "site")[1]).resolve()
    key.write_bytes(damage)
    record, _ = served(store)
    ((aside, reason),) = store.set_aside
    assert reason.endswith("; what is served now is self-signed")
    assert (aside / "fullchain.pem").read_text() == before.fullchain
    assert (aside / "privkey.pem").read_bytes() == damage
    assert record.installed is not None
    assert record.installed.source == "self-signed"
    pem.checked_pair(*(store.pair("site") or ("", "")))


def test_a_self_signed_one_is_made_anew_for_who_takes_other_keys(store: Store) -> None:
    served(store)
    wanted = CertificateSpec("site", SITE.domains, SITE.acme, key_kind="rsa")
    served(store, wanted)
    assert pem.kind_of((store.pair("site") or ("", ""))[1]) == "rsa"


def test_own_files_that_cannot_be_served_leave_those_before_in_use(
    store: Store, tmp_path: Path
) -> None:
    chain, key = tmp_path / "c.pem", tmp_path / "k.pem"
    spec = CertificateSpec("own", (), None, str(chain), str(key))
    good = pem.self_signed(pem.make_key("ecdsa"), ("own.example.com",), NOW)
    chain.write_text(good.fullchain)
    key.write_text(good.key)
    assert served(store, spec)[1] is None
    for broken, at_fault in (("no key", key), (pem.make_key("ecdsa"), chain)):
        key.write_text(broken)
        _, error = served(store, spec)
        assert error is not None
        assert error.startswith(f"{at_fault}: the key ")
        assert "served on" in error
        assert store.pair("own") == (good.fullchain, good.key)
    key.unlink()
    assert "cannot be read: No such file" in (served(store, spec)[1] or "")
    key.write_text(good.key)
    assert served(store, spec)[1] is None
    rsa_only = CertificateSpec("own", (), None, str(chain), str(key), "rsa")
    assert "takes RSA keys only" in (served(store, rsa_only)[1] or "")


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "certificates"
    blocked.write_text("a file in the way")
    assert "cannot be" in (served(Store(blocked))[1] or "")


def test_a_self_signed_one_follows_the_names_of_the_file_and_keeps_its_key(store: Store) -> None:
    served(store)
    _, key = store.pair("site") or ("", "")
    wider = CertificateSpec("site", ("*.example.com", "example.com"), SITE.acme)
    record, _ = served(store, wider)
    chain, kept = store.pair("site") or ("", "")
    assert pem.read(chain).domains == wider.domains
    assert record.installed is not None
    assert record.installed.serial == pem.read(chain).serial
    assert kept == key
    assert served(store, wider)[0] == record


def test_what_an_order_installed_is_known_when_it_was_killed_right_after(store: Store) -> None:
    served(store)
    wanted = wanted_identity(SITE)
    asked = Try(NOW, SITE.domains, "https://ca/dir", outcome="asked")
    known = replace(store.record("site"), attempts=Attempts(1, NOW + 60, (asked,)), wanted=wanted)
    issued = by_an_authority(*SITE.domains)
    store.install("site", issued, pem.installed(issued, "authority", wanted), known)
    store.write_record("site", known)  # as it was before: the last step was not made

    record, error = served(store)
    assert error is None
    assert record.installed == pem.installed(issued, "authority", wanted)
    assert (record.attempts.failures, record.attempts.next_at) == (0, 0.0)
    assert [each.outcome for each in record.attempts.tries] == ["issued"]
    assert order_at(SITE, record) > NOW  # and nothing is ordered again
    outbox = store.directory.parent / "outbox/incoming"
    assert ["on_certificate_renewed" in path.read_text() for path in outbox.iterdir()] == [True]


def test_a_swap_that_is_killed_at_any_step_leaves_a_pair_and_the_next_one_succeeds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (pem.self_signed(pem.make_key("ecdsa"), SITE.domains, NOW) for _ in range(2))
    put(store, first)
    steps = 0
    for name in ("mkdir", "symlink_to", "replace"):
        real = getattr(Path, name)

        def step(*args: Any, real: Any = real, **options: Any) -> Any:
            nonlocal steps
            steps -= 1
            if steps == 0:
                raise KeyboardInterrupt
            return real(*args, **options)

        monkeypatch.setattr(Path, name, step)
    for die_at in itertools.count(1):
        steps = die_at
        try:
            put(store, second)
        except KeyboardInterrupt:
            steps = 0
            assert pem.checked_pair(*(store.pair("site") or ("", ""))) in (first, second)
            assert served(store)[1] is None
            put(store, first)
        else:
            break
    assert die_at > 5
    assert store.pair("site") == (second.fullchain, second.key)
    assert len([*(store.directory / "site/versions").iterdir()]) == 2


def test_what_is_served_is_kept_whatever_the_clock_said_when_it_came(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pem.self_signed(pem.make_key("ecdsa"), SITE.domains, NOW) for _ in range(4)]
    for pair, year in zip(pairs, (2050, 2051, 2026, 1970), strict=True):
        monkeypatch.setattr(time, "time_ns", lambda year=year: (year - 1970) * 31_556_952 * 10**9)
        put(store, pair)
        assert store.pair("site") == (pair.fullchain, pair.key)


def test_answers_of_orders_that_were_killed_are_taken_away_after_a_day(store: Store) -> None:
    old, young = store.challenges / "old", store.challenges / "young"
    for path in (old, young):
        path.write_text("answer")
    os.utime(old, (NOW - 90_000, NOW - 90_000))
    store.prepare()
    assert (old.exists(), young.exists()) == (False, True)


def test_certificates_that_left_the_file_are_remembered(store: Store) -> None:
    served(store)
    (store.directory / "empty").mkdir()
    assert store.records_of_others({"site"}) == []
    assert store.records_of_others(()) == [store.record("site")]


def test_a_record_that_cannot_be_read_is_not_taken_for_an_empty_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(store)
    path = store.directory / "site/record.json"
    real = Path.read_text

    def read_text(self: Path, *args: Any, **options: Any) -> str:
        if self == path:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "read_text", read_text)
    record, error = serve(store, SITE, store.directory.parent / "outbox")
    assert record is None
    assert "record.json cannot be used: Input/output error" in (error or "")
    assert store.set_aside == []


FILES_AND_DIRECTORIES = [
    (name, kind)
    for name in (".", "site", "site/versions", ".authorities", ".authorities/challenges")
    for kind in ("file", "link to nothing")
]
FILES_AND_DIRECTORIES += [
    (f"site/{name}", "directory")
    for name in ("record.json", "current", "fullchain.pem", "privkey.pem")
]


@pytest.mark.parametrize(("name", "what"), FILES_AND_DIRECTORIES)
def test_what_is_in_the_place_of_something_else_is_set_aside_and_made_anew(
    store: Store, name: str, what: str
) -> None:
    served(store)
    path = store.directory / name
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path)
    if what == "file":
        path.write_text("in the way")
    elif what == "directory":
        path.mkdir()
        (path / "in").write_text("the way")
    else:
        path.symlink_to("nowhere")
    store.prepare()
    record, error = served(store)
    assert error is None
    assert record.installed is not None
    assert pem.checked_pair(*(store.pair("site") or ("", ""))).fullchain
    assert store.record("site") == record
    ((aside, reason),) = store.set_aside
    assert aside.name.startswith(f"{path.name}.damaged-")
    assert reason == ("is a directory" if what == "directory" else "is no directory")
    assert aside.is_symlink() == (what == "link to nothing")


@pytest.fixture
def nobodys() -> Iterator[Store]:
    """Return a store of the user nobody, who we are meanwhile."""
    directory = Path(tempfile.mkdtemp(prefix="streamd-"))
    os.chown(directory, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        made = Store(directory / "certificates")
        made.prepare()
        yield made
    finally:
        os.seteuid(0)
        shutil.rmtree(directory)


@contextlib.contextmanager
def as_root() -> Iterator[None]:
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(NOBODY)


@as_root_alone
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_directory_of_somebody_else_is_told_with_the_command_that_mends_it(
    nobodys: Store, mode: int
) -> None:
    assert served(nobodys)[1] is None
    path = nobodys.directory / "site"
    with as_root():
        os.chown(path, 0, 0)
        path.chmod(mode)
    nobodys.prepare()
    _, error = served(nobodys)
    assert error == (
        f"{path} cannot be used: Permission denied; it belongs to root, and streamd runs as "
        f"nobody: `chown -R nobody: {path}`"
    )
    with as_root():
        os.chown(path, NOBODY, -1)
    assert served(nobodys)[1] is None
    assert nobodys.set_aside == []


@as_root_alone
def test_a_key_of_somebody_else_is_told_likewise(nobodys: Store) -> None:
    served(nobodys)
    path = Path(certificate_paths(str(nobodys.directory), "site")[1])
    real = path.resolve()
    with as_root():
        os.chown(real, 0, 0)
    _, error = served(nobodys)
    assert error == (
        f"{path} cannot be used: Permission denied; {real} belongs to root, and streamd runs as "
        f"nobody: `chown -R nobody: {real}`"
    )


@as_root_alone
def test_what_the_user_himself_has_closed_is_opened_to_him(nobodys: Store) -> None:
    before, _ = served(nobodys)
    key = Path(certificate_paths(str(nobodys.directory), "site")[1]).resolve()
    version, site = key.parent, nobodys.directory / "site"
    for path in (key, version, site):
        path.chmod(0)
    assert nobodys.prepare() == []
    assert served(nobodys) == (before, None)
    assert nobodys.made_usable == [site, version, key]


def test_own_files_that_have_expired_take_the_place_of_none_that_is_good(
    store: Store, tmp_path: Path
) -> None:
    chain, key = tmp_path / "c.pem", tmp_path / "k.pem"
    spec = CertificateSpec("own", (), None, str(chain), str(key))
    good = pem.self_signed(pem.make_key("ecdsa"), ("own.example.com",), NOW)
    over = pem.self_signed(pem.make_key("ecdsa"), ("own.example.com",), NOW - 4000 * 86_400)
    for pair in (good, over):
        chain.write_text(pair.fullchain)
        key.write_text(pair.key)
        _, error = served(store, spec)
    assert "has expired; take another one" in (error or "")
    assert store.pair("own") == (good.fullchain, good.key)
