import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from streamd.playout import connection, rtmp
from streamd.playout.amf import AmfValue, encode
from streamd.playout.chunks import (
    ACKNOWLEDGEMENT,
    AGGREGATE,
    DATA_AMF3,
    LONGEST_MESSAGE,
    PEER_BANDWIDTH,
    USER_CONTROL,
    WINDOW_SIZE,
    Message,
)
from streamd.playout.commands import command_of
from streamd.playout.rtmp import Publish, RtmpError, open_play, open_publish
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from tests.support.flv import write_tag
from tests.support.ports import free_port
from tests.support.rtmp_server import Peer, scripted_server

TIMEOUT_S = 20
PING = bytes((0, 6, 0, 0, 0, 1))
METADATA = encode("onMetaData", {"width": 1280})

Open = Callable[..., Awaitable[object]]
either = pytest.mark.parametrize("opens", [open_publish, open_play])


async def refused(opens: Open, url: str) -> RtmpError:
    with pytest.raises(RtmpError) as refusal:
        await opens(url, timeout_s=TIMEOUT_S)
    return refusal.value


async def played(*messages: Message) -> list[Tag]:
    """Return what a player gets of messages, after which the server hangs up."""

    async def script(peer: Peer) -> None:
        await peer.accept_play()
        peer.send(*messages)

    async with (
        scripted_server(script) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        return [tag async for tag in play]


async def test_what_is_published_arrives_as_it_was_sent() -> None:
    arrived: list[Message] = []

    async def script(peer: Peer) -> None:
        await peer.accept_publish()
        arrived.extend(await peer.rest())

    tags = [
        Tag(DATA, 0, METADATA),
        Tag(VIDEO, 0, b"\x17\0"),
        Tag(AUDIO, 0x1000000, b"\xaf\1" + bytes(200)),
        Tag(VIDEO, 2**32 + 40, bytes(100_000)),
        Tag(DATA, 2**32 + 40, encode("onTextData", {"text": "hi"})),
    ]
    async with (
        scripted_server(script) as base,
        await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S) as publish,
    ):
        for tag in tags:
            await publish.send(tag)

    commands = [command.name for message in arrived if (command := command_of(message))]
    assert commands == ["FCUnpublish", "deleteStream"]
    assert [message for message in arrived if command_of(message) is None] == [
        Message(DATA, 0, 1, encode("@setDataFrame") + METADATA),
        Message(VIDEO, 0, 1, b"\x17\0"),
        Message(AUDIO, 0x1000000, 1, tags[2].body),
        Message(VIDEO, 40, 1, tags[3].body),
        Message(DATA, 40, 1, tags[4].body),
    ]


@either
async def test_the_secret_is_sent_with_the_name_only(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        connect = await peer.create()
        assert connect.values == ({**connect.info, "app": "in/lot", "tcUrl": f"{bases[0]}/in/lot"},)
        assert "s3cret" not in repr(connect)
        asked = await peer.command("publish" if opens is open_publish else "play")
        assert asked.values[:2] == (None, "cam?secret=s3cret")

    bases = []
    async with scripted_server(script) as base:
        bases.append(base)
        assert (await refused(opens, f"{base}/in/lot/cam?secret=s3cret")).refused


@either
async def test_a_refusal_is_told_in_the_servers_words_without_secrets(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        await peer.create()
        await peer.command("publish" if opens is open_publish else "play")
        words = "cam?secret=s3cret is\n" + "taken " * 100
        peer.status("NetStream.Failed", level="error", description=words)

    async with scripted_server(script) as base:
        refusal = await refused(opens, f"{base}/live/cam?secret=s3cret")

    place = base.removeprefix("rtmp://")
    assert str(refusal).startswith(f"{place}: the server refuses: cam?secret=*** is taken taken")
    assert len(str(refusal)) < 400
    assert (refusal.refused, refusal.absent) == (True, False)


@either
async def test_an_app_may_be_refused(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        await peer.handshake()
        connect = await peer.command("connect")
        info: AmfValue = {
            "level": "error",
            "code": "NetConnection.Connect.Rejected",
            "description": "no",
        }
        peer.answer(connect, None, info, name="_error")

    async with scripted_server(script) as base:
        refusal = await refused(opens, f"{base}/live/cam")
    assert "no (NetConnection.Connect.Rejected)" in str(refusal)
    assert refusal.refused


@either
async def test_to_hang_up_in_place_of_an_answer_is_to_refuse(opens: Open) -> None:
    async with scripted_server(Peer.create) as base:
        refusal = await refused(opens, f"{base}/live/cam")
    assert "in place of an answer to `p" in str(refusal)
    assert refusal.refused


async def test_a_refusal_of_what_does_not_matter_is_passed_over() -> None:
    async def script(peer: Peer) -> None:
        await peer.handshake()
        peer.answer(await peer.command("connect"), {}, {})
        info: AmfValue = {
            "level": "error",
            "code": "NetConnection.Call.Failed",
            "description": "unknown",
        }
        for name in ("releaseStream", "FCPublish"):
            peer.answer(await peer.command(name), None, info, name="_error")
        peer.answer(await peer.command("createStream"), None, 1.0)
        await peer.command("publish")
        peer.status("NetStream.Publish.Start")
        await peer.rest()

    async with scripted_server(script) as base:
        await (await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S)).close()


async def test_a_stream_that_is_not_there_is_told_from_other_refusals() -> None:
    async def script(peer: Peer) -> None:
        await peer.create()
        await peer.command("play")
        peer.status("NetStream.Play.StreamNotFound", level="error", description="No such stream")

    async with scripted_server(script) as base:
        assert (await refused(open_play, f"{base}/live/cam")).absent


@either
async def test_a_stream_without_a_number_is_refused(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        await peer.handshake()
        peer.answer(await peer.command("connect"), {}, {})
        peer.answer(await peer.command("createStream"), None, "one")

    async with scripted_server(script) as base:
        assert "no number" in str(await refused(opens, f"{base}/live/cam"))


@either
async def test_where_nothing_listens_it_says_so(opens: Open) -> None:
    port = free_port()
    refusal = await refused(opens, f"rtmp://127.0.0.1:{port}/live/cam")
    expected = f"127.0.0.1:{port}: nothing listens there; is the media server running?"
    assert (str(refusal), refusal.refused) == (expected, False)


@either
async def test_a_server_of_another_kind_is_told(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.reader.read()

    async with scripted_server(script) as base:
        assert "not as an RTMP server" in str(await refused(opens, f"{base}/live/cam"))


@either
async def test_a_server_that_hangs_up_at_once_is_told(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readexactly(1537)

    async with scripted_server(script) as base:
        assert "hung up before" in str(await refused(opens, f"{base}/live/cam"))


@either
async def test_a_server_that_says_nothing_is_given_up(opens: Open) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read()

    async with scripted_server(script) as base:
        with pytest.raises(RtmpError, match=r"no answer within 0\.3 s"):
            await opens(f"{base}/live/cam", timeout_s=0.3)


@either
async def test_an_address_that_is_none_is_refused(opens: Open) -> None:
    assert "not an address" in str(await refused(opens, "http://h/live/cam"))


async def test_a_server_learns_that_its_client_lives_and_how_much_it_took() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_play()
        peer.control(WINDOW_SIZE, 1000)
        peer.control(PEER_BANDWIDTH, 2_500_000)
        peer.ping(1234)
        assert (await peer.expect(WINDOW_SIZE)).body == (2_500_000).to_bytes(4)
        pong = await peer.expect(USER_CONTROL)
        assert pong.body == bytes((0, 7)) + (1234).to_bytes(4)
        peer.send(Message(VIDEO, 0, 1, bytes(5000)))
        taken = await peer.expect(ACKNOWLEDGEMENT)
        assert int.from_bytes(taken.body) > 500

    async with (
        scripted_server(script) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        assert [tag async for tag in play] == [Tag(VIDEO, 0, bytes(5000))]


async def test_a_server_that_takes_nothing_does_not_hold_its_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "STUCK_TIMEOUT_S", 0.3)
    given_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept_publish()
        await given_up.wait()

    async with (
        scripted_server(script) as base,
        await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S) as publish,
    ):
        with pytest.raises(RtmpError, match="too little for"):
            await _flood(publish)
        assert "too little" in await publish.wait_closed()
        given_up.set()


async def _flood(publish: Publish) -> None:
    while True:
        await publish.send(Tag(VIDEO, 0, bytes(1_000_000)))


async def test_a_server_that_asks_without_end_cannot_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "_MOST_UNSENT_BYTES", 100_000)
    given_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept_play()
        small = peer.writer.get_extra_info("socket")
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = b"".join(peer.chunks(Message(USER_CONTROL, 0, 0, PING)) for _ in range(1000))
        while not given_up.is_set():
            peer.writer.write(asked)
            await peer.writer.drain()

    async with (
        scripted_server(lambda peer: _until_broken(script(peer))) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        assert [tag async for tag in play] == []
        assert play.ended == "the server asks for more than it takes"
        given_up.set()


async def _until_broken(serving: Awaitable[None]) -> None:
    try:
        await serving
    except ConnectionError:
        return


async def test_a_stream_that_the_server_ends_says_why() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_publish()
        await peer.expect(VIDEO)
        peer.status("NetStream.Publish.Denied", level="error", description="over")

    async with (
        scripted_server(script) as base,
        await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S) as publish,
    ):
        await publish.send(Tag(VIDEO, 0, b"x"))
        assert await publish.wait_closed() == (
            "the server refuses: over (NetStream.Publish.Denied)"
        )
        with pytest.raises(RtmpError, match="over"):
            await publish.send(Tag(VIDEO, 0, b"x"))


async def test_a_publish_learns_that_the_server_hung_up() -> None:
    async with (
        scripted_server(Peer.accept_publish) as base,
        await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S) as publish,
    ):
        assert await publish.wait_closed() == "the server closed the connection"


async def test_a_publish_ends_where_the_server_sends_no_rtmp() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_publish()
        await peer.expect(VIDEO)
        peer.writer.write(b"\xff" * 100)
        await peer.reader.read()

    async with (
        scripted_server(script) as base,
        await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S) as publish,
    ):
        await publish.send(Tag(VIDEO, 0, b"x"))
        assert "no RTMP" in await publish.wait_closed()


async def test_closing_does_not_wait_for_a_server_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rtmp, "CLOSE_TIMEOUT_S", 0.3)
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept_publish()
        await closed.wait()

    async with scripted_server(script) as base:
        publish = await open_publish(f"{base}/live/cam", timeout_s=TIMEOUT_S)
        await publish.close()
        await publish.close()
        assert await publish.wait_closed() == "closed"
        with pytest.raises(RtmpError, match="closed"):
            await publish.send(Tag(VIDEO, 0, b"x"))
        closed.set()


async def test_metadata_has_the_form_and_the_time_of_the_media_around_it() -> None:
    tags = await played(
        Message(DATA, 0, 1, encode("|RtmpSampleAccess", True, True)),
        Message(DATA, 0, 1, encode("@setDataFrame") + METADATA),
        Message(VIDEO, 5000, 1, b"\x17\0"),
        Message(DATA_AMF3, 0, 1, b"\0" + METADATA),
        Message(AUDIO, 5001, 1, b"\xaf\0"),
    )
    assert tags == [
        Tag(DATA, 5000, METADATA),
        Tag(VIDEO, 5000, b"\x17\0"),
        Tag(DATA, 5000, METADATA),
        Tag(AUDIO, 5001, b"\xaf\0"),
    ]


async def test_times_go_on_where_32_bits_end() -> None:
    times = [2**32 - 40, 2**32 - 10, 5, 2**32 - 1, 30]
    tags = await played(*(Message(AUDIO, time, 1, b"x") for time in times))
    assert [tag.timestamp_ms - 2**32 for tag in tags] == [-40, -10, 5, -1, 30]


async def test_an_aggregate_is_its_parts() -> None:
    inner = [Tag(VIDEO, 100, b"v"), Tag(AUDIO, 90, b"a"), Tag(VIDEO, 140, b"w")]
    tags = await played(Message(AGGREGATE, 5000, 1, b"".join(map(write_tag, inner))))
    assert tags == [Tag(VIDEO, 5000, b"v"), Tag(AUDIO, 4990, b"a"), Tag(VIDEO, 5040, b"w")]


@pytest.mark.parametrize(
    "message",
    [
        Message(AGGREGATE, 0, 1, write_tag(Tag(VIDEO, 0, b"v"))[:-5]),
        Message(AGGREGATE, 0, 1, b"\x63" * 20),
        Message(20, 0, 1, b"\x02\xff"),
    ],
)
async def test_what_cannot_be_read_ends_the_play(message: Message) -> None:
    with pytest.raises(RtmpError, match="no RTMP"):
        await played(message)


async def test_a_message_without_an_end_is_not_collected() -> None:
    begin = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept_play()
        await begin.wait()
        header = bytes.fromhex("06000000") + (LONGEST_MESSAGE + 1).to_bytes(3)
        peer.writer.write(header + bytes.fromhex("0901000000"))
        await peer.reader.read()

    async with (
        scripted_server(lambda peer: _until_broken(script(peer))) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        begin.set()
        with pytest.raises(RtmpError, match="longer than"):
            await anext(play)


@pytest.mark.parametrize(
    ("code", "level", "expected"),
    [
        ("NetStream.Play.UnpublishNotify", "status", "the publisher left"),
        ("NetStream.Play.Stop", "status", "the publisher left"),
        ("NetStream.Play.Failed", "error", "the server refuses: gone (NetStream.Play.Failed)"),
    ],
)
async def test_a_play_that_the_server_ends_says_why(code: str, level: str, expected: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept_play()
        peer.send(Message(VIDEO, 0, 1, b"x"))
        peer.status(code, level=level, description="gone")
        await peer.rest()

    async with (
        scripted_server(lambda peer: _until_broken(script(peer))) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        assert play.ended is None
        assert [tag async for tag in play] == [Tag(VIDEO, 0, b"x")]
        assert play.ended == expected


async def test_a_connection_that_breaks_off_ends_the_play() -> None:
    begin = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept_play()
        await begin.wait()
        at_once = struct.pack("ii", 1, 0)
        broken = peer.writer.get_extra_info("socket")
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        peer.writer.transport.abort()

    async with (
        scripted_server(script) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        begin.set()
        assert [tag async for tag in play] == []
        assert play.ended == "the server broke the connection off"


async def test_nothing_is_lost_where_a_wait_is_given_up() -> None:
    begin = asyncio.Event()
    message = Message(VIDEO, 0, 1, bytes(300))

    async def script(peer: Peer) -> None:
        await peer.accept_play()
        data = peer.chunks(message)
        peer.writer.write(data[:200])
        await begin.wait()
        peer.writer.write(data[200:])

    async with (
        scripted_server(script) as base,
        await open_play(f"{base}/live/cam", timeout_s=TIMEOUT_S) as play,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(play), 0.2)
        begin.set()
        assert [tag async for tag in play] == [Tag(VIDEO, 0, message.body)]
