"""Finds out what there is to tell, and puts it into the outbox, as one task of the daemon's."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from streamd.callbacks.events import Action, Event
from streamd.callbacks.told import Present, Told, news
from streamd.whole_file import write_whole

log = structlog.get_logger()

AT_LEAST_EVERY_S = 1.0

_TOLD = TypeAdapter(Told)

Look = Callable[[frozenset[Action], bool], Present]
"""Returns what is: for which actions, and whether players and targets are looked at too."""


class Teller:
    """Compares what is with what was told, again and again.

    Args:
        path: where it notes what was told, so that a streamd that comes after this one goes on.
        look: returns what is.
        keep: puts events into the outbox.
    """

    def __init__(
        self, path: Path, look: Look, keep: Callable[[Sequence[Event]], Awaitable[None]]
    ) -> None:
        self._path = path
        self._look = look
        self._keep = keep
        self._actions: frozenset[Action] = frozenset()
        self._told: Told | None = None
        self._queue: list[Event] = []
        self._wake = asyncio.Event()
        self._ended = asyncio.Condition()
        self._begun = self._done = 0
        self._whole_at = 0.0
        self._fails = False

    def desire(self, actions: frozenset[Action]) -> None:
        """Take what is to be told of from now on."""
        self._actions = actions
        self.wake()

    def wake(self) -> None:
        """Look soon, because something has changed."""
        self._wake.set()

    def tell(self, *events: Event) -> None:
        """Tell of what cannot be seen from what is."""
        self._queue += events
        self.wake()

    async def up_to_date(self) -> None:
        """Wait until all that has happened before this call is in the outbox."""
        begun = self._begun
        self.wake()
        async with self._ended:
            await self._ended.wait_for(lambda: self._done > begun)

    async def run(self) -> None:
        """Tell for ever."""
        if self._told is None:
            self._told = await asyncio.to_thread(_load, self._path)
        while True:
            self._wake.clear()
            self._begun += 1
            begun = self._begun
            await self._tell()
            async with self._ended:
                self._done = begun
                self._ended.notify_all()
            try:
                async with asyncio.timeout(AT_LEAST_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _tell(self) -> None:
        now = time.monotonic()
        whole = now >= self._whole_at
        if whole:
            self._whole_at = now + AT_LEAST_EVERY_S
        assert self._told is not None, "it was loaded"  # noqa: S101 - for mypy
        found, told = news(
            wanted(self._told, self._actions), self._look(self._actions, whole), time.time()
        )
        events = [*self._queue, *found]
        if events:
            await self._keep(events)
            del self._queue[: len(events) - len(found)]
        if told != self._told:
            # Noted after it is in the outbox: a kill in between repeats it as it is.
            self._told = told
            await asyncio.to_thread(self._save, told)

    def _save(self, told: Told) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(asdict(told)))
        except OSError as error:
            if not self._fails:
                log.error("callback.told_not_written", path=str(self._path), error=error.strerror)
            self._fails = True
        else:
            self._fails = False


def wanted(told: Told, actions: frozenset[Action]) -> Told:
    """Forget of what nobody is told any more."""
    return replace(
        told,
        publishers=told.publishers if "on_unpublish" in actions else None,
        players=told.players if actions & {"on_play", "on_stop"} else None,
        targets=told.targets if actions & {"on_target_live", "on_target_error"} else None,
    )


def _load(path: Path) -> Told:
    try:
        told = _TOLD.validate_json(path.read_bytes())
        uuid.UUID(told.epoch)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("callback.told_not_read", path=str(path), error=type(error).__name__)
    else:
        # Restarts are counted from the start of streamd.
        targets = told.targets and {
            entry: replace(outlet, restarts=0) for entry, outlet in told.targets.items()
        }
        return replace(told, targets=targets)
    return Told(str(uuid.uuid4()))
