"""HTTPS of the media servers: every protocol over it, and certificates that change under it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamd.certificates import pem
from streamd.certificates.record import Record
from streamd.certificates.spec import KeyKind, certificate_paths
from streamd.certificates.store import Store
from streamd.desired import EngineName
from tests.support.engines import RunningServer, running_server
from tests.support.media import publisher
from tests.support.ports import free_port
from tests.support.tls import certificate_shown, trusting_all
from tests.support.waiting import wait_until
from tests.support.webrtc import offer

NAMES = ("live.example.test", "localhost")


@pytest.fixture(params=["nginx-rtmp", pytest.param("srs", marks=pytest.mark.srs)])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


def binary_of(engine: EngineName, request: pytest.FixtureRequest) -> Path:
    found: Path = (
        request.getfixturevalue("srs_binary") if engine == "srs" else Path("/usr/sbin/nginx")
    )
    return found


def install(store: Store, kind: KeyKind) -> str:
    """Let another certificate be served, and return its serial."""
    made = pem.self_signed(pem.make_key(kind), NAMES, time.time())
    (store.directory / "site").mkdir(exist_ok=True)
    store.install("site", made, pem.installed(made, "self-signed"), Record())
    return pem.read(made.fullchain).serial


def usual_kind(engine: EngineName) -> KeyKind:
    return "rsa" if engine == "srs" else "ecdsa"


@asynccontextmanager
async def served(
    tmp_path: Path, engine: EngineName, binary: Path, kind: KeyKind | None = None, **changed: Any
) -> AsyncIterator[tuple[RunningServer, Store, str]]:
    store = Store(tmp_path / "certificates")
    store.prepare()
    serial = install(store, kind or usual_kind(engine))
    paths = certificate_paths(str(store.directory), "site")
    async with running_server(
        tmp_path, engine, binary, https=free_port(), certificate=paths, **changed
    ) as server:
        yield server, store, serial


def shown(server: RunningServer) -> str:
    """Return the serial of the certificate that a client is shown."""
    assert server.spec.https is not None
    return certificate_shown(server.spec.https, NAMES[0]).serial


async def status_of(server: RunningServer, method: str, path: str, **options: Any) -> int:
    url = f"https://127.0.0.1:{server.spec.https}{path}"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.request(method, url, ssl=trusting_all(), **options) as answer:
                await answer.content.read(100)
                return answer.status
        except aiohttp.ServerDisconnectedError:
            return 0


async def test_a_client_is_shown_the_certificate_that_is_there_when_it_comes(
    engine: EngineName, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with served(tmp_path, engine, binary_of(engine, request)) as (server, store, serial):
        assert (await server.engine.probe())["https"]
        seen = [await asyncio.to_thread(shown, server)]
        wanted = [serial]
        for _ in range(3):
            wanted.append(install(store, usual_kind(engine)))
            seen.append(await asyncio.to_thread(shown, server))
        assert seen == wanted


async def test_what_http_serves_is_served_over_https(
    engine: EngineName, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with served(tmp_path, engine, binary_of(engine, request)) as (server, *_):
        with publisher(server.url("live/cam")):
            await server.wait_live("live/cam")

            async def has_playlist() -> bool:
                return await status_of(server, "GET", "/live/cam.m3u8") == 200

            await wait_until(has_playlist, what="a playlist")
            if engine == "srs":
                assert await status_of(server, "GET", "/live/cam.flv") == 200
        for path in ("/srs.conf", "/nginx.conf", "/../certificates/site/privkey.pem"):
            assert await status_of(server, "GET", path) in (0, 400, 404)


@pytest.mark.srs
async def test_whip_and_whep_come_by_https_and_the_api_asks_for_its_password_there(
    srs_binary: Path, tmp_path: Path
) -> None:
    async with served(tmp_path, "srs", srs_binary) as (server, *_):
        headers = {"Content-Type": "application/sdp"}

        async def whip(secret: str) -> int:
            path = f"/rtc/v1/whip/?app=live&stream=cam&secret={secret}"
            return await status_of(server, "POST", path, data=offer("sendonly"), headers=headers)

        assert await whip("right") == 201
        assert [hook.secrets for hook in server.hooks_of("publish", "live/cam")] == [("right",)]
        path, wanted = "/rtc/v1/whep/?app=live&stream=cam", offer("recvonly")
        assert await status_of(server, "POST", path, data=wanted, headers=headers) == 201
        for path in ("/api/v1/streams/", "/api/v1/raw?rpc=raw", "/api/v1/clients/"):
            assert await status_of(server, "GET", path) == 401


@pytest.mark.srs
async def test_srs_takes_rsa_keys_alone(srs_binary: Path, tmp_path: Path) -> None:
    """If this fails, a newer SRS takes ECDSA, and `CertificateSpec.key_kind` can go."""
    async with served(tmp_path, "srs", srs_binary, "ecdsa") as (server, *_):
        with pytest.raises(OSError, match=r"EOF|reset|closed"):
            await asyncio.to_thread(shown, server)
