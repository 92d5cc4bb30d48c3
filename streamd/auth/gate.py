"""The seam between the hooks and whoever else may turn a publisher away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from streamd.auth.decide import Allowed, Refused
from streamd.engines.base import HookRequest


@dataclass(frozen=True, slots=True)
class Consent:
    """What was said of a publisher.

    Attributes:
        refused: why it may not come; None: it may.
        finish: to be told, once, whether it was let in.
    """

    refused: Refused | None = None
    finish: Callable[[bool], None] = lambda _: None


class Gate(Protocol):
    """Asks others whether a publisher may come whom streamd itself would let in."""

    @property
    def asks(self) -> bool:
        """Whether there is anybody to ask."""

    async def ask(self, server: str, hook: HookRequest, allowed: Allowed) -> Consent:
        """Ask everybody at once. Bounded in time."""
