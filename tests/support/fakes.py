"""supervisord and media servers in memory, with what goes wrong with them under the test's control.

A process of `FakeRunner` is a real `sleep`, so that its exit is seen, and a signal to it works, as
with a real one. A server of `FakeEngines` answers while its process runs, and only the engine of
the specification that this process was started from.
"""

import asyncio
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from streamd.desired import ServerSpec, restart_identity
from streamd.engines.base import (
    HookAnswer,
    HookRequest,
    LiveStream,
    OpenPort,
    RenderedServer,
    Streams,
)
from streamd.errors import EngineError, PortTakenError, SupervisorError
from streamd.observed import ObservedProcess
from streamd.supervision.process import ProcessSpec

Behaviour = Literal["works", "fails", "hangs", "breaks"]
"""What a call does: as it should, raise as agreed, never return, raise what nobody foresaw."""


async def _behave(behaviour: Behaviour, what: str) -> None:
    if behaviour == "hangs":
        await asyncio.Event().wait()
    if behaviour == "fails":
        raise EngineError(f"{what} fails")
    if behaviour == "breaks":
        raise RuntimeError(f"{what} breaks")


class FakeRunner:
    """A ProcessRunner in memory. `close` ends what it started.

    Attributes:
        started: every spec that was started, in order.
        stopped: every name that was asked to stop, in order.
        away: nothing can be asked, as while supervisord is down.
        held: when set, `list` waits for it before it answers.
        not_startable: why a process cannot be started at all, by name.
        stops: a process that is asked to stop does so; else it goes on as `stopping`.
    """

    def __init__(self) -> None:
        self._processes: dict[str, ObservedProcess] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._statuses: dict[str, int] = {}
        self.started: list[ProcessSpec] = []
        self.stopped: list[str] = []
        self.away = False
        self.held: asyncio.Event | None = None
        self.listed = 0
        self.not_startable: dict[str, str] = {}
        self.stops = True

    async def list(self) -> Mapping[str, ObservedProcess]:
        self._ask()
        self.listed += 1
        if self.held is not None:
            await self.held.wait()
        return {name: self.now(name) for name in list(self._processes)}

    async def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        self._ask()
        pids = {}
        for spec in specs:
            if spec.name in self._processes and self.now(spec.name).state != "exited":
                continue
            self.started.append(spec)
            self._processes[spec.name] = self._start(spec)
            pids[spec.name] = self._processes[spec.name].pid
        return pids

    async def stop(self, names: Sequence[str]) -> None:
        self._ask()
        self.stopped += names
        for name in names:
            if name not in self._processes or self.now(name).state != "running":
                continue
            self._processes[name] = replace(self._processes[name], state="stopping")
            if self.stops:
                self.exit(name, -15)

    async def forget(self, names: Sequence[str]) -> None:
        self._ask()
        for name in names:
            if name in self._processes and self.now(name).state == "exited":
                del self._processes[name]

    def now(self, name: str) -> ObservedProcess:
        """Return a process as it is now. Raises KeyError when there is none."""
        found = self._processes[name]
        child = self._children.get(name)
        if child is not None and child.poll() is not None:
            del self._children[name]
            status = self._statuses.pop(name, child.returncode)
            found = replace(found, state="exited", pid=0, exit_status=status)
            self._processes[name] = found
        return found

    def runs(self, name: str) -> bool:
        """Tell whether a process runs and was not asked to stop."""
        return name in self._processes and self.now(name).state == "running"

    def knows(self, name: str) -> bool:
        """Tell whether a process is in the list, exited or not."""
        return name in self._processes

    def starts(self, name: str) -> int:
        """Return how often a process was started."""
        return sum(spec.name == name for spec in self.started)

    def exit(self, name: str, status: int = 1) -> None:
        """Let a process exit."""
        self._statuses[name] = status
        child = self._children[name]
        child.kill()
        child.wait()

    def close(self) -> None:
        """End every process, by pid."""
        for child in self._children.values():
            child.kill()
            child.wait()

    def _start(self, spec: ProcessSpec) -> ObservedProcess:
        made = ObservedProcess(
            spec.name, "running", 0, spec.identity, time.time(), publisher=spec.publisher
        )
        error = self.not_startable.get(spec.name)
        if error is not None:
            return replace(made, state="exited", error=error)
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        self._children[spec.name] = child
        return replace(made, pid=child.pid)

    def _ask(self) -> None:
        if self.away:
            raise SupervisorError("supervisord does not answer")


@dataclass
class FakeServer:
    """What all engines of one server share: who publishes, and what does not work.

    Attributes:
        api: what asking for the streams does.
        kick: what disconnecting a publisher does.
        kick_works: a kick that was answered disconnects.
        busy: what the ports are taken by.
        refused: what the server's own check says.
        dead: ports that do not accept, by field.
        kicked: client ids that were asked to be disconnected, in order.
        probes: how often the ports were probed.
        reloads: how often its files were taken while it ran.
        made, closed: engines that were made and released.
    """

    api: Behaviour = "works"
    start: Behaviour = "works"
    kick: Behaviour = "works"
    kick_works: bool = True
    tidy: Behaviour = "works"
    busy: str | None = None
    refused: str | None = None
    dead: frozenset[str] = frozenset()
    kicked: list[str] = field(default_factory=list)
    probes: int = 0
    reloads: int = 0
    made: int = 0
    closed: int = 0
    live: dict[str, tuple[int, LiveStream]] = field(default_factory=dict)
    """By client id: the pid of the run on which it publishes, and what is listed."""
    waited: set[str] = field(default_factory=set)


class FakeEngines:
    """Makes engines; to be given to `Servers` as `make_engine`."""

    def __init__(self, runner: FakeRunner, directory: Path) -> None:
        self.runner = runner
        self.directory = directory
        self.servers: dict[str, FakeServer] = {}
        self.on_gone: Callable[[str, str], None] = lambda _server, _client_id: None
        """The hook that tells of a publisher's leaving: server, client id."""

    def __call__(self, spec: ServerSpec) -> "FakeEngine":
        server = self.server(spec.name)
        server.made += 1
        return FakeEngine(spec, server, self)

    def server(self, name: str = "main") -> FakeServer:
        """Return what the engines of a server share."""
        return self.servers.setdefault(name, FakeServer())

    def publish(self, stream: str, client_id: str, *, server: str = "main", sent: int = 1) -> None:
        """Let somebody publish `app/stream`, or have sent so many bytes."""
        pid = self.runner.now(f"server.{server}").pid
        listed = LiveStream(stream, client_id, sent, 1000, 0)
        self.server(server).live[client_id] = (pid, listed)

    def leave(self, client_id: str, *, server: str = "main") -> None:
        """Let a publisher leave."""
        del self.server(server).live[client_id]


class FakeEngine:
    """A MediaEngine in memory."""

    name = "srs"
    counter_s = 0.0

    def __init__(self, spec: ServerSpec, server: FakeServer, engines: FakeEngines) -> None:
        self.spec = spec
        self.server = server
        self.www = engines.directory / spec.name / "www"
        self._engines = engines

    def render(self) -> RenderedServer:
        directory = self._engines.directory / self.spec.name
        return RenderedServer({directory / "conf": repr(self.spec)}, (directory,), ("/bin/server",))

    def input_url(self, stream: str) -> str:
        return f"rtmp://127.0.0.1:{self.spec.rtmp}/{stream}"

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        raise ValueError(f"{len(body)} bytes of {content_type} are no hook")

    def answer(self, *, allow: bool) -> HookAnswer:
        return HookAnswer(200, "0" if allow else "1")

    async def discard(self, request: HookRequest) -> None:
        """Have nothing to undo."""

    async def write(self) -> None:
        for path, text in self.render().files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    async def test(self) -> None:
        if self.server.refused is not None:
            raise EngineError(self.server.refused)

    async def reload(self) -> None:
        self.server.reloads += 1

    async def version(self) -> str:
        return "6.0.157"

    async def streams(self) -> Streams:
        pid = self._pid()
        await _behave(self.server.api, "the API")
        live = [stream for run, stream in self.server.live.values() if run == pid]
        waited = self.server.waited - {stream.name for stream in live}
        return Streams(live, frozenset(waited))

    async def until_media(self, stream: str) -> None:
        """Return at once, as an engine that loses no stream."""

    async def kick(self, stream: str, client_id: str) -> None:
        self.server.kicked.append(client_id)
        await _behave(self.server.kick, f"kicking {stream}")
        if self.server.kick_works and self.server.live.pop(client_id, None) is not None:
            self._engines.on_gone(self.spec.name, client_id)

    def ports(self) -> Sequence[OpenPort]:
        return [OpenPort("api", self.spec.api, "http", "127.0.0.1")]

    async def check_ports(self, *, except_for: frozenset[int] = frozenset()) -> None:
        await _behave(self.server.start, "the start")
        if self.server.busy is not None:
            reasons = [(("listen", "rtmp"), self.server.busy)]
            raise PortTakenError(reasons, lambda: self.server.busy is None)

    async def probe(self) -> Mapping[str, bool]:
        self._pid()
        self.server.probes += 1
        return {name: name not in self.server.dead for name in ("rtmp", "http", "api")}

    async def tidy(self) -> None:
        if self.server.tidy == "fails":
            raise PermissionError(13, "Permission denied", "old.ts")

    async def close(self) -> None:
        self.server.closed += 1

    def _pid(self) -> int:
        """Return the pid of the process that this engine's API belongs to."""
        name = f"server.{self.spec.name}"
        if self._engines.runner.knows(name):
            process = self._engines.runner.now(name)
            if process.pid and process.identity == restart_identity(self.spec):
                return process.pid
        raise EngineError("nobody listens at the API port")
