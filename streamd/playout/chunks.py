"""RTMP's chunk stream: bytes to messages and messages to bytes. Pure.

Adobe's RTMP specification 1.0, chapter 5.3.
"""

import struct
from dataclasses import dataclass, field

from streamd.playout.tags import AUDIO, DATA, VIDEO

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = range(1, 7)
DATA_AMF3, COMMAND_AMF3, COMMAND, AGGREGATE = 15, 17, 20, 22
"""The types of messages that are not media (those are in `tags`)."""

LONGEST_MESSAGE = 8 << 20
"""Bytes. Longer is no picture that anybody sends, but a peer that is broken."""

_FIRST_CHUNK_SIZE = 128
_EXTENDED = 0xFFFFFF
_ALL_TIME = 0xFFFFFFFF
_HEADER_SIZES = (11, 7, 3, 0)
_ABSOLUTE, _SAME_STREAM, _SAME_MESSAGE, _CONTINUED = range(4)

# Which chunk stream carries what; control belongs on 2 and the others are by custom.
_CHUNK_STREAMS = {COMMAND: 3, AUDIO: 4, DATA: 5, VIDEO: 6}
_CONTROL_CHUNK_STREAM = 2


class ChunkError(ValueError):
    """The peer sends what is no RTMP, or more of it than is sane."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of RTMP.

    Attributes:
        kind: its type.
        timestamp_ms: milliseconds, of 32 bits: after 2**32 it starts again at 0.
        stream_id: the message stream; 0 is the connection itself.
        body: its payload.
    """

    kind: int
    timestamp_ms: int
    stream_id: int
    body: bytes = field(repr=False)


class _Channel:
    """What a chunk stream remembers from chunk to chunk."""

    __slots__ = ("extended", "field", "kind", "length", "parts", "stream_id", "timestamp")

    def __init__(self) -> None:
        self.timestamp = 0
        self.field = 0  # the timestamp or the difference that the last header held
        self.extended = False
        self.length = 0
        self.kind = 0
        self.stream_id = 0
        self.parts = bytearray()


class ChunkReader:
    """Puts messages together from what a peer sends, however it is split.

    Attributes:
        received: bytes that were fed.
    """

    def __init__(self) -> None:
        self.received = 0
        self._buffer = bytearray()
        self._channels: dict[int, _Channel] = {}
        self._chunk_size = _FIRST_CHUNK_SIZE
        self._unfinished = 0

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that end in `data`; chunk sizes and aborts are obeyed at once.

        Raises:
            ChunkError: this is no RTMP, or a message longer than `LONGEST_MESSAGE`; the reader
                cannot go on.
        """
        self.received += len(data)
        self._buffer += data
        messages: list[Message] = []
        position = 0
        while (end := self._chunk(position, messages)) is not None:
            position = end
        del self._buffer[:position]
        return messages

    def _chunk(self, at: int, messages: list[Message]) -> int | None:
        """Take the chunk at a position, and return where it ends; None where it is not whole."""
        buffer = self._buffer
        if at >= len(buffer):
            return None
        form, number = buffer[at] >> 6, buffer[at] & 0x3F
        after_number = at + (1, 2, 3)[number + 1 if number < 2 else 0]
        after_header = after_number + _HEADER_SIZES[form]
        if after_header > len(buffer):
            return None
        if number < 2:
            number = 64 + int.from_bytes(buffer[at + 1 : after_number], "little")
        channel = self._channel(number, form)
        extended, length = channel.extended, channel.length
        if form != _CONTINUED:
            extended = int.from_bytes(buffer[after_number : after_number + 3]) == _EXTENDED
        if form < _SAME_MESSAGE:
            length = int.from_bytes(buffer[after_number + 3 : after_number + 6])
        payload_at = after_header + (4 if extended else 0)
        payload_end = payload_at + min(self._chunk_size, length - len(channel.parts))
        self._check_length(length, channel)
        if payload_end > len(buffer):
            return None
        header = bytes(buffer[after_number:payload_at])
        self._begin(channel, form, header, extended=extended)
        self._append(channel, buffer[payload_at:payload_end], messages)
        return payload_end

    def _channel(self, number: int, form: int) -> _Channel:
        channel = self._channels.get(number)
        if channel is None:
            # Servers begin a chunk stream with the second form too, which lacks only the stream.
            if form > _SAME_STREAM:
                raise ChunkError(f"chunk stream {number} begins in the middle")
            return self._channels.setdefault(number, _Channel())
        if channel.parts and form != _CONTINUED:
            raise ChunkError(f"a message begins within another on chunk stream {number}")
        return channel

    def _check_length(self, length: int, channel: _Channel) -> None:
        unfinished = self._unfinished - len(channel.parts) + length
        if unfinished > LONGEST_MESSAGE:
            raise ChunkError(f"a message of {unfinished} bytes is longer than {LONGEST_MESSAGE}")

    def _begin(self, channel: _Channel, form: int, header: bytes, *, extended: bool) -> None:
        if channel.parts:
            return
        if form != _CONTINUED:
            channel.extended = extended
            channel.field = int.from_bytes(header[-4:] if extended else header[:3])
        if form < _SAME_MESSAGE:
            channel.length = int.from_bytes(header[3:6])
            channel.kind = header[6]
        if form == _ABSOLUTE:
            channel.stream_id = int.from_bytes(header[7:11], "little")
            channel.timestamp = channel.field
        else:
            channel.timestamp = (channel.timestamp + channel.field) & _ALL_TIME

    def _append(self, channel: _Channel, payload: bytearray, messages: list[Message]) -> None:
        channel.parts += payload
        self._unfinished += len(payload)
        if len(channel.parts) < channel.length:
            return
        body = bytes(channel.parts)
        self._forget(channel)
        if channel.kind == SET_CHUNK_SIZE:
            self._chunk_size = _number(body) & 0x7FFFFFFF
            if not self._chunk_size:
                raise ChunkError("a chunk size of 0")
        elif channel.kind == ABORT:
            aborted = self._channels.get(_number(body))
            if aborted is not None:
                self._forget(aborted)
        else:
            messages.append(Message(channel.kind, channel.timestamp, channel.stream_id, body))

    def _forget(self, channel: _Channel) -> None:
        self._unfinished -= len(channel.parts)
        channel.parts = bytearray()


def _number(body: bytes) -> int:
    if len(body) != 4:
        raise ChunkError(f"a control message of {len(body)} bytes")
    return int.from_bytes(body)


class ChunkWriter:
    """Cuts messages into chunks, each message with a whole header."""

    def __init__(self) -> None:
        self._chunk_size = _FIRST_CHUNK_SIZE

    def set_chunk_size(self, size: int) -> bytes:
        """Return the message that announces larger chunks, and use them from there on."""
        announced = self.write(Message(SET_CHUNK_SIZE, 0, 0, size.to_bytes(4)))
        self._chunk_size = size
        return announced

    def write(self, message: Message) -> bytes:
        """Return a message as bytes. Times from 2**24 ms on get the extended field."""
        number = _CHUNK_STREAMS.get(message.kind, _CONTROL_CHUNK_STREAM)
        timestamp = message.timestamp_ms & _ALL_TIME
        body = message.body
        header = struct.pack(
            ">BHBHBB",
            number,
            *divmod(min(timestamp, _EXTENDED), 1 << 8),
            *divmod(len(body), 1 << 8),
            message.kind,
        ) + struct.pack("<I", message.stream_id)
        extension = timestamp.to_bytes(4) if timestamp >= _EXTENDED else b""
        size = self._chunk_size
        if len(body) <= size:
            return header + extension + body
        between = bytes((_CONTINUED << 6 | number,)) + extension
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        return header + extension + between.join(pieces)
