"""The seam to a media server: what streamd asks of every engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from streamd.desired import ServerSpec

Capability = Literal["rtmp", "hls", "http-flv", "srt", "webrtc"]
ServerChange = Literal["nothing", "reload", "restart"]


@dataclass(frozen=True, slots=True)
class ServerSecrets:
    """What streamd and a server share: the unguessable hook path and the API's password."""

    hook_path: str = field(repr=False)
    api_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RenderedServer:
    """A server's files and how it is started from them.

    `files` maps absolute paths to text, written 0600; `directories` are made first, 0700.
    """

    files: Mapping[Path, str] = field(repr=False)
    directories: tuple[Path, ...]
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One stream that a server says is being published now.

    Attributes:
        name: `app/stream` as the server knows it.
        client_id: the publisher's connection.
        bytes_in: received so far; a freeze is when it stops advancing.
        kbps: received lately, kilobits per second.
        viewers: players, without streamd's own FFmpegs.
        video, audio: as `H264 High 1280x720` and `AAC LC 44100`; None without.
    """

    name: str = field(repr=False)
    client_id: str
    bytes_in: int
    kbps: int
    viewers: int
    video: str | None = None
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A media server's question or message about one client, whatever the engine's format.

    Attributes:
        action: what happens; `publish` and `play` may be refused.
        app, stream: as the client asked for them; may hold a secret in the name.
        secrets: what the client sent as `secret=`; several when it sent several.
        client_id: the server's id of the connection.
        address: the client's IP address.
        protocol: rtmp, srt or webrtc.
    """

    action: Literal["publish", "unpublish", "play", "stop"]
    app: str
    stream: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    client_id: str
    address: str
    protocol: str = "rtmp"


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What to answer a hook: the HTTP status and body that this engine takes as yes or no."""

    status: int
    body: str
    content_type: str = "application/json"


class MediaEngine(Protocol):
    """One kind of media server. An instance drives one server; effects raise EngineError."""

    name: str
    capabilities: frozenset[Capability]

    def render(self) -> RenderedServer:
        """Return the server's files and argv. Pure; every value is escaped or refused."""

    def change(self, new: ServerSpec) -> tuple[ServerChange, tuple[str, ...]]:
        """Say the least that brings a running server from its spec to `new`, and which fields."""

    def input_url(self, stream: str) -> str:
        """Return the address at which FFmpeg reads `app/stream` from this server fastest."""

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        """Read a hook of this engine. Raises ValueError on anything else."""

    def answer(self, *, allow: bool) -> HookAnswer:
        """Word a yes or no the way this engine takes it."""

    async def write(self) -> None:
        """Write the rendered files atomically."""

    async def test(self) -> None:
        """Test the rendered configuration with the server's own check, before it is used."""

    async def reload(self) -> None:
        """Make the running server take the written files, dropping nobody."""

    async def version(self) -> str:
        """Ask the binary for its version, as `6.0.157`."""

    async def streams(self) -> Sequence[LiveStream]:
        """List what is being published now."""

    async def kick(self, stream: str, client_id: str) -> None:
        """Disconnect one publisher. One that is gone already is no error."""

    async def probe(self) -> Mapping[str, bool]:
        """Tell for each open TCP port, by its field in `listen`, whether it accepts."""

    async def close(self) -> None:
        """Release connections to the server's API."""
