"""Where streamd keeps what, and how it logs: flags, then `STREAMD_*`, then defaults.

These settings are about one process on one machine; everything about streams is in the YAML file.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamd.errors import SettingsError

LogFormat = Literal["console", "json", "auto"]


def _is_root() -> bool:
    return os.geteuid() == 0


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "streamd"


def _config() -> Path:
    base = Path("/etc/streamd") if _is_root() else _xdg("XDG_CONFIG_HOME", ".config")
    return base / "config.yaml"


def _state_dir() -> Path:
    return Path("/var/lib/streamd") if _is_root() else _xdg("XDG_STATE_HOME", ".local/state")


def _runtime_dir() -> Path:
    if _is_root():
        return Path("/run/streamd")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/streamd-{os.geteuid()}") / "streamd"  # noqa: S108 - made 0700 and checked before use


def _log_dir() -> Path:
    return Path("/var/log/streamd") if _is_root() else _state_dir() / "log"


class Settings(BaseSettings):
    """How this process runs.

    Attributes:
        config: the YAML file.
        state_dir: what must survive a reboot (last good configuration, servers' files).
        runtime_dir: sockets and what ends with the boot.
        log_dir: one log file a process.
        log_format: `auto` is console on a terminal and json otherwise.
        log_level: debug, info, warning or error.
        supervisor: `own` starts supervisord when none is there, and on SIGTERM stops all;
            `external` waits for one that something else runs (systemd), and leaves it alone.
        on_stop: what SIGTERM does to the media; `auto` is `stop` with an own supervisord and
            `keep` with an external one.
        fallback: start with the last good configuration when the file is bad.
    """

    model_config = SettingsConfigDict(env_prefix="STREAMD_", extra="ignore", frozen=True)

    config: Path = Field(default_factory=_config)
    state_dir: Path = Field(default_factory=_state_dir)
    runtime_dir: Path = Field(default_factory=_runtime_dir)
    log_dir: Path = Field(default_factory=_log_dir)
    log_format: LogFormat = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    supervisor: Literal["own", "external"] = "own"
    on_stop: Literal["auto", "stop", "keep"] = "auto"
    fallback: bool = True

    @property
    def control_socket(self) -> Path:
        """The Unix socket at which the CLI reaches the daemon."""
        return self.runtime_dir / "streamd.sock"

    @property
    def last_good(self) -> Path:
        """The last good configuration, with its secrets."""
        return self.state_dir / "last-good.json"

    @property
    def outbox(self) -> Path:
        """What callbacks are still to be told."""
        return self.state_dir / "outbox"

    @property
    def stops_media(self) -> bool:
        """Tell whether SIGTERM stops the media too."""
        return self.on_stop == "stop" or (self.on_stop == "auto" and self.supervisor == "own")


def read_settings(**flags: object) -> Settings:
    """Resolve the settings; flags that are None were not given.

    Raises:
        SettingsError: a flag or variable has a value that it cannot have.
    """
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type] # validated by pydantic
    except ValidationError as error:
        wrong = "; ".join(
            f"{item['loc'][0]} (STREAMD_{str(item['loc'][0]).upper()}): {item['msg']}"
            for item in error.errors()
        )
        raise SettingsError(wrong) from error
    absolute = {
        name: Path(getattr(settings, name)).absolute()
        for name in ("config", "state_dir", "runtime_dir", "log_dir")
    }
    return settings.model_copy(update=absolute)
