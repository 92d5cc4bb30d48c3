"""What is known of a callback. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CallbackFacts:
    """What became of the requests to one callback since streamd runs.

    Attributes:
        pending: events that wait to be sent.
        sent: events that arrived.
        failures: requests that did not get a yes or a no.
        refused: publishers that it turned away.
        dropped: events that were given up.
        is_failing: the last request about some stream failed.
        last_success: when it answered last.
        last_error: why the last request failed; None when none is failing.
        retry_at: monotonic time at which what failed is tried next.
    """

    pending: int = 0
    sent: int = 0
    failures: int = 0
    refused: int = 0
    dropped: int = 0
    is_failing: bool = False
    last_success: datetime | None = None
    last_error: str | None = None
    retry_at: float | None = None
