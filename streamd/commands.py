"""What each command does and prints, and the status that it exits with."""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamd.errors import ConfigError, NoDaemonError, Problem, SettingsError
from streamd.settings import Settings
from streamd.version import __version__

CHANGES = 2
"""Exit status of `streamd plan` when there is something to do."""


def run(_arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the daemon until it is asked to stop."""
    from streamd.daemon import Daemon  # noqa: PLC0415 - other commands start without its imports
    from streamd.logs import configure  # noqa: PLC0415 - likewise

    configure(settings.log_format, settings.log_level)
    return asyncio.run(Daemon(settings).run())


def supervisord(_arguments: argparse.Namespace, settings: Settings) -> int:
    """Become supervisord."""
    from streamd.state import State  # noqa: PLC0415 - likewise
    from streamd.supervision.start import exec_supervisord  # noqa: PLC0415 - likewise

    State(settings).prepare()
    exec_supervisord(settings.runtime_dir, settings.log_dir)


def check(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what is wrong with a file; 1 when it cannot be used."""
    from streamd.configuration import read  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise

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
        print(json.dumps({"ok": not failed} | {k: _plain(v) for k, v in listed.items()}, indent=2))
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
    from streamd.config.schema import json_schema  # noqa: PLC0415 - likewise

    print(json.dumps(json_schema(), indent=2))
    return 0


def _plain(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    fields = ("file", "line", "column", "path", "message")
    return [{name: getattr(problem, name) for name in fields} for problem in problems]


def plan(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what a save would change; `CHANGES` when that is something."""
    path = (arguments.file or settings.config).absolute()
    try:
        answer = _ask(settings, "POST", "/plan", {"path": str(path)})
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
    from streamd.changes.compare import changes, with_notes  # noqa: PLC0415 - likewise
    from streamd.configuration import last_good, read  # noqa: PLC0415 - likewise
    from streamd.control_api import changes_json  # noqa: PLC0415 - likewise
    from streamd.desire import desire  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise
    from streamd.observed import Observed  # noqa: PLC0415 - likewise

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


def reload(arguments: argparse.Namespace, settings: Settings) -> int:
    """Have the file applied, and print what was changed."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - likewise

    from streamd.config.fields import Duration  # noqa: PLC0415 - likewise

    try:
        wait = TypeAdapter(Duration).validate_python(arguments.wait or "0s")
    except ValidationError as error:
        reason = error.errors()[0]["ctx"]["error"]
        raise SettingsError(f"--wait: {arguments.wait!r} {reason}") from error
    body = {"force": arguments.force, "wait_s": wait.total_seconds()}
    answer = _ask(settings, "POST", "/reload", body)
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return 0
    for change in answer["changes"]:
        print(change["text"])
    if answer["changes"]:
        print(f"applied; {answer['untouched']} processes untouched")
    else:
        print("nothing to do")
    return 0


def status(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the status, 1 when something is left to do; with `--watch` for ever."""
    from streamd.status.text import status_text  # noqa: PLC0415 - likewise

    while True:
        answer = _ask(settings, "GET", "/status")
        text = json.dumps(answer, indent=2) if arguments.json else status_text(answer)
        if not arguments.watch:
            print(text)
            return 0 if answer["converged"] else 1
        print(f"\x1b[2J\x1b[H{text}" if sys.stdout.isatty() else text, flush=True)
        time.sleep(1.0)


def urls(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print where streams are published and played."""
    from streamd.configuration import read  # noqa: PLC0415 - likewise
    from streamd.desire import desire  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise
    from streamd.urls import urls, urls_json, urls_text  # noqa: PLC0415 - likewise

    machine = find_machine(state_directory=settings.state_dir)
    config = read(settings.config, machine=machine).config
    secrets = (
        {name: k.secret.get_secret_value() for name, k in config.keys.items() if k.secret}
        if arguments.show_secrets
        else {}
    )
    found = urls(desire(config, machine), arguments.stream, secrets)
    print(json.dumps(urls_json(found), indent=2) if arguments.json else urls_text(found))
    return 0


def recordings(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the recordings that are in the directories of the file."""
    from streamd.configuration import last_good, read  # noqa: PLC0415 - likewise
    from streamd.desire import desire  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise
    from streamd.recordings.listing import (  # noqa: PLC0415 - likewise
        find_recordings,
        recordings_json,
        recordings_text,
    )

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


def logs(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the last lines of logs, and with `--follow` all that come."""
    from streamd.process_logs import find, tail  # noqa: PLC0415 - likewise

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
    from streamd.configuration import last_good  # noqa: PLC0415 - likewise
    from streamd.names import full_name  # noqa: PLC0415 - likewise
    from streamd.process_names import ladder_process_name  # noqa: PLC0415 - likewise

    try:
        transcode = last_good(settings.last_good).transcodes.get(name)
    except ConfigError:
        transcode = None  # logs are there without a configuration too
    return name if transcode is None else ladder_process_name(full_name(transcode.stream))


async def _follow(log_dir: Path, name: str, lines: int) -> None:
    from streamd.process_logs import follow  # noqa: PLC0415 - likewise

    async with contextlib.aclosing(follow(log_dir, name, lines)) as followed:
        async for line in followed:
            print(f"{line.process}: {line.text}", flush=True)


def keygen(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print a new key."""
    from streamd.configuration import read  # noqa: PLC0415 - likewise
    from streamd.desire import desire  # noqa: PLC0415 - likewise
    from streamd.keygen import keygen_text  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise

    try:
        machine = find_machine(state_directory=settings.state_dir)
        desired = desire(read(settings.config, machine=machine).config, machine)
    except ConfigError:
        desired = None  # a first key is made before there is a file
    print(keygen_text(arguments.stream, desired))
    return 0


def doctor(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what was looked at on this machine, and what to do; 1 when something is wrong."""
    from streamd.doctor.checks import examine  # noqa: PLC0415 - likewise
    from streamd.doctor.report import exit_status, report_json, report_text  # noqa: PLC0415

    found = asyncio.run(examine(settings))
    print(json.dumps(report_json(found), indent=2) if arguments.json else report_text(found))
    return exit_status(found)


def version(_arguments: argparse.Namespace, _settings: Settings) -> int:
    """Print the version."""
    print(f"streamd {__version__}")
    return 0


def _ask(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    from streamd.control_api import ask  # noqa: PLC0415 - likewise

    return asyncio.run(ask(settings.control_socket, method, path, body))
