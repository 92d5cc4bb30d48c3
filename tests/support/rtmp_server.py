"""An RTMP server that does what a test tells it, right or wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from streamd.playout.amf import AmfValue
from streamd.playout.chunks import USER_CONTROL, ChunkReader, ChunkWriter, Message
from streamd.playout.commands import Command, command_of

_HANDSHAKE_SIZE = 1536
_STREAM_ID = 1


class Peer:
    """One client, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._incoming = ChunkReader()
        self._outgoing = ChunkWriter()
        self._messages: list[Message] = []

    async def handshake(self) -> None:
        """Shake hands in the simple way."""
        assert await self.reader.readexactly(1) == b"\3"
        hello = await self.reader.readexactly(_HANDSHAKE_SIZE)
        assert hello[4:8] == bytes(4), "the digest handshake is not what a client begins with"
        mine = bytes(range(256)) * (_HANDSHAKE_SIZE // 256)
        self.writer.write(b"\3" + mine + hello)
        assert await self.reader.readexactly(_HANDSHAKE_SIZE) == mine

    async def receive(self) -> Message | None:
        """Return the client's next message; None after the last."""
        while not self._messages:
            data = await self.reader.read(65_536)
            if not data:
                return None
            self._messages += self._incoming.feed(data)
        return self._messages.pop(0)

    async def expect(self, kind: int) -> Message:
        """Return the next message of a type, and pass over others."""
        while (message := await self.receive()) is not None:
            if message.kind == kind:
                return message
        raise AssertionError(f"no message of type {kind} came")

    async def command(self, name: str) -> Command:
        """Return the next command of a name, and pass over others."""
        while (message := await self.receive()) is not None:
            command = command_of(message)
            if command is not None and command.name == name:
                return command
        raise AssertionError(f"no {name} came")

    async def rest(self) -> list[Message]:
        """Return everything until the client says that nothing more comes."""
        found = []
        while (message := await self.receive()) is not None:
            found.append(message)
        return found

    def send(self, *messages: Message) -> None:
        """Send messages."""
        for message in messages:
            self.writer.write(self.chunks(message))

    def chunks(self, message: Message) -> bytes:
        """Return a message as it is sent."""
        return self._outgoing.write(message)

    def control(self, kind: int, value: int) -> None:
        """Send a control message of 4 bytes."""
        self.send(Message(kind, 0, 0, value.to_bytes(4)))

    def ping(self, value: int) -> None:
        """Ask for a sign of life."""
        self.send(Message(USER_CONTROL, 0, 0, bytes((0, 6)) + value.to_bytes(4)))

    def answer(self, to: Command, *values: AmfValue, name: str = "_result") -> None:
        """Answer a command."""
        self.send(Command(name, to.transaction, values).message(0))

    def status(self, code: str, *, level: str = "status", description: str = "") -> None:
        """Tell what happened to the stream."""
        info: dict[str, AmfValue] = {"level": level, "code": code, "description": description}
        self.send(Command("onStatus", 0.0, (None, info)).message(_STREAM_ID))

    async def create(self) -> Command:
        """Answer everything up to the stream that a client creates; return its `connect`."""
        await self.handshake()
        connect = await self.command("connect")
        self.answer(connect, {}, {"level": "status", "code": "NetConnection.Connect.Success"})
        self.answer(await self.command("createStream"), None, float(_STREAM_ID))
        return connect

    async def accept_publish(self) -> Command:
        """Let a client publish; return its `publish`."""
        await self.create()
        publish = await self.command("publish")
        self.status("NetStream.Publish.Start")
        return publish

    async def accept_play(self) -> Command:
        """Let a client play; return its `play`."""
        await self.create()
        play = await self.command("play")
        self.status("NetStream.Play.Reset")
        self.status("NetStream.Play.Start")
        return play


Script = Callable[[Peer], Awaitable[object]]


@contextlib.asynccontextmanager
async def scripted_server(script: Script) -> AsyncIterator[str]:
    """Serve one client by a script; the connection is closed where the script ends.

    Gives the address `rtmp://127.0.0.1:PORT` until the block ends; waits for the script then.
    """
    served = asyncio.Event()
    failures: list[Exception] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        try:
            await script(peer)
        except Exception as error:  # noqa: BLE001 - told to the test below
            failures.append(error)
        finally:
            writer.close()
            served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"rtmp://127.0.0.1:{port}"
        async with asyncio.timeout(30):
            await served.wait()
    finally:
        server.close()
    if failures:
        raise failures[0]
