"""Which recordings there are."""

import argparse
import json

from streamd.config.here import last_good, read
from streamd.desire import desire
from streamd.errors import ConfigError
from streamd.machine import find_machine
from streamd.recordings.listing import find_recordings, recordings_json, recordings_text
from streamd.settings import Settings


def recordings(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the recordings that are in the directories of the file."""
    machine = find_machine(state_directory=settings.state_dir)
    try:
        config = read(settings.config, machine=machine).config
    except ConfigError:
        config = last_good(settings.last_good)  # recordings are there with a bad file too
    found = find_recordings(desire(config, machine).recordings.values())
    print(
        json.dumps(recordings_json(found), indent=2) if arguments.json else recordings_text(found)
    )
    return 0
