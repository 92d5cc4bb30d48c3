"""Which input is on air, and which ones have to run so that there is one. Pure.

Inputs are known by their place: the one that is preferred is 0. Seconds are monotonic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FREEZE_S = 1.0
"""An input that is silent for as long delivers no more, and something else goes on air."""

START_S = 1.0
"""How long a slate waits for a better input when the playout has just begun."""

BACKUP_AFTER_S = 5.0
"""How long a second pull waits for the first one, which has neither begun nor failed yet."""

STEADY_S = 3.0
"""How long a pull has to deliver before it is returned to from its backup."""


@dataclass(slots=True)
class _State:
    """What is known of an input. `since`: it delivers from then on; None: not."""

    kind: str
    since: float | None = None
    heard: float = 0.0
    has_failed: bool = False


class Choice:
    """Chooses by what is heard of the inputs.

    Args:
        kinds: of the inputs, as `spec.kind_of` says.
        now: when the playout begins.
    """

    def __init__(self, kinds: Sequence[str], now: float) -> None:
        self.on_air: int | None = None
        self._inputs = [_State(kind) for kind in kinds]
        self._started = now
        self._has_aired = False
        self._held = False

    def heard(self, at: int, now: float, *, enters: bool) -> None:
        """Note a tag of an input.

        Args:
            at: the input.
            now: when.
            enters: a decoder can begin with this tag.
        """
        state = self._inputs[at]
        if at != self.on_air and not self.delivers(at, now):
            state.since = None
        if state.since is None and enters:
            state.since = now
        state.heard = now
        if at != self.on_air and enters and self._may_take_over(at, now):
            self.on_air = at
            self._has_aired = True

    def _may_take_over(self, at: int, now: float) -> bool:
        present = self.on_air
        if present is None or not self.delivers(present, now):
            return True
        since = self._inputs[at].since
        if at > present or since is None:
            return False
        both_pulled = self._inputs[at].kind == self._inputs[present].kind == "pull"
        return now - since >= (STEADY_S if both_pulled else 0.0)

    def ended(self, at: int) -> None:
        """Note that what an input sent is over, or could not begin."""
        self._inputs[at].since = None
        self._inputs[at].has_failed = True

    def hold(self, now: float, *, held: bool) -> None:
        """Say that files are held back, because nobody takes them; they are not silent then."""
        for state in self._inputs if self._held and not held else ():
            if state.kind == "files":
                state.heard = now
        self._held = held

    def delivers(self, at: int, now: float) -> bool:
        """Tell whether an input has media now."""
        state = self._inputs[at]
        if state.since is None:
            return False
        return now - state.heard < FREEZE_S or (self._held and state.kind == "files")

    def has_media(self, now: float) -> bool:
        """Tell whether anything is on air."""
        return self.on_air is not None and self.delivers(self.on_air, now)

    def wanted(self, at: int, now: float) -> bool:
        """Tell whether an input has to run: the first one and encoders always do."""
        if at == 0 or self._inputs[at].kind == "ingest":
            return True
        present = self.on_air
        if present is not None and present < at and self.delivers(present, now):
            return False
        return self._has_aired or not any(self._is_awaited(at, before, now) for before in range(at))

    def _is_awaited(self, at: int, before: int, now: float) -> bool:
        """Tell whether an input waits for one before it that may be about to begin."""
        is_slate = self._inputs[at].kind == "slate"
        patience = START_S if is_slate else BACKUP_AFTER_S
        failed = self._inputs[before].has_failed and not is_slate
        return not failed and now - self._started < patience

    def next_look(self, now: float) -> float:
        """Return when, without anything heard, `wanted` may change; not more than 1 s from now."""
        moments = [self._started + START_S, self._started + BACKUP_AFTER_S]
        if self.on_air is not None:
            moments.append(self._inputs[self.on_air].heard + FREEZE_S)
        return min((moment for moment in moments if moment > now), default=now + 1.0)
