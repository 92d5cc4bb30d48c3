"""The logs of processes."""

import argparse
import asyncio
import contextlib
from pathlib import Path

from streamd.config.here import last_good
from streamd.errors import ConfigError
from streamd.names import full_name
from streamd.process_logs import find, follow, tail
from streamd.process_names import ladder_process_name
from streamd.settings import Settings


def logs(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the last lines of logs, and with `--follow` all that come."""
    meant = _process_meant(arguments.name, settings)
    if arguments.follow:
        asyncio.run(_follow(settings.log_dir, meant, arguments.lines))
        return 0
    paths = find(settings.log_dir, meant)
    for name, path in paths.items():
        if len(paths) > 1:
            print(f"==> {name} <==")
        for line in tail(path, arguments.lines):
            print(line)
    return 0


def _process_meant(name: str, settings: Settings) -> str:
    """Return the process of a transcode, which a whole ladder shares; other names as they are."""
    try:
        transcode = last_good(settings.last_good).transcodes.get(name)
    except ConfigError:
        transcode = None  # logs are there without a configuration too
    return name if transcode is None else ladder_process_name(full_name(transcode.stream))


async def _follow(log_dir: Path, name: str, lines: int) -> None:
    async with contextlib.aclosing(follow(log_dir, name, lines)) as followed:
        async for line in followed:
            print(f"{line.process}: {line.text}", flush=True)
