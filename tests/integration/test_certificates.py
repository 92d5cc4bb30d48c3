"""Certificates from a real authority (pebble): obtained, refused, renewed, killed in between."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamd.certificates import ordering, pem
from streamd.certificates.spec import (
    AcmeSpec,
    Binding,
    CertificateSpec,
    DnsChallenge,
    ListenChallenge,
    OrderSpec,
    WebrootChallenge,
)
from tests.support.certificates import ISSUED_S, kept
from tests.support.name_server import KEY, SECRET, name_server
from tests.support.pebble import HMAC_KEY, KID, Pebble, pebble
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.support.web import files_served

NAMES = ("a.example.test", "b.example.test", "c.example.test")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble"), refused_nonces=20) as running:
        yield running


def wanted(issuer: Pebble, *names: str, name: str = "site", **acme: Any) -> CertificateSpec:
    challenge = ListenChallenge("127.0.0.1", issuer.http_port)
    spec = AcmeSpec(issuer.directory, challenge, ca_file=str(issuer.ca_file))
    return CertificateSpec(name, names or NAMES, replace(spec, **acme))


async def test_three_names_are_issued_kept_and_renewed_with_the_same_key(
    issuer: Pebble, tmp_path: Path
) -> None:
    spec = wanted(issuer)
    async with kept(tmp_path, spec) as running:
        assert pem.read(running.chain()).self_signed
        key = running.key()
        facts = await running.wait("valid")
        first = pem.read(running.chain())
        assert first.domains == NAMES
        assert facts.serial == first.serial
        assert facts.issuer.startswith("Pebble Intermediate")
        assert running.key() == key
        (event,) = running.events()
        assert event["action"] == "on_certificate_renewed"
        assert event["fields"]["domains"] == [*NAMES]
        (account,) = (running.directory / ".authorities/accounts").iterdir()
        account_id = json.loads(account.read_text())["account"]["uri"]

    # Another streamd adopts it, and orders nothing before it is time.
    async with kept(tmp_path, spec) as again:
        assert again.facts().state == "valid"
        record = again.directory / "site/record.json"
        data = json.loads(record.read_text())
        data["installed"] |= {"not_before": 0, "not_after": 4_000_000_000, "wanted": "w"}
        record.write_text(json.dumps(data))
        again.keeper._records.clear()
        await again.keeper.look()
        again.keeper.wake()
        await wait_until(
            lambda: pem.read(again.chain()).serial != first.serial, ISSUED_S, "a new serial"
        )
        await again.wait("valid")
        assert again.key() == key
        assert json.loads(account.read_text())["account"]["uri"] == account_id
        assert not [*(again.directory / ".authorities/challenges").iterdir()]


async def test_an_order_that_is_killed_is_one_try_and_the_next_streamd_goes_on(
    issuer: Pebble, tmp_path: Path
) -> None:
    spec = wanted(issuer, "killed.example.test")
    async with kept(tmp_path, spec) as running:
        await wait_until(running.orders, what="an order")
        for pid in running.orders():
            os.kill(pid, signal.SIGKILL)
        facts = await running.wait("failing")
        assert "was killed by signal 9" in (facts.last_error or "")
        record = json.loads((running.directory / "site/record.json").read_text())
        assert len(record["attempts"]["tries"]) == 1
        assert facts.next_try_at is not None
    record["attempts"]["next_at"] = 0
    (running.directory / "site/record.json").write_text(json.dumps(record))
    async with kept(tmp_path, spec) as again:
        await again.wait("valid")


async def _failure(tmp_path: Path, spec: CertificateSpec) -> str:
    """Return why an order fails."""
    async with kept(tmp_path, spec) as running:
        facts = await running.wait("failing", spec.name)
        assert pem.read(running.chain(spec.name)).self_signed
        return facts.last_error or ""


async def test_each_reason_for_a_refusal_is_told(issuer: Pebble, tmp_path: Path) -> None:
    issuer.fail_to_resolve("servfail.example.test")
    issuer.forbid("caa.example.test")
    nowhere = f"https://127.0.0.1:{free_port()}/dir"
    places = [ListenChallenge("127.0.0.1", free_port()) for _ in range(4)]
    told = await asyncio.gather(
        _failure(tmp_path / "1", wanted(issuer, "servfail.example.test", challenge=places[0])),
        _failure(tmp_path / "2", wanted(issuer, "closed.example.test", challenge=places[1])),
        _failure(tmp_path / "3", wanted(issuer, challenge=places[2], ca_file=None)),
        _failure(tmp_path / "4", wanted(issuer, challenge=places[3], directory=nowhere)),
    )
    assert "servfail.example.test" in told[0]
    assert "closed.example.test does not resolve" in told[1]  # as this machine sees it
    assert "certificate is not trusted" in told[2]
    assert "cannot be reached: " in told[3]
    assert "refused" in told[3]


async def test_a_port_that_is_taken_is_told_and_listened_at_once_it_is_free(
    issuer: Pebble, tmp_path: Path
) -> None:
    spec = wanted(issuer, "port.example.test")
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", issuer.http_port)
    async with kept(tmp_path, spec) as running:
        facts = await running.wait("failing")
        assert f"(pid {os.getpid()}); stop that" in (facts.last_error or "")
        assert '"at"' not in (running.directory / "site/record.json").read_text()  # no try
        server.close()
        await server.wait_closed()
        running.keeper.wake()
        await running.wait("valid")


async def test_another_web_server_answers_from_its_directory(
    issuer: Pebble, tmp_path: Path
) -> None:
    root = tmp_path / "www"
    root.mkdir()
    spec = wanted(issuer, "webroot.example.test", challenge=WebrootChallenge(str(root)))
    with files_served(root, issuer.http_port):
        async with kept(tmp_path, spec) as running:
            await running.wait("valid")
    assert not [*(root / ".well-known/acme-challenge").iterdir()]


async def test_a_wildcard_is_shown_to_be_ours_in_the_dns(tmp_path: Path) -> None:
    with (
        name_server(tmp_path / "bind") as bind,
        pebble(tmp_path / "pebble", dns=bind.address) as issuer,
    ):
        good = DnsChallenge(bind.address, KEY, SECRET)
        spec = wanted(issuer, "*.example.test", "example.test", challenge=good)
        bad = replace(good, secret="d3Jvbmc=")
        # Not a name that has been shown to be ours already, which pebble may remember.
        wrong = wanted(issuer, "wrong.example.test", name="wrong", challenge=bad)
        elsewhere = wanted(issuer, "a.example.org", name="elsewhere", challenge=good)
        async with kept(tmp_path, spec, wrong, elsewhere) as running:
            await running.wait("valid")
            assert pem.read(running.chain()).domains == ("*.example.test", "example.test")
            facts = await running.wait("failing", "wrong")
            assert "refuses the key streamd" in (facts.last_error or "")
            facts = await running.wait("failing", "elsewhere")
            assert "has no zone" in (facts.last_error or "")


async def test_an_account_elsewhere_is_used_where_the_authority_wants_one(tmp_path: Path) -> None:
    with pebble(tmp_path / "pebble", binding=True) as issuer:
        good = Binding(KID, HMAC_KEY)
        with_one = wanted(issuer, "eab.example.test", binding=good)
        without = wanted(issuer, "none.example.test", name="without")
        wrong = wanted(issuer, "bad.example.test", name="wrong", binding=Binding("kid-9", HMAC_KEY))
        # One account an authority: each of these has a directory of its own.
        async with kept(tmp_path / "1", with_one) as running:
            await running.wait("valid")
            await running.desire(replace(with_one, domains=(*with_one.domains, "2.example.test")))
            await wait_until(lambda: len(pem.read(running.chain()).domains) == 2, ISSUED_S)
        assert "acme.eab" in await _failure(tmp_path / "2", without)
        assert "does not know the account of `acme.eab`" in await _failure(tmp_path / "3", wrong)


async def test_a_damaged_account_is_set_aside_and_made_anew(issuer: Pebble, tmp_path: Path) -> None:
    async with kept(tmp_path, wanted(issuer, "one.example.test")) as running:
        await running.wait("valid")
        accounts = running.directory / ".authorities/accounts"
        (account,) = accounts.iterdir()
        account.write_text("{")
        await running.desire(wanted(issuer, "one.example.test", "two.example.test"))
        await running.wait("valid")
        assert len(pem.read(running.chain()).domains) == 2
        assert sorted(path.name.partition(".json")[2][:8] for path in accounts.iterdir()) == [
            "",
            ".damaged",
        ]


async def test_an_authority_that_forgot_the_account_is_told_it_again(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with pebble(tmp_path / "first") as issuer:
            spec = wanted(issuer, "again.example.test")
            running = await stack.enter_async_context(kept(tmp_path, spec))
            await running.wait("valid")
            (account,) = (running.directory / ".authorities/accounts").iterdir()
            before = json.loads(account.read_text())
        with pebble(tmp_path / "second") as other:
            # Another authority at the same place: the account is none of its.
            data = {**before, "directory": other.directory}
            order = wanted(other, "again.example.test")
            assert order.acme is not None
            kept_as = account.with_name(_account_name(order.acme.directory))
            kept_as.write_text(json.dumps(data))
            await running.desire(order)
            serial = pem.read(running.chain()).serial
            await wait_until(lambda: pem.read(running.chain()).serial != serial, ISSUED_S)
            assert json.loads(kept_as.read_text())["account"] != before["account"]
            assert json.loads(kept_as.read_text())["key"] == before["key"]


def _account_name(directory: str) -> str:
    return f"{hashlib.sha256(directory.encode()).hexdigest()}.json"


async def test_an_order_shows_no_secret_in_its_command_line(
    issuer: Pebble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []
    real = asyncio.create_subprocess_exec

    async def spy(*argv: Any, **options: Any) -> asyncio.subprocess.Process:
        seen.append(argv)
        return await real(*argv, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    secret = "c2VjcmV0LW9mLXRoZS1rZXk="
    spec = wanted(
        issuer, "x.example.test", challenge=DnsChallenge(f"127.0.0.1:{free_port()}", "k", secret)
    )
    (tmp_path / "c/.authorities/accounts").mkdir(parents=True)
    done = await ordering.carry_out(OrderSpec(spec, str(tmp_path / "c"), str(tmp_path / "o")))
    assert "Connection refused" in (done.error or "")
    assert secret not in str(seen) + (done.error or "")
