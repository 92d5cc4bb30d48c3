"""The addresses that are printed, used as they are printed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamd.config.models import Daemon
from streamd.desired import Desired, EngineName, KeySpec, ServerSpec, StreamRule
from streamd.urls import Url, urls
from tests.support.engines import RunningServer, running_server
from tests.support.media import ffprobe, publisher
from tests.support.waiting import wait_until
from tests.support.webrtc import offer

# Every character that an address, a stream id or a form gives a meaning of its own.
SECRET = "s3cret &+,=%/?#:;<> end"


def desired(server: ServerSpec) -> Desired:
    return Desired(
        ffmpeg="ffmpeg",
        daemon=Daemon(),
        servers={"main": server},
        keys={"studio": KeySpec("studio", "0" * 64)},
        rules={"live/*": StreamRule("live/*", frozenset({"studio"}))},
        targets={},
    )


async def probed(url: Url) -> set[str]:
    """Play an address, and return the kinds of media that came."""

    def play() -> list[dict[str, Any]]:
        return ffprobe(url.url)

    return {stream["codec_type"] for stream in await asyncio.to_thread(play)}


async def wait_for_playlist(client: aiohttp.ClientSession, url: str) -> None:
    async def has_segments() -> bool:
        async with client.get(url) as response:
            return response.status == 200 and "#EXTINF" in await response.text()

    await wait_until(has_segments, what=url)


@pytest.fixture(params=[pytest.param("srs", marks=pytest.mark.srs), "nginx-rtmp"])
async def server(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[RunningServer]:
    engine: EngineName = request.param
    binary = request.getfixturevalue("srs_binary") if engine == "srs" else "/usr/sbin/nginx"
    async with running_server(tmp_path, engine, binary) as running:
        running.decide = lambda hook: hook.secrets == (SECRET,)
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


def addresses(server: RunningServer, stream: str, action: str) -> list[Url]:
    found = urls(desired(server.spec), stream, {"studio": SECRET})
    return [url for url in found if url.action == action]


async def test_each_publishes_with_any_secret(
    server: RunningServer, client: aiohttp.ClientSession
) -> None:
    for protocol in ("rtmp", "srt", "whip"):
        stream = f"live/by-{protocol}"
        for url in addresses(server, stream, "publish"):
            if url.protocol != protocol:
                continue
            if protocol == "whip":
                async with client.post(url.url, data=offer("sendonly")) as response:
                    assert response.status == 201, await response.text()
            else:
                with publisher(url.url):
                    await server.wait_live(stream)
            assert {hook.secrets for hook in server.hooks_of("publish", stream)} == {(SECRET,)}


@pytest.mark.parametrize("protocol", ["rtmp", "srt"])
async def test_each_plays(
    server: RunningServer, client: aiohttp.ClientSession, protocol: str
) -> None:
    to_publish = [
        url.url for url in addresses(server, "show", "publish") if url.protocol == protocol
    ]
    if not to_publish:
        assert (server.spec.engine, protocol) == ("nginx-rtmp", "srt")
        return
    with publisher(to_publish[0]):
        await server.wait_live("live/show")
        for url in addresses(server, "show", "play"):
            if url.protocol == "whep":
                async with client.post(url.url, data=offer("recvonly")) as response:
                    assert response.status == 201, await response.text()
            elif url.protocol != "srt" or protocol == "srt":
                if url.protocol == "hls":
                    await wait_for_playlist(client, url.url)
                assert await probed(url) == {"video", "audio"}, url.url
