"""The seam to a media server: what streamd asks of every engine."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ServerSecrets:
    """What streamd and a server share: the unguessable hook path and the API's password."""

    hook_path: str = field(repr=False)
    api_password: str = field(repr=False)

    @property
    def publish_secret(self) -> str:
        """What streamd's own processes publish with: drawn from the hook path, as secret."""
        return hashlib.sha256(f"publish {self.hook_path}".encode()).hexdigest()

    @property
    def texts(self) -> frozenset[str]:
        """Everything that must never be shown."""
        return frozenset({self.hook_path, self.api_password, self.publish_secret})


@dataclass(frozen=True, slots=True)
class RenderedServer:
    """A server's files and how it is started from them.

    `files` maps absolute paths to text, written 0600; `directories` are made first, 0700.
    `names_in_log` are regular expressions whose first group is a stream's name as a client sent
    it, in lines of the server's log: it may hold a secret, or nearly one.
    """

    files: Mapping[Path, str] = field(repr=False)
    directories: tuple[Path, ...]
    argv: tuple[str, ...]
    names_in_log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Player:
    """Somebody who plays a stream: the server's id of the connection, the IP address, and how."""

    client_id: str
    address: str
    protocol: str


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One stream that a server says is being published now.

    Attributes:
        name: `app/stream` as the server knows it.
        client_id: the publisher's connection.
        bytes_in: received so far, counted every `MediaEngine.counter_s`; a freeze is when it
            stops advancing.
        kbps: received over about the last 10 s, kilobits per second; 0 until it is known.
        viewers: players, without those on this machine, which streamd's own FFmpegs are. Who
            watches by HLS is not counted.
        video, audio: as `H264 High 1280x720` and `AAC LC 44100`; None without.
        players: each of the viewers; None where they are too many to be told apart.
    """

    name: str = field(repr=False)
    client_id: str
    bytes_in: int
    kbps: int
    viewers: int
    video: str | None = None
    audio: str | None = None
    players: tuple[Player, ...] | None = ()


@dataclass(frozen=True, slots=True)
class Streams:
    """What a server says of its streams at one moment.

    Attributes:
        live: those that are published.
        waited: those that nobody publishes and that somebody waits for to play them (`app/stream`
            as the server knows it). As of viewers, players on this machine are not counted, and
            whoever asks for HLS is not seen.
    """

    live: Sequence[LiveStream] = ()
    waited: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A media server's question or message about one client, whatever the engine's format.

    Attributes:
        action: what happens; `publish` may be refused.
        app, stream: as the client asked for them; may hold a secret in the name.
        secrets: what the client sent as `secret=`; several when it sent several.
        client_id: the server's id of the connection.
        address: the client's IP address; a WebRTC client can claim any (X-Forwarded-For).
        protocol: rtmp, srt or webrtc.
        param: all that the client put behind the stream's name, its secret included, as it sent it.
        objection: why this server cannot carry a stream of this name, whoever publishes it; a
            publish with one has to be refused. None: nothing against it.
    """

    action: Literal["publish", "unpublish"]
    app: str
    stream: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    client_id: str
    address: str
    protocol: str = "rtmp"
    objection: str | None = None
    param: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What to answer a hook: the HTTP status and body that this engine takes as yes or no."""

    status: int
    body: str
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class OpenPort:
    """A port that a server opens.

    Attributes:
        field: its name in `listen`.
        number: the port.
        speaks: what is spoken there; `udp` stands for SRT and WebRTC.
        host: the address it listens at; 0.0.0.0 is every one.
    """

    field: str
    number: int
    speaks: Literal["rtmp", "http", "https", "udp"]
    host: str = "0.0.0.0"  # noqa: S104 - media servers serve everybody


class MediaEngine(Protocol):
    """One kind of media server. An instance drives one server; effects raise EngineError.

    Attributes:
        name: of the engine.
        counter_s: how often the server counts what it has received, in seconds; so old may be
            what it tells of it.
        www: the directory that its HTTP serves.
    """

    name: str
    counter_s: float
    www: Path

    def render(self) -> RenderedServer:
        """Return the server's files and argv. Pure; every value is escaped or refused."""

    def input_url(self, stream: str) -> str:
        """Return the address at which FFmpeg reads `app/stream` from this server fastest."""

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        """Read a hook of this engine. Raises ValueError on anything else."""

    def answer(self, *, allow: bool) -> HookAnswer:
        """Word a yes or no the way this engine takes it."""

    async def discard(self, request: HookRequest) -> None:
        """Undo what the server did already for a publisher that is about to be refused.

        Call it once the refusal is decided and before it is answered: SRS opens a WebRTC session
        before it asks, and the refusal leaves that session able to publish. Never raises.
        """

    async def write(self) -> None:
        """Write the rendered files atomically."""

    async def test(self) -> None:
        """Test the rendered configuration with the server's own check, before it is used."""

    async def reload(self) -> None:
        """Make the running server take the written files, dropping nobody.

        What it can take is in `streamd.desired.RELOADABLE_FIELDS`.

        Raises:
            EngineError: it did not take them. Says when the server exits of that.
        """

    async def version(self) -> str:
        """Ask the binary for its version, as `6.0.157`."""

    async def streams(self) -> Streams:
        """List what is being published and waited for now."""

    async def until_media(self, stream: str) -> None:
        """Play `app/stream` until media of it has come, however long that takes.

        Whoever waits here before it is published keeps the server from losing it. An engine that
        loses none returns at once.
        """

    async def kick(self, stream: str, client_id: str) -> None:
        """Disconnect one publisher. One that is gone already is no error."""

    def ports(self) -> Sequence[OpenPort]:
        """Return every port that the server takes up, hidden ones too. Pure."""

    async def check_ports(self, *, except_for: frozenset[int] = frozenset()) -> None:
        """Make sure that the ports are free for a server that is about to be started.

        Args:
            except_for: ports that streamd's own servers hold, and will give up in time.

        Raises:
            EngineError: some are not; says which, and who has them where that can be seen.
        """

    async def probe(self) -> Mapping[str, bool]:
        """Tell for each open port, by its field in `listen`, whether the server serves it.

        TCP ports are spoken to, since SRS can leave a port open and deaf. Of a UDP port it is
        only known that somebody on this machine has it.
        """

    async def tidy(self) -> None:
        """Remove HLS files that no player can ask for any more. Call it every 10 s or so."""

    async def close(self) -> None:
        """Release connections to the server's API."""
