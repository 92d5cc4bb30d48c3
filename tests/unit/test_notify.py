"""What systemd is told, received on a real datagram socket."""

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamd.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket; its address as in NOTIFY_SOCKET is in `address`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        if request.param == "path":
            listening.bind(str(tmp_path / "notify"))
        else:
            listening.bind(f"\0streamd-test-{secrets.token_hex(8)}")
        listening.settimeout(30)
        yield listening


def address(manager: socket.socket) -> str:
    name = manager.getsockname()
    return f"@{name[1:].decode()}" if isinstance(name, bytes) else str(name)


@pytest.fixture
def notifier(manager: socket.socket) -> Iterator[Notifier]:
    notifier = Notifier({"NOTIFY_SOCKET": address(manager)})
    yield notifier
    notifier.close()


def told(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().split("\n")


def test_each_state_is_one_datagram(manager: socket.socket, notifier: Notifier) -> None:
    assert notifier.ready()
    assert told(manager) == ["READY=1"]
    assert notifier.ready("3 streams live")
    assert told(manager) == ["READY=1", "STATUS=3 streams live"]
    assert notifier.watchdog()
    assert told(manager) == ["WATCHDOG=1"]
    assert notifier.stopping()
    assert told(manager) == ["STOPPING=1"]


def test_a_reload_carries_the_monotonic_time(manager: socket.socket, notifier: Notifier) -> None:
    assert notifier.reloading()
    first, when = told(manager)
    assert first == "RELOADING=1"
    assert notifier.reloading()
    later = told(manager)[1]
    assert when.startswith("MONOTONIC_USEC=")
    assert int(when.partition("=")[2]) <= int(later.partition("=")[2])


def test_a_status_stays_one_line_and_can_be_cleared(
    manager: socket.socket, notifier: Notifier
) -> None:
    assert notifier.status("config rejected:\nREADY=1\n  line 3")
    assert told(manager) == ["STATUS=config rejected: READY=1 line 3"]
    assert notifier.status("x" * 100_000)
    assert len(told(manager)[0]) < 1000
    assert notifier.status("")
    assert told(manager) == ["STATUS="]


def test_without_a_manager_nothing_is_sent() -> None:
    notifier = Notifier({})
    assert not notifier.ready()
    assert not Notifier({"NOTIFY_SOCKET": "vsock:2:1234"}).ready()


def test_a_manager_that_went_away_or_does_not_read_is_no_error(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert not notifier.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "gone"))
        while notifier.watchdog():
            pass  # until its buffer is full; a send that blocked would hang the test
        assert deaf.recv(100) == b"WATCHDOG=1"
        assert notifier.watchdog()
    notifier.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(
    environment: dict[str, str], expected: float | None
) -> None:
    assert Notifier(environment).watchdog_interval_s == expected
