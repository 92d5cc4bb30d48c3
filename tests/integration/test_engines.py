"""What streamd relies on in every engine, shown on the real servers."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from streamd.engines.base import HookRequest
from streamd.engines.select import make_engine
from streamd.errors import EngineError
from streamd.machine import find_machine
from streamd.playout.rtmp import Play, open_play
from tests.support.engines import SECRETS, RunningServer, running_server
from tests.support.media import decoded_frames, ffprobe, publisher
from tests.support.mounts import small_disk
from tests.support.ports import own_address
from tests.support.viewer import viewer
from tests.support.waiting import wait_until


@pytest.fixture(
    params=[pytest.param("srs", marks=pytest.mark.srs), pytest.param("nginx-rtmp")],
)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningServer]:
    if request.param == "srs":
        binary = request.getfixturevalue("srs_binary")
    else:
        binary = find_machine().engines.get("nginx-rtmp")
        assert binary is not None, "the tests need nginx with its RTMP module"
    # Of nginx-rtmp's apps one waits for publishers, as it does for streams that come on demand.
    waiting = () if request.param == "srs" else ("lot/west",)
    async with running_server(tmp_path, request.param, binary, waiting_apps=waiting) as running:
        yield running


async def test_a_publisher_with_the_right_secret_goes_live(server: RunningServer) -> None:
    with publisher(server.url("live/cam")) as encoder:
        stream = await server.wait_live("live/cam")
        (hook,) = server.hooks_of("publish", "live/cam")
        assert stream.client_id == hook.client_id
        assert (hook.address, hook.protocol, hook.secrets) == ("127.0.0.1", "rtmp", ("right",))
        assert hook.objection is None
        assert encoder.alive()


async def test_a_publisher_with_a_wrong_secret_is_turned_away(server: RunningServer) -> None:
    with publisher(server.url("live/cam", "wrong")) as encoder:
        await wait_until(lambda: not encoder.alive(), what="the publisher to be refused")
        assert await server.live("live/cam") is None
    assert [hook.secrets for hook in server.hooks] == [("wrong",)]
    assert not server.hooks_of("unpublish", "live/cam")


async def test_a_stream_is_described_while_it_advances(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):

        async def advances() -> bool:
            stream = await server.live("live/cam")
            return stream is not None and stream.bytes_in > 0 and stream.kbps > 0

        await wait_until(advances, what="a bit rate")
        stream = await server.wait_live("live/cam")
        assert 100 < stream.kbps < 1000
        assert stream.video is not None
        assert stream.video.startswith("H264 ")
        assert stream.video.endswith(" 160x120")
        assert stream.audio == "AAC LC 44100"


async def test_a_disk_that_is_full_of_hls_ends_no_stream(
    server: RunningServer, tmp_path: Path
) -> None:
    with small_disk(server.engine.www, "16k"), publisher(server.url("live/cam")) as encoder:
        await server.wait_live("live/cam")
        with viewer(tmp_path, server.engine.input_url("live/cam")) as player:
            await player.wait_seen(5000)
        assert encoder.alive()


async def test_a_killed_publisher_is_told_of_and_gone(server: RunningServer) -> None:
    with publisher(server.url("live/cam")) as encoder:
        stream = await server.wait_live("live/cam")
        encoder.kill()
        hook = await server.wait_hook("unpublish", "live/cam")
        assert hook.client_id == stream.client_id
        await server.wait_gone("live/cam")


async def test_a_kicked_publisher_is_gone(server: RunningServer) -> None:
    with publisher(server.url("live/cam")) as encoder:
        stream = await server.wait_live("live/cam")
        await server.engine.kick(stream.name, stream.client_id)
        await server.wait_gone("live/cam")
        await wait_until(lambda: not encoder.alive(), what="the publisher to notice")
        hook = await server.wait_hook("unpublish", "live/cam")
        assert hook.client_id == stream.client_id


async def test_kicking_somebody_who_left_is_no_error(server: RunningServer) -> None:
    with publisher(server.url("live/cam")) as encoder:
        stream = await server.wait_live("live/cam")
        encoder.kill()
        await server.wait_gone("live/cam")
    await server.engine.kick(stream.name, stream.client_id)


async def test_a_second_publisher_of_a_name_leaves_the_first_alone(
    server: RunningServer,
) -> None:
    with publisher(server.url("live/cam")) as first:
        stream = await server.wait_live("live/cam")
        with publisher(server.url("live/cam")) as second:
            await wait_until(lambda: not second.alive(), what="the second to be refused")
        after = await server.wait_live("live/cam")
        assert after.client_id == stream.client_id
        assert first.alive()


async def test_ffmpeg_reads_a_stream_at_its_input_url(server: RunningServer) -> None:
    name = "live/a+b=c@d,e_f~g-h" if server.spec.engine == "srs" else "lot/west/a+b=c@d.e_f~g-h"
    with publisher(server.url(name)):
        await server.wait_live(name)
        url = server.engine.input_url(name)
        assert await asyncio.to_thread(decoded_frames, url) == 15


async def test_players_of_this_machine_are_no_viewers_and_others_are(
    server: RunningServer,
) -> None:
    outside = own_address()
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        hosts = ["127.0.0.1", "127.0.0.1", *([outside] if outside else [])]
        async with _playing(server, hosts):

            async def is_counted() -> bool:
                stream = await server.live("live/cam")
                if stream is None or stream.viewers != len(hosts) - 2:
                    return False
                assert stream.players is not None
                told = [(each.address, each.protocol) for each in stream.players]
                assert len({each.client_id for each in stream.players}) == len(told)
                return told == [(outside, "rtmp")] * stream.viewers

            await wait_until(is_counted, what="the viewers to be counted")


async def test_a_player_elsewhere_is_seen_to_wait_until_there_is_a_publisher(
    server: RunningServer,
) -> None:
    outside = own_address()
    if outside is None:
        pytest.skip("NOT TESTED: this machine has no address but loopback")
    waited = "live/cam" if server.spec.engine == "srs" else "lot/west/cam"

    async def waits() -> bool:
        return (await server.engine.streams()).waited == {waited}

    async def nobody_waits() -> bool:
        return not (await server.engine.streams()).waited

    # One of this machine has been waiting for another stream all the time, and is not seen.
    async with await _play(server, "127.0.0.1", f"{waited}2"):
        async with await _play(server, outside, waited) as player:
            await wait_until(waits, what="the player to be seen")
            with publisher(server.url(waited)):
                async with asyncio.timeout(20):
                    await anext(player)
                stream = await server.wait_live(waited)
                assert stream.viewers == 1
                assert await nobody_waits()
            await wait_until(waits, what="it to be seen again")
        await wait_until(nobody_waits, what="it to be forgotten")


async def _play(server: RunningServer, host: str, stream: str) -> Play:
    return await open_play(f"rtmp://{host}:{server.spec.rtmp}/{stream}", timeout_s=10)


async def test_hls_plays(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        url = f"http://127.0.0.1:{server.spec.http}/live/cam.m3u8"

        async def is_there() -> bool:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status == 200 and (await response.text()).count(".ts") >= 3

        await wait_until(is_there, what="three segments")
        found = {stream["codec_name"] for stream in await asyncio.to_thread(ffprobe, url)}
        assert found == {"h264", "aac"}
        async with (
            aiohttp.ClientSession(headers={"Origin": "https://player.example"}) as session,
            session.get(url) as response,
        ):
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.content_type == "application/vnd.apple.mpegurl"


async def test_every_port_is_served_until_the_server_stops(server: RunningServer) -> None:
    opened = await server.engine.probe()
    assert set(opened.values()) == {True}
    assert {"rtmp", "http"} <= opened.keys()
    assert await server.stop() == 0
    assert set((await server.engine.probe()).values()) == {False}


async def test_a_server_stops_with_a_publisher_on_it(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        assert await server.stop() == 0
        with pytest.raises(EngineError, match="does not answer"):
            await server.engine.streams()


async def test_a_taken_port_is_named_with_who_has_it(server: RunningServer) -> None:
    with pytest.raises(EngineError) as caught:
        await server.engine.check_ports()
    program = Path(server.spec.binary).name
    assert (
        f"listen.rtmp: TCP port {server.spec.rtmp} is taken by {program} "
        f"(pid {server.process.pid if server.process else 0})"
    ) in str(caught.value)


@pytest.mark.parametrize(
    ("binary", "complaint"),
    [
        ("{tmp}/nothing", "nothing is not there; .*install"),
        ("{tmp}/plain", "not an executable file"),
        ("sh", "sh is not a whole path"),
        ("{true}", "true does not tell its version; is it"),
    ],
)
async def test_a_binary_that_cannot_be_it_is_named(
    server: RunningServer, tmp_path: Path, binary: str, complaint: str
) -> None:
    (tmp_path / "plain").write_text("no program")
    path = binary.format(tmp=tmp_path, true=shutil.which("true"))
    spec = replace(server.spec, binary=path)
    engine = make_engine(spec, directory=tmp_path / "bad", secrets=SECRETS)
    with pytest.raises(EngineError, match=complaint):
        await engine.test()


async def test_the_version_is_told(server: RunningServer) -> None:
    version = await server.engine.version()
    assert [part.isdigit() for part in version.split(".")] == [True, True, True]


async def test_a_publisher_waits_for_a_slow_answer(server: RunningServer) -> None:
    asked = asyncio.Event()
    answer = asyncio.Event()

    async def decide(_: HookRequest) -> bool:
        asked.set()
        await answer.wait()
        return True

    server.decide = decide
    with publisher(server.url("live/cam")):
        await asked.wait()
        assert await server.live("live/cam") is None
        answer.set()
        await server.wait_live("live/cam")


async def test_tidying_leaves_what_is_live(server: RunningServer) -> None:
    www = server.directory / "www" / "live"
    with publisher(server.url("live/cam")):
        await wait_until(lambda: len(list(www.glob("*.ts"))) >= 2, what="two segments")
        before = set(www.glob("cam*.ts"))
        await server.engine.tidy()
        assert before & set(www.glob("cam*.ts"))
        assert (www / "cam.m3u8").exists()


class _playing:  # noqa: N801 - used as a function
    """Play live/cam by RTMP from several of this machine's addresses until the block ends."""

    def __init__(self, server: RunningServer, hosts: list[str]) -> None:
        self._urls = [f"rtmp://{host}:{server.spec.rtmp}/live/cam" for host in hosts]
        self._players: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> None:
        for url in self._urls:
            argv = ("ffmpeg", "-v", "quiet", "-nostdin", "-i", url, "-c", "copy", "-f", "null", "-")
            self._players.append(await asyncio.create_subprocess_exec(*argv))

    async def __aexit__(self, *error: object) -> None:
        for player in self._players:
            if player.returncode is None:
                player.kill()
            await player.wait()
