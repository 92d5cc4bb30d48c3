"""Running supervisord where it has a unit of its own."""

import argparse

from streamd.settings import Settings
from streamd.state import State
from streamd.supervision.start import exec_supervisord


def supervisord(_arguments: argparse.Namespace, settings: Settings) -> int:
    """Become supervisord."""
    State(settings).prepare()
    exec_supervisord(settings.runtime_dir, settings.log_dir)
