"""What the doctor finds, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_NAMED = 3

Level = Literal["ok", "unknown", "warning", "error"]


AS_ROOT = "run `streamd doctor` as root"
"""What to do where this user may not look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `ok`; `unknown`: it could not be looked at, and `what` says why; `warning`: it works
            and is not as it should be; `error`: something does not work, or will not.
        where: what was looked at: a place in the file, a directory, a program.
        what: what was found there.
        do: what to do about it; "" when nothing is to be done.
    """

    level: Level
    where: str
    what: str
    do: str = ""


Report = Mapping[str, Sequence[Finding]]
"""Findings by the title of the check that made them, in order."""


def ok(where: str, what: str) -> Finding:
    """Say that something is as it should be."""
    return Finding("ok", where, what)


def unknown(where: str, what: str, do: str = "") -> Finding:
    """Say what could not be looked at, and why."""
    return Finding("unknown", where, what, do)


def warning(where: str, what: str, do: str) -> Finding:
    """Say what works and is not as it should be."""
    return Finding("warning", where, what, do)


def error(where: str, what: str, do: str) -> Finding:
    """Say what does not work."""
    return Finding("error", where, what, do)


def listed(names: Sequence[str]) -> str:
    """Name some things, of many the first."""
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def split_advice(message: str) -> tuple[str, str]:
    """Split a message of streamd's, `what is wrong; what to do`; without advice that is empty."""
    what, _, do = message.partition("; ")
    return what, do
