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
from typing import Self

from streamd.errors import StreamdError
from streamd.playout.address import RtmpAddress
from streamd.playout.amf import AmfError, AmfValue
from streamd.playout.chunks import (
    ACKNOWLEDGEMENT,
    LONGEST_MESSAGE,
    PEER_BANDWIDTH,
    USER_CONTROL,
    WINDOW_SIZE,
    ChunkError,
    ChunkReader,
    ChunkWriter,
    Message,
)
from streamd.playout.commands import Command, command_of

STUCK_TIMEOUT_S = 10.0
"""How long a server may take less than it is sent."""

_VERSION = 3
_HANDSHAKE_SIZE = 1536
_CHUNK_SIZE = 65_536
_READ_SIZE = 262_144
_UNSENT_BYTES = 524_288
_MOST_UNSENT_BYTES = 2 * LONGEST_MESSAGE
_CONTROL = (ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH)
_PING, _PONG = 6, 7
_LONGEST_SAID = 300


class RtmpError(StreamdError):
    """A media server cannot be reached, refuses, or does not speak RTMP as it should.

    Attributes:
        refused: it answered, and said no; to ask for the same again helps only once something
            has changed there.
        absent: it has no such stream to play, now.
        unanswered: the command that it hung up at without a word; None where it said something.
    """

    def __init__(
        self,
        message: str,
        *,
        refused: bool = False,
        absent: bool = False,
        unanswered: str | None = None,
    ) -> None:
        super().__init__(message)
        self.refused = refused
        self.absent = absent
        self.unanswered = unanswered


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
        self._socket: socket.socket = writer.get_extra_info("socket")
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
            await connection._handshake()
            await connection._connect()
        except BaseException:
            await connection.abort()
            raise
        return connection

    async def _handshake(self) -> None:
        self._writer.write(bytes((_VERSION,)) + bytes(8) + os.urandom(_HANDSHAKE_SIZE - 8))
        try:
            self._acknowledge_soon()
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
        await self.ask("connect", about)

    def command(self, name: str, *values: AmfValue, stream_id: int = 0) -> float:
        """Send a command, and return its transaction, without waiting for an answer."""
        self._transactions += 1
        self.write(Command(name, self._transactions, values).message(stream_id))
        return self._transactions

    async def ask(
        self, name: str, *values: AmfValue, stream_id: int = 0, status: str | None = None
    ) -> Command:
        """Send a command and wait for its answer; what else comes before is passed over.

        Args:
            name: the command.
            values: what stands in it after the transaction.
            stream_id: the message stream that it is about.
            status: the code of the `onStatus` that is its answer; None: a `_result`.

        Raises:
            RtmpError: it was refused, in the server's words where it has any.
        """
        transaction = self.command(name, *values, stream_id=stream_id)
        while (message := await self.receive()) is not None:
            command = self.command_of(message)
            if command is None:
                continue
            is_ours = command.transaction == transaction
            if command.name == "onStatus" or (is_ours and command.name == "_error"):
                if command.is_error:
                    raise self._refused(self.said(command), absent=command.says_absent)
                if status is not None and command.code == status:
                    return command
            elif is_ours and command.name == "_result" and status is None:
                return command
        silence = f"{self.ended} in place of an answer to `{name}`"
        raise self._refused(f"{silence}, which is how many a server refuses", unanswered=name)

    def _refused(
        self, reason: str, *, absent: bool = False, unanswered: str | None = None
    ) -> RtmpError:
        message = f"{self.address.place}: {reason}"
        return RtmpError(message, refused=True, absent=absent, unanswered=unanswered)

    def said(self, command: Command) -> str:
        """Return what a command that refuses says, without secrets, for people."""
        said = self.address.without_secrets(f"the server refuses: {command.description}")
        return "".join(c if c.isprintable() else " " for c in said)[:_LONGEST_SAID]

    def command_of(self, message: Message) -> Command | None:
        """Return the command that a message is; None for a message of another type.

        Raises:
            RtmpError: it is a command that cannot be read.
        """
        try:
            return command_of(message)
        except AmfError as error:
            raise self.broken(error) from error

    async def receive(self) -> Message | None:
        """Wait for the next message that is not about the connection itself; None at its end.

        Nothing is lost where the wait is cancelled.

        Raises:
            RtmpError: what comes is no RTMP.
        """
        while not self._messages:
            if self.ended is not None:
                return None
            self._acknowledge_soon()
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

    def _acknowledge_soon(self) -> None:
        """Have the kernel acknowledge what came, once.

        Servers send their answers in small pieces, each of which waits until the one before is
        acknowledged, and a kernel takes 40 ms over that by default.
        """
        with contextlib.suppress(OSError):  # it may be closed already
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

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
            if self._unsent() > _MOST_UNSENT_BYTES:
                self._end("the server asks for more than it takes")

    @property
    def is_lost(self) -> bool:
        """Tell whether nothing can be sent any more; what the server sent last may be unread."""
        return self._writer.is_closing()

    async def drain(self) -> None:
        """Wait while more is unsent than is sane.

        Raises:
            RtmpError: the connection is over, or that took longer than `STUCK_TIMEOUT_S`.
        """
        if self.ended is None and self._unsent() > _UNSENT_BYTES:
            try:
                async with asyncio.timeout(STUCK_TIMEOUT_S):
                    await self._writer.drain()
            except TimeoutError:
                self._end(f"the server has taken too little for {STUCK_TIMEOUT_S:g} s")
            except OSError as error:
                self._end(_reason(error))
        if self.ended is not None:
            raise RtmpError(f"{self.address.place}: {self.ended}")

    def _unsent(self) -> int:
        return self._writer.transport.get_write_buffer_size()

    def write_eof(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):  # the server may have closed it just now
            if self.ended is None and not self.is_lost:
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
