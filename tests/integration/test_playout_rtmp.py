"""The RTMP client of the playout against the real media servers."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamd.machine import find_machine
from streamd.playout import connection
from streamd.playout.formats import AudioFormat, audio_format, video_format
from streamd.playout.rtmp import Play, Publish, RtmpError, open_play, open_publish
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from tests.support.engines import RunningServer, running_server
from tests.support.headers import AUDIO_HEADER, HEVC_HEADER, VIDEO_HEADER
from tests.support.media import decoded_frames, ffprobe, publisher

TIMEOUT_S = 20
APPS = ("live", "in/lot")


@pytest.fixture(
    params=[pytest.param("srs", marks=pytest.mark.srs), pytest.param("nginx-rtmp")],
)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningServer]:
    is_srs = request.param == "srs"
    if is_srs:
        binary = request.getfixturevalue("srs_binary")
    else:
        binary = find_machine().engines.get("nginx-rtmp")
        assert binary is not None, "the tests need nginx with its RTMP module"
    # With WebRTC, SRS decodes the sound and drops a publisher of what is none; with SRT it keeps
    # the last moments to itself, to put sound and picture in order.
    closed = {"webrtc": None, "webrtc_candidate": None, "srt": None}
    changed = closed if is_srs else {"apps": APPS}
    async with running_server(tmp_path, request.param, binary, **changed) as running:
        yield running


async def publishing(server: RunningServer, stream: str = "live/cam") -> Publish:
    return await open_publish(server.url(stream), timeout_s=TIMEOUT_S)


async def playing(server: RunningServer, stream: str = "live/cam") -> Play:
    return await open_play(f"rtmp://127.0.0.1:{server.spec.rtmp}/{stream}", timeout_s=TIMEOUT_S)


async def relay(play: Play, publish: Publish) -> None:
    async for tag in play:
        await publish.send(tag)


def pictures(first_ms: int, *sizes: int, mark: int = 0) -> list[Tag]:
    """Return a stream of keyframes, each of its own bytes, with sound beside them."""
    tags = [replace(header, timestamp_ms=first_ms) for header in (VIDEO_HEADER, AUDIO_HEADER)]
    for number, size in enumerate(sizes):
        time = first_ms + 40 * number
        unit = b"\x65\x88\x84" + bytes((mark, number)) + bytes(size)  # SRS reads that far
        body = b"\x17\1\0\0\0" + len(unit).to_bytes(4) + unit
        tags += [Tag(VIDEO, time, body), Tag(AUDIO, time, b"\xaf\1" + bytes((mark, number)))]
    return tags


def push(first_ms: int) -> list[Tag]:
    """Return what has SRS hand out what came before: it keeps the last 50 ms until more comes."""
    return pictures(first_ms, *[1] * 5, mark=0xFF)[2:]


async def send_all(publish: Publish, tags: list[Tag]) -> None:
    for tag in tags:
        await publish.send(tag)


async def until(play: Play, last: Tag) -> list[Tag]:
    """Return the tags up to the one with a body."""
    found: list[Tag] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for tag in play:
            found.append(tag)
            if tag.body == last.body:
                return found
    raise AssertionError(f"the play ended: {play.ended}")


async def test_a_relay_carries_real_media(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        async with await playing(server) as play, await publishing(server, "live/again") as publish:
            relaying = asyncio.create_task(relay(play, publish))
            address = f"rtmp://127.0.0.1:{server.spec.rtmp}/live/again"
            assert await asyncio.to_thread(decoded_frames, address, frames=30) == 30
            kinds = {found["codec_type"] for found in await asyncio.to_thread(ffprobe, address)}
            source, relayed = [await server.live(name) for name in ("live/cam", "live/again")]
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
    assert kinds == {"video", "audio"}
    assert source is not None
    assert relayed is not None
    assert (relayed.video, relayed.audio) == (source.video, source.audio)


async def test_what_real_encoders_send_is_understood(server: RunningServer) -> None:
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        tags: list[Tag] = []
        async with asyncio.timeout(TIMEOUT_S), await playing(server) as play:
            async for tag in play:
                tags.append(tag)
                if {DATA, VIDEO, AUDIO} <= {each.kind for each in tags} and tag.is_keyframe:
                    break
    (video,) = (each for tag in tags if (each := video_format(tag)))
    (audio,) = (found for tag in tags if (found := audio_format(tag)))
    assert (video.width, video.height, video.fps, video.interlaced) == (160, 120, 15.0, False)
    assert audio == AudioFormat(44_100, 1)
    assert all(tag.body.startswith(b"\2\0\nonMetaData") for tag in tags if tag.kind == DATA)


async def test_large_pictures_and_late_times_arrive_whole(server: RunningServer) -> None:
    late = 0xFFFFFF - 100
    sent = pictures(late, 100, 70_000, 200_000, 1_000_000, 30, 70_000, 20)
    async with await publishing(server) as publish:
        await send_all(publish, sent[:4])
        await server.wait_live("live/cam")
        async with await playing(server) as play:
            reading = asyncio.create_task(until(play, sent[-1]))
            await send_all(publish, [*sent[4:], *push(late + 1000)])
            found = [tag for tag in await reading if not tag.is_header][-len(sent[4:]) :]
    assert [tag.body for tag in found] == [tag.body for tag in sent[4:]]
    shift = found[0].timestamp_ms - sent[4].timestamp_ms
    assert [tag.timestamp_ms - shift for tag in found] == [tag.timestamp_ms for tag in sent[4:]]


async def test_an_app_of_two_parts_is_an_app(server: RunningServer) -> None:
    async with await publishing(server, "in/lot/cam") as publish:
        await publish.send(VIDEO_HEADER)
        await server.wait_live("in/lot/cam")
    await server.wait_gone("in/lot/cam")
    (hook,) = server.hooks_of("publish", "in/lot/cam")
    assert hook.secrets == ("right",)


async def test_a_wrong_secret_is_refused_and_not_shown(server: RunningServer) -> None:
    with pytest.raises(RtmpError) as refusal:
        await open_publish(server.url("live/cam", "wr0ng"), timeout_s=TIMEOUT_S)
    assert refusal.value.refused
    assert "wr0ng" not in str(refusal.value)


async def test_a_name_that_is_taken_is_refused(server: RunningServer) -> None:
    async with await publishing(server) as publish:
        await publish.send(VIDEO_HEADER)
        with pytest.raises(RtmpError) as refusal:
            await publishing(server)
        assert refusal.value.refused
        await server.wait_live("live/cam")


async def test_a_publisher_that_is_kicked_learns_it(server: RunningServer) -> None:
    async with await publishing(server) as publish:
        await publish.send(VIDEO_HEADER)
        stream = await server.wait_live("live/cam")
        await server.engine.kick("live/cam", stream.client_id)
        async with asyncio.timeout(TIMEOUT_S):
            assert await publish.wait_closed()
        with pytest.raises(RtmpError, match=f"127.0.0.1:{server.spec.rtmp}: "):
            await publish.send(VIDEO_HEADER)


async def test_a_server_that_ends_ends_both_ways(server: RunningServer) -> None:
    async with await publishing(server) as publish:
        await send_all(publish, pictures(0, 10))
        await server.wait_live("live/cam")
        async with await playing(server) as play, asyncio.timeout(TIMEOUT_S):
            assert server.process is not None
            server.process.kill()
            await server.process.wait()
            assert await publish.wait_closed()
            async for _ in play:
                pass
            assert play.ended
        with pytest.raises(RtmpError, match="nothing listens there"):
            await publishing(server)


async def test_a_server_that_hangs_holds_nobody(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STUCK_TIMEOUT_S", 0.5)
    assert server.process is not None
    async with await publishing(server) as publish:
        server.process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(RtmpError, match="too little"):
                await send_all(publish, pictures(0, *[200_000] * 250))
            with pytest.raises(RtmpError, match="no answer within"):
                await open_publish(server.url("live/other"), timeout_s=0.5)
        finally:
            server.process.send_signal(signal.SIGCONT)


async def test_the_last_that_was_sent_arrives_before_the_end(server: RunningServer) -> None:
    sent = pictures(0, *[50_000] * 40)
    publish = await publishing(server)
    await send_all(publish, sent[:4])
    await server.wait_live("live/cam")
    async with await playing(server) as play:
        reading = asyncio.create_task(until(play, sent[-1]))
        await send_all(publish, sent[4:])
        await publish.close()
        await reading


async def test_a_play_of_a_stream_that_is_not_there(server: RunningServer) -> None:
    if server.spec.engine == "nginx-rtmp":
        with pytest.raises(RtmpError) as refusal:
            await playing(server)
        assert (refusal.value.refused, refusal.value.absent) == (True, True)
        return
    async with await playing(server) as play, await publishing(server) as publish:
        sent = pictures(0, 10)
        await send_all(publish, [*sent, *push(1000)])
        assert [tag.body for tag in await until(play, sent[-1])] == [tag.body for tag in sent]


async def test_a_play_goes_on_with_the_next_publisher_or_ends(server: RunningServer) -> None:
    first, second = pictures(0, *[10] * 5, mark=1), pictures(0, *[10] * 5, mark=2)
    publish = await publishing(server)
    await send_all(publish, first[:4])
    await server.wait_live("live/cam")
    async with await playing(server) as play, asyncio.timeout(TIMEOUT_S):
        await send_all(publish, [*first[4:], *push(1000)])
        found = await until(play, first[-1])
        await publish.close()
        if server.spec.engine == "nginx-rtmp":
            found += [tag async for tag in play]
            assert found[-1].body == push(0)[-1].body
            assert play.ended == "the server closed the connection"
            return
        await server.wait_gone("live/cam")
        async with await publishing(server) as again:
            await send_all(again, [*second, *push(1000)])
            found += await until(play, second[-1])
    assert [tag.body for tag in found[-len(second) :]] == [tag.body for tag in second]
    times = [tag.timestamp_ms for tag in found]
    assert times == sorted(times)


# nginx-rtmp takes no H.265 for a picture that a player can begin at.
@pytest.mark.parametrize("server", [pytest.param("srs", marks=pytest.mark.srs)], indirect=True)
async def test_h265_goes_through_srs(server: RunningServer) -> None:
    picture = b"\x91hvc1\0\0\0" + (8).to_bytes(4) + b"\x26\x01\xaf\x08" + bytes(4)
    async with await publishing(server) as publish, await playing(server) as play:
        await publish.send(HEVC_HEADER)
        await send_all(publish, [Tag(VIDEO, 40 * number, picture) for number in range(10)])
        header, first = (await until(play, Tag(VIDEO, 0, picture)))[-2:]
    assert header.body == HEVC_HEADER.body
    assert header.is_header
    assert first.is_keyframe
