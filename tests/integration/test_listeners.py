"""The daemon's sockets move together, or not at all."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streamd.auth.admission import Admission
from streamd.auth.decide import Refused
from streamd.auth.hooks_api import HookServer
from streamd.config.models import Daemon
from streamd.errors import StreamdError
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.listeners import Listeners
from streamd.status.http_api import StatusServer
from streamd.supervision.protocol import pid_address
from tests.support.ports import free_port
from tests.support.receiver import has_ipv6
from tests.support.snapshots import snapshot
from tests.support.waiting import wait_until

PID = 4711


@dataclass
class Machine:
    """Listeners, and what hears FFmpegs' reports at the moment."""

    receivers: list[ProgressReceiver] = field(default_factory=list)

    def __post_init__(self) -> None:
        refused = Refused("failed", "nothing is let in here", "")
        hooks = HookServer(
            "path",
            engines={},
            admission=Admission(lambda _: refused, {}),
            on_admitted=lambda _: None,
            on_gone=lambda _server, _client: None,
        )
        self.status = StatusServer(snapshot)
        self.listeners = Listeners(hooks, self.status, self._take)

    def _take(self, progress: ProgressReceiver) -> None:
        progress.register(PID)
        self.receivers.append(progress)

    async def hears(self, daemon: Daemon, out_time_us: int) -> bool:
        """Tell whether a report to the port of the hooks is heard."""
        _, port = daemon.hooks.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((pid_address(PID), 0))
            sender.sendto(b"out_time_us=%d\n" % out_time_us, ("127.0.0.1", int(port)))
        receiver = self.receivers[-1]
        receiver.drain(1.0)
        track = receiver.tracks.get(PID)
        return track is not None and track.out_time_us == out_time_us


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    made = Machine()
    yield made
    await made.listeners.close()


@contextlib.contextmanager
def taken(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[None]:
    """Hold a port, as another program would."""
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield


def somewhere() -> Daemon:
    return Daemon(hooks=f"127.0.0.1:{free_port()}", status=f"127.0.0.1:{free_port()}")


async def answers(address: str, path: str = "/") -> int:
    """Return the status of an answer; 0 when nobody listens."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}{path}") as got,
        ):
            return got.status
    except aiohttp.ClientConnectorError:
        return 0


async def serves(daemon: Daemon) -> tuple[bool, bool]:
    """Tell whether the hooks and the status are served there."""
    return (
        await answers(daemon.hooks) == 404,
        await answers(daemon.status, "/healthz") == 200,
    )


async def test_everything_moves_together(machine: Machine) -> None:
    old, new = somewhere(), somewhere()
    await machine.listeners.move(old)
    assert await serves(old) == (True, True)
    assert await machine.hears(old, 1)
    await machine.listeners.move(new)
    assert await serves(new) == (True, True)
    assert await serves(old) == (False, False)
    assert await machine.hears(new, 2)
    assert len(machine.receivers) == 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("status", socket.SOCK_STREAM),
        ("hooks", socket.SOCK_STREAM),
        ("hooks", socket.SOCK_DGRAM),
    ],
)
async def test_a_move_to_a_busy_port_leaves_everything_where_it_was(
    machine: Machine, name: str, kind: socket.SocketKind
) -> None:
    old, new = somewhere(), somewhere()
    await machine.listeners.move(old)
    assert await machine.hears(old, 1)
    port = int(getattr(new, name).rsplit(":", 1)[1])
    with taken(port, kind):
        with pytest.raises(StreamdError, match=str(port)):
            await machine.listeners.move(new)
        assert await serves(old) == (True, True)
        assert len(machine.receivers) == 1
        assert machine.receivers[0].tracks[PID].out_time_us == 1
        assert await machine.hears(old, 2)
    await machine.listeners.move(new)
    assert await serves(new) == (True, True)
    assert await machine.hears(new, 3)


async def test_what_stays_where_it_is_is_left_alone(machine: Machine) -> None:
    first = somewhere()
    await machine.listeners.move(first)
    other = somewhere().status
    with_token = first.model_copy(update={"status": other, "status_token": SecretStr("a" * 16)})
    await machine.listeners.move(with_token)
    assert await answers(other, "/status") == 401
    assert await answers(first.status, "/healthz") == 0
    assert await machine.hears(first, 1)
    assert len(machine.receivers) == 1


async def test_hooks_that_move_to_ipv6_keep_the_receiver_beside_them(machine: Machine) -> None:
    if not has_ipv6():
        pytest.skip("NOT TESTED: this machine has no IPv6")
    old = somewhere()
    await machine.listeners.move(old)
    port = old.hooks.rsplit(":", 1)[1]
    new = old.model_copy(update={"hooks": f"[::1]:{port}"})
    await machine.listeners.move(new)
    assert await serves(new) == (True, True)
    assert len(machine.receivers) == 1
    assert await machine.hears(new, 1)


async def test_a_busy_status_port_at_the_start_is_tried_again(machine: Machine) -> None:
    daemon = somewhere()
    with taken(int(daemon.status.rsplit(":", 1)[1])):
        with capture_logs() as logged:
            await machine.listeners.move(daemon)
            await machine.listeners.try_status()
        assert [entry["event"] for entry in logged].count("status.not_listening") == 2
        assert await answers(daemon.hooks) == 404
    await machine.listeners.try_status()
    assert await serves(daemon) == (True, True)


async def test_nothing_is_held_after_the_end(machine: Machine) -> None:
    daemon = somewhere()
    await machine.listeners.move(daemon)
    await machine.listeners.close()
    async with asyncio.timeout(10):
        await wait_until(lambda: machine.status.port == 0, 10)
    with taken(int(daemon.hooks.rsplit(":", 1)[1]), socket.SOCK_DGRAM):
        assert await serves(daemon) == (False, False)
