"""What is wrong with the machine."""

import argparse
import asyncio
import json

from streamd.doctor.checks import examine
from streamd.doctor.report import exit_status, report_json, report_text
from streamd.settings import Settings


def doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what was looked at on this machine, and what to do; 1 when something is wrong."""
    found = asyncio.run(examine(settings))
    print(json.dumps(report_json(found), indent=2) if arguments.json else report_text(found))
    return exit_status(found)
