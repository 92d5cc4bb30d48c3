"""The log of a playout or an archive: lines `level message` on stderr, for an operator."""

import sys
from collections.abc import Callable

Say = Callable[[str, str], None]
"""Writes a line: its level (info, warning, error) and a message, in which no secrets are."""

_LONGEST = 1000


def say(level: str, message: str) -> None:
    """Write a line. Where nobody reads the log it is lost, and nothing else happens."""
    text = "".join(each if each.isprintable() else " " for each in message[:_LONGEST])
    try:
        sys.stderr.write(f"{level} {text}\n")
        sys.stderr.flush()
    except OSError:
        return
