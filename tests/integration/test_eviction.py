"""A process of streamd's own gives way to a publisher, on the real servers."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd.auth.admission import Admission
from streamd.auth.decide import Allowed, Decision, Refused
from streamd.auth.hooks_api import HookServer
from streamd.config.addresses import split_address
from streamd.desired import EngineName
from streamd.engines.base import HookRequest
from streamd.engines.select import make_engine
from streamd.machine import find_machine
from streamd.observed import Publisher
from tests.support.engines import SECRETS, RunningServer, server_spec
from tests.support.media import decoded_frames, publisher
from tests.support.waiting import wait_until


@dataclass
class Asked:
    """A media server and the hook server that it asks."""

    server: RunningServer
    present: dict[str, Publisher] = field(default_factory=dict)
    admitted: list[Publisher] = field(default_factory=list)

    def admit(self, came: Publisher) -> None:
        self.admitted.append(came)
        self.present[came.stream] = came

    def gone(self, _: str, client_id: str) -> None:
        for stream, who in [*self.present.items()]:
            if who.client_id == client_id:
                del self.present[stream]


def decide(hook: HookRequest) -> Decision:
    name = f"{hook.app}/{hook.stream}"
    if hook.secrets == ("own",):
        return Allowed(name, name, internal=True)
    if hook.secrets == ("right",):
        return Allowed(name, name, "studio", hashlib.sha256(b"right").hexdigest())
    return Refused("wrong_key", "no key", name)


@asynccontextmanager
async def asked_server(tmp_path: Path, engine: EngineName, binary: Path) -> AsyncIterator[Asked]:
    spec = server_spec(engine, binary)
    directory = tmp_path / "servers" / spec.name
    driver = make_engine(spec, directory=directory, secrets=SECRETS)
    asked = Asked(RunningServer(driver, spec, directory, tmp_path / "main.log"))
    hooks = HookServer(
        SECRETS.hook_path,
        engines={"main": driver},
        admission=Admission(decide, {"main": driver}, present=asked.present.get),
        on_admitted=asked.admit,
        on_gone=asked.gone,
    )
    await hooks.start(*split_address(spec.hooks))
    try:
        await driver.test()
        await asked.server.start()
        yield asked
    finally:
        if asked.server.process is not None:
            await asked.server.stop()
        await hooks.stop()
        await driver.close()


@pytest.fixture(params=[pytest.param("srs", marks=pytest.mark.srs), "nginx-rtmp"])
async def asked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    if request.param == "srs":
        binary = request.getfixturevalue("srs_binary")
    else:
        binary = find_machine().engines["nginx-rtmp"]
    async with asked_server(tmp_path, request.param, binary) as running:
        yield running


async def test_an_encoder_is_let_in_at_its_first_attempt(asked: Asked) -> None:
    server = asked.server
    with publisher(server.url("live/cam", "own")) as own:
        slate = await server.wait_live("live/cam")
        with capture_logs() as logs, publisher(server.url("live/cam")) as encoder:

            async def is_replaced() -> bool:
                live = await server.live("live/cam")
                return live is not None and live.client_id != slate.client_id

            await wait_until(is_replaced, what="the encoder to be live")
            assert decoded_frames(f"rtmp://127.0.0.1:{server.spec.rtmp}/live/cam") == 15
            assert encoder.alive()
            await wait_until(lambda: not own.alive(), what="streamd's own to notice")
            assert [each.internal for each in asked.admitted] == [True, False]
            assert [entry["event"] for entry in logs].count("publisher.evicted") == 1


async def test_an_encoder_does_not_give_way(asked: Asked) -> None:
    server = asked.server
    with publisher(server.url("live/cam")) as encoder:
        first = await server.wait_live("live/cam")
        with publisher(server.url("live/cam", "own")) as own:
            await wait_until(lambda: not own.alive(), what="streamd's own to be refused")
        assert (await server.wait_live("live/cam")).client_id == first.client_id
        assert encoder.alive()


async def test_a_wrong_key_makes_nobody_give_way(asked: Asked) -> None:
    server = asked.server
    with publisher(server.url("live/cam", "own")):
        slate = await server.wait_live("live/cam")
        with publisher(server.url("live/cam", "wrong")) as other:
            await wait_until(lambda: not other.alive(), what="it to be refused")
        assert (await server.wait_live("live/cam")).client_id == slate.client_id
