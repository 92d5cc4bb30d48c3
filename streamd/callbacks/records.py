"""What became of the requests to each callback, and what is logged of it."""

from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

log = structlog.get_logger()


@dataclass(slots=True)
class Record:
    """Of one callback, since streamd runs; as in `streamd.status.snapshot.CallbackFacts`."""

    sent: int = 0
    failures: int = 0
    refused: int = 0
    dropped: int = 0
    last_success: datetime | None = None
    last_error: str | None = None
    is_failing: bool = False


class Records:
    """Keeps a record of each callback, and logs when one begins to fail and when that is over."""

    def __init__(self) -> None:
        self._records: defaultdict[str, Record] = defaultdict(Record)

    def of(self, callback: str) -> Record:
        """Return the record of a callback, an empty one at first."""
        return self._records[callback]

    def keep(self, callbacks: Container[str]) -> None:
        """Forget all callbacks but these."""
        for name in [name for name in self._records if name not in callbacks]:
            del self._records[name]

    def succeeded(self, callback: str, *, all_well: bool) -> None:
        """Note an answer; `all_well`: nothing else that was sent has failed."""
        record = self._records[callback]
        record.last_success = datetime.now(UTC)
        if record.is_failing and all_well:
            record.is_failing, record.last_error = False, None
            log.info("callback.recovered", callback=callback)

    def failed(self, callback: str, error: str, **facts: object) -> None:
        """Note a request that came to nothing."""
        record = self._records[callback]
        record.failures += 1
        record.last_error = error
        # With a thousand streams waiting for a dead server, one line tells what there is to know.
        tell = log.debug if record.is_failing else log.warning
        tell("callback.failed", callback=callback, error=error, **facts)
        record.is_failing = True

    def dropped(self, callback: str, events: int, reason: str) -> None:
        """Note events that were given up."""
        self._records[callback].dropped += events
        log.error("callback.dropped", callback=callback, events=events, reason=reason)
