"""Trouble on the machine: ports taken, two daemons, disks that are full."""

import json
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.media import publisher
from tests.support.ports import free_port
from tests.support.receiver import Receiver, has_ipv6
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

BASE = f"""\
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{show: {{keys: [studio]}}, cam: {{keys: [studio], key_in_name: true}}}}
"""


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Hold a TCP port, as another program would."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("0.0.0.0", port))
        holder.listen()
        yield


def is_ready(daemon: Streamd) -> bool:
    """Tell what /readyz says; False while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.status_port}/readyz", timeout=5):
            return True
    except OSError:
        return False


def test_a_server_whose_port_is_taken_says_so_and_comes_when_it_is_free(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE)
    with taken(daemon.rtmp):
        daemon.start(ready=False)

        def complaint() -> str:
            try:
                return str(daemon.status()["servers"].get("main", {}).get("last_error"))
            except OSError:
                return ""

        wait_until_sync(lambda: f"listen.rtmp: TCP port {daemon.rtmp}" in complaint())
        assert not is_ready(daemon)
        assert not daemon.status()["converged"]
    daemon.wait_for_state("servers", "main", "running", timeout=60)
    pid = daemon.pids()["servers.main"]
    wait_until_sync(lambda: is_ready(daemon))
    deadline = time.monotonic() + 3
    wait_until_sync(lambda: time.monotonic() > deadline)
    assert daemon.pids()["servers.main"] == pid


def test_a_save_that_moves_a_server_to_a_taken_port_is_refused(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE)
    daemon.start()
    before = daemon.pids()
    port = free_port()
    with publisher(daemon.url("live/show")) as encoder, taken(port):
        wait_until_sync(lambda: daemon.state("streams", "live/show") == "live")
        moved = daemon.head().replace(f"rtmp: {daemon.rtmp}", f"rtmp: {port}")
        daemon.write(moved + BASE)
        wait_until_sync(lambda: daemon.status()["config"]["state"] == "rejected")
        (error,) = daemon.status()["config"]["errors"]
        assert f"TCP port {port} is taken" in error["message"]
        assert error["path"] == "servers.main.listen.rtmp"
        assert error["line"] > 0
        assert daemon.pids() == before
        assert encoder.alive()


def test_a_second_daemon_on_the_same_directories_is_refused(
    daemon: Streamd, platform: Receiver
) -> None:
    target = f"targets: {{t1: {{stream: show, url: '{platform.url('in/k')}'}}}}\n"
    daemon.write(daemon.head() + BASE + target)
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
        before = daemon.pids()
        other = daemon.directory / "other-state"
        second = daemon.cli("run", f"--state-dir={other}")
        assert second.returncode == 1
        assert "another streamd runs on" in second.stderr
        assert daemon.pids() == before
        assert daemon.cli("status").returncode == 0


def test_a_key_that_was_added_while_the_server_runs_is_not_in_its_log(daemon: Streamd) -> None:
    late = "added-while-it-runs-77"
    daemon.write(daemon.head() + BASE)
    daemon.start()
    more = BASE.replace(f"{{secret: {SECRET}}}", f"{{secret: {SECRET}}}, late: {{secret: {late}}}")
    daemon.write(daemon.head() + more.replace("[studio], key", "[studio, late], key"))
    wait_until_sync(lambda: "key late" in daemon.log)
    with publisher(daemon.url(f"live/cam-{late}", None)):
        wait_until_sync(lambda: daemon.state("streams", "live/cam") == "live")
        with publisher(daemon.url(f"live/cam-{late}", None)) as second:
            wait_until_sync(lambda: not second.alive(), what="the second publisher to be refused")
    logs = [path.read_text(errors="replace") for path in (daemon.directory / "log").iterdir()]
    assert late not in daemon.log
    assert not any(late in text for text in logs)


def test_nothing_of_the_last_good_file_is_shown_either(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE)
    daemon.start()
    daemon.stop()
    daemon.write("version: 1\nstreams: [")
    daemon.start()
    assert daemon.status()["config"]["state"] == "fallback"
    with publisher(daemon.url(f"live/cam-{SECRET}", None)):
        wait_until_sync(lambda: daemon.state("streams", "live/cam") == "live")
        with publisher(daemon.url(f"live/cam-{SECRET}", None)) as second:
            wait_until_sync(lambda: not second.alive(), what="the second publisher to be refused")
    logs = [path.read_text(errors="replace") for path in (daemon.directory / "log").iterdir()]
    assert SECRET not in daemon.log + json.dumps(daemon.status())
    assert not any(SECRET in text for text in logs)


def test_a_start_without_the_port_of_the_hooks_says_where_that_stands(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE)
    with taken(daemon.hooks):
        daemon.start(ready=False)
        assert daemon.process is not None
        assert daemon.process.wait(30) == 1  # and not 78, after which systemd starts no more
    place = rf"{daemon.config}:\d+:\d+: daemon\.hooks: "
    assert re.search(rf"{place}TCP port {daemon.hooks} is taken", daemon.log)
    assert "Traceback" not in daemon.log


def test_a_busy_status_port_keeps_no_media_off_the_air(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE)
    with taken(daemon.status_port):
        daemon.start(ready=False)
        wait_until_sync(lambda: "status.not_listening" in daemon.log)
        wait_until_sync(lambda: "server.started" in daemon.log)
        with publisher(daemon.url("live/show")) as encoder:
            wait_until_sync(lambda: "publisher.admitted" in daemon.log)
            assert encoder.alive()
    wait_until_sync(lambda: is_ready(daemon), timeout=60)


def test_hooks_on_ipv6_let_publishers_in_and_targets_are_heard(
    daemon: Streamd, platform: Receiver
) -> None:
    if not has_ipv6():
        pytest.skip("NOT TESTED: this machine has no IPv6")
    target = f"targets: {{t1: {{stream: show, url: '{platform.url('in/k')}'}}}}\n"
    head = daemon.head().replace(f"127.0.0.1:{daemon.hooks}", f"[::1]:{daemon.hooks}")
    daemon.write(head + BASE + target)
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
