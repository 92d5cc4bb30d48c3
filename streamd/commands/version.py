"""Which release this is."""

import argparse

from streamd.settings import Settings
from streamd.version import __version__


def version(_arguments: argparse.Namespace, _settings: Settings) -> int:
    """Print the version."""
    print(f"streamd {__version__}")
    return 0
