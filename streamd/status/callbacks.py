"""What is said of a callback. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streamd.callbacks.facts import CallbackFacts
from streamd.callbacks.wire import shown
from streamd.desired import CallbackSpec
from streamd.redact import redact_text
from streamd.status.snapshot import Snapshot

CallbackState = Literal["idle", "ok", "failing"]


@dataclass(frozen=True, slots=True)
class CallbackStatus:
    """One callback.

    Attributes:
        state: `idle` nothing was sent since streamd runs; `ok` what was sent arrived; `failing`
            the last request about some stream did not.
        since: when it came into this state, as far as that was seen.
        address: scheme, host and port.
        events: what it is told, sorted.
        pending: events that wait to be sent.
        sent: events that arrived, since streamd runs.
        failures: requests that did not get a yes or a no, since streamd runs.
        refused: publishers that it turned away, since streamd runs.
        dropped: events that were given up, since streamd runs.
        last_success: when it answered last.
        retry_at: when what failed is tried next; None when nothing waits for that.
        last_error: None when nothing fails.
    """

    state: CallbackState
    since: datetime | None
    address: str
    events: tuple[str, ...]
    pending: int
    sent: int
    failures: int
    refused: int
    dropped: int
    last_success: datetime | None
    retry_at: datetime | None
    last_error: str | None


def callback_statuses(snapshot: Snapshot) -> dict[str, CallbackStatus]:
    """Return every callback by name."""
    specs = snapshot.desired.callbacks if snapshot.desired else {}
    return {name: _status(snapshot, specs[name]) for name in sorted(specs)}


def _status(snapshot: Snapshot, spec: CallbackSpec) -> CallbackStatus:
    facts = snapshot.callbacks.get(spec.name, CallbackFacts())
    state: CallbackState = "ok" if facts.last_success is not None else "idle"
    if facts.is_failing:
        state = "failing"
    return CallbackStatus(
        state=state,
        since=snapshot.since(f"callback:{spec.name}", state),
        address=shown(spec.url),
        events=tuple(sorted(spec.events)),
        pending=facts.pending,
        sent=facts.sent,
        failures=facts.failures,
        refused=facts.refused,
        dropped=facts.dropped,
        last_success=facts.last_success,
        retry_at=snapshot.wall(facts.retry_at) if facts.retry_at is not None else None,
        last_error=redact_text(facts.last_error) if facts.last_error else None,
    )
