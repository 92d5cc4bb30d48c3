"""What keeps certificates, while authorities hang, disks fill up and the file changes."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamd.certificates import keeper, ordering, pem
from streamd.certificates.attempts import DAY_S, Attempts, Try
from streamd.certificates.facts import CertificateFacts
from streamd.certificates.keeper import Certificates
from streamd.certificates.record import Record
from streamd.certificates.spec import AcmeSpec, CertificateSpec, ListenChallenge
from streamd.certificates.store import Store
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_port
from tests.support.waiting import wait_until

ISSUED_S = 90.0
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


class Kept:
    """What keeps certificates below a directory."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "certificates")
        self.outbox = directory / "outbox"
        self.keeper = Certificates(self.store.directory, self.outbox)

    async def desire(self, *specs: CertificateSpec) -> None:
        by_name = {spec.name: spec for spec in specs}
        await self.keeper.prepare(by_name)
        self.keeper.desire(by_name, 8443)

    def facts(self, name: str = "site") -> CertificateFacts:
        return self.keeper.facts()[name]

    async def wait_for_error(self, words: str) -> CertificateFacts:
        await wait_until(lambda: words in (self.facts().last_error or ""), ISSUED_S, words)
        return self.facts()

    async def wait_for_serial(self, *others: str) -> str:
        await wait_until(lambda: self.facts().serial not in ("", *others), ISSUED_S, "a serial")
        return self.facts().serial

    def orders(self) -> list[int]:
        """Return the processes of orders of this test."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                words = (path / "cmdline").read_bytes().split(b"\0")
                if parent == os.getpid() and b"streamd.certificates.order" in words:
                    found.append(int(path.name))
        return found


@contextlib.asynccontextmanager
async def kept(tmp_path: Path, *specs: CertificateSpec) -> AsyncIterator[Kept]:
    running = Kept(tmp_path)
    await running.desire(*specs)
    task = asyncio.create_task(running.keeper.run())
    try:
        yield running
        assert not task.done(), "it ended"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await running.keeper.close()


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


async def test_an_order_that_hangs_is_ended_and_counts_as_it_was_written_down(
    issuer: Pebble, tmp_path: Path, hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "TIMEOUT_S", 3.0)
    async with kept(tmp_path, wanted(issuer, directory=hanging)) as running:
        facts = await running.wait_for_error("the order did not end within 3 s")
        assert running.orders() == []
        assert [each.outcome for each in running.store.record("site").attempts.tries] == ["open"]
        assert facts.next_try_at is not None


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
