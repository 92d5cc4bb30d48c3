"""Certificates, as those see them who asked for one in the file, and those who play."""

import contextlib
import http.client
import json
import signal
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamd.certificates import pem
from tests.support.media import publisher
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_port
from tests.support.streamd import SECRET, Streamd
from tests.support.tls import authority, certificate_shown, trusting_all
from tests.support.waiting import wait_until_sync

FIRST, SECOND = "live.example.test", "cdn.example.test"
STREAMS = f"""\
keys:
  studio: {{secret: {SECRET}}}
streams:
  show: {{keys: [studio]}}
"""
ISSUED_S = 60.0
_POLL_S = 0.2


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Pebble]:
    with pebble(tmp_path / "pebble") as running:
        yield running


def section(issuer: Pebble, *domains: str) -> str:
    """Return the section of certificates with one from the authority."""
    challenge = f"{{listen: '127.0.0.1:{issuer.http_port}'}}"
    acme = f"{{directory: '{issuer.directory}', ca_file: {issuer.ca_file}, challenge: {challenge}}}"
    return f"certificates:\n  site: {{domains: [{', '.join(domains)}], acme: {acme}}}\n"


@dataclass
class Player:
    """Somebody who plays: the bytes so far, and why it ended."""

    received: int = 0
    error: Exception | None = None

    def wait_for_more(self) -> None:
        """Wait until more has come."""
        before = self.received
        wait_until_sync(
            lambda: self.received > before + 1000 or self.error, what="media over the connection"
        )
        assert self.error is None, repr(self.error)


@contextlib.contextmanager
def playing(daemon: Streamd, port: int) -> Iterator[Player]:
    """Play over one HTTPS connection for as long as the block lasts.

    SRS sends HTTP-FLV without an end; of nginx the playlist is fetched again and again.
    """
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting_all())
    player, stop = Player(), threading.Event()

    def play() -> None:
        try:
            connection.connect()
            opened = connection.sock
            while not stop.is_set():
                suffix = "flv" if daemon.engine == "srs" else "m3u8"
                connection.request("GET", f"/live/show.{suffix}")
                with contextlib.closing(connection.getresponse()) as answer:
                    assert answer.status == 200
                    while not stop.is_set() and (data := answer.read(1000)):
                        player.received += len(data)
                assert stop.is_set() or connection.sock is opened, "the connection was closed"
                stop.wait(_POLL_S)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            player.error = error

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    try:
        yield player
    finally:
        stop.set()
        thread.join(15)
        connection.close()


def save(
    daemon: Streamd, issuer: Pebble, https: int, *domains: str, certificate: str = "site"
) -> None:
    """Save a file with a certificate for some domains, and with one that the server names."""
    head = daemon.head(
        listen=f", https: {https}", server=f"    certificate: {certificate}\n"
    ).replace("host: 127.0.0.1", f"host: {FIRST}")
    daemon.write(head + STREAMS + section(issuer, *domains))


def start(daemon: Streamd, issuer: Pebble, https: int) -> None:
    """Start with a certificate for the first domain, and wait until it is there."""
    save(daemon, issuer, https, FIRST)
    daemon.start()
    wait_until_sync(lambda: daemon.state("certificates", "site") == "valid", ISSUED_S, daemon.log)


def test_a_certificate_is_obtained_served_and_told(daemon: Streamd, issuer: Pebble) -> None:
    https = free_port()
    start(daemon, issuer, https)
    # With its whole chain: the root alone would not do.
    trusting = ssl.create_default_context(cadata=issuer.root())
    shown = certificate_shown(https, FIRST, trusting)
    assert shown.domains == (FIRST,)
    entry = daemon.status()["certificates"]["site"]
    assert (entry["serial"], entry["domains"]) == (shown.serial, [FIRST])
    assert f"https://{FIRST}:{https}/live/show.m3u8" in daemon.cli("urls", check=True).stdout
    assert redirected(issuer.http_port, FIRST, "/live/show.m3u8") == (
        307,
        f"https://{FIRST}:{https}/live/show.m3u8",
    )
    assert_private(daemon)


def redirected(port: int, host: str, path: str) -> tuple[int, str | None]:
    """Return the status and the address that a client is sent to who comes by HTTP."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        client.request("GET", path, headers={"Host": host})
        answer = client.getresponse()
        return answer.status, answer.headers["Location"]


def assert_private(daemon: Streamd) -> None:
    """Nobody else may read what is kept of certificates, and no log has a key."""
    state = daemon.directory / "state/certificates"
    for path in state.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a new content's file before its renaming
            assert path.is_symlink() or not path.stat().st_mode & 0o077, path
    key = (state / "site/privkey.pem").read_text().splitlines()[1]
    assert key not in daemon.log


def test_a_certificate_is_replaced_while_somebody_plays(daemon: Streamd, issuer: Pebble) -> None:
    https = free_port()
    start(daemon, issuer, https)
    first = certificate_shown(https, FIRST)
    before = daemon.pids()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("streams", "live/show", "live")
        wait_until_sync(lambda: _status(https, "/live/show.m3u8") == 200, what="a playlist")
        with playing(daemon, https) as player:
            player.wait_for_more()
            save(daemon, issuer, https, FIRST, SECOND)
            wait_until_sync(
                lambda: len(certificate_shown(https, FIRST).domains) == 2, ISSUED_S, daemon.log
            )
            trusting = ssl.create_default_context(cadata=issuer.root())
            second = certificate_shown(https, SECOND, trusting)
            assert second.serial != first.serial
            player.wait_for_more()
        save(daemon, issuer, https, FIRST, SECOND, certificate="other")
        wait_until_sync(lambda: daemon.status()["config"]["state"] == "rejected")
        (error,) = daemon.status()["config"]["errors"]
        assert error["path"] == "servers.main.certificate"
        assert "there is no certificate other" in error["message"]
    assert daemon.pids() == before
    assert certificate_shown(https, FIRST).serial == second.serial
    assert_private(daemon)


def _status(port: int, path: str) -> int:
    url = f"https://127.0.0.1:{port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10, context=trusting_all()) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:  # or its connection would be found open by another test
            return error.code


@pytest.mark.parametrize("engine", ["nginx-rtmp"], indirect=True)
def test_own_files_are_served_replaced_and_never_for_worse(daemon: Streamd, tmp_path: Path) -> None:
    own = authority(tmp_path)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def replace(*names: str) -> str:
        made = own.certificate(*names)
        key.write_bytes(made[1].read_bytes())
        chain.write_bytes(made[0].read_bytes())
        return pem.read(chain.read_text()).serial

    def shown() -> str:
        try:
            return certificate_shown(daemon.status_port, "localhost").serial
        except OSError:
            return ""

    first = replace("localhost", "127.0.0.1")
    section = f"certificates:\n  own: {{certificate_file: {chain}, key_file: {key}}}\n"
    daemon.write(daemon.head(daemon=", status_certificate: own") + STREAMS + section)
    daemon.start(ready=False)
    wait_until_sync(lambda: shown() == first, 30, "the certificate of the file")
    trusting = ssl.create_default_context(cafile=str(own.ca_file))
    with urllib.request.urlopen(
        f"https://localhost:{daemon.status_port}/status", timeout=10, context=trusting
    ) as answer:
        status = json.load(answer)
    assert status["certificates"]["own"]["state"] == "valid"
    assert status["certificates"]["own"]["serial"] == first
    # It is good for two days: that is soon.
    assert status["warnings"] == [] or "certificate own" in status["warnings"][0]

    second = replace("localhost", "127.0.0.1", "more.example.test")
    wait_until_sync(lambda: shown() == second, 30, "the certificate that took its place")

    key.write_text("no key at all\n")
    wait_until_sync(lambda: "the key cannot be read" in daemon.log, 30, daemon.log)
    assert shown() == second
    third = replace("localhost", "127.0.0.1")
    wait_until_sync(lambda: shown() == third, 30, "the third")


@pytest.mark.parametrize("engine", ["nginx-rtmp"], indirect=True)
def test_a_reload_serves_at_once_where_somebody_wants_another_key(
    daemon: Streamd, issuer: Pebble
) -> None:
    https = free_port()
    start(daemon, issuer, https)
    first = certificate_shown(https, FIRST)
    kept = daemon.directory / "state/certificates/site"
    key = (kept / "privkey.pem").read_text()
    (kept / "current").unlink()
    daemon.cli("reload", check=True)
    assert certificate_shown(https, FIRST).serial != first.serial
    assert (kept / "privkey.pem").read_text() != key
    wait_until_sync(lambda: daemon.state("certificates", "site") == "valid", ISSUED_S, daemon.log)
    assert certificate_shown(https, FIRST).serial not in (first.serial, "")


@pytest.mark.parametrize("how", ["cli", "signal"])
def test_a_reload_tries_at_once_what_failed(daemon: Streamd, how: str) -> None:
    def orders() -> int:
        return daemon.log.count("certificate.ordered")

    def is_failing() -> bool:
        return bool(daemon.status()["certificates"]["site"]["last_error"])

    acme = f"{{directory: 'https://127.0.0.1:{free_port()}/dir', challenge: {{webroot: /tmp}}}}"
    text = f"certificates:\n  site: {{domains: [{FIRST}], acme: {acme}}}\n"
    daemon.write(daemon.head() + STREAMS + text)
    daemon.start()
    wait_until_sync(is_failing, ISSUED_S, "it to fail")
    assert orders() == 1
    if how == "cli":
        assert daemon.cli("reload", check=True).stdout == "certificate site: tried again\n"
    else:
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
    wait_until_sync(lambda: orders() == 2, ISSUED_S, "another try")
