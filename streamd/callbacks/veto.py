"""What several callbacks say of one publisher, put together. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from streamd.desired import CallbackSpec


@dataclass(frozen=True, slots=True)
class Said:
    """What one callback said: `yes`, `no`, or nothing that could be understood."""

    callback: CallbackSpec
    kind: Literal["yes", "no", "fault", "none"]
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the publisher.

    Attributes:
        kind: `vetoed`: somebody said no; `unasked`: somebody gave no answer who has to; None: it
            may come.
        reason: for the operator.
        late: callbacks that gave no answer and need not; they are told later.
        misled: callbacks that may think it came when it does not.
    """

    kind: Literal["vetoed", "unasked"] | None
    reason: str
    late: tuple[str, ...]
    misled: tuple[str, ...]


def verdict(answers: Sequence[Said]) -> Verdict:
    """Put answers together: one no is enough, and silence is what `on_error` makes of it."""
    no = [each for each in answers if each.kind == "no"]
    silent = [each for each in answers if each.kind in ("fault", "none")]
    needed = [each for each in silent if each.callback.on_error == "refuse"]
    misled = tuple(each.callback.name for each in answers if each.kind != "no")
    late = tuple(each.callback.name for each in silent)
    if no:
        reason = f"callback {no[0].callback.name} refuses it: {no[0].text}"
        return Verdict("vetoed", reason, late, misled)
    if needed:
        reason = f"callback {needed[0].callback.name} could not be asked: {needed[0].text}"
        return Verdict("unasked", reason, late, misled)
    return Verdict(None, "", late, misled)
