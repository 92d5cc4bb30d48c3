"""What is wrong with a file, and what may stand in it."""

import argparse
import json
import sys

from streamd.config.here import read
from streamd.config.schema import json_schema
from streamd.errors import ConfigError, Problem
from streamd.machine import find_machine
from streamd.settings import Settings


def check(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what is wrong with a file; 1 when it cannot be used."""
    path = arguments.file or settings.config
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    try:
        machine = find_machine(state_directory=settings.state_dir)
        warnings = read(path, arguments.as_path, machine=machine).warnings
    except ConfigError as error:
        problems = error.problems
    failed = bool(problems) or (arguments.strict and bool(warnings))
    if arguments.json:
        listed = {"errors": problems, "warnings": warnings}
        told = {name: [each.as_json() for each in found] for name, found in listed.items()}
        print(json.dumps({"ok": not failed} | told, indent=2))
        return int(failed)
    for problem in problems:
        print(problem, file=sys.stderr)
    for warning in warnings:
        print(warning, file=sys.stderr)
    if not failed:
        print(f"{path}: ok")
    return int(failed)


def schema(_arguments: argparse.Namespace, _settings: Settings) -> int:
    """Print the JSON Schema of the file."""
    print(json.dumps(json_schema(), indent=2))
    return 0
