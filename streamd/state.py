"""The state and runtime directories: made private, locked by one daemon, read and written whole."""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import structlog

from streamd.desire_certificates import certificates_directory
from streamd.engines.base import ServerSecrets
from streamd.errors import SettingsError
from streamd.settings import Settings
from streamd.whole_file import write_whole

log = structlog.get_logger()


class State:
    """What streamd keeps in its directories. One daemon at a time holds them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._locks: list[int] = []
        self._loaded: dict[str, str] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the directories, and hold them for this process until the end of a block.

        Raises:
            SettingsError: one cannot be made or used, or another daemon holds them.
        """
        self.prepare()
        self._lock()
        try:
            yield
        finally:
            self._unlock()

    def prepare(self) -> None:
        """Make the directories, private to this user.

        Raises:
            SettingsError: one cannot be made, or belongs to somebody else.
        """
        for name in ("state_dir", "runtime_dir", "log_dir"):
            path: Path = getattr(self._settings, name)
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                status = path.stat()
                if status.st_uid not in (os.geteuid(), 0):
                    raise SettingsError(
                        f"{path} belongs to user {status.st_uid}; choose another with "
                        f"--{name.replace('_', '-')} or change its owner"
                    )
                if name != "log_dir" and status.st_mode & 0o077:
                    path.chmod(0o700)
                if not os.access(path, os.W_OK | os.X_OK):
                    raise PermissionError(13, "not writable", str(path))
            except OSError as error:
                raise SettingsError(
                    f"{path} cannot be used: {error.strerror}; choose another with "
                    f"--{name.replace('_', '-')} (STREAMD_{name.upper()}) or fix its permissions"
                ) from error

    def _lock(self) -> None:
        """Hold the directories for this process.

        Raises:
            SettingsError: another daemon holds them.
        """
        for directory in (self._settings.state_dir, self._settings.runtime_dir):
            path = directory / "streamd.lock"
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                self._unlock()
                raise SettingsError(f"{path} cannot be made: {error.strerror}") from error
            self._locks.append(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._unlock()
                raise SettingsError(
                    f"another streamd runs on {directory}; stop it, or give this one its own "
                    "--state-dir and --runtime-dir"
                ) from error

    def _unlock(self) -> None:
        """Let go of the directories."""
        while self._locks:
            os.close(self._locks.pop())

    def server_directory(self, server: str) -> Path:
        """Return where a media server keeps its files."""
        return self.servers_directory / server

    @property
    def servers_directory(self) -> Path:
        """Below which each media server keeps its files."""
        return self._settings.state_dir / "servers"

    @property
    def outbox(self) -> Path:
        """What callbacks are still to be told."""
        return self._settings.outbox

    @property
    def archives_directory(self) -> Path:
        """Where the archive of each rule of recordings says how it is; may not exist."""
        return self._settings.runtime_dir / "archive"

    @property
    def leaving_directory(self) -> Path:
        """Where archives are written down whose rule is gone; may not exist."""
        return self._settings.state_dir / "leaving"

    @property
    def certificates_directory(self) -> Path:
        """Below which each certificate has its files."""
        return Path(certificates_directory(self._settings.state_dir))

    @property
    def slates_directory(self) -> Path:
        """Where playouts keep slates that they have fitted; may not exist."""
        return self._settings.state_dir / "slates"

    def server_secrets(self) -> ServerSecrets:
        """Return what streamd and its servers share, made at the first start.

        It stays the same over restarts, because running servers know it.
        """
        path = self._settings.state_dir / "server-secrets.json"
        try:
            return ServerSecrets(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            set_aside = path.with_suffix(".broken")
            log.warning("state.set_aside", path=str(path), to=str(set_aside), error=str(error))
            with contextlib.suppress(OSError):
                path.replace(set_aside)
        made = ServerSecrets(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        try:
            write_whole(path, json.dumps(asdict(made)))
        except OSError as error:
            raise SettingsError(
                f"{path} cannot be written: {error.strerror}; make room or fix its permissions"
            ) from error
        return made

    def loaded(self, server: str) -> str:
        """Return what a server was last started from or reloaded with; "" when not known."""
        if server not in self._loaded:
            self._loaded[server] = ""
            with contextlib.suppress(OSError):
                path = self.server_directory(server) / "loaded"
                self._loaded[server] = path.read_text(encoding="utf-8")
        return self._loaded[server]

    def set_loaded(self, server: str, identity: str) -> None:
        """Remember what a server was last started from or reloaded with.

        What cannot be written down is remembered until streamd ends, and logged.
        """
        self._loaded[server] = identity
        try:
            self._write_loaded(server, identity)
        except OSError as error:
            log.error("state.not_written", server=server, error=str(error))

    def _write_loaded(self, server: str, identity: str) -> None:
        write_whole(self.server_directory(server) / "loaded", identity)
