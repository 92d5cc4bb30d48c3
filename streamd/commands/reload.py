"""Applying the file now."""

import argparse
import json

from pydantic import TypeAdapter, ValidationError

from streamd.commands.control import ask_daemon
from streamd.config.fields import Duration
from streamd.errors import SettingsError
from streamd.settings import Settings


def reload(arguments: argparse.Namespace, settings: Settings) -> int:
    """Have the file applied, and print what was changed, and what is tried again."""
    try:
        wait = TypeAdapter(Duration).validate_python(arguments.wait or "0s")
    except ValidationError as error:
        reason = error.errors()[0]["ctx"]["error"]
        raise SettingsError(f"--wait: {arguments.wait!r} {reason}") from error
    body = {"force": arguments.force, "wait_s": wait.total_seconds()}
    answer = ask_daemon(settings, "POST", "/reload", body)
    if arguments.json:
        print(json.dumps(answer, indent=2))
        return 0
    for change in answer["changes"]:
        print(change["text"])
    if answer["changes"]:
        print(f"applied; {answer['untouched']} processes untouched")
    for name in answer["retried"]:
        print(f"certificate {name}: tried again")
    if not answer["changes"] and not answer["retried"]:
        print("nothing to do")
    return 0
