"""What streamd says of itself."""

import argparse
import json
import sys
import time

from streamd.commands.control import ask_daemon
from streamd.settings import Settings
from streamd.status.text import status_text


def status(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the status, 1 when something is left to do; with `--watch` for ever."""
    while True:
        answer = ask_daemon(settings, "GET", "/status")
        text = json.dumps(answer, indent=2) if arguments.json else status_text(answer)
        if not arguments.watch:
            print(text)
            return 0 if answer["converged"] else 1
        print(f"\x1b[2J\x1b[H{text}" if sys.stdout.isatty() else text, flush=True)
        time.sleep(1.0)
