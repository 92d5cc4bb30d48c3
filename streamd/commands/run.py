"""Running the daemon."""

import argparse
import asyncio

from streamd import daemon
from streamd.logs import configure
from streamd.settings import Settings


def run(_arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the daemon until it is asked to stop."""
    configure(settings.log_format, settings.log_level)
    return asyncio.run(daemon.run(settings))
