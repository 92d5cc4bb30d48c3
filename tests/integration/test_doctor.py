"""What the doctor finds on this machine: real sockets, real TLS, real files, real programs."""

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamd.config import directories
from streamd.doctor import check_recordings, connect, probes
from streamd.doctor.check_recordings import look_at
from streamd.doctor.checks import CHECKS, examine
from streamd.doctor.connect import AT_ONCE, reach, reach_all
from streamd.doctor.finding import Finding, Report
from streamd.doctor.hosts import Endpoint, Reached
from streamd.doctor.report import exit_status, report_json, report_text
from streamd.settings import Settings
from tests.support.app import Answer, app
from tests.support.mounts import hanging_mount
from tests.support.ports import free_port, free_ports
from tests.support.tls import Authority, authority, tls_front
from tests.support.waiting import wait_until

SECRET = "correct-horse-battery"
KEY = "TARGET-KEY-1234"


@dataclass
class Listener:
    """Takes connections, keeps them open, and remembers what it was sent."""

    port: int
    received: bytes = b""


@contextlib.contextmanager
def listener() -> Iterator[Listener]:
    """Listen on loopback until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Listener(server.getsockname()[1])
        threads: list[threading.Thread] = []
        connections: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while data := connection.recv(4096):
                    made.received += data

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connections.append(connection)
                    threads.append(threading.Thread(target=serve, args=[connection]))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield made
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in connections:
                with contextlib.suppress(OSError):  # it was closed at the other end
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusting(signer: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(signer.ca_file))


async def test_a_host_that_listens_is_reached_and_sent_nothing(trusting: ssl.SSLContext) -> None:
    with listener() as receiver:
        found = await reach(Endpoint("rtmp", "127.0.0.1", receiver.port), trusting)
    assert (found.stage, found.addresses, found.error) == ("connection", ("127.0.0.1",), None)
    assert receiver.received == b""


async def test_a_host_of_several_addresses_is_reached_at_one(trusting: ssl.SSLContext) -> None:
    with listener() as receiver:  # on IPv4 alone
        found = await reach(Endpoint("rtmp", "localhost", receiver.port), trusting)
    assert found.error is None


async def test_a_port_that_nobody_has_is_refused(trusting: ssl.SSLContext) -> None:
    found = await reach(Endpoint("rtmp", "127.0.0.1", free_port()), trusting)
    assert (found.stage, found.error) == ("connection", "connection refused")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70 + ".example.com"])
@pytest.mark.parametrize("scheme", ["rtmp", "srt"])
async def test_a_name_that_is_none_is_not_found(
    host: str, scheme: str, trusting: ssl.SSLContext
) -> None:
    found = await reach(Endpoint(scheme, host, 1935), trusting)
    assert found.stage == "name"
    assert found.error


async def test_of_srt_only_the_name_is_looked_up(trusting: ssl.SSLContext) -> None:
    found = await reach(Endpoint("srt", "127.0.0.1", 9), trusting)
    assert (found.stage, found.addresses, found.error) == ("name", ("127.0.0.1",), None)


async def test_a_certificate_is_verified(
    signer: Authority, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    other = authority(tmp_path)
    with listener() as receiver:
        for certificate, host, says in (
            (signer.certificate("127.0.0.1"), "127.0.0.1", None),
            (signer.certificate("localhost"), "localhost", None),
            (signer.certificate("cdn.example.com"), "127.0.0.1", "not valid for '127.0.0.1'"),
            (other.certificate("127.0.0.1"), "127.0.0.1", "unable to get local issuer"),
        ):
            with tls_front(receiver.port, certificate) as port:
                found = await reach(Endpoint("rtmps", host, port), trusting)
            assert found.stage == "tls"
            if says is None:
                assert found.error is None
            else:
                assert found.error is not None
                assert says in found.error
        assert receiver.received == b""


async def test_a_receiver_without_tls_is_told(trusting: ssl.SSLContext) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 this is another protocol\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", port := free_port()):
        found = await reach(Endpoint("rtmps", "127.0.0.1", port), trusting)
    assert found.stage == "tls"
    assert found.error


async def test_a_receiver_that_says_nothing_is_given_up(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "REACH_TIMEOUT_S", 2.0)
    with listener() as receiver:
        found = await reach(Endpoint("rtmps", "127.0.0.1", receiver.port), trusting)
    assert (found.stage, found.error) == ("tls", "no answer within 2 s")


async def test_a_resolver_that_hangs_is_given_up(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def hang(*_arguments: object, **_options: object) -> None:
        asked.set()
        answered.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(connect, "REACH_TIMEOUT_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        found = await reach(Endpoint("rtmp", "slow.example.com", 1), trusting)
    finally:
        answered.set()
    assert asked.is_set()
    assert (found.stage, found.error) == ("name", "no answer within 0.2 s")


async def test_only_some_hosts_are_reached_at_a_time(
    trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, go_on = 0, 0, asyncio.Event()

    async def held(_endpoint: Endpoint, _tls: ssl.SSLContext) -> Reached:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1
        return Reached("connection")

    monkeypatch.setattr(connect, "reach", held)
    wanted = [Endpoint("rtmp", "127.0.0.1", 1000 + number) for number in range(AT_ONCE * 2 + 5)]
    asked = asyncio.create_task(reach_all(wanted, trusting))
    await wait_until(lambda: running == AT_ONCE, what="the first of them")
    go_on.set()
    assert [*await asked] == wanted
    assert most == AT_ONCE


def test_limits_are_those_of_the_process() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = probes.open_files(os.getpid())
    assert found is not None
    assert (found.soft, found.hard) == (soft, hard)
    assert probes.open_files(2**22 + 1) is None


def test_the_kernel_tells_of_its_clock_and_settings() -> None:
    clock = probes.clock()
    assert clock is None or clock.error_s >= 0
    assert (probes.sysctl("net.core.wmem_max") or 0) > 0
    assert probes.sysctl("net.core.no_such_setting") is None


def test_who_listens_at_a_socket_is_known(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(FileNotFoundError):
        probes.listener_of(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(ConnectionRefusedError):
            probes.listener_of(path)
        server.listen()
        assert probes.listener_of(path) == (os.getpid(), os.geteuid())


def test_the_way_to_a_file_is_that_of_the_file_behind_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (real / "key").write_text("x")
    (real / "key").chmod(0o640)
    (tmp_path / "link").symlink_to(real / "key")
    way = probes.way_to(tmp_path / "link")
    assert [node.path for node in way][:1] == ["/"]
    assert [(node.path, node.mode) for node in way][-2:] == [
        (str(real), 0o700),
        (str(real / "key"), 0o640),
    ]


def test_space_is_that_of_the_nearest_directory_that_is_there(tmp_path: Path) -> None:
    found = probes.space(tmp_path / "not" / "there")
    assert found.device == tmp_path.stat().st_dev
    assert 0 < found.free <= found.total


def test_ancestors_begin_with_the_process_itself() -> None:
    found = [*probes.with_ancestors(os.getpid())]
    assert found[:2] == [os.getpid(), os.getppid()]
    assert [*probes.with_ancestors(2**22 + 1)] == [2**22 + 1]


@dataclass
class Machine:
    """A configuration and directories of its own, on free ports."""

    directory: Path
    status: int
    hooks: int
    rtmp: int
    api: int

    @property
    def settings(self) -> Settings:
        return Settings(
            config=self.directory / "config.yaml",
            state_dir=self.directory / "state",
            runtime_dir=self.directory / "run",
            log_dir=self.directory / "log",
        )

    def write(self, more: str = "", *, streams: str = "", mode: int = 0o600) -> None:
        self.settings.config.write_text(
            f"""\
version: 1
daemon: {{status: "127.0.0.1:{self.status}", hooks: "127.0.0.1:{self.hooks}"}}
servers:
  main: {{engine: nginx-rtmp, listen: {{rtmp: {self.rtmp}, api: {self.api}}}}}
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{show: {{keys: [studio]}}{streams}}}
{more}"""
        )
        self.settings.config.chmod(mode)

    async def examine(self) -> Report:
        """Make every check; nothing secret is in what they find."""
        found = await examine(self.settings)
        assert [*found] == [*CHECKS]
        for secret in (SECRET, KEY):
            assert secret not in report_text(found) + str(report_json(found))
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path, *free_ports(4))
    made.write()
    return made


def wrong(report: Report, check: str) -> dict[str, Finding]:
    """Return what a check found that is not ok, by place."""
    return {each.where: each for each in report[check] if each.level != "ok"}


async def test_a_machine_before_the_first_start_is_fine(machine: Machine) -> None:
    found = await machine.examine()
    assert exit_status(found) == 0, report_text(found)
    assert wrong(found, "streamd")["streamd"].level == "warning"
    for check in ("configuration", "ports", "permissions", "programs"):
        assert wrong(found, check) == {}
    assert not [*machine.directory.glob("*/")], "a look makes no directory"


async def test_a_broken_file_is_told_with_its_line_and_the_rest_is_looked_at(
    machine: Machine,
) -> None:
    machine.write("targets: {out: {stream: show, url: nonsense}}\n")
    found = await machine.examine()
    assert exit_status(found) == 1
    assert f"{machine.settings.config}:7:" in next(iter(wrong(found, "configuration")))
    assert found["ports"] == found["targets"] == ()
    for check in ("programs", "permissions", "disk", "clock"):
        assert found[check]


async def test_a_file_that_is_not_there_is_an_error(machine: Machine) -> None:
    machine.settings.config.unlink()
    found = await machine.examine()
    assert wrong(found, "configuration")[str(machine.settings.config)].level == "error"


async def test_a_port_of_somebody_else_is_an_error_that_names_them(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", machine.rtmp)):
        found = wrong(await machine.examine(), "ports")
    assert [*found] == ["servers.main.listen.rtmp"]
    told = found["servers.main.listen.rtmp"].what
    assert told.startswith(f"TCP port {machine.rtmp} is taken by ")
    assert told.endswith(f" (pid {os.getpid()})")


async def test_secrets_that_others_can_read_are_warnings() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        machine = Machine(Path(name), *free_ports(4))
        machine.directory.chmod(0o755)
        key = machine.directory / "key"
        key.write_text(KEY)
        key.chmod(0o644)
        target = 'targets: {out: {stream: show, url: "rtmp://127.0.0.1/x", key: "${file:key}"}}\n'
        machine.write(target, mode=0o644)
        found = wrong(await machine.examine(), "permissions")
        assert {place: each.level for place, each in found.items()} == {
            str(machine.settings.config): "warning",
            str(key): "warning",
        }
        key.chmod(0o640)
        machine.settings.config.chmod(0o640)
        assert wrong(await machine.examine(), "permissions") == {}


async def test_a_file_that_refers_to_its_secrets_may_be_read_by_all(machine: Machine) -> None:
    machine.settings.config.write_text("version: 1\nstreams: {show: {keys: any}}\n")
    machine.settings.config.chmod(0o644)
    assert wrong(await machine.examine(), "permissions") == {}


async def test_directories_that_others_can_write_to_are_errors(machine: Machine) -> None:
    machine.settings.state_dir.mkdir(mode=0o700)
    machine.settings.runtime_dir.mkdir()
    machine.settings.runtime_dir.chmod(0o777)
    found = wrong(await machine.examine(), "permissions")
    assert [*found] == [str(machine.settings.runtime_dir)]
    assert found[str(machine.settings.runtime_dir)].level == "error"


async def test_targets_are_reached_with_the_certificates_that_ffmpeg_trusts(
    machine: Machine, signer: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = free_port()
    with listener() as receiver, tls_front(receiver.port, signer.certificate("127.0.0.1")) as tls:
        machine.write(f"""\
targets:
  plain: {{stream: show, url: "rtmp://127.0.0.1:{receiver.port}/app/{KEY}"}}
  tls: {{stream: show, url: "rtmps://127.0.0.1:{tls}/app/{KEY}"}}
  gone: {{stream: show, url: "rtmp://127.0.0.1:{gone}/app/{KEY}"}}
  off: {{stream: show, url: "rtmp://127.0.0.1:{gone}/other/{KEY}", enabled: false}}
  srt: {{stream: show, url: "srt://127.0.0.1:{gone}?streamid={KEY}"}}
  own: {{stream: show, url: "rtmp://127.0.0.1:{machine.rtmp}/other/{KEY}"}}
""")
        untrusted = wrong(await machine.examine(), "targets")
        monkeypatch.setenv("SSL_CERT_FILE", str(signer.ca_file))
        found = await machine.examine()
    assert {place: each.level for place, each in wrong(found, "targets").items()} == {
        "targets.gone": "error",
        "targets.srt": "unknown",
        "targets.own": "unknown",
    }
    assert untrusted.keys() - wrong(found, "targets").keys() == {"targets.tls"}
    assert "certificate" in untrusted["targets.tls"].what
    assert receiver.received == b""
    monkeypatch.setenv("SSL_CERT_FILE", str(machine.directory / "none.pem"))
    assert [*wrong(await machine.examine(), "targets")] == [str(machine.directory / "none.pem")]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_a_certificate_that_streamd_may_not_touch_is_told_with_the_command_that_mends_it(
    machine: Machine,
) -> None:
    machine.write("""\
certificates:
  site:
    domains: [a.example.test]
    acme: {directory: "https://ca.invalid/dir", challenge: {webroot: /tmp}}
""")
    state = machine.settings.state_dir
    site = state / "certificates/site"
    site.mkdir(parents=True)
    (site / "privkey.pem").write_text("key")
    for path in (state, site.parent):
        os.chown(path, 65_534, -1)
    for path in (state, site.parent, site):
        path.chmod(0o700)
    found = await machine.examine()
    assert wrong(found, "certificates")[str(site)].do == f"chown -R nobody: {site}"
    assert str(site / "privkey.pem") in wrong(found, "permissions")

    (site / "privkey.pem").unlink()
    site.rmdir()
    site.write_text("in the way")
    found = await machine.examine()
    assert "renames it and makes one" in wrong(found, "certificates")[str(site)].do
    assert str(site / "privkey.pem") not in wrong(found, "permissions")


async def test_what_streams_are_pulled_from_is_reached_too(
    machine: Machine, signer: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(signer.ca_file))
    gone = free_port()
    with listener() as receiver, tls_front(receiver.port, signer.certificate("127.0.0.1")) as tls:
        machine.write(
            streams=f""",
  door: {{source: {{url: "rtsp://admin:{KEY}@127.0.0.1:{receiver.port}/h264"}}}},
  feed: {{source: {{url: "https://127.0.0.1:{tls}/a.m3u8?token={KEY}"}}}},
  away: {{source: {{url: "http://127.0.0.1:{gone}/{KEY}.flv"}}}}
"""
        )
        found = await machine.examine()
    assert {each.where: each.level for each in found["sources"]} == {
        "streams.live/door": "ok",
        "streams.live/feed": "ok",
        "streams.live/away": "error",
    }
    assert receiver.received == b""


async def test_callbacks_are_sent_an_event_that_tells_of_nothing(machine: Machine) -> None:
    gone = free_port()
    with app() as good, app() as wrong_path:
        wrong_path.answer = lambda _: Answer(404)
        machine.write(
            f"""callbacks:
  good: {{url: "{good.url}?token={KEY}", events: [on_publish], opaque: {SECRET}}}
  wrong: {{url: "{wrong_path.url}/{KEY}", events: [on_stop]}}
  away: {{url: "http://127.0.0.1:{gone}/{KEY}", events: [on_stop]}}
"""
        )
        found = await machine.examine()
    assert {each.where: each.level for each in found["callbacks"]} == {
        "callbacks.good": "ok",
        "callbacks.wrong": "warning",
        "callbacks.away": "error",
    }
    (received,) = good.received
    assert (received["action"], received["opaque"]) == ("on_test", SECRET)
    assert (received["app"], received["stream"]) == ("", "")


async def test_each_rule_of_recordings_is_looked_at(machine: Machine) -> None:
    (machine.directory / "file").write_text("")
    machine.write(f"""recordings:
  here: {{streams: ["*"], directory: {machine.directory}/a/b, keep: {{free: 1MB}}}}
  big: {{streams: ["*"], directory: "{machine.directory}/big/{{app}}", keep: {{free: 900TB}}}}
""")
    found = await machine.examine()
    assert {each.where: each.level for each in found["recordings"]} == {
        "recordings.here": "ok",
        "recordings.big": "error",
    }
    assert not (machine.directory / "a").exists()
    broken = look_at(machine.directory / "file" / "rec", [], is_own=True)
    assert (broken.way[-1].path, broken.is_there) == (str(machine.directory / "file"), False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_a_mount_for_recordings_that_hangs_is_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directories, "ANSWER_S", 0.5)
    monkeypatch.setattr(check_recordings, "ANSWER_S", 0.5)
    mount = machine.directory / "mount"
    mount.mkdir()
    machine.write(f'recordings: {{archive: {{streams: ["*"], directory: {mount}}}}}\n')
    with hanging_mount(mount):
        found = await machine.examine()
        assert "did not answer for 0.5 s" in wrong(found, "recordings")["recordings.archive"].what
        assert found["disk"][0].level == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_directory_is_looked_at_as_running_processes_see_it(tmp_path: Path) -> None:
    closed, hidden = tmp_path / "closed", tmp_path / "hidden" / "below"
    for path in (closed, hidden):
        path.mkdir(parents=True)
    script = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs none "$2"'
        " && echo ready && exec cat"
    )
    argv = ("unshare", "--mount", "sh", "-c", script, "sh", str(closed), str(hidden.parent))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as unit:
        assert unit.stdin is not None
        assert unit.stdout is not None
        if unit.stdout.readline() != "ready\n":
            pytest.skip("NOT TESTED: mounting is not allowed here")
        seen = look_at(closed, [unit.pid], is_own=True)
        assert (seen.read_only, seen.hidden, seen.writable) == (True, False, True)
        assert look_at(hidden, [unit.pid], is_own=True).hidden
        assert not look_at(tmp_path, [unit.pid], is_own=True).read_only
        unit.stdin.close()
    ended = look_at(closed, [unit.pid], is_own=False)
    assert (ended.read_only, ended.hidden, ended.writable) == (False, False, None)


async def test_programs_that_do_not_work_are_errors(machine: Machine) -> None:
    machine.settings.config.write_text(
        "version: 1\nffmpeg: /bin/true\nservers: {main: {engine: srs, binary: /bin/true}}\n"
    )
    found = wrong(await machine.examine(), "programs")
    assert {place: each.level for place, each in found.items() if place != "ffprobe"} == {
        "FFmpeg": "error",
        "servers.main": "error",
    }


async def test_a_check_that_breaks_hides_no_other(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "clock", lambda: 1 / 0)
    monkeypatch.setattr(probes, "space", lambda _path: os.stat("/no/such/path"))  # noqa: PTH116
    found = await machine.examine()
    assert found["clock"][0].level == "error"
    assert "ZeroDivisionError" in found["clock"][0].what
    assert found["disk"][0].level == "unknown"
    assert found["kernel"]
