"""What a save would do."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamd.changes.compare import changes, with_notes
from streamd.commands.control import ask_daemon
from streamd.config.here import last_good, read
from streamd.control_api import changes_json
from streamd.desire import desire
from streamd.errors import ConfigError, NoDaemonError
from streamd.machine import find_machine
from streamd.observed import Observed
from streamd.settings import Settings

CHANGES = 2
"""Exit status of `streamd plan` when there is something to do."""


def plan(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what a save would change; `CHANGES` when that is something."""
    path = (arguments.file or settings.config).absolute()
    try:
        answer = ask_daemon(settings, "POST", "/plan", {"path": str(path)})
        found, note, refused = answer["changes"], "", answer["refused"]
    except NoDaemonError:
        found, note = _offline_plan(path, settings)
        refused = None
    if arguments.json:
        print(json.dumps({"changes": found, "refused": refused}, indent=2))
    else:
        for change in found:
            print(change["text"])
        print(f"{note}{len(found)} changes" if found else f"{note}nothing to do")
        if refused:
            print(f"it would be refused: {refused}")
    return CHANGES if found else 0


def _offline_plan(path: Path, settings: Settings) -> tuple[list[dict[str, Any]], str]:
    """Compare with what was applied last, when no daemon runs."""
    machine = find_machine(state_directory=settings.state_dir)
    loaded = read(path, machine=machine)
    new = desire(loaded.config, machine)
    try:
        old = desire(last_good(settings.last_good), machine)
        note = "no streamd runs; compared with what was applied last: "
    except ConfigError:
        old, note = None, "no streamd runs and nothing was ever applied: "
    found = changes(old, new, Observed(), {}, datetime.now(UTC))
    return changes_json(with_notes(found, loaded.media)), note
