"""The daemon: builds the parts, runs their loops in one TaskGroup, and ends them in order."""

import asyncio
import contextlib
import platform
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from streamd.auditions import Auditions
from streamd.auth.admission import Admission
from streamd.auth.decide import AuthIndex, Decision, decide_publish
from streamd.auth.hooks_api import HookServer
from streamd.auth.sessions import Sessions
from streamd.callbacks.service import Callbacks
from streamd.certificates.keeper import Certificates
from streamd.changes.change import Change, pairs
from streamd.config.watch import ConfigWatcher
from streamd.configuration import Accepted, Configuration
from streamd.control_api import ControlServer, changes_json
from streamd.desired import Desired, ServerSpec
from streamd.engines.base import HookRequest, MediaEngine
from streamd.engines.select import make_engine
from streamd.errors import ConfigError, ControlError, PortError, SettingsError, StreamdError
from streamd.listeners import Listeners
from streamd.logs import set_secrets
from streamd.notify import Notifier
from streamd.observed import Publisher
from streamd.process_names import archive_process_name, server_process_name
from streamd.publishers import Publishers
from streamd.reconcile import Reconciler
from streamd.recordings.serving import serve_recordings
from streamd.servers import Servers
from streamd.settings import Settings
from streamd.state import State
from streamd.status.gather import gather
from streamd.status.http_api import StatusServer
from streamd.status.report import remember, report
from streamd.status.snapshot import Memory, Snapshot
from streamd.supervision.keeping import keep_up
from streamd.supervision.supervisord import Supervisord
from streamd.version import __version__
from streamd.wanted import archive_jobs

log = structlog.get_logger()

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: the configuration cannot be used at start."""

STOP_TIMEOUT_S = 15.0
MEMORY_S = 5.0
WATCHDOG_S = 5.0
PORTS_S = 5.0
STATUS_AGAIN_S = 5.0
LOOP_AGAIN_S = 1.0

PASS_LIMIT_S = 60.0
"""Without a pass for so long the daemon hangs, and systemd may restart it."""


async def run(settings: Settings) -> int:
    """Run streamd until SIGTERM or SIGINT, and return the exit status.

    Raises:
        StreamdError: it cannot start.
    """
    state = State(settings)
    with state.held():
        return await Daemon(settings, state).run()


class Daemon:
    """streamd, from start to stop.

    Args:
        settings: where it keeps what.
        state: the same directories, held by this process.
    """

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state
        self._notifier = Notifier()
        self._stop = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._auth: AuthIndex | None = None
        self._memory = Memory()
        self._secrets = state.server_secrets()
        self._supervisord = Supervisord(settings.runtime_dir, settings.log_dir)
        self._servers = Servers(state, self._supervisord, settings.log_dir, self._engine)
        sessions = Sessions(settings.runtime_dir / "sessions.jsonl")
        self._publishers = Publishers(sessions)
        self._reconciler = Reconciler(
            self._supervisord, self._servers, self._publishers, state, settings.log_dir
        )
        self._configuration = Configuration(
            settings.config,
            settings.last_good,
            self._servers,
            self._reconciler,
            self._accept,
        )
        self._certificates = Certificates(state.certificates_directory, settings.outbox)
        self._callbacks = Callbacks(
            settings.outbox,
            platform.node(),
            self._publishers,
            snapshot=self._snapshot,
            pattern_of=self._pattern_of,
        )
        self._auditions = Auditions(self._servers.engines)
        self._admission = Admission(
            self._decide,
            self._servers.engines,
            quiesced=self._servers.quiesced,
            present=self._publishers.of,
            gate=self._callbacks.gate,
            on_allowed=self._auditions.begin,
        )
        self._hooks = HookServer(
            self._secrets.hook_path,
            engines=self._servers.engines,
            admission=self._admission,
            on_admitted=self._admitted,
            on_gone=self._gone,
        )
        status = StatusServer(self._snapshot)
        self._listeners = Listeners(self._hooks, status, self._reconciler.take_progress)
        self._control = ControlServer(
            settings.control_socket,
            reload=self._on_reload,
            plan=self._configuration.preview,
            status=lambda: report(self._snapshot()),
        )
        self._watcher = ConfigWatcher()

    def _engine(self, spec: ServerSpec) -> MediaEngine:
        return make_engine(
            spec, directory=self._state.server_directory(spec.name), secrets=self._secrets
        )

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, and return the exit status.

        Raises:
            StreamdError: it cannot start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._spawn_reload)
        self._publishers.remember()
        await asyncio.to_thread(self._reconciler.leaving.restore)
        try:
            try:
                await self._load_first()
            except ConfigError as error:
                log.critical("daemon.config_unusable", errors=[str(p) for p in error.problems])
                return EXIT_CONFIG
            await self._supervisord.ensure_running(external=self._is_external)
            await self._reconciler.listings.ask()
            await self._control.start()
            log.info("daemon.started", version=__version__, config=str(self._settings.config))
            await self._serve()
        finally:
            await self._close()
        return 0

    @property
    def _is_external(self) -> bool:
        return self._settings.supervisor == "external"

    async def _load_first(self) -> None:
        try:
            await self._configuration.reload(asked=True)
        except ConfigError as error:
            if isinstance(error.__cause__, PortError):
                # The file may be good; the next start finds the port free, or somebody makes it so.
                raise SettingsError(str(error)) from error
            if not self._settings.fallback:
                raise
            await self._configuration.fall_back()

    async def _serve(self) -> None:
        """Run every loop until the daemon is asked to stop."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            loops = [
                tasks.create_task(_keep(name, loop), name=name)
                for name, loop in {
                    "reconcile": self._reconciler.run,
                    "progress": self._reconciler.tick,
                    "listings": self._reconciler.list_streams,
                    "watch": self._watch,
                    "ports": self._watch_ports,
                    "supervisord": self._keep_supervisord,
                    "watchdog": self._keep_watchdog,
                    "memory": self._keep_memory,
                    "status": self._keep_status,
                    "archives": self._reconciler.archives.run,
                    "callbacks": self._callbacks.run_sender,
                    "certificates": self._certificates.run,
                    "certificate files": self._certificates.keep_looking,
                    "telling": self._tell,
                }.items()
            ]
            self._notifier.ready(self._summary())
            await self._stop.wait()
            self._notifier.stopping()
            if self._settings.stops_media:
                await self._stop_media()
            for task in loops:
                task.cancel()

    async def _stop_media(self) -> None:
        """Stop all media by desiring none of it."""
        if self._configuration.applied is None:
            return
        log.info("daemon.stopping_media")
        self._reconciler.desire_nothing()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._reconciler.settled()
        except TimeoutError:
            log.warning("daemon.stop_timed_out", timeout_s=STOP_TIMEOUT_S)

    async def _close(self) -> None:
        await self._control.stop()
        await self._listeners.close()
        await self._auditions.close()
        await self._reconciler.close()
        await self._callbacks.close()
        await self._certificates.close()
        await self._servers.close()
        if self._stop.is_set() and self._settings.stops_media and not self._is_external:
            await self._supervisord.shutdown()
        await self._supervisord.close()
        self._notifier.close()
        log.info("daemon.stopped", media="stopped" if self._settings.stops_media else "kept")

    # Configuration

    async def _accept(self, accepted: Accepted) -> None:
        """Move listening sockets, secrets and watches to a configuration before it is applied."""
        # First, so that whatever listens finds files to listen with.
        await self._certificates.prepare(accepted.desired.certificates)
        await self._listeners.move(accepted.desired.daemon, self._status_paths(accepted.desired))
        self._certificates.desire(accepted.desired.certificates, _https_port(accepted.desired))
        secrets = accepted.secrets | self._secrets.texts
        set_secrets(secrets)
        self._servers.redact = tuple(sorted(secrets))
        # Before a new key is good for anything: the servers log what is published with it.
        with contextlib.suppress(StreamdError):  # none runs yet; what it starts will know
            servers = [server_process_name(name) for name in accepted.desired.servers]
            await self._supervisord.redact(servers, self._servers.redact)
        self._auth = AuthIndex(accepted.desired, self._secrets.publish_secret)
        before = self._reconciler.desired
        if before is not None:
            changed = pairs(before.rules, accepted.desired.rules)
            self._admission.forget([pattern for pattern, _, _ in changed])
        self._callbacks.desire(accepted.desired)
        await self._prepare_recordings(accepted.desired)

    def _status_paths(self, desired: Desired) -> tuple[str, str] | None:
        name = desired.daemon.status_certificate
        return None if name is None else self._certificates.paths(name)

    async def _prepare_recordings(self, desired: Desired) -> None:
        old = self._reconciler.desired or await self._configuration.desired_before()
        before = archive_jobs(old) if old is not None else {}
        await self._reconciler.leaving.change(before, archive_jobs(desired), desired.storages)
        # A pass that knew nothing of an archive would end its recorders.
        await self._reconciler.archives.expect(
            {name: archive_process_name(rule) for name, rule in desired.recordings.items()}
        )
        served: defaultdict[str, list[str]] = defaultdict(list)
        for rule in desired.recordings.values():
            if rule.served_by is not None:
                served[rule.served_by].append(rule.name)
        await asyncio.to_thread(serve_recordings, self._state.servers_directory, served)

    async def _watch(self) -> None:
        """Reload whenever the content of a watched file has changed."""
        self._watcher.watch(*self._configuration.watched)
        async for _ in self._watcher.changes():
            await self._reload()
            await self._certificates.look()
            self._watcher.watch(*self._configuration.watched)

    async def _watch_ports(self) -> None:
        """Reload when a port is free again that a file was refused for."""
        while True:
            await asyncio.sleep(PORTS_S)
            if await asyncio.to_thread(self._configuration.waited_for_port):
                log.info("config.port_free")
                await self._reload()

    async def _reload(self, *, asked: bool = False) -> None:
        if self._stop.is_set():
            return
        try:
            await self._reload_now(asked=asked)
        except StreamdError as error:
            log.debug("reload.refused", error=str(error))  # told by log, status and metric
        except Exception:
            log.exception("reload.failed")

    async def _reload_now(
        self, *, asked: bool, force: bool = False
    ) -> tuple[Sequence[Change], Sequence[str]]:
        """Reload, and return what was changed, and which certificates are tried again."""
        self._notifier.reloading()
        try:
            try:
                found = await self._configuration.reload(asked=asked, force=force)
            finally:
                if asked:  # whatever becomes of the file
                    await self._certificates.look()
            return found, self._certificates.retry() if asked else ()
        finally:
            self._notifier.ready(self._summary())

    def _spawn_reload(self) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._reload(asked=True))

    async def _on_reload(self, force: bool, wait_s: float) -> Mapping[str, Any]:
        if self._stop.is_set():
            raise ControlError("streamd is being stopped")
        found, retried = await self._reload_now(asked=True, force=force)
        if wait_s > 0:
            try:
                async with asyncio.timeout(wait_s):
                    await self._reconciler.settled()
            except TimeoutError:
                raise ControlError(
                    f"applied, but not converged after {wait_s:g} s; see `streamd status`"
                ) from None
        return {
            "changes": changes_json(found),
            "untouched": self._configuration.state.untouched,
            "retried": retried,
        }

    def _summary(self) -> str:
        state = self._configuration.state
        errors = [problem for problem in state.errors if not problem.warning]
        if errors:
            return f"configuration {state.state}: {errors[0]}"
        live = len(self._reconciler.observed.publishers)
        return f"configuration {state.state}, {live} streams live"

    # What hooks and the status endpoint ask for

    def _decide(self, request: HookRequest) -> Decision:
        assert self._auth is not None, "hooks are served once a configuration is accepted"  # noqa: S101 - for mypy
        return decide_publish(request, self._auth, datetime.now(UTC))

    def _pattern_of(self, stream: str) -> str | None:
        rule = self._auth.rule_for(stream) if self._auth is not None else None
        return rule.pattern if rule is not None else None

    def _admitted(self, publisher: Publisher) -> None:
        self._reconciler.admitted(publisher)
        self._callbacks.wake()

    def _gone(self, server: str, client_id: str) -> None:
        self._reconciler.gone(server, client_id)
        self._callbacks.wake()

    def _snapshot(self) -> Snapshot:
        return gather(
            self._configuration,
            self._reconciler,
            self._admission,
            self._memory,
            self._callbacks.facts(),
            self._certificates.facts(),
        )

    # Loops

    async def _keep_supervisord(self) -> None:
        await keep_up(self._supervisord, external=self._is_external, on_up=self._reconciler.wake)

    async def _tell(self) -> None:
        """Tell callbacks what happens, once it is known what there is."""
        await self._reconciler.passed()
        await self._callbacks.run_teller()

    async def _keep_watchdog(self) -> None:
        """Tell systemd that the loop of passes goes on, and how things are."""
        interval_s = self._notifier.watchdog_interval_s or WATCHDOG_S
        while True:
            if time.monotonic() - self._reconciler.passed_at < PASS_LIMIT_S:
                self._notifier.watchdog()
            self._notifier.status(self._summary())
            await asyncio.sleep(interval_s)

    async def _keep_memory(self) -> None:
        """Date the states that the status endpoint tells of."""
        while True:
            self._memory = remember(self._snapshot())
            await asyncio.sleep(MEMORY_S)

    async def _keep_status(self) -> None:
        """Open the status port once it is free, and have it use its certificate's newest file."""
        while True:
            await asyncio.sleep(STATUS_AGAIN_S)
            await self._listeners.try_status()


def _https_port(desired: Desired) -> int | None:
    """Return where people who come by HTTP are sent."""
    return next((server.https for server in desired.servers.values() if server.https), None)


async def _keep(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: an error in streamd is logged, and must not take the rest along."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("loop.failed", loop=name)
        await asyncio.sleep(LOOP_AGAIN_S)
