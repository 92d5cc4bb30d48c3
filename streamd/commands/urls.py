"""Where streams are published and played, and new keys."""

import argparse
import json

from streamd.config.here import read
from streamd.desire import desire
from streamd.errors import ConfigError
from streamd.keygen import keygen_text
from streamd.machine import find_machine
from streamd.settings import Settings
from streamd.urls import urls as urls_of
from streamd.urls import urls_json, urls_text


def urls(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print where streams are published and played."""
    machine = find_machine(state_directory=settings.state_dir)
    config = read(settings.config, machine=machine).config
    secrets = (
        {name: k.secret.get_secret_value() for name, k in config.keys.items() if k.secret}
        if arguments.show_secrets
        else {}
    )
    found = urls_of(desire(config, machine), arguments.stream, secrets)
    print(json.dumps(urls_json(found), indent=2) if arguments.json else urls_text(found))
    return 0


def keygen(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print a new key."""
    try:
        machine = find_machine(state_directory=settings.state_dir)
        desired = desire(read(settings.config, machine=machine).config, machine)
    except ConfigError:
        desired = None  # a first key is made before there is a file
    print(keygen_text(arguments.stream, desired))
    return 0
