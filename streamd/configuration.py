"""The file's way into use: read, checked, compared, guarded, applied; or refused with its reasons.

Whatever is wrong with a file, what is applied stays applied.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from streamd.changes.change import Change, Preview, live_consumers
from streamd.changes.compare import changes, with_notes
from streamd.changes.recordings import archives_touched
from streamd.changes.streams import both_jobs, differs
from streamd.config.data_path import DataPath
from streamd.config.defaults import Machine
from streamd.config.here import last_good, read
from streamd.config.load import Loaded, secrets_of_config
from streamd.config.source import Source
from streamd.config_state import ConfigState, ConfigStateName
from streamd.desire import desire
from streamd.desired import Desired
from streamd.errors import (
    ConfigError,
    PlanRefusedError,
    PortError,
    PortTakenError,
    Problem,
    StreamdError,
)
from streamd.ffmpeg.binary import inspect
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.guard import guard
from streamd.machine import find_machine
from streamd.process_names import rule_of_archive, server_of, server_process_name
from streamd.reconcile import Reconciler
from streamd.servers import Servers
from streamd.whole_file import write_whole

log = structlog.get_logger()

OnAccepted = Callable[["Accepted"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A configuration that has passed every test."""

    desired: Desired
    ffmpeg: FFmpegBinary
    secrets: frozenset[str] = field(repr=False)
    loaded: Loaded | None = None
    """None when it is the last good one and not the file."""


class Configuration:
    """Keeps the applied configuration, and brings new ones into use.

    Args:
        path: the YAML file.
        last_good: where the last good configuration is kept.
        servers: the media servers, which test what is new to them.
        reconciler: takes what is accepted.
        on_accepted: called before the reconciler takes a configuration, to move listening sockets
            and the like; what it raises refuses the configuration.
    """

    def __init__(
        self,
        path: Path,
        last_good: Path,
        servers: Servers,
        reconciler: Reconciler,
        on_accepted: OnAccepted,
    ) -> None:
        self._path = path
        self._last_good = last_good
        self._servers = servers
        self._reconciler = reconciler
        self._on_accepted = on_accepted
        self._applying = asyncio.Lock()
        self._inspected: tuple[tuple[object, ...], FFmpegBinary] | None = None
        self._taken: PortTakenError | None = None
        self._before: Desired | None = None
        self.applied: Accepted | None = None
        self.state = ConfigState("rejected", str(path))
        self.watched: tuple[frozenset[Path], frozenset[Path]] = (frozenset({path}), frozenset())

    async def reload(self, *, asked: bool = False, force: bool = False) -> tuple[Change, ...]:
        """Read the file and apply it, when it is good.

        Args:
            asked: somebody asked for it, so that `apply: manual` does not keep it pending.
            force: apply also what the guard would refuse.

        Returns:
            What was changed; empty when the file means what is applied.

        Raises:
            StreamdError: the file is not applied, and why; `state` tells it too.
        """
        async with self._applying:
            self._taken = None
            try:
                loaded = await asyncio.to_thread(read, self._path, machine=self._machine())
                self.watched = (loaded.files, loaded.directories)
                if loaded.hash == self.state.hash and self._is_applied(loaded):
                    self._set_state("applied", errors=loaded.warnings)
                    return ()
                return await self._apply(loaded, asked=asked, force=force)
            except ConfigError as error:
                if error.files:
                    self.watched = (error.files, error.directories)
                self._taken = _taken(error.__cause__)
                self._reject(error.problems)
                raise
            except StreamdError as error:
                self._taken = _taken(error)
                self._reject((Problem(str(self._path), 0, 0, "", str(error)),))
                raise

    def waited_for_port(self) -> bool:
        """Tell whether the file was refused for ports that others had, and that are free now."""
        return self._taken is not None and self._taken.is_free()

    def _machine(self) -> Machine:
        return find_machine(state_directory=self._last_good.parent)

    def _is_applied(self, loaded: Loaded) -> bool:
        """Tell whether a file means what is applied, also with the programs that are here now."""
        applied = self.applied
        return applied is not None and applied.desired == desire(loaded.config, self._machine())

    async def _apply(self, loaded: Loaded, *, asked: bool, force: bool) -> tuple[Change, ...]:
        accepted = await self._test(loaded)
        old = self.applied.desired if self.applied else await self.desired_before()
        found = self._changes(old, accepted.desired)
        if self.applied is not None:
            if loaded.config.daemon.apply == "manual" and not asked:
                self._set_state("pending")
                log.info("config.pending", changes=len(found))
                return ()
            if not force:
                self._guard(found, loaded)
        untouched = self._untouched(found, old, accepted.desired)
        try:
            await self._take(accepted)
        except PortError as error:
            raise ConfigError(_placed(error, loaded.source)) from error
        self._set_state("applied", loaded.hash, errors=loaded.warnings, untouched=untouched)
        await self._keep(loaded)
        log.info(
            "config.applied",
            changes=[str(change) for change in found],
            warnings=[str(warning) for warning in loaded.warnings],
            untouched=self.state.untouched,
        )
        return found

    async def _keep(self, loaded: Loaded) -> None:
        """Keep a configuration as the last good one. A full disk does not undo it."""
        try:
            await asyncio.to_thread(write_whole, self._last_good, json.dumps(loaded.data))
        except OSError as error:
            log.error(
                "config.last_good_not_kept",
                path=str(self._last_good),
                error=f"{error.strerror}; a start with a bad file would use an older one",
            )

    async def _take(self, accepted: Accepted) -> None:
        await self._on_accepted(accepted)
        # Without a wait in between, so that no pass sees one half of it.
        unused = self._servers.adopt(accepted.desired.servers, self._running_servers())
        self._reconciler.use_ffmpeg(accepted.ffmpeg)
        self.applied, self._before = accepted, None
        self._reconciler.desire(accepted.desired)
        for engine in unused:
            await engine.close()

    def _running_servers(self) -> set[str]:
        return {
            server
            for name, process in self._reconciler.observed.processes.items()
            if (server := server_of(name)) is not None and process.pid
        }

    async def _test(self, loaded: Loaded) -> Accepted:
        """Let FFmpeg and every changed server say what they think of it."""
        desired = desire(loaded.config, await asyncio.to_thread(self._machine))
        try:
            ffmpeg = await self._ffmpeg(Path(desired.ffmpeg))
        except StreamdError as error:
            raise ConfigError([loaded.source.error(("ffmpeg",), str(error))]) from error
        old = self.applied.desired.servers if self.applied else {}
        for name, server in desired.servers.items():
            if old.get(name) == server:
                continue
            try:
                await self._servers.test(server, old.values() if self.applied else None)
            except StreamdError as error:
                raise ConfigError(_placed(error, loaded.source, ("servers", name))) from error
        return Accepted(desired, ffmpeg, loaded.secrets, loaded)

    async def _ffmpeg(self, path: Path) -> FFmpegBinary:
        """Return what the binary can do; it is asked again only when its file has changed."""
        try:
            status = await asyncio.to_thread(path.stat)
        except OSError:
            return await inspect(path)  # it says what is wrong
        known_as = (path, status.st_ino, status.st_mtime_ns, status.st_size)
        if self._inspected is None or self._inspected[0] != known_as:
            self._inspected = (known_as, await inspect(path))
        return self._inspected[1]

    def _changes(self, old: Desired | None, desired: Desired) -> tuple[Change, ...]:
        viewers = {
            server: sum(stream.viewers for stream in listing.streams)
            for server, listing in self._reconciler.listings.latest.items()
        }
        return changes(
            old,
            desired,
            self._reconciler.observed,
            viewers,
            datetime.now(UTC),
        )

    def _guard(self, found: tuple[Change, ...], loaded: Loaded) -> None:
        """Raise PlanRefusedError where a save would stop too much of what is live."""
        if self.applied is None:
            return
        observed = self._reconciler.observed
        live = len(observed.publishers) + len(live_consumers(observed))
        # A save cannot lift the guard for itself.
        before, after = self.applied.desired.daemon.max_stop, loaded.config.daemon.max_stop
        guard(found, live, min(before, after))

    async def preview(self, path: Path) -> Preview:
        """Say what a save of `path` in the place of the file would change.

        Raises:
            ConfigError: it would be refused for what is wrong in it.
        """
        loaded = await asyncio.to_thread(read, path, self._path, machine=self._machine())
        desired = (await self._test(loaded)).desired
        found = self._changes(self.applied.desired if self.applied else None, desired)
        try:
            self._guard(found, loaded)
        except PlanRefusedError as error:
            return Preview(with_notes(found, loaded.media), str(error))
        return Preview(with_notes(found, loaded.media))

    async def desired_before(self) -> Desired | None:
        """Return what an earlier streamd applied last; None where that is not known."""
        if self._before is None:
            with contextlib.suppress(StreamdError):
                config = await asyncio.to_thread(last_good, self._last_good)
                self._before = desire(config, await asyncio.to_thread(self._machine))
        return self._before

    async def fall_back(self) -> None:
        """Go on air with the last good configuration, because the file is bad.

        Raises:
            ConfigError: there is none that can be used.
        """
        try:
            config = await asyncio.to_thread(last_good, self._last_good)
        except ConfigError as error:
            raise ConfigError(self.state.errors) from error
        desired = desire(config, await asyncio.to_thread(self._machine))
        ffmpeg = await self._ffmpeg(Path(desired.ffmpeg))
        await self._take(Accepted(desired, ffmpeg, frozenset(secrets_of_config(config))))
        self._set_state("fallback", errors=self.state.errors)
        log.error(
            "config.fell_back", path=str(self._path), errors=[str(p) for p in self.state.errors]
        )

    def _reject(self, problems: tuple[Problem, ...]) -> None:
        fell_back = self.applied is not None and self.applied.loaded is None
        self._set_state("fallback" if fell_back else "rejected", errors=problems)
        log.error("config.rejected", errors=[str(problem) for problem in problems])

    def _set_state(
        self,
        state: ConfigStateName,
        applied_hash: str | None = None,
        *,
        errors: tuple[Problem, ...] = (),
        untouched: int | None = None,
    ) -> None:
        before = self.state
        self.state = ConfigState(
            state,
            str(self._path),
            before.hash if applied_hash is None else applied_hash,
            before.applied_at if applied_hash is None else datetime.now(UTC),
            errors,
            before.untouched if untouched is None else untouched,
        )

    def _untouched(self, found: tuple[Change, ...], old: Desired | None, desired: Desired) -> int:
        """Count the running processes that a set of changes leaves alone."""
        observed = self._reconciler.observed
        jobs = both_jobs(old, desired, observed, datetime.now(UTC)) if old is not None else ({}, {})
        running = {
            name
            for name, process in observed.processes.items()
            if process.state == "running"
            and (server_of(name) is not None or not differs(name, jobs))
        }
        for change in found:
            running -= change.touches.processes
            if change.kind == "server" and change.action in ("restart", "remove"):
                running.discard(server_process_name(change.name))
            touched = archives_touched(change, desired)
            running = {name for name in running if rule_of_archive(name) not in touched}
        return len(running)


def _placed(error: StreamdError, source: Source, path: DataPath = ()) -> list[Problem]:
    """Say where in the file what is refused stands: each port of a `PortError`, or the path."""
    if isinstance(error, PortError):
        return [source.error((*path, *below), why) for below, why in error.reasons]
    return [source.error(path, str(error))]


def _taken(error: BaseException | None) -> PortTakenError | None:
    return error if isinstance(error, PortTakenError) else None
