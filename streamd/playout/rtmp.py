"""Publishes and plays one stream on a media server, as an RTMP client.

Tags are as in FLV: metadata begins with `onMetaData` in both directions, and times do not start
again after 32 bits.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from streamd.playout.address import RtmpAddress
from streamd.playout.amf import encode
from streamd.playout.chunks import AGGREGATE, DATA_AMF3, Message
from streamd.playout.commands import Command
from streamd.playout.connection import Connection, RtmpError
from streamd.playout.flv import FlvError, tag_at, unwrapped
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag

__all__ = ["Play", "Publish", "RtmpError", "open_play", "open_publish"]

CLOSE_TIMEOUT_S = 2.0
"""How long a server may take to say good bye."""

_ANY_START = -2.0
_SET_DATA_FRAME = encode("@setDataFrame")
_METADATA = encode("onMetaData")
_SAMPLE_ACCESS = encode("|RtmpSampleAccess")
_TAG_ENVELOPE = 11 + 4
_MOST_HELD = 8
_PLAY_ENDS = (
    "NetStream.Play.UnpublishNotify",
    "NetStream.Play.Stop",
    "NetStream.Play.Complete",
)


async def open_publish(url: str, *, timeout_s: float) -> "Publish":
    """Begin to publish to an address.

    Raises:
        RtmpError: it cannot be, in the server's words; within `timeout_s` in any case.
    """
    async with _opening(url, timeout_s) as connection:
        name = connection.address.stream
        connection.command("releaseStream", None, name)
        connection.command("FCPublish", None, name)
        stream_id = await _created_stream(connection)
        started = "NetStream.Publish.Start"
        await connection.ask("publish", None, name, "live", stream_id=stream_id, status=started)
        return Publish(connection, stream_id)


async def open_play(url: str, *, timeout_s: float) -> "Play":
    """Begin to play an address. Some servers wait for a publisher then, and some refuse.

    Raises:
        RtmpError: it cannot be, in the server's words; within `timeout_s` in any case.
    """
    async with _opening(url, timeout_s) as connection:
        stream_id = await _created_stream(connection)
        name, started = connection.address.stream, "NetStream.Play.Start"
        await connection.ask("play", None, name, _ANY_START, stream_id=stream_id, status=started)
        return Play(connection, stream_id)


@contextlib.asynccontextmanager
async def _opening(url: str, timeout_s: float) -> AsyncIterator[Connection]:
    """Give a connection that is closed again if the block fails."""
    try:
        address = RtmpAddress.parse(url)
    except ValueError as error:
        raise RtmpError(str(error)) from error
    try:
        async with asyncio.timeout(timeout_s):
            connection = await Connection.open(address)
            try:
                yield connection
            except BaseException:
                await connection.abort()
                raise
    except TimeoutError as error:
        raise RtmpError(f"{address.place}: gave no answer within {timeout_s:g} s") from error


async def _created_stream(connection: Connection) -> int:
    answer = await connection.ask("createStream", None)
    number = answer.values[-1] if answer.values else None
    if not isinstance(number, float) or not 0 <= number <= 0xFFFFFFFF:
        raise RtmpError(f"{connection.address.place}: gives no number to a new stream")
    return int(number)


class Publish:
    """A stream that is published, until it is closed or the server ends it."""

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._watching = asyncio.create_task(self._watch(), name="rtmp publish")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def send(self, tag: Tag) -> None:
        """Send a tag, and wait while the server takes less than it is sent.

        Raises:
            RtmpError: the server ended the stream, or took too little for 10 s.
        """
        body = tag.body
        if tag.kind == DATA and body.startswith(_METADATA):
            body = _SET_DATA_FRAME + body
        self._connection.write(Message(tag.kind, tag.timestamp_ms, self._stream_id, body))
        if self._connection.is_lost:
            await self.wait_closed()
        await self._connection.drain()

    async def wait_closed(self) -> str:
        """Wait until it is over, and return why, in the server's words where it has any."""
        return await asyncio.shield(self._watching)

    async def _watch(self) -> str:
        connection = self._connection
        try:
            while (message := await connection.receive()) is not None:
                command = connection.command_of(message)
                if command is not None and command.is_error:
                    await connection.abort(connection.said(command))
        except RtmpError:
            await connection.abort()
        return connection.ended or "closed"

    async def close(self) -> None:
        """Unpublish, and wait at most 2 s until the server took what was sent."""
        connection = self._connection
        connection.command("FCUnpublish", None, connection.address.stream)
        connection.command("deleteStream", None, float(self._stream_id))
        try:
            connection.write_eof()
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.shield(self._watching)
        except TimeoutError:
            pass
        finally:
            await connection.abort()
            await self._watching


class Play:
    """The tags of a stream that is played, as they come.

    The iteration ends when the server ends the stream or the connection; `ended` says why then.
    Where the server keeps players while publishers change it goes on with the next one.
    """

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self._tags: deque[Tag] = deque()
        self._held: list[bytes] = []
        self._last_ms: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Tag:
        """Wait for the next tag. Nothing is lost where the wait is cancelled.

        Raises:
            RtmpError: what comes is no RTMP.
            StopAsyncIteration: the stream or the connection ended.
        """
        while not self._tags:
            message = await self._connection.receive()
            if message is None:
                raise StopAsyncIteration
            self._tags += self._tags_of(message)
            command = self._connection.command_of(message)
            if command is not None:
                await self._obey(command)
        return self._tags.popleft()

    @property
    def ended(self) -> str | None:
        """Why it is over, in the server's words; None while it is not."""
        return self._connection.ended

    async def _obey(self, command: Command) -> None:
        if command.is_error:
            await self._connection.abort(self._connection.said(command))
        elif command.code in _PLAY_ENDS:
            await self._connection.abort("the publisher left")

    def _tags_of(self, message: Message) -> list[Tag]:
        kind, body = message.kind, message.body
        if kind in (AUDIO, VIDEO):
            return self._media(kind, message.timestamp_ms, body)
        if kind == AGGREGATE:
            return self._parts(message)
        if kind in (DATA, DATA_AMF3):
            # In AMF3 data is AMF0 behind a byte of its own.
            return self._data(body[kind == DATA_AMF3 :].removeprefix(_SET_DATA_FRAME))
        return []

    def _media(self, kind: int, timestamp_ms: int, body: bytes) -> list[Tag]:
        near = timestamp_ms if self._last_ms is None else self._last_ms
        self._last_ms = unwrapped(timestamp_ms, near)
        held = [Tag(DATA, self._last_ms, each) for each in self._held]
        self._held = []
        return [*held, Tag(kind, self._last_ms, body)]

    def _data(self, body: bytes) -> list[Tag]:
        """Give data the time of the media around it: servers send metadata with the time 0."""
        if body.startswith(_SAMPLE_ACCESS):
            return []
        if self._last_ms is None:
            self._held = [*self._held, body][-_MOST_HELD:]
            return []
        return [Tag(DATA, self._last_ms, body)]

    def _parts(self, message: Message) -> list[Tag]:
        """Take an aggregate apart: FLV tags, whose times differ from its own by a constant."""
        tags: list[Tag] = []
        position = 0
        try:
            while (part := tag_at(message.body, position)) is not None:
                if not tags:
                    offset = message.timestamp_ms - part.timestamp_ms
                again = Message(part.kind, part.timestamp_ms + offset, 0, part.body)
                tags += self._tags_of(again)
                position += _TAG_ENVELOPE + len(part.body)
            if position < len(message.body):
                raise FlvError("an aggregate that is cut off")
        except FlvError as error:
            raise self._connection.broken(error) from error
        return tags

    async def close(self) -> None:
        """Stop playing."""
        self._connection.command("deleteStream", None, float(self._stream_id))
        await self._connection.abort()
