"""One RTMP connection as a client: what publishing and playing have in common.

Adobe's RTMP specification 1.0: the simple handshake, commands, and the control messages that are
answered here so that nobody else sees them.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from streamd.errors import StreamdError
from streamd.playout import amf
from streamd.playout.address import RtmpAddress
from streamd.playout.amf import AmfError, AmfValue
from streamd.playout.chunks import (
    ACKNOWLEDGEMENT,
    COMMAND,
    COMMAND_AMF3,
    PEER_BANDWIDTH,
    USER_CONTROL,
    WINDOW_SIZE,
    ChunkError,
    ChunkReader,
    ChunkWriter,
    Message,
)

STUCK_TIMEOUT_S = 10.0
"""How long a server may take nothing of what is sent."""

_VERSION = 3
_HANDSHAKE_SIZE = 1536
_CHUNK_SIZE = 65_536
_READ_SIZE = 262_144
_UNSENT_BYTES = 524_288
_CONTROL = (ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH)
_PING, _PONG = 6, 7
_LONGEST_DESCRIPTION = 200


class RtmpError(StreamdError):
    """A media server cannot be reached, refuses, or does not speak RTMP as it should.

    Attributes:
        refused: it answered, and said no; to ask for the same again helps only once something
            has changed there.
        absent: it has no such stream to play, now.
    """

    def __init__(self, message: str, *, refused: bool = False, absent: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.absent = absent


@dataclass(frozen=True, slots=True)
class Command:
    """A command of RTMP: an answer has the transaction of what it answers."""

    name: str
    transaction: float
    values: tuple[AmfValue, ...]

    @property
    def info(self) -> Mapping[str, AmfValue]:
        """What it says about itself: the last value that is an object, `{}` without one."""
        objects = (value for value in reversed(self.values) if isinstance(value, dict))
        return next(objects, {})

    @property
    def code(self) -> str:
        """What happened, such as `NetStream.Publish.Start`."""
        return str(self.info.get("code", ""))

    @property
    def is_error(self) -> bool:
        """Tell whether it refuses something."""
        return self.name == "_error" or self.info.get("level") == "error"


class Connection:
    """A connection on which `connect` was answered. One task may read it at a time.

    Attributes:
        address: where it leads to.
        ended: why it is over, in words; None while it is open.
    """

    def __init__(
        self, address: RtmpAddress, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.address = address
        self.ended: str | None = None
        self._reader = reader
        self._writer = writer
        self._incoming = ChunkReader()
        self._outgoing = ChunkWriter()
        self._messages: deque[Message] = deque()
        self._transactions = 0
        self._window = 0
        self._acknowledged = 0

    @classmethod
    async def open(cls, address: RtmpAddress) -> Self:
        """Connect to the app of an address. Waits for as long as the server does.

        Raises:
            RtmpError: the server cannot be reached, is no RTMP server, or refuses.
        """
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError as error:
            raise RtmpError(f"{address.place}: {_reason(error)}") from error
        connection = cls(address, reader, writer)
        try:
            writer.transport.set_write_buffer_limits(high=_UNSENT_BYTES)
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await connection._handshake()
            await connection._connect()
        except BaseException:
            await connection.abort()
            raise
        return connection

    async def _handshake(self) -> None:
        self._writer.write(bytes((_VERSION,)) + bytes(8) + os.urandom(_HANDSHAKE_SIZE - 8))
        try:
            (version,) = await self._reader.readexactly(1)
            if version != _VERSION:
                raise RtmpError(f"{self.address.place}: answers, but not as an RTMP server")
            self._writer.write(await self._reader.readexactly(_HANDSHAKE_SIZE))
            await self._reader.readexactly(_HANDSHAKE_SIZE)
        except (OSError, EOFError) as error:
            raise RtmpError(
                f"{self.address.place}: hung up before it said that it is an RTMP server"
            ) from error

    async def _connect(self) -> None:
        self._writer.write(self._outgoing.set_chunk_size(_CHUNK_SIZE))
        about: dict[str, AmfValue] = {
            "app": self.address.app,
            "type": "nonprivate",
            "flashVer": "FMLE/3.0 (compatible; streamd)",
            "tcUrl": self.address.tc_url,
            "fpad": False,
            "capabilities": 15.0,
            "audioCodecs": 4071.0,
            "videoCodecs": 252.0,
            "videoFunction": 1.0,
            "objectEncoding": 0.0,
        }
        await self.answer(self.command("connect", about))

    def command(self, name: str, *values: AmfValue, stream_id: int = 0) -> float:
        """Send a command, and return the transaction that its answer will have."""
        self._transactions += 1
        body = amf.encode(name, self._transactions, *values)
        self.write(Message(COMMAND, 0, stream_id, body))
        return self._transactions

    async def answer(self, transaction: float) -> Command:
        """Wait for the answer to a command; everything else that comes before it is passed over.

        Raises:
            RtmpError: it was refused, or the connection ended.
        """
        while True:
            command = await self.next_command()
            if command.transaction == transaction and command.name in ("_result", "_error"):
                if command.is_error:
                    raise self.refusal(command)
                return command

    async def next_command(self) -> Command:
        """Wait for the next command.

        Raises:
            RtmpError: the connection ended.
        """
        while True:
            message = await self.receive()
            if message is None:
                raise RtmpError(f"{self.address.place}: {self.ended}", refused=True)
            command = self.command_of(message)
            if command is not None:
                return command

    def refusal(self, command: Command) -> RtmpError:
        """Return what a command that refuses means, in words."""
        described = str(command.info.get("description") or "no reason given")
        plain = "".join(c if c.isprintable() else " " for c in described)[:_LONGEST_DESCRIPTION]
        code = f" ({command.code})" if command.code else ""
        said = self.address.without_secrets(f"{plain}{code}")
        absent = command.code.endswith(".StreamNotFound")
        return RtmpError(f"{self.address.place}: refuses: {said}", refused=True, absent=absent)

    def command_of(self, message: Message) -> Command | None:
        """Return the command that a message is, if it is one.

        Raises:
            RtmpError: it is a command that cannot be read.
        """
        if message.kind not in (COMMAND, COMMAND_AMF3):
            return None
        # In AMF3 a command is AMF0 behind a byte of its own.
        body = message.body[1:] if message.kind == COMMAND_AMF3 else message.body
        try:
            name, transaction, *values = amf.decode(body)
        except (AmfError, ValueError) as error:
            raise self.broken(error) from error
        if not isinstance(name, str) or not isinstance(transaction, float):
            return None
        return Command(name, transaction, tuple(values))

    async def receive(self) -> Message | None:
        """Wait for the next message that is not about the connection itself; None at its end.

        Nothing is lost where the wait is cancelled.

        Raises:
            RtmpError: what comes is no RTMP.
        """
        while not self._messages:
            if self.ended is not None:
                return None
            try:
                data = await self._reader.read(_READ_SIZE)
            except OSError as error:
                self._end(_reason(error))
                return None
            if not data:
                self._end("the server closed the connection")
                return None
            self._take(data)
        return self._messages.popleft()

    def _take(self, data: bytes) -> None:
        try:
            for message in self._incoming.feed(data):
                if message.kind in _CONTROL:
                    self._obey(message)
                else:
                    self._messages.append(message)
        except ChunkError as error:
            raise self.broken(error) from error
        unacknowledged = self._incoming.received - self._acknowledged
        if self._window and unacknowledged >= self._window // 2:
            self._acknowledged = self._incoming.received
            self._control(ACKNOWLEDGEMENT, self._acknowledged & 0xFFFFFFFF)

    def _obey(self, message: Message) -> None:
        body = message.body
        if message.kind == USER_CONTROL and int.from_bytes(body[:2]) == _PING:
            self.write(Message(USER_CONTROL, 0, 0, struct.pack(">H", _PONG) + body[2:6]))
        elif message.kind == WINDOW_SIZE:
            self._window = int.from_bytes(body[:4])
        elif message.kind == PEER_BANDWIDTH:
            self._control(WINDOW_SIZE, int.from_bytes(body[:4]))

    def _control(self, kind: int, value: int) -> None:
        self.write(Message(kind, 0, 0, value.to_bytes(4)))

    def broken(self, error: Exception) -> RtmpError:
        """End the connection because of what came, and return that as an error."""
        self._end(f"the server sends what is no RTMP: {error}")
        return RtmpError(f"{self.address.place}: {self.ended}")

    def write(self, message: Message) -> None:
        """Send a message, without waiting. Nothing happens where the connection is over."""
        if self.ended is None:
            self._writer.write(self._outgoing.write(message))

    async def drain(self) -> None:
        """Wait while more is unsent than is sane.

        Raises:
            RtmpError: the connection is over, or nothing was taken for `STUCK_TIMEOUT_S`.
        """
        if self.ended is None and self._unsent() > _UNSENT_BYTES:
            try:
                async with asyncio.timeout(STUCK_TIMEOUT_S):
                    await self._writer.drain()
            except TimeoutError:
                self._end(f"the server took nothing for {STUCK_TIMEOUT_S:g} s")
            except OSError as error:
                self._end(_reason(error))
        if self.ended is not None:
            raise RtmpError(f"{self.address.place}: {self.ended}")

    def _unsent(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def write_eof(self) -> None:
        """Say that nothing more will be sent."""
        if self.ended is None and not self._writer.is_closing():
            self._writer.write_eof()

    def _end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            self._writer.transport.abort()

    async def abort(self, reason: str = "closed") -> None:
        """Close it at once; what was not sent is dropped. More than once is harmless."""
        self._end(reason)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; is the media server running?"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "the server broke the connection off"
    return error.strerror or str(error)
