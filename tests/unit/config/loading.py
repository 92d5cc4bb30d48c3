"""Loads a configuration from text, and tells what is said of it."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from streamd.config.defaults import Machine
from streamd.config.load import Loaded, load
from streamd.errors import ConfigError, Problem

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROGRAM = Path("/bin/sh")  # something that exists and can be executed

SRS = Machine(engines={"srs": PROGRAM, "nginx-rtmp": PROGRAM}, ffmpeg=PROGRAM)
NGINX = Machine(engines={"nginx-rtmp": PROGRAM}, ffmpeg=PROGRAM)


def write(directory: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a directory, and return the path of config.yaml."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory / "config.yaml"


def load_text(
    directory: Path,
    text: str | bytes,
    *,
    machine: Machine | None = SRS,
    environment: Mapping[str, str] | None = None,
    credentials: Path | None = None,
    others: Mapping[str, str | bytes] | None = None,
) -> Loaded:
    """Load a text as config.yaml, with other files beside it."""
    return load(
        write(directory, {"config.yaml": text, **(others or {})}),
        environment=environment or {},
        credentials_directory=credentials,
        machine=machine,
        now=NOW,
    )


def problems_of(
    directory: Path,
    text: str | bytes,
    *,
    machine: Machine | None = SRS,
    environment: Mapping[str, str] | None = None,
    credentials: Path | None = None,
    others: Mapping[str, str | bytes] | None = None,
) -> list[str]:
    """Return what is said of a text, errors or else warnings, with paths below `directory`."""
    found: tuple[Problem, ...]
    try:
        loaded = load_text(
            directory,
            text,
            machine=machine,
            environment=environment,
            credentials=credentials,
            others=others,
        )
        found = loaded.warnings
    except ConfigError as error:
        found = error.problems
    return [str(problem).replace(f"{directory}{os.sep}", "") for problem in found]
