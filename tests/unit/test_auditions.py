"""Streams that a server takes and gives to nobody."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from streamd import auditions
from streamd.auditions import MOST_KICKS, Auditions
from streamd.engines.base import LiveStream, Streams
from streamd.errors import EngineError
from tests.support.waiting import wait_until


@dataclass
class Server:
    """A server with one publisher.

    Attributes:
        bytes_in: how much it has received each time that it is asked; the last one stays.
    """

    bytes_in: list[int] = field(default_factory=lambda: [0, 50_000])
    video: str | None = "H264"
    is_live: bool = True
    fails: bool = False
    kicked: list[str] = field(default_factory=list)
    players: int = 0
    asked: int = 0
    asking: int = 0
    most_asking: int = 0
    media: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_media(self, stream: str) -> None:
        assert stream == "live/a"
        self.players += 1
        try:
            await self.media.wait()
        finally:
            self.players -= 1

    async def streams(self) -> Streams:
        self.asked += 1
        self.asking += 1
        self.most_asking = max(self.most_asking, self.asking)
        await asyncio.sleep(0)  # as one that has others to answer too
        self.asking -= 1
        if self.fails:
            raise EngineError("it does not answer")
        received = self.bytes_in.pop(0) if len(self.bytes_in) > 1 else self.bytes_in[0]
        live = LiveStream("live/a", "c1", received, 100, 0, self.video)
        return Streams([live] if self.is_live else [])

    async def kick(self, stream: str, client_id: str) -> None:
        self.kicked.append(client_id)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def held(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Auditions]:
    monkeypatch.setattr(auditions, "LOOK_S", 0.01)
    monkeypatch.setattr(auditions, "SENT_S", 0.05)
    monkeypatch.setattr(auditions, "ABSENT_S", 0.1)
    made = Auditions({"main": server})
    yield made
    await made.close()
    assert server.players == 0


async def test_a_player_waits_before_the_publisher_is_let_in(
    held: Auditions, server: Server
) -> None:
    await held.begin("main", "live/a", "c1")
    assert server.players == 1
    server.media.set()
    await wait_until(lambda: server.players == 0)
    assert server.kicked == []


async def test_who_is_given_to_nobody_is_disconnected(held: Auditions, server: Server) -> None:
    with capture_logs() as logs:
        await held.begin("main", "live/a", "c1")
        await wait_until(lambda: server.players == 0)
    assert server.kicked == ["c1"]
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("publisher.unplayable", "warning")
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"bytes_in": [0, 9_999]},  # it sends hardly anything, so there is nothing to give
        {"video": None},
    ],
    ids=["little is sent", "nothing is known of it"],
)
async def test_who_sends_nothing_is_waited_for(
    held: Auditions, server: Server, changed: dict[str, object]
) -> None:
    for name, value in changed.items():
        setattr(server, name, value)
    await held.begin("main", "live/a", "c1")
    await wait_until(lambda: server.asked > 20)
    assert (server.kicked, server.players) == ([], 1)
    server.is_live = False
    await wait_until(lambda: server.players == 0)
    assert server.kicked == []


@pytest.mark.parametrize("changed", [{"is_live": False}, {"fails": True}], ids=["refused", "dead"])
async def test_who_was_refused_and_a_server_that_is_dead_are_waited_for_no_longer(
    held: Auditions, server: Server, changed: dict[str, object]
) -> None:
    for name, value in changed.items():
        setattr(server, name, value)
    await held.begin("main", "live/a", "c1")
    await wait_until(lambda: server.players == 0)
    assert server.kicked == []


async def test_whom_that_does_not_help_is_left_alone_and_told_of(
    held: Auditions, server: Server
) -> None:
    async def again() -> None:
        server.bytes_in = [0, 50_000]
        await held.begin("main", "live/a", "c1")
        await wait_until(lambda: server.players == 0)

    for _ in range(MOST_KICKS):
        await again()
    assert len(server.kicked) == MOST_KICKS
    with capture_logs() as logs:
        await again()
    assert len(server.kicked) == MOST_KICKS
    assert [each["log_level"] for each in logs] == ["error"]
    server.media.set()
    await again()
    server.media.clear()
    await again()
    assert len(server.kicked) == MOST_KICKS + 1


async def test_a_server_is_asked_once_for_all_who_come_at_once(
    held: Auditions, server: Server
) -> None:
    server.video = None
    for number in range(50):
        await held.begin("main", "live/a", f"c{number}")
    await wait_until(lambda: server.asked >= 3)
    assert server.most_asking == 1


async def test_a_server_that_is_gone_has_no_auditions(held: Auditions, server: Server) -> None:
    await held.begin("other", "live/a", "c1")
    assert server.players == 0
