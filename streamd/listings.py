"""Ask the media servers for their streams: soon after an event, otherwise at a slow pace."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping

import structlog

from streamd.engines.base import MediaEngine
from streamd.errors import EngineError
from streamd.observe import Listing
from streamd.servers import Servers

log = structlog.get_logger()

IDLE_S = 5.0
CONNECTING_S = 2.0
ON_CALL_S = 1.0
SUSPICIOUS_S = 0.5
SOON_S = 0.3
ASK_TIMEOUT_S = 4.0

PROBE_S = 15.0
DEAD_AFTER_PROBES = 3
"""A port that did and does not accept so many times in a row is dead, though the server answers.

One that never did since the server was started is no reason to start it anew, which would drop
everybody for a port that would not listen then either: as where its certificate cannot be read.
"""

SILENT_S = 8.0
"""A server whose process runs and whose API has not answered for so long hangs."""


class Listings:
    """Each server's own list of what is published, as last told.

    A server that does not answer keeps its last listing and gets an entry in `errors`; one whose
    process has ended has an empty listing.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._soon: dict[str, asyncio.Event] = {}
        self._look = asyncio.Event()
        self._answered = False
        self.latest: dict[str, Listing] = {}
        self.errors: dict[str, str] = {}
        self.ports: dict[str, Mapping[str, bool]] = {}
        self.versions: dict[str, str] = {}
        self._pace_s = IDLE_S
        self._running: dict[str, int] | None = None
        self._probed_at: dict[str, float] = {}
        self._failed_probes: dict[str, int] = {}
        self._accepted: dict[str, frozenset[str]] = {}
        self._silent_since: dict[str, float] = {}

    def ask_soon(self) -> None:
        """Ask again shortly, because something has changed."""
        for soon in self._soon.values():
            soon.set()
        self._look.set()  # it may be that there are other servers now

    def set_pace(self, pace_s: float) -> None:
        """Ask every so many seconds; a shorter pace than before holds at once."""
        is_shorter = pace_s < self._pace_s
        self._pace_s = pace_s
        if is_shorter:
            self.ask_soon()

    def set_running(self, servers: Mapping[str, int]) -> None:
        """Note the pids of the servers that run.

        Where none runs nothing is published and nobody is asked; of one that was started anew
        nothing that was known holds.
        """
        before = self._running or {}
        for server in servers.keys() | before.keys():
            if servers.get(server) == before.get(server):
                continue
            for known in (self._failed_probes, self._accepted, self._silent_since,
                          self._probed_at, self.ports, self.versions, self.errors):  # fmt: skip
                known.pop(server, None)
            if server in before:
                self.latest[server] = Listing(time.monotonic())
        self._running = dict(servers)

    def hangs(self, server: str) -> bool:
        """Tell whether a server that runs serves nobody any more, for good."""
        silent_since = self._silent_since.get(server)
        silent = silent_since is not None and time.monotonic() - silent_since >= SILENT_S
        return silent or self._failed_probes.get(server, 0) >= DEAD_AFTER_PROBES

    async def changes(self) -> AsyncGenerator[Mapping[str, Listing]]:
        """Yield the listings each time that a server has answered or failed to, for ever.

        Each server is asked by a loop of its own: one that hangs holds up no other.
        """
        asking: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for name in asking.keys() - self._servers.engines.keys():
                    asking.pop(name).cancel()
                    self._soon.pop(name, None)
                for name in self._servers.engines.keys() - asking.keys():
                    self._soon[name] = asyncio.Event()
                    asking[name] = asyncio.create_task(self._keep_asking(name, self._soon[name]))
                self._drop_unconfigured()
                if self._answered:
                    self._answered = False
                    yield self.latest
                await self._look.wait()
                self._look.clear()
        finally:
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)

    async def _keep_asking(self, name: str, soon: asyncio.Event) -> None:
        while True:
            try:
                await self._ask_one(name)
            except Exception:
                log.exception("server.not_asked", server=name)
            self._tell()
            try:
                async with asyncio.timeout(self._pace_s):
                    await soon.wait()
            except TimeoutError:
                continue
            soon.clear()
            # What the event told of takes a moment to show in the server's listing.
            await asyncio.sleep(SOON_S)

    async def ask(self) -> None:
        """Ask every server once, all at the same time."""
        self._drop_unconfigured()
        await asyncio.gather(*map(self._ask_one, [*self._servers.engines]))

    def _tell(self) -> None:
        self._answered = True
        self._look.set()

    def _drop_unconfigured(self) -> None:
        for name in self.latest.keys() - self._servers.engines.keys():
            del self.latest[name]

    async def _ask_one(self, name: str) -> None:
        engine: MediaEngine | None = self._servers.running_engine(name)
        if engine is None or (self._running is not None and name not in self._running):
            return
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                streams = await engine.streams()
        except (EngineError, TimeoutError) as error:
            self.errors[name] = str(error) or f"no answer within {ASK_TIMEOUT_S:.0f} s"
            self._silent_since.setdefault(name, asked_at)
        else:
            # One that ended meanwhile has a newer, empty listing.
            if asked_at >= self.latest.get(name, Listing(0.0)).asked_at:
                self.latest[name] = Listing(
                    asked_at, streams.live, engine.counter_s, streams.waited
                )
            self.errors.pop(name, None)
            self._silent_since.pop(name, None)
            self._tell()
            await self._probe(name, engine)

    async def _probe(self, name: str, engine: MediaEngine) -> None:
        """See from time to time whether each port still accepts.

        A listener of SRS that ran into its limit of connections is dead without a word, while
        the API goes on answering.
        """
        now = time.monotonic()
        if now - self._probed_at.get(name, -PROBE_S) < PROBE_S:
            return
        self._probed_at[name] = now
        try:
            await engine.tidy()
        except OSError as error:
            log.error("server.not_tidied", server=name, error=str(error))
        try:
            self.versions[name] = self.versions.get(name) or await engine.version()
            ports = await engine.probe()
        except EngineError as error:
            self.errors[name] = str(error)
            return
        self.ports[name] = ports
        accepting = frozenset(port for port, accepts in ports.items() if accepts)
        accepted = self._accepted[name] = self._accepted.get(name, frozenset()) | accepting
        dead = sorted(accepted - accepting)
        never = sorted(ports.keys() - accepted)
        self._failed_probes[name] = self._failed_probes.get(name, 0) + 1 if dead else 0
        if dead:
            log.error("server.port_dead", server=name, ports=dead)
        if never:
            log.error("server.port_closed", server=name, ports=never)
