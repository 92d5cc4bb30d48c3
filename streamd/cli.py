"""The commands: what each takes, prints and exits with."""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streamd import __version__
from streamd.errors import ConfigError, Problem, SettingsError, StreamdError
from streamd.settings import Settings, read_settings

CHANGES = 2
"""Exit status of `streamd plan` when there is something to do."""

Command = Callable[[argparse.Namespace, Settings], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status."""
    parsed = build_parser().parse_args(arguments)
    command: Command = parsed.command
    try:
        flags = {name: getattr(parsed, name, None) for name in Settings.model_fields}
        return command(parsed, read_settings(**flags))
    except StreamdError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        sys.stderr.close()
        return 0


class Parser(argparse.ArgumentParser):
    """The parser of `streamd`; `commands` names what it knows."""

    commands: tuple[str, ...] = ()


def build_parser() -> Parser:
    """Return the parser of every command and flag."""
    parser = Parser(
        prog="streamd", description="Live streaming as one YAML file.", allow_abbrev=False
    )
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser
    )

    def add(name: str, command: Command, text: str, *, file: bool = False) -> Any:
        made = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(command=command)
        if file:
            made.add_argument("file", nargs="?", type=Path, metavar="F", help="the YAML file")
        for flag in ("config", "state-dir", "runtime-dir", "log-dir"):
            made.add_argument(f"--{flag}", type=Path, metavar="PATH")
        return made

    run = add("run", _run, "run the daemon in the foreground; SIGHUP reloads, SIGTERM stops")
    run.add_argument("--log-format", choices=("auto", "console", "json"))
    run.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    run.add_argument("--supervisor", choices=("own", "external"), help="who runs supervisord")
    run.add_argument("--on-stop", choices=("auto", "stop", "keep"), help="what SIGTERM does")
    run.add_argument(
        "--no-fallback", dest="fallback", action="store_const", const=False,
        help="do not start with the last good configuration when the file is bad",
    )  # fmt: skip
    add("supervisord", _supervisord, "run supervisord in the foreground, for a unit of its own")

    check = add("check", _check, "validate a file; needs no daemon, root or network", file=True)
    check.add_argument("--as", dest="as_path", type=Path, metavar="PATH",
                       help="resolve includes as if the file stood there")  # fmt: skip
    check.add_argument("--json", action="store_true")
    check.add_argument("--strict", action="store_true", help="take warnings for errors")

    plan = add("plan", _plan, "say what a save of a file would do (exit 0 nothing, 2 changes)",
               file=True)  # fmt: skip
    plan.add_argument("--json", action="store_true")

    reload = add("reload", _reload, "apply the file now, and print what was done")
    reload.add_argument("--wait", nargs="?", const="30s", metavar="TIME",
                        help="wait until it is carried out, 30s at most by default")  # fmt: skip
    reload.add_argument("--force", action="store_true", help="override daemon.max_stop")
    reload.add_argument("--json", action="store_true")

    status = add("status", _status, "show servers, streams and targets")
    status.add_argument("--json", action="store_true")
    status.add_argument("--watch", action="store_true", help="again every second")

    urls = add("urls", _urls, "print the publish and play URLs of every protocol")
    urls.add_argument("stream", nargs="?", metavar="STREAM")
    urls.add_argument("--json", action="store_true")
    urls.add_argument("--show-secrets", action="store_true", help="print keys, not their names")

    logs = add("logs", _logs, "print the log of a server or target")
    logs.add_argument("name", metavar="NAME")
    logs.add_argument("-n", "--lines", type=int, default=50)
    logs.add_argument("-f", "--follow", action="store_true")

    keygen = add("keygen", _keygen, "make a new key, and print its YAML and URLs")
    keygen.add_argument("stream", nargs="?", metavar="STREAM", default="livestream")
    add("version", _version, "print the version")
    parser.commands = tuple(commands.choices)
    return parser


def _run(_arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.daemon import Daemon  # noqa: PLC0415 - other commands start without its imports
    from streamd.logs import configure  # noqa: PLC0415 - likewise

    configure(settings.log_format, settings.log_level)
    return asyncio.run(Daemon(settings).run())


def _supervisord(_arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.state import State  # noqa: PLC0415 - likewise
    from streamd.supervision.start import exec_supervisord  # noqa: PLC0415 - likewise

    State(settings).prepare()
    exec_supervisord(settings.runtime_dir, settings.log_dir)


def _check(arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.configuration import read  # noqa: PLC0415 - likewise

    path = arguments.file or settings.config
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    try:
        warnings = read(path, arguments.as_path).warnings
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


def _plain(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    fields = ("file", "line", "column", "path", "message")
    return [{name: getattr(problem, name) for name in fields} for problem in problems]


def _plan(arguments: argparse.Namespace, settings: Settings) -> int:
    path = (arguments.file or settings.config).absolute()
    if settings.control_socket.exists():
        answer = _ask(settings, "POST", "/plan", {"path": str(path)})
        found, note = answer["changes"], ""
    else:
        found, note = _offline_plan(path, settings)
    if arguments.json:
        print(json.dumps({"changes": found}, indent=2))
    else:
        for change in found:
            print(change["text"])
        print(f"{note}{len(found)} changes" if found else f"{note}nothing to do")
    return CHANGES if found else 0


def _offline_plan(path: Path, settings: Settings) -> tuple[list[dict[str, Any]], str]:
    """Compare with what was applied last, when no daemon runs."""
    from streamd.changes import changes  # noqa: PLC0415 - likewise
    from streamd.configuration import last_good, read  # noqa: PLC0415 - likewise
    from streamd.control_api import changes_json  # noqa: PLC0415 - likewise
    from streamd.desired import desire  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise
    from streamd.observed import Observed  # noqa: PLC0415 - likewise

    new = desire(read(path).config, find_machine())
    try:
        old = desire(last_good(settings.last_good), find_machine())
        note = "no streamd runs; compared with what was applied last: "
    except ConfigError:
        old, note = None, "no streamd runs and nothing was ever applied: "
    found = changes(old, new, Observed(), {}, datetime.now(UTC))
    return changes_json(found), note


def _reload(arguments: argparse.Namespace, settings: Settings) -> int:
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


def _status(arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.status.text import status_text  # noqa: PLC0415 - likewise

    while True:
        answer = _ask(settings, "GET", "/status")
        text = json.dumps(answer, indent=2) if arguments.json else status_text(answer)
        if not arguments.watch:
            print(text)
            return 0 if answer["converged"] else 1
        print(f"\x1b[2J\x1b[H{text}" if sys.stdout.isatty() else text, flush=True)
        time.sleep(1.0)


def _urls(arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.configuration import read  # noqa: PLC0415 - likewise
    from streamd.desired import desire  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise
    from streamd.urls import urls, urls_json, urls_text  # noqa: PLC0415 - likewise

    config = read(settings.config).config
    secrets = (
        {name: k.secret.get_secret_value() for name, k in config.keys.items() if k.secret}
        if arguments.show_secrets
        else {}
    )
    found = urls(desire(config, find_machine()), arguments.stream, secrets)
    print(json.dumps(urls_json(found), indent=2) if arguments.json else urls_text(found))
    return 0


def _logs(arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.process_logs import find, tail  # noqa: PLC0415 - likewise

    if arguments.follow:
        asyncio.run(_follow(settings.log_dir, arguments.name, arguments.lines))
        return 0
    paths = find(settings.log_dir, arguments.name)
    for name, path in paths.items():
        if len(paths) > 1:
            print(f"==> {name} <==")
        for line in tail(path, arguments.lines):
            print(line)
    return 0


async def _follow(log_dir: Path, name: str, lines: int) -> None:
    from streamd.process_logs import follow  # noqa: PLC0415 - likewise

    async with contextlib.aclosing(follow(log_dir, name, lines)) as followed:
        async for line in followed:
            print(f"{line.process}: {line.text}", flush=True)


def _keygen(arguments: argparse.Namespace, settings: Settings) -> int:
    from streamd.configuration import read  # noqa: PLC0415 - likewise
    from streamd.desired import desire  # noqa: PLC0415 - likewise
    from streamd.keygen import keygen_text  # noqa: PLC0415 - likewise
    from streamd.machine import find_machine  # noqa: PLC0415 - likewise

    try:
        desired = desire(read(settings.config).config, find_machine())
    except ConfigError:
        desired = None  # a first key is made before there is a file
    print(keygen_text(arguments.stream, desired))
    return 0


def _version(_arguments: argparse.Namespace, _settings: Settings) -> int:
    print(f"streamd {__version__}")
    return 0


def _ask(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    from streamd.control_api import ask  # noqa: PLC0415 - likewise

    return asyncio.run(ask(settings.control_socket, method, path, body))
