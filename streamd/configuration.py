"""The file's way into use: read, checked, compared, guarded, applied; or refused with its reasons.

Whatever is wrong with a file, what is applied stays applied.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from streamd.changes import Change, changes
from streamd.config.load import Loaded, load, restore
from streamd.config.models import Config
from streamd.desired import Desired, desire
from streamd.errors import ConfigError, Problem, StreamdError
from streamd.ffmpeg.argv import FFmpegBinary
from streamd.ffmpeg.binary import inspect
from streamd.guard import guard
from streamd.machine import find_machine
from streamd.reconcile import Reconciler
from streamd.servers import Servers
from streamd.state import write_private
from streamd.status.snapshot import ConfigState, ConfigStateName

log = structlog.get_logger()

OnAccepted = Callable[["Accepted"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A configuration that has passed every test."""

    desired: Desired
    ffmpeg: FFmpegBinary
    loaded: Loaded | None
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
            try:
                loaded = await asyncio.to_thread(read, self._path)
                self.watched = (loaded.files, loaded.directories)
                if loaded.hash == self.state.hash and self.applied is not None:
                    self._set_state("applied")
                    return ()
                return await self._apply(loaded, asked=asked, force=force)
            except ConfigError as error:
                if error.files:
                    self.watched = (error.files, error.directories)
                self._reject(error.problems)
                raise
            except StreamdError as error:
                self._reject((Problem(str(self._path), 0, 0, "", str(error)),))
                raise

    async def _apply(self, loaded: Loaded, *, asked: bool, force: bool) -> tuple[Change, ...]:
        accepted = await self._test(loaded)
        found = self._changes(accepted.desired)
        if self.applied is not None:
            if loaded.config.daemon.apply == "manual" and not asked:
                self._set_state("pending")
                log.info("config.pending", changes=len(found))
                return ()
            if not force:
                observed = self._reconciler.observed
                live = len(observed.publishers) + sum(
                    process.state == "running" and name.startswith("target.")
                    for name, process in observed.processes.items()
                )
                guard(found, live, loaded.config.daemon.max_stop)
        await self._take(accepted)
        self._set_state("applied", loaded.hash, untouched=self._untouched(found))
        await asyncio.to_thread(write_private, self._last_good, json.dumps(loaded.data))
        log.info(
            "config.applied",
            changes=[str(change) for change in found],
            untouched=self.state.untouched,
        )
        return found

    async def _take(self, accepted: Accepted) -> None:
        await self._on_accepted(accepted)
        await self._servers.adopt(accepted.desired.servers)
        self._reconciler.applier.ffmpeg = accepted.ffmpeg
        self.applied = accepted
        self._reconciler.desire(accepted.desired)

    async def _test(self, loaded: Loaded) -> Accepted:
        """Let FFmpeg and every changed server say what they think of it."""
        desired = desire(loaded.config, await asyncio.to_thread(find_machine))
        try:
            ffmpeg = await self._ffmpeg(Path(desired.ffmpeg))
        except StreamdError as error:
            raise ConfigError([loaded.source.error(("ffmpeg",), str(error))]) from error
        old = self.applied.desired.servers if self.applied else {}
        for name, server in desired.servers.items():
            if old.get(name) == server:
                continue
            try:
                await self._servers.test(server)
            except StreamdError as error:
                raise ConfigError([loaded.source.error(("servers", name), str(error))]) from error
        return Accepted(desired, ffmpeg, loaded)

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

    def _changes(self, desired: Desired) -> tuple[Change, ...]:
        viewers = {
            server: sum(stream.viewers for stream in listing.streams)
            for server, listing in self._reconciler.listings.latest.items()
        }
        return changes(
            self.applied.desired if self.applied else None,
            desired,
            self._reconciler.observed,
            viewers,
            datetime.now(UTC),
        )

    async def preview(self, path: Path) -> tuple[Change, ...]:
        """Say what a save of `path` in the place of the file would change.

        Raises:
            ConfigError: it would be refused.
        """
        loaded = await asyncio.to_thread(read, path, self._path)
        return self._changes((await self._test(loaded)).desired)

    async def fall_back(self) -> None:
        """Go on air with the last good configuration, because the file is bad.

        Raises:
            ConfigError: there is none that can be used.
        """
        try:
            config = await asyncio.to_thread(last_good, self._last_good)
        except ConfigError as error:
            raise ConfigError(self.state.errors) from error
        desired = desire(config, await asyncio.to_thread(find_machine))
        await self._take(Accepted(desired, await self._ffmpeg(Path(desired.ffmpeg)), None))
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

    def _untouched(self, found: tuple[Change, ...]) -> int:
        running = sum(
            process.state == "running" for process in self._reconciler.observed.processes.values()
        )
        touched = sum(
            change.touches.targets + (change.kind == "server" and change.action == "restart")
            for change in found
        )
        return max(0, running - touched)


def read(path: Path, as_path: Path | None = None) -> Loaded:
    """Load and check a file with this process's environment and credentials. Blocks.

    Raises:
        ConfigError: it is not good, with every problem.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return load(
        path,
        environment=os.environ,
        credentials_directory=Path(credentials) if credentials else None,
        as_path=as_path,
        machine=find_machine(),
    )


def last_good(path: Path) -> Config:
    """Read the last good configuration.

    Raises:
        ConfigError: there is none that can be used.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        problem = Problem(str(path), 0, 0, "", f"no last good configuration: {error}")
        raise ConfigError([problem]) from error
    return restore(data, str(path))
