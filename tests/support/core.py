"""The daemon's loop on a machine in memory: what it wants, what it has, who publishes."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamd.auth.sessions import Sessions
from streamd.config.models import Daemon
from streamd.desired import Desired, ServerSpec, StreamRule, TargetSpec
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.jobs import ServerJob
from streamd.observed import Publisher
from streamd.publishers import Publishers
from streamd.reconcile import Reconciler
from streamd.servers import Servers
from streamd.settings import Settings
from streamd.state import State
from streamd.supervision.protocol import pid_address
from tests.support.fakes import FakeEngines, FakeRunner, FakeServer
from tests.support.ports import free_port
from tests.support.snapshots import SERVER
from tests.support.waiting import wait_until

FFMPEG = FFmpegBinary("/bin/ffmpeg", "5.1", frozenset({"rtmp"}), True, True, None)
OUT = TargetSpec("out", ("live/a",), False, "custom", ("rtmp://cdn/app/KEY",))
DESIRED = Desired(
    ffmpeg=FFMPEG.path,
    daemon=Daemon(),
    servers={"main": SERVER},
    keys={},
    rules={"live/*": StreamRule("live/*", None)},
    targets={"out": OUT},
)


def desired(**changes: Any) -> Desired:
    """Return one server with one target of live/a, with changes by field."""
    return replace(DESIRED, **changes)


class ShiftedTime:
    """Stands for the module `time`, a while ahead."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def shift(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._ahead_s += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s


class Core:
    """A reconciler with everything around it in memory; its loops run within `running`."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(
            config=directory / "config.yaml",
            state_dir=directory / "state",
            runtime_dir=directory / "run",
            log_dir=directory / "log",
        )
        self.state = State(self.settings)
        self.state.prepare()
        self.runner = FakeRunner()
        self.engines = FakeEngines(self.runner, self.settings.state_dir / "servers")
        log_dir = self.settings.log_dir
        self.servers = Servers(self.state, self.runner, log_dir, self.engines)
        self.sessions = Sessions(self.settings.runtime_dir / "sessions.jsonl")
        self.publishers = Publishers(self.sessions)
        self.reconciler = Reconciler(
            self.runner, self.servers, self.publishers, self.state, log_dir
        )
        self.reconciler.use_ffmpeg(FFMPEG)
        self.engines.on_gone = self.reconciler.gone
        self._specs: dict[str, ServerSpec] = {}
        self._progress_port = free_port()
        progress = ProgressReceiver("127.0.0.1", self._progress_port)
        progress.open()
        self.reconciler.take_progress(progress)

    @property
    def main(self) -> FakeServer:
        """The server that every test has."""
        return self.engines.server("main")

    async def desire(self, wanted: Desired) -> None:
        """Do what a save does once it is accepted."""
        running = {name for name in self.engines.servers if self.runner.runs(f"server.{name}")}
        for engine in self.servers.adopt(wanted.servers, running):
            await engine.close()
        self.reconciler.desire(wanted)

    async def start_server(self, spec: ServerSpec = SERVER) -> None:
        """Start one more server, without the loop."""
        self._specs[spec.name] = spec
        self.servers.adopt(self._specs, self._specs)
        await self.servers.start(ServerJob(f"server.{spec.name}", spec))

    def publish(self, stream: str = "live/a", client_id: str = "c1", server: str = "main") -> None:
        """Let somebody publish, as the server's listing and its hook tell."""
        self.engines.publish(stream, client_id, server=server)
        self.reconciler.admitted(Publisher(server, stream, stream, client_id))

    def leave(self, client_id: str = "c1", server: str = "main") -> None:
        """Let a publisher leave, as the server's listing and its hook tell."""
        self.engines.leave(client_id, server=server)
        self.reconciler.gone(server, client_id)

    def report(self, process: str, out_time_us: int) -> None:
        """Send what an FFmpeg reports of itself."""
        self.report_as(self.runner.now(process).pid, out_time_us)

    def report_as(self, pid: int, out_time_us: int) -> None:
        """Send what an FFmpeg with some pid reports of itself."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((pid_address(pid), 0))
            report = f"out_time_us={out_time_us}\ntotal_size={out_time_us}\nprogress=continue\n"
            sender.sendto(report.encode(), ("127.0.0.1", self._progress_port))

    def heard(self, process: str) -> bool:
        """Tell whether a report of an FFmpeg was heard."""
        progress = self.reconciler.progress
        return progress is not None and self.runner.now(process).pid in progress.tracks

    async def until_runs(self, *processes: str) -> None:
        """Wait until all of these run."""
        await wait_until(lambda: all(map(self.runner.runs, processes)), 10, f"{processes} to run")

    async def settled(self) -> None:
        """Wait until nothing is left to do."""
        async with asyncio.timeout(10):
            await self.reconciler.settled()

    def failures(self, process: str) -> int:
        """Return how many failures in a row are counted."""
        history = self.reconciler.histories.by_process.get(process)
        return history.failures if history else 0


@contextlib.asynccontextmanager
async def running(core: Core) -> AsyncIterator[None]:
    """Run the reconciler's loops; an error of one of them is the test's."""
    loops = core.reconciler
    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(loop()) for loop in (loops.run, loops.tick, loops.list_streams)]
        try:
            yield
        finally:
            for task in made:
                task.cancel()


@contextlib.asynccontextmanager
async def core_in(directory: Path) -> AsyncIterator[Core]:
    """Prepare a core, and end everything that it started."""
    core = Core(directory)
    try:
        yield core
    finally:
        await core.reconciler.close()
        await core.servers.close()
        core.sessions.close()
        if core.reconciler.progress is not None:
            core.reconciler.progress.close()
        core.runner.close()
