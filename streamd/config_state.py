"""What became of the file. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streamd.errors import Problem

ConfigStateName = Literal["applied", "rejected", "pending", "fallback"]


@dataclass(frozen=True, slots=True)
class ConfigState:
    """What became of the file.

    Attributes:
        state: `rejected` and `fallback` go on air with an older file than the one on disk,
            `pending` waits for `streamd reload`.
        path: the file.
        hash: digest of what is applied; "" when nothing is.
        applied_at: when that was applied.
        errors: what is wrong with the file on disk, warnings included.
        untouched: processes that the last applied change left alone.
    """

    state: ConfigStateName
    path: str
    hash: str = ""
    applied_at: datetime | None = None
    errors: tuple[Problem, ...] = ()
    untouched: int = 0
