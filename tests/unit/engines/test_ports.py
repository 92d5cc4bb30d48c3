import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamd.engines.base import OpenPort
from streamd.engines.ports import check_free, is_served
from streamd.errors import EngineError, PortTakenError
from tests.support.ports import free_port


@contextmanager
def _held(kind: socket.SocketKind, port: int, host: str = "127.0.0.1") -> Iterator[None]:
    with socket.socket(socket.AF_INET, kind) as holder:
        if hasattr(socket, "SO_REUSEPORT"):
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield


def test_free_ports_are_free() -> None:
    check_free([OpenPort("rtmp", free_port(), "rtmp"), OpenPort("srt", free_port(), "udp")])


@pytest.mark.parametrize(
    ("kind", "port", "protocol"),
    [
        (socket.SOCK_STREAM, OpenPort("rtmp", free_port(), "rtmp"), "TCP"),
        (socket.SOCK_STREAM, OpenPort("api", free_port(), "http", "127.0.0.1"), "TCP"),
        (socket.SOCK_DGRAM, OpenPort("srt", free_port(), "udp"), "UDP"),
    ],
)
def test_a_taken_port_is_told_with_its_holder(
    kind: socket.SocketKind, port: OpenPort, protocol: str
) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    with _held(kind, port.number), pytest.raises(EngineError) as caught:
        check_free([port])
    assert str(caught.value) == (
        f"listen.{port.field}: {protocol} port {port.number} is taken by {name} "
        f"(pid {os.getpid()}); stop that or choose another port"
    )


def test_whether_taken_ports_are_free_again_can_be_asked() -> None:
    ports = [OpenPort("rtmp", free_port(), "rtmp"), OpenPort("srt", free_port(), "udp")]
    with _held(socket.SOCK_DGRAM, ports[1].number):
        with pytest.raises(PortTakenError) as caught:
            check_free(ports)
        assert not caught.value.is_free()
    assert caught.value.is_free()


def test_an_address_of_another_machine_is_not_waited_for() -> None:
    elsewhere = OpenPort("rtmp", free_port(), "rtmp", "203.0.113.1")
    with pytest.raises(EngineError, match="not an address of this machine") as caught:
        check_free([elsewhere])
    assert not isinstance(caught.value, PortTakenError)


def test_every_taken_port_is_told() -> None:
    ports = [OpenPort("rtmp", free_port(), "rtmp"), OpenPort("srt", free_port(), "udp")]
    with (
        _held(socket.SOCK_STREAM, ports[0].number),
        _held(socket.SOCK_DGRAM, ports[1].number),
        pytest.raises(EngineError) as caught,
    ):
        check_free(ports)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "listen.rtmp",
        "listen.srt",
    ]


async def test_a_port_that_nobody_has_is_not_served() -> None:
    assert not await is_served(OpenPort("rtmp", free_port(), "rtmp"))
    assert not await is_served(OpenPort("srt", free_port(), "udp"))


async def test_a_deaf_port_is_not_served() -> None:
    port = free_port()
    with _held(socket.SOCK_STREAM, port):
        assert not await is_served(OpenPort("rtmp", port, "rtmp"))


async def test_a_udp_port_is_served_when_somebody_has_it() -> None:
    port = free_port()
    with _held(socket.SOCK_DGRAM, port, "0.0.0.0"):
        assert await is_served(OpenPort("srt", port, "udp"))
