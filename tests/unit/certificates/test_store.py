"""Certificates on disk: replaced as a pair, private, and never lost to damage."""

import threading
import time
from pathlib import Path

import pytest

from streamd.certificates import pem
from streamd.certificates.record import Record
from streamd.certificates.serving import serve
from streamd.certificates.spec import AcmeSpec, CertificateSpec, certificate_paths
from streamd.certificates.store import Store

NOW = time.time()
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


def test_files_that_do_not_go_together_are_replaced(store: Store) -> None:
    put(store, pem.self_signed(pem.make_key("ecdsa"), SITE.domains, NOW))
    key = Path(certificate_paths(str(store.directory), "site")[1]).resolve()
    key.write_text(pem.make_key("ecdsa"))
    record, _ = served(store)
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
    for broken in ("no key", pem.make_key("ecdsa")):
        key.write_text(broken)
        _, error = served(store, spec)
        assert error is not None
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
