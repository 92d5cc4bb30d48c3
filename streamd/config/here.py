"""The file as it is read on this machine, and the one that was applied last."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from streamd.config.defaults import Machine
from streamd.config.load import Loaded, load, restore
from streamd.config.models import Config
from streamd.errors import ConfigError, Problem


def read(
    path: Path,
    as_path: Path | None = None,
    *,
    machine: Machine,
    environment: Mapping[str, str] = os.environ,
) -> Loaded:
    """Load and check a file. Blocks.

    Args:
        path: the file.
        as_path: where it is to be taken for standing; None: where it stands.
        machine: what is here.
        environment: that of this process, or of another whose place is taken; it also names the
            directory of systemd's credentials.

    Raises:
        ConfigError: it is not good, with every problem.
    """
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    return load(
        path,
        environment=environment,
        credentials_directory=Path(credentials) if credentials else None,
        as_path=as_path,
        machine=machine,
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
