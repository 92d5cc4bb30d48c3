"""What stands where the file says nothing, as far as checks have to know it too. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamd.config.models import (
    Config,
    Listen,
    Server,
)
from streamd.desired import (
    EngineName,
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What `desire` has to know of the machine, gathered by `streamd.machine`.

    `engines` holds the path of each engine's binary that was found by itself; a `binary:` in the
    file needs none of them. Files in `state_directory` may be played too.
    """

    engines: Mapping[EngineName, Path]
    ffmpeg: Path | None
    state_directory: Path | None = None


def engine_of(server: Server, machine: Machine) -> tuple[EngineName, Path | None]:
    """Decide which engine a server runs on, and its binary (None: not found)."""
    if server.engine != "auto":
        return server.engine, server.binary or machine.engines.get(server.engine)
    if server.binary is not None:
        engine: EngineName = "nginx-rtmp" if "nginx" in server.binary.name else "srs"
        return engine, server.binary
    if "srs" in machine.engines:
        return "srs", machine.engines["srs"]
    return "nginx-rtmp", machine.engines.get("nginx-rtmp")


def listen_of(server: Server, engine: EngineName) -> Listen:
    """Return a server's ports: those named, or every port of the engine at its usual number."""
    if server.listen is not None:
        return server.listen
    if engine == "srs":
        return Listen(rtmp=1935, http=8080, https=None, srt=10080, webrtc=8000, api=1985)
    return Listen(rtmp=1935, http=8080, https=None, srt=None, webrtc=None, api=1985)


def source_directories(config: Config, machine: Machine) -> tuple[str, ...]:
    """Return the directories below which files may be played."""
    directories = [*config.daemon.source_directories, machine.state_directory]
    return tuple(str(directory) for directory in directories if directory is not None)
