"""What keeps certificates, while authorities hang, disks fill up and the file changes."""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamd.certificates import keeper, ordering, pem
from streamd.certificates.attempts import DAY_S, Attempts, Try
from streamd.certificates.looking import Seen, serve_all
from streamd.certificates.record import Record
from streamd.certificates.spec import (
    AcmeSpec,
    CertificateSpec,
    ListenChallenge,
    WebrootChallenge,
    means_identity,
    wanted_identity,
)
from streamd.certificates.store import Store
from tests.support.certificates import Kept, kept
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_port
from tests.support.tls import authority
from tests.support.waiting import wait_until

LIFETIME_S = 4


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble"), validity_s=LIFETIME_S) as running:
        yield running


@pytest.fixture
async def hanging() -> AsyncIterator[str]:
    """An authority that takes connections and never says a word."""
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1")
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/dir"
    server.close()
    for connection in connections:
        connection.close()
    await server.wait_closed()


def wanted(issuer: Pebble, name: str = "site", **acme: Any) -> CertificateSpec:
    challenge = ListenChallenge("127.0.0.1", issuer.http_port)
    spec = AcmeSpec(issuer.directory, challenge, ca_file=str(issuer.ca_file))
    return CertificateSpec(name, (f"{name}.example.test",), replace(spec, **acme))


def own_files(directory: Path) -> CertificateSpec:
    """Put files of the operator's own into a directory, in the place of those that are there."""
    chain, key = directory / "chain.pem", directory / "key.pem"
    made = pem.self_signed(pem.make_key("ecdsa"), ("own.example.test",), time.time())
    chain.write_text(made.fullchain)
    key.write_text(made.key)
    return CertificateSpec("own", (), None, str(chain), str(key))


async def test_certificates_of_seconds_renew_themselves_until_the_limit_of_a_week_is_near(
    issuer: Pebble, tmp_path: Path
) -> None:
    spec = wanted(issuer)
    earlier = [Try(time.time() - hours * 3600, spec.domains, issuer.directory) for hours in (2, 1)]
    issued = tuple(replace(each, outcome="issued") for each in earlier)
    Kept(tmp_path).store.write_record("site", Record(attempts=Attempts(tries=issued)))
    async with kept(tmp_path, spec) as running:
        first = await running.wait_for_serial()
        second = await running.wait_for_serial(first)
        facts = await running.wait_for_error("the authority's limits")
        assert facts.serial == second
        record = running.store.record("site")
        assert [each.outcome for each in record.attempts.tries] == ["issued"] * 4
        assert [each.renews for each in record.attempts.tries] == [False, False, False, True]
        assert facts.next_try_at is not None
        in_days = (facts.next_try_at - record.attempts.tries[0].at) / DAY_S
        assert in_days == pytest.approx(7, abs=0.01)

    # Neither another streamd nor another name in the file makes it forget.
    renamed = replace(wanted(issuer), name="renamed")
    async with kept(tmp_path, wanted(issuer), renamed) as again:
        for name in ("site", "renamed"):
            await wait_until(lambda name=name: again.facts(name).last_error, what=name)
            assert "the authority's limits" in (again.facts(name).last_error or "")
    async with kept(tmp_path, renamed) as alone:
        await wait_until(lambda: alone.facts("renamed").last_error, what="renamed")
        assert "the authority's limits" in (alone.facts("renamed").last_error or "")
        assert alone.store.record("renamed").attempts.tries == ()


async def test_an_order_ends_with_its_certificate_and_begins_anew_with_it(
    issuer: Pebble, tmp_path: Path, hanging: str
) -> None:
    async with kept(tmp_path, wanted(issuer, directory=hanging)) as running:
        await wait_until(running.orders, what="an order")
        await running.desire()
        assert running.keeper.facts() == {}
        await wait_until(lambda: not running.orders(), what="no order")
        await running.desire(wanted(issuer))
        await running.wait_for_serial()


def test_nothing_of_an_order_is_left_open_where_all_ends_while_it_is_cancelled(
    issuer: Pebble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unraisable.append(found.exc_value))

    async def end_soon_after(turns: int) -> None:
        spec = wanted(issuer, challenge=ListenChallenge("127.0.0.1", free_port()))
        async with kept(tmp_path / str(turns), spec) as running:
            await wait_until(running.orders, what="an order")
            await running.desire()
            for _ in range(turns):
                await asyncio.sleep(0)

    for turns in range(6):
        asyncio.run(end_soon_after(turns))
        gc.collect()
    assert unraisable == []


async def test_an_order_that_hangs_is_ended_and_counts_as_it_was_written_down(
    issuer: Pebble, tmp_path: Path, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "TIMEOUT_S", 3.0)
    async with kept(tmp_path, wanted(issuer, directory=hanging)) as running:
        facts = await running.wait_for_error("the order did not end within 3 s")
        assert running.orders() == []
        assert [each.outcome for each in running.store.record("site").attempts.tries] == ["open"]
        assert facts.next_try_at is not None


async def test_who_has_mended_what_was_wrong_need_not_wait(
    issuer: Pebble, tmp_path: Path, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "TIMEOUT_S", 2.0)
    told = 0

    def tries() -> int:
        nonlocal told
        told += running.keeper.retry().count("site")
        return len(running.store.record("site").attempts.tries)

    spec = wanted(issuer, directory=hanging)
    async with kept(tmp_path, spec) as running:
        await wait_until(lambda: tries() == 4, 60, "as many tries as an authority takes in an hour")
        await wait_until(lambda: not running.orders(), what="no order")
        await wait_until(
            lambda: tries() and (running.facts().next_try_at or 0) > time.time() + 3000
        )
        assert tries() == 4
        assert told >= 3
        assert running.keeper.retry() == []  # what is held back is not tried


async def test_what_cannot_be_tried_is_not_told_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenge = WebrootChallenge(str(tmp_path))
    refusing = AcmeSpec(f"http://127.0.0.1:{free_port()}/dir", challenge)
    spec = CertificateSpec("site", ("a.example.test",), refusing)
    place = ListenChallenge("127.0.0.1", free_port())
    taken = replace(spec, name="taken", acme=replace(refusing, challenge=place))
    async with kept(tmp_path, spec, taken) as running:
        for name in ("site", "taken"):
            await wait_until(lambda name=name: running.facts(name).last_error, 60, name)
        await wait_until(lambda: not running.orders(), what="no order")
        monkeypatch.setattr(
            running.keeper._listeners, "complaint", {taken: "the port is taken"}.get
        )
        assert running.keeper.retry() == ["site"]
        assert running.keeper.retry() == []


async def test_a_disk_that_takes_nothing_is_told_and_nothing_is_ordered_meanwhile(
    issuer: Pebble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    real = Store.write_record

    def full(self: Store, name: str, record: Record) -> None:
        nonlocal tries
        if record.attempts.tries:
            tries += 1
            raise OSError(28, "No space left on device", str(self.directory))
        real(self, name, record)

    monkeypatch.setattr(Store, "write_record", full)
    monkeypatch.setattr(keeper, "LOOK_S", 2.0)
    async with kept(tmp_path, wanted(issuer)) as running:
        facts = await running.wait_for_error("No space left on device; make room")
        assert facts.state == "failing"
        for _ in range(20):  # whatever wakes it
            running.keeper.wake()
            await asyncio.sleep(0.01)
        assert tries == 1
        await wait_until(lambda: tries == 3, what="more tries to write")
        assert running.orders() == []
        monkeypatch.setattr(Store, "write_record", real)
        await running.wait_for_serial()
        await wait_until(lambda: running.facts().last_error is None, what="no error")
        assert len(running.store.record("site").attempts.tries) == 1


async def test_a_certificate_whose_event_cannot_be_written_is_served_all_the_same(
    issuer: Pebble, tmp_path: Path
) -> None:
    (tmp_path / "outbox").write_text("a file in the way")
    async with kept(tmp_path, wanted(issuer)) as running:
        serial = await running.wait_for_serial()
        assert running.facts().last_error is None
        chain, _ = running.store.pair("site") or ("", "")
        assert pem.read(chain).serial == serial
        assert running.store.record("site").attempts.failures == 0


async def test_damage_while_an_order_runs_is_mended(issuer: Pebble, tmp_path: Path) -> None:
    async with kept(tmp_path, wanted(issuer)) as running:
        await wait_until(running.orders, what="an order")
        (running.store.directory / "site/record.json").write_text("{")
        await running.wait_for_serial()
        aside = [*(running.store.directory / "site").glob("record.json.damaged-*")]
        assert [path.read_text() for path in aside] == ["{"]
        data = json.loads((running.store.directory / "site/record.json").read_text())
        assert data["installed"]["serial"] == running.facts().serial


async def test_what_takes_the_place_of_a_certificate_is_set_aside_at_once(
    tmp_path: Path, hanging: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = CertificateSpec(
        "site", ("a.example.test",), AcmeSpec(hanging, WebrootChallenge(str(tmp_path)))
    )
    blocked = tmp_path / "certificates" / "site"
    blocked.parent.mkdir()
    blocked.write_text("in the way")
    async with kept(tmp_path, spec) as running:
        assert pem.read(running.chain()).self_signed
        assert running.facts().last_error is None
        (aside,) = blocked.parent.glob("site.damaged-*")
        assert aside.read_text() == "in the way"
        assert "certificates.set_aside" in capsys.readouterr().out


def issued(directory: Path, spec: CertificateSpec) -> None:
    """Leave what an order leaves that has brought a certificate."""
    chain, key = authority(directory).certificate(*spec.domains)
    pair = pem.checked_pair(chain.read_text(), key.read_text())
    wanted = wanted_identity(spec)
    store = Kept(directory).store
    store.prepare()
    store.make_room(spec.name)
    record = Record(wanted=wanted, means=means_identity(spec))
    store.install(spec.name, pair, pem.installed(pair, "authority", wanted), record)


@pytest.mark.parametrize("damage", ["current", "privkey.pem"])
async def test_a_pair_that_is_gone_or_damaged_is_replaced_soon_whatever_wakes_the_keeper(
    tmp_path: Path, hanging: str, damage: str
) -> None:
    challenge = WebrootChallenge(str(tmp_path))
    spec = CertificateSpec("site", ("a.example.test",), AcmeSpec(hanging, challenge))
    issued(tmp_path, spec)
    async with kept(tmp_path, spec) as running:
        assert running.facts().state == "valid"
        before = running.key()
        path = running.directory / "site" / damage
        if path.name == "current":
            path.unlink()
        else:
            path.write_text("junk")

        def is_replaced() -> bool:
            running.keeper.wake()
            return running.facts().state != "valid"

        await wait_until(is_replaced, keeper.LOOK_S / 3, "another state")
        assert pem.read(running.chain()).self_signed
        assert running.key() not in (before, "junk")


async def test_a_certificate_is_looked_at_while_its_authority_is_asked_when_to_renew_it(
    tmp_path: Path, hanging: str
) -> None:
    challenge = WebrootChallenge(str(tmp_path))
    spec = CertificateSpec("site", ("a.example.test",), AcmeSpec(hanging, challenge))
    issued(tmp_path, spec)
    async with kept(tmp_path, spec) as running:
        await wait_until(running.orders, what="the question")
        (running.directory / "site/current").unlink()
        await running.keeper.look()
        assert pem.read(running.chain()).self_signed
        assert running.facts().state != "valid"


async def test_what_a_disk_refused_is_tried_again_though_no_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(directory: Path, outbox: Path, specs: Sequence[CertificateSpec]) -> Seen:
        told = {spec.name: "the disk is full" for spec in specs}
        return replace(serve_all(directory, outbox, specs), errors=told, unusable=[*told])

    monkeypatch.setattr(keeper, "serve_all", refused)
    async with kept(tmp_path, own_files(tmp_path)) as running:
        assert running.facts("own").last_error == "the disk is full"
        monkeypatch.setattr(keeper, "serve_all", serve_all)
        await running.keeper.look()
        assert running.facts("own").state == "valid"


async def test_own_files_that_are_served_from_now_on_are_logged_once(tmp_path: Path) -> None:
    spec = own_files(tmp_path)
    with capture_logs() as logs:
        async with kept(tmp_path, spec) as running:
            first = running.facts("own")
            own_files(tmp_path)
            await running.keeper.look()
            second = running.facts("own")
            (running.directory / "own/current").unlink()  # which brings nothing new
            await running.keeper.look()
        async with kept(tmp_path, spec):
            pass
    told = [each for each in logs if each["event"] == "certificate.installed"]
    assert [each["serial"] for each in told] == [first.serial, second.serial]
    assert second.not_after is not None
    assert datetime.fromisoformat(told[1]["not_after"]).timestamp() == second.not_after


async def test_certificates_share_a_port_and_lose_it_with_the_last_of_them(
    issuer: Pebble, tmp_path: Path
) -> None:
    place = ListenChallenge("127.0.0.1", free_port())
    specs = [
        wanted(issuer, name, challenge=place, directory="http://127.0.0.1:9/dir")
        for name in ("a", "b")
    ]

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection(place.host, place.port)
        except OSError:
            return False
        writer.close()
        return True

    async with kept(tmp_path, *specs) as running:
        await wait_until(answers, what="the port")
        await running.desire(specs[1])
        await asyncio.sleep(0)
        assert await answers()
        await running.desire()
        await wait_until(lambda: _not(answers), what="no port")


async def _not(answers: Any) -> bool:
    return not await answers()
