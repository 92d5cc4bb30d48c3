"""The command line: every command with what it takes."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from streamd import commands
from streamd.errors import StreamdError
from streamd.settings import Settings, read_settings

Handler = Callable[[argparse.Namespace, Settings], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: what it is called.
        handler: `MODULE:FUNCTION` below `streamd.commands`, which is imported when it is called:
            each starts without the imports of the others.
        text: what it says of itself.
        arguments: what it takes.
    """

    name: str
    handler: str
    text: str
    arguments: tuple[tuple[tuple[str, ...], Mapping[str, Any]], ...] = ()


def _takes(*names: str, **options: Any) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Write one argument of a command as `argparse` wants it."""
    return names, options


class Parser(argparse.ArgumentParser):
    """The parser of `streamd`; `commands` names what it knows."""

    commands: tuple[str, ...] = ()


_JSON = _takes("--json", action="store_true")
_FILE = _takes("file", nargs="?", type=Path, metavar="F", help="the YAML file")
_STREAM = {"nargs": "?", "metavar": "STREAM"}
_PLACES = tuple(
    _takes(f"--{name}", type=Path, metavar="PATH")
    for name in ("config", "state-dir", "runtime-dir", "log-dir")
)

COMMANDS = (
    Command(
        "run",
        "run:run",
        "run the daemon in the foreground; SIGHUP reloads, SIGTERM stops",
        (
            _takes("--log-format", choices=("auto", "console", "json")),
            _takes("--log-level", choices=("debug", "info", "warning", "error")),
            _takes("--supervisor", choices=("own", "external"), help="who runs supervisord"),
            _takes("--on-stop", choices=("auto", "stop", "keep"), help="what SIGTERM does"),
            _takes(
                "--no-fallback",
                dest="fallback",
                action="store_const",
                const=False,
                help="do not start with the last good configuration when the file is bad",
            ),
        ),
    ),
    Command(
        "supervisord",
        "supervisord:supervisord",
        "run supervisord in the foreground, for a unit of its own",
    ),
    Command(
        "check",
        "check:check",
        "validate a file; needs no daemon, root or network",
        (
            _FILE,
            _takes(
                "--as",
                dest="as_path",
                type=Path,
                metavar="PATH",
                help="resolve includes as if the file stood there",
            ),
            _JSON,
            _takes("--strict", action="store_true", help="take warnings for errors"),
        ),
    ),
    Command(
        "plan",
        "plan:plan",
        "say what a save of a file would do (exit 0 nothing, 2 changes)",
        (_FILE, _JSON),
    ),
    Command(
        "reload",
        "reload:reload",
        "apply the file now, and print what was done",
        (
            _takes(
                "--wait",
                nargs="?",
                const="30s",
                metavar="TIME",
                help="wait until it is carried out, 30s at most by default",
            ),
            _takes("--force", action="store_true", help="override daemon.max_stop"),
            _JSON,
        ),
    ),
    Command(
        "status",
        "status:status",
        "show servers, streams and targets",
        (_JSON, _takes("--watch", action="store_true", help="again every second")),
    ),
    Command(
        "urls",
        "urls:urls",
        "print the publish and play URLs of every protocol",
        (
            _takes("stream", **_STREAM),
            _JSON,
            _takes("--show-secrets", action="store_true", help="print keys, not their names"),
        ),
    ),
    Command(
        "recordings",
        "recordings:recordings",
        "list the recordings that are there; needs no daemon",
        (_JSON,),
    ),
    Command(
        "logs",
        "logs:logs",
        "print the log of a server, target or recording",
        (
            _takes("name", metavar="NAME"),
            _takes("-n", "--lines", type=int, default=50),
            _takes("-f", "--follow", action="store_true"),
        ),
    ),
    Command(
        "keygen",
        "urls:keygen",
        "make a new key, and print its YAML and URLs",
        (_takes("stream", default="livestream", **_STREAM),),
    ),
    Command(
        "schema",
        "check:schema",
        "print the JSON Schema of the file, for editors that complete and check it",
    ),
    Command("doctor", "doctor:doctor", "look at the machine, and say what is wrong", (_JSON,)),
    Command("version", "version:version", "print the version"),
)


def build_parser() -> Parser:
    """Return the parser of every command and flag."""
    parser = Parser(
        prog="streamd", description="Live streaming as one YAML file.", allow_abbrev=False
    )
    added = parser.add_subparsers(
        required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser
    )
    for command in COMMANDS:
        made = added.add_parser(
            command.name, help=command.text, description=command.text, allow_abbrev=False
        )
        made.set_defaults(handler=command.handler)
        for names, options in (*command.arguments, *_PLACES):
            made.add_argument(*names, **options)
    parser.commands = tuple(added.choices)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status."""
    parsed = build_parser().parse_args(arguments)
    try:
        handler: Handler = resolve_name(f"{commands.__name__}.{parsed.handler}")
        flags = {name: getattr(parsed, name, None) for name in Settings.model_fields}
        return handler(parsed, read_settings(**flags))
    except StreamdError as error:
        if getattr(parsed, "json", False):
            print(json.dumps({"ok": False, "errors": error.as_json()}, indent=2))
        else:
            print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        sys.stderr.close()
        return 0
