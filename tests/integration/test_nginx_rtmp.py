"""What only nginx-rtmp does: apps of its own, and HLS files that somebody has to remove."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from streamd.engines.nginx_rtmp import NginxRtmpEngine
from streamd.engines.select import make_engine
from streamd.errors import EngineError
from streamd.machine import find_machine
from tests.support.engines import SECRETS, RunningServer, running_server, server_spec
from tests.support.media import publisher
from tests.support.waiting import wait_until


@pytest.fixture(scope="session")
def nginx_binary() -> Path:
    binary = find_machine().engines.get("nginx-rtmp")
    assert binary is not None, "the tests need nginx with its RTMP module"
    return binary


@pytest.fixture
async def server(nginx_binary: Path, tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running_server(tmp_path, "nginx-rtmp", nginx_binary) as running:
        yield running


async def test_an_app_of_two_parts_is_an_app(server: RunningServer) -> None:
    with publisher(server.url("lot/west/cam")):
        await server.wait_live("lot/west/cam")
        hook = server.hooks[0]
        assert (hook.app, hook.stream) == ("lot/west", "cam")
        playlist = server.directory / "www/lot/west/cam.m3u8"
        await wait_until(playlist.exists, what="its playlist")


async def test_an_app_that_nobody_declared_is_refused(server: RunningServer) -> None:
    with publisher(server.url("elsewhere/cam")) as encoder:
        await wait_until(lambda: not encoder.alive(), what="the publisher to be refused")
    assert server.hooks == []


async def test_a_secret_behind_the_app_counts(server: RunningServer) -> None:
    with publisher(f"rtmp://127.0.0.1:{server.spec.rtmp}/live?secret=right/cam"):
        await server.wait_live("live/cam")


async def test_what_a_client_says_of_itself_is_not_believed(server: RunningServer) -> None:
    with publisher(server.url("live/cam") + "&clientid=999&addr=192.0.2.1&call=publish_done"):
        stream = await server.wait_live("live/cam")
        (hook,) = server.hooks_of("publish", "live/cam")
        assert (hook.client_id, hook.address) == (stream.client_id, "127.0.0.1")


async def test_the_api_is_behind_its_password_and_off_the_public_port(
    server: RunningServer,
) -> None:
    async with aiohttp.ClientSession() as session:

        async def status(port: int | None, path: str) -> int:
            async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                return response.status

        password = SECRETS.api_password
        assert await status(server.spec.api, f"/{password}/stat") == 200
        for path in ("/", "/stat", "/control/drop/publisher?app=live", "/wrong/stat"):
            assert await status(server.spec.api, path) == 404
        for path in ("/", "/stat", f"/{password}/stat", "/live/", "/../nginx.conf"):
            assert await status(server.spec.http, path) in (400, 404)


async def test_old_segments_are_removed_and_named_ones_stay(server: RunningServer) -> None:
    www = server.directory / "www/live"
    with publisher(server.url("live/cam")):
        await wait_until(lambda: len(list(www.glob("*.ts"))) >= 3, what="segments")
        stray = www / "cam-1.ts"
        stray.write_bytes(b"")
        os.utime(stray, (1, 1))
        await server.engine.tidy()
        assert not stray.exists()
        named = [line for line in (www / "cam.m3u8").read_text().splitlines() if ".ts" in line]
        assert named
        assert all((www / name).exists() for name in named)


async def test_a_bad_value_is_refused_in_the_servers_words(
    nginx_binary: Path, tmp_path: Path
) -> None:
    spec = replace(server_spec("nginx-rtmp", nginx_binary), rtmp=70_000)
    engine = make_engine(spec, directory=tmp_path / "bad", secrets=SECRETS)
    with pytest.raises(EngineError, match=r"nginx refuses its configuration: .*70000"):
        await engine.test()


async def test_a_missing_module_says_how_to_get_it(nginx_binary: Path, tmp_path: Path) -> None:
    engine = NginxRtmpEngine(
        server_spec("nginx-rtmp", nginx_binary),
        tmp_path,
        SECRETS,
        module=tmp_path / "ngx_rtmp_module.so",
        open_files=1024,
    )
    with pytest.raises(EngineError, match="apt install libnginx-mod-rtmp"):
        await engine.test()


async def test_a_reload_is_refused_and_changes_nothing(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        with pytest.raises(EngineError, match="restart"):
            await server.engine.reload()
        await server.wait_live("live/cam")


async def test_a_player_is_closed_when_the_publisher_leaves(server: RunningServer) -> None:
    with publisher(server.url("live/cam")) as encoder:
        await server.wait_live("live/cam")
        player = await asyncio.create_subprocess_exec(
            *("ffmpeg", "-v", "quiet", "-nostdin", "-i", server.engine.input_url("live/cam")),
            *("-c", "copy", "-f", "null", "-"),
        )
        try:

            async def is_counted() -> bool:
                return "<nclients>2</nclients>" in await _statistics(server)

            await wait_until(is_counted, what="the player to play")
            encoder.kill()
            async with asyncio.timeout(20):
                await player.wait()
        finally:
            if player.returncode is None:
                player.kill()
                await player.wait()


async def _statistics(server: RunningServer) -> str:
    url = f"http://127.0.0.1:{server.spec.api}/{SECRETS.api_password}/stat"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()
