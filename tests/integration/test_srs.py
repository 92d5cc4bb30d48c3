"""What only SRS does: SRT, WebRTC, HTTP-FLV, reloads, and an API on a public port."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from streamd.auditions import Auditions
from streamd.engines import srs
from streamd.engines.base import HookRequest, RenderedServer, Streams
from streamd.engines.select import make_engine
from streamd.engines.srs import SrsEngine
from streamd.engines.srs_api import SrsApi
from streamd.engines.srs_config import api_endpoint
from streamd.errors import EngineError
from streamd.playout.tags import VIDEO
from tests.support.engines import SECRETS, RunningServer, running_server, server_spec
from tests.support.media import decoded_frames, ffprobe, publisher
from tests.support.ports import own_address
from tests.support.viewer import viewer
from tests.support.waiting import wait_until
from tests.support.webrtc import offer

pytestmark = pytest.mark.srs


@pytest.fixture
async def server(srs_binary: Path, tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with running_server(tmp_path, "srs", srs_binary) as running:
        yield running


def _srt(server: RunningServer, stream: str, secret: str, mode: str) -> str:
    return (
        f"srt://127.0.0.1:{server.spec.srt}?streamid=#!::r={stream},secret={secret},m={mode}"
        "&connect_timeout=5000"
    )


async def test_srt_publishes_and_plays_with_a_key(server: RunningServer) -> None:
    with publisher(_srt(server, "live/cam", "right", "publish")):
        stream = await server.wait_live("live/cam")
        (hook,) = server.hooks_of("publish", "live/cam")
        assert (hook.protocol, hook.secrets) == ("srt", ("right",))
        assert hook.client_id == stream.client_id
        play = _srt(server, "live/cam", "none", "request")
        found = await asyncio.to_thread(ffprobe, play)
        assert {item["codec_name"] for item in found} == {"h264", "aac"}
        assert await asyncio.to_thread(decoded_frames, server.engine.input_url("live/cam")) == 15


async def test_the_time_of_srt_with_quiet_sound_goes_as_fast_as_it_is_sent(
    server: RunningServer, tmp_path: Path
) -> None:
    with publisher(_srt(server, "live/cam", "right", "publish")):
        await server.wait_live("live/cam")
        with viewer(tmp_path, server.engine.input_url("live/cam")) as player:
            await player.wait_seen(3000)
            assert player.longest_step_ms(VIDEO) < 150


async def test_srt_with_a_wrong_secret_is_turned_away(server: RunningServer) -> None:
    with publisher(_srt(server, "live/cam", "wrong", "publish")) as encoder:
        await wait_until(lambda: not encoder.alive(), what="the publisher to be refused")
        assert await server.live("live/cam") is None


async def test_a_kicked_srt_publisher_is_gone(server: RunningServer) -> None:
    with publisher(_srt(server, "live/cam", "right", "publish")) as encoder:
        stream = await server.wait_live("live/cam")
        await server.engine.kick(stream.name, stream.client_id)
        await server.wait_gone("live/cam")
        await wait_until(lambda: not encoder.alive(), what="the publisher to notice")


async def test_whip_takes_an_offer_with_a_key(server: RunningServer) -> None:
    status, answer = await _whip(server, "app=live&stream=cam&secret=right")
    assert status == 201
    assert f" 127.0.0.1 {server.spec.webrtc} typ host" in answer
    (hook,) = server.hooks_of("publish", "live/cam")
    assert (hook.protocol, hook.secrets, hook.objection) == ("webrtc", ("right",), None)


async def test_whip_without_a_key_leaves_nothing_behind(server: RunningServer) -> None:
    status, _ = await _whip(server, "app=live&stream=cam&secret=wrong")
    assert status != 201
    assert server.hooks_of("publish", "live/cam")
    # SRS by itself keeps the session of a refused offer, and the name busy with it.
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")


async def test_the_older_webrtc_api_is_seen_for_what_it_is(server: RunningServer) -> None:
    call = {"sdp": offer("sendonly"), "streamurl": "rtmp://127.0.0.1/live/cam?secret=wrong"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{server.spec.http}/rtc/v1/publish/", json=call) as response,
    ):
        assert '"sdp"' not in await response.text()
    (hook,) = server.hooks_of("publish", "live/cam")
    assert hook.protocol == "webrtc"
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")


async def test_a_secret_behind_the_app_counts(server: RunningServer) -> None:
    with publisher(f"rtmp://127.0.0.1:{server.spec.rtmp}/live?secret=right/cam"):
        await server.wait_hook("publish", "live/cam")
    assert set(server.hooks[0].secrets) == {"right"}


async def test_a_name_with_a_dot_is_objected_to(server: RunningServer) -> None:
    with publisher(server.url("live/cam.1")):
        hook = await server.wait_hook("publish", "live/cam.1")
        assert hook.objection is not None


async def test_a_stream_that_srs_has_lost_is_disconnected_so_that_it_comes_back(
    server: RunningServer,
) -> None:
    """If this fails, SRS loses no stream any more, and `streamd.auditions` can go."""

    async def decide(_: HookRequest) -> bool:
        await asyncio.sleep(4)  # it forgets every 3 s
        return True

    server.decide = decide
    held = Auditions({server.spec.name: server.engine})
    try:
        with publisher(server.url("live/cam")):
            live = await server.wait_live("live/cam")
            with capture_logs() as logs:
                await held.begin(server.spec.name, "live/cam", live.client_id)
                await server.wait_hook("unpublish", "live/cam")
        assert [each["event"] for each in logs] == ["publisher.unplayable"]
    finally:
        await held.close()


async def test_a_player_who_waits_from_the_question_on_keeps_the_stream(
    srs_binary: Path, tmp_path: Path
) -> None:
    async with running_server(tmp_path, "srs", srs_binary, http=None, webrtc=None) as server:
        held = Auditions({server.spec.name: server.engine})

        async def decide(hook: HookRequest) -> bool:
            await held.begin(server.spec.name, "live/cam", hook.client_id)
            await asyncio.sleep(4)  # it forgets every 3 s
            return True

        server.decide = decide
        try:
            with publisher(server.url("live/cam")):
                await server.wait_live("live/cam")
                url = server.engine.input_url("live/cam")
                assert url.startswith("rtmp:")
                assert await asyncio.to_thread(decoded_frames, url, frames=5) == 5
        finally:
            await held.close()


@pytest.mark.parametrize("by", ["http-flv", "whep"])
async def test_a_player_by_another_protocol_is_seen_to_wait(server: RunningServer, by: str) -> None:
    outside = own_address()
    if outside is None:
        pytest.skip("NOT TESTED: this machine has no address but loopback")
    url = f"http://{outside}:{server.spec.http}"
    async with aiohttp.ClientSession() as session:
        if by == "whep":
            headers = {"Content-Type": "application/sdp"}
            where = f"{url}/rtc/v1/whep/?app=live&stream=cam"
            async with session.post(where, data=offer("recvonly"), headers=headers) as response:
                assert response.status == 201
        else:
            playing = asyncio.create_task(session.get(f"{url}/live/cam.flv"))

        async def is_seen() -> bool:
            return (await server.engine.streams()).waited == {"live/cam"}

        await wait_until(is_seen, what="the player to be seen")
        if by == "http-flv":
            playing.cancel()


async def test_with_more_players_than_can_be_told_apart_every_one_counts(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srs, "_LISTED_PLAYERS", 0)
    with _reader(f"rtmp://127.0.0.1:{server.spec.rtmp}/live/cam"):

        async def is_seen() -> bool:
            return (await server.engine.streams()).waited == {"live/cam"}

        await wait_until(is_seen, what="the player to be seen")


async def test_a_request_for_hls_is_not_seen(server: RunningServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{server.spec.http}/live/cam.m3u8") as response,
    ):
        assert response.status == 404
    assert await server.engine.streams() == Streams([], frozenset())


async def test_a_player_by_srt_waits_for_what_only_a_publisher_by_srt_can_give(
    server: RunningServer,
) -> None:
    outside = own_address() or "127.0.0.1"
    url = f"srt://{outside}:{server.spec.srt}?streamid=#!::r=live/cam,m=request"
    api = SrsApi(*api_endpoint(server.spec), SECRETS.api_password)
    try:
        with _reader(url):

            async def is_listed() -> bool:
                return [client["type"] for client in await api.clients()] == ["srt-play"]

            await wait_until(is_listed, what="the player to be listed")
            assert not (await server.engine.streams()).waited
    finally:
        await api.close()


async def test_http_flv_waits_for_a_publisher(server: RunningServer) -> None:
    url = server.engine.input_url("live/cam")
    assert url == f"http://127.0.0.1:{server.spec.http}/live/cam.flv"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.spec.http)
    try:
        writer.write(b"GET /live/cam.flv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with publisher(server.url("live/cam")):
            # Its first client was the player, whose name for it SRS keeps.
            assert (await server.wait_live("live/cam")).viewers == 0
            async with asyncio.timeout(30):
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
                await reader.readuntil(b"FLV")
    finally:
        writer.close()


async def test_http_flv_ends_with_the_publisher_and_rtmp_waits_for_the_next(
    server: RunningServer,
) -> None:
    rtmp = f"rtmp://127.0.0.1:{server.spec.rtmp}/live/cam"
    with publisher(server.url("live/cam")) as encoder:
        await server.wait_live("live/cam")
        with _reader(server.engine.input_url("live/cam")) as by_flv, _reader(rtmp) as by_rtmp:
            await wait_until(lambda: _reads(by_flv) and _reads(by_rtmp), what="both to read")
            encoder.kill()
            await wait_until(lambda: by_flv.poll() is not None, what="HTTP-FLV to end")
            with publisher(server.url("live/cam")):
                await server.wait_live("live/cam")
                assert by_rtmp.poll() is None


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/versions",
        "/api/v1/summaries",
        "/api/v1/streams/",
        "/api/v1/clients/",
        "/api/v1/raw?rpc=raw",
        "/api/v1/raw?rpc=reload",
        "//api/v1/streams/",
        "/x/../api/v1/streams/",
    ],
)
async def test_the_api_on_the_public_port_asks_for_the_password(
    server: RunningServer, path: str
) -> None:
    assert await _raw_status(server, "GET", path) == 401
    assert await _raw_status(server, "DELETE", path) == 401


@pytest.mark.parametrize(
    "path", ["/../srs.conf", "/..%2fsrs.conf", "/%2e%2e/srs.conf", "/srs.conf", "/srs.pid"]
)
async def test_only_media_is_served_from_the_disk(server: RunningServer, path: str) -> None:
    assert await _raw_status(server, "GET", path) in (0, 404)


async def test_without_webrtc_the_public_port_has_no_api(srs_binary: Path, tmp_path: Path) -> None:
    async with running_server(tmp_path, "srs", srs_binary, webrtc=None) as server:
        assert (await server.engine.probe()).keys() == {"rtmp", "http", "srt", "api"}
        assert await _raw_status(server, "GET", "/api/v1/streams/") in (401, 404)
        assert await _raw_status(server, "POST", "/rtc/v1/whip/?app=live&stream=cam") == 404


async def test_without_any_public_port_it_still_runs(srs_binary: Path, tmp_path: Path) -> None:
    closed = {"rtmp": None, "http": None, "webrtc": None}
    async with running_server(tmp_path, "srs", srs_binary, **closed) as server:
        assert await server.engine.probe() == {"srt": True, "api": True}
        with publisher(_srt(server, "live/cam", "right", "publish")):
            await server.wait_live("live/cam")
            url = server.engine.input_url("live/cam")
            assert await asyncio.to_thread(decoded_frames, url) == 15


async def test_a_reload_of_hls_keeps_the_publisher(server: RunningServer) -> None:
    playlist = server.directory / "www/live/cam.m3u8"
    with publisher(server.url("live/cam")):
        before = await server.wait_live("live/cam")
        await wait_until(lambda: playlist.exists() and "EXTINF:1." in playlist.read_text())
        async with _changed(server, hls_fragment_s=3.0):
            await wait_until(lambda: "EXTINF:3." in playlist.read_text(), what="longer segments")
        after = await server.wait_live("live/cam")
        assert after.client_id == before.client_id
        assert not server.hooks_of("unpublish", "live/cam")


async def test_a_reload_of_the_candidate_keeps_the_publisher(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        before = await server.wait_live("live/cam")
        async with _changed(server, webrtc_candidate="192.0.2.77"):
            _, answer = await _whip(server, "app=live&stream=other&secret=right")
            assert " 192.0.2.77 " in answer
        assert (await server.wait_live("live/cam")).client_id == before.client_id


async def test_a_file_that_srs_cannot_take_changes_nothing(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        before = await server.wait_live("live/cam")
        (server.directory / "srs.conf").write_text("listen 1935;\nno_such_directive on;\n")
        with pytest.raises(EngineError, match=r"keeps its old configuration.*no_such_directive"):
            await server.engine.reload()
        assert (await server.wait_live("live/cam")).client_id == before.client_id


async def test_a_file_that_srs_refuses_is_told_in_its_words(
    srs_binary: Path, tmp_path: Path
) -> None:
    class Misspelt(SrsEngine):
        def render(self) -> RenderedServer:
            good = super().render()
            files = {path: f"{text}\nno_such_directive on;\n" for path, text in good.files.items()}
            return replace(good, files=files)

    engine = Misspelt(server_spec("srs", srs_binary), tmp_path / "srs", SECRETS, 1000)
    with pytest.raises(EngineError, match=r"refuses its configuration: .*no_such_directive"):
        await engine.test()


async def test_a_foreign_password_is_told_apart_from_silence(server: RunningServer) -> None:
    stranger = replace(SECRETS, api_password="another")
    engine = make_engine(server.spec, directory=server.directory, secrets=stranger)
    try:
        with pytest.raises(EngineError, match="refuses the password"):
            await engine.streams()
    finally:
        await engine.close()


@asynccontextmanager
async def _changed(server: RunningServer, **changed: object) -> AsyncIterator[None]:
    """Reload the server with a changed spec."""
    spec = replace(server.spec, **changed)  # type: ignore[arg-type] # fields of the spec
    engine = make_engine(spec, directory=server.directory, secrets=SECRETS)
    try:
        await engine.test()
        await engine.write()
        await engine.reload()
        yield
    finally:
        await engine.close()


async def _whip(server: RunningServer, query: str) -> tuple[int, str]:
    """Offer to publish by WHIP (RFC 9725); status 0 when SRS closes without an answer."""
    url = f"http://127.0.0.1:{server.spec.http}/rtc/v1/whip/?{query}"
    headers = {"Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(url, data=offer("sendonly"), headers=headers) as response:
                return response.status, await response.text()
        except aiohttp.ServerDisconnectedError:
            return 0, ""


async def _raw_status(server: RunningServer, method: str, path: str) -> int:
    """Ask for a path exactly as it is written; 0 when SRS closes without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.spec.http)
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()
        )
        line = await reader.readline()
    finally:
        writer.close()
    return int(line.split()[1]) if line else 0


@contextmanager
def _reader(url: str) -> Iterator[subprocess.Popen[str]]:
    """Read a stream with FFmpeg as a target does, telling of its progress."""
    argv = ("ffmpeg", "-v", "quiet", "-nostdin", "-progress", "pipe:1", "-stats_period", "0.1")
    process = subprocess.Popen(
        (*argv, "-i", url, "-c", "copy", "-f", "null", "-"), stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _reads(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() != ""
