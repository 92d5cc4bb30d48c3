"""Sends what waits in the outbox, as one task of the daemon's.

Nothing here is waited for by a stream: a disk that is full, and a server that is slow, dead or
wrong, cost the callbacks of that server, and nobody else.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from streamd.callbacks import outbox
from streamd.callbacks.events import Event, body
from streamd.callbacks.facts import CallbackFacts
from streamd.callbacks.lanes import Lane, Lanes
from streamd.callbacks.outbox import LIMIT, Kept
from streamd.callbacks.post import Poster, Reply
from streamd.callbacks.records import Records
from streamd.desired import CallbackSpec

log = structlog.get_logger()

POLL_S = 1.0
"""How often what other processes dropped is looked for."""

SWEEP_S = 60.0
"""How often what is too old is looked for."""


class Sender:
    """Delivers events, each at least once, in order for each callback and stream.

    Args:
        directory: the outbox.
        poster: posts.
        node: what this machine is called.
    """

    def __init__(self, directory: Path, poster: Poster, node: str) -> None:
        self._directory = directory
        self._poster = poster
        self._node = node
        self._specs: Mapping[str, CallbackSpec] = {}
        self._lanes = Lanes()
        self._unsaved: dict[tuple[str, str], Kept] = {}
        self._records = Records()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._last_name = ""
        self._kept = self._dealt = 0
        self._look_at = 0.0
        self._sweep_at = 0.0
        self._disk_fails = False
        self._random = random.Random()  # noqa: S311 - jitter

    def desire(self, specs: Mapping[str, CallbackSpec]) -> None:
        """Take the callbacks that there are from now on.

        What waits for one that is gone is kept for a day, for the case that it comes back.
        """
        now = time.monotonic()
        for name, spec in specs.items():
            if self._specs.get(name) != spec:
                self._lanes.hurry(name, now)
        self._records.keep(specs)
        self._specs = dict(specs)
        self._wake.set()

    def subscribers(self, event: Event) -> Sequence[str]:
        """Return the names of the callbacks that are told of an event."""
        return [
            name
            for name, spec in self._specs.items()
            if event.action in spec.events and (event.to is None or name in event.to)
        ]

    async def keep(self, events: Sequence[Event]) -> None:
        """Make sure that events will be sent; they are safe on disk when this returns.

        Where the disk refuses them they are kept in memory, and written when it takes them again.
        """
        wanted = [event for event in events if self.subscribers(event)]
        if not wanted:
            return
        try:
            dropped = await asyncio.to_thread(outbox.drop, self._directory, wanted)
        except OSError as error:
            self._note_disk(error)
            self._keep_in_memory(wanted)
        else:
            if dropped:
                log.error("callback.dropped", events=dropped, reason=f"more than {LIMIT} came in")
        self._kept += 1
        self._look_at = 0.0
        self._wake.set()

    async def caught_up(self, callback: str, stream: str) -> None:
        """Wait until all that waits for a callback about a stream was tried."""
        kept = self._kept
        while self._dealt < kept or self._lanes.is_on_its_way(callback, stream):
            await self._moved.wait()

    def note(self, callback: str, reply: Reply) -> None:
        """Count what came of a question that was asked beside the outbox."""
        if reply.kind == "no":
            self._records.of(callback).refused += 1
        if reply.kind in ("yes", "no"):
            self._succeeded(callback)
        else:
            self._records.failed(callback, reply.text, action="on_publish")

    def facts(self) -> Mapping[str, CallbackFacts]:
        """Return what is known of each callback."""
        return {name: self._facts(name) for name in self._specs}

    def _facts(self, name: str) -> CallbackFacts:
        record = self._records.of(name)
        failing = self._lanes.failing(name)
        return CallbackFacts(
            pending=self._lanes.waiting(name),
            sent=record.sent,
            failures=record.failures,
            refused=record.refused,
            dropped=record.dropped,
            is_failing=record.is_failing,
            last_success=record.last_success,
            last_error=record.last_error,
            retry_at=min((lane.due_at for lane in failing), default=None),
        )

    # The loop

    async def run(self) -> None:
        """Send for ever."""
        await self._load()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                await self._look()
                now = time.monotonic()
                for name, spec in self._specs.items():
                    while (lane := self._lanes.take(name, now)) is not None:
                        tasks.create_task(self._attempt(lane, spec))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_s()):
                        await self._wake.wait()

    def _wait_s(self) -> float:
        times = [self._lanes.next_at(name) for name in self._specs]
        due = min([at for at in times if at is not None], default=self._look_at)
        return max(0.001, min(due, self._look_at) - time.monotonic())

    async def _load(self) -> None:
        """Take what waits on disk and in memory anew, as at the start."""
        self._lanes = Lanes()
        now = time.monotonic()
        try:
            # What was only half dealt when streamd was killed is dealt first, and comes once.
            await asyncio.to_thread(outbox.deal, self._directory, self.subscribers)
            found, damaged = await asyncio.to_thread(outbox.pending, self._directory)
        except OSError as error:
            self._note_disk(error)
            return
        self._note_damaged(damaged)
        for kept in (*found, *self._unsaved.values()):
            self._add(kept, now)
        if found:
            log.info("callback.outbox_loaded", events=len(found))

    def _add(self, kept: Kept, now: float) -> None:
        self._last_name = max(self._last_name, kept.name)
        self._lanes.add(kept, now)

    async def _look(self) -> None:
        """Take in what was dropped, and drop what is too much or too old."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + POLL_S
        kept = self._kept
        await self._save_again()
        try:
            dealt, damaged = await asyncio.to_thread(outbox.deal, self._directory, self.subscribers)
        except OSError as error:
            self._note_disk(error)
        else:
            self._dealt = kept
            self._note_damaged(damaged)
            if self._disk_fails and not self._unsaved:
                self._disk_fails = False
                log.info("callback.outbox_written_again", path=str(self._directory))
            for each in dealt:
                self._add(each, now)
        self._tell_moved()
        for name in self._lanes.callbacks():
            over = self._lanes.trim(name, LIMIT)
            await self._dropped(name, over, f"more than {LIMIT} wait for it")
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_S
            await self._sweep(now)

    async def _sweep(self, now: float) -> None:
        wall = time.time()
        for name in self._lanes.callbacks():
            if name in self._specs:
                old = self._lanes.give_up(name, now, wall)
                await self._dropped(name, old, "not delivered for a day")
            else:
                old = self._lanes.expire(name, wall)
                await self._dropped(name, old, "the callback was removed a day ago")

    async def _attempt(self, lane: Lane, spec: CallbackSpec) -> None:
        """Send the oldest event of a lane once."""
        kept = lane.waiting[0]
        event = kept.event
        told = body(event, opaque=spec.opaque, node=self._node)
        reply = await self._poster.post(spec, told)
        now = time.monotonic()
        # That a publisher may not come is of no use when it is there already.
        if reply.kind == "yes" or (reply.kind == "no" and event.action == "on_publish"):
            self._lanes.sent(lane, now)
            self._records.of(spec.name).sent += 1
            self._succeeded(spec.name)
            log.debug("callback.sent", callback=spec.name, action=event.action, stream=event.stream)
            await self._remove([kept])
        else:
            wait_s = self._lanes.failed(
                lane, now, jitter=self._random.random(), reached=reply.kind != "none"
            )
            self._records.failed(
                spec.name,
                reply.text,
                action=event.action,
                stream=event.stream,
                attempts=lane.attempts,
                retry_in_s=round(wait_s, 1),
            )
        self._tell_moved()
        self._wake.set()

    def _tell_moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    # What is noted

    def _succeeded(self, callback: str) -> None:
        self._records.succeeded(callback, all_well=not self._lanes.is_failing(callback))

    async def _dropped(self, callback: str, events: Sequence[Kept], reason: str) -> None:
        if not events:
            return
        self._records.dropped(callback, len(events), reason)
        await self._remove(events)

    def _note_damaged(self, files: Sequence[str]) -> None:
        if files:
            log.error("callback.event_damaged", path=str(self._directory), files=list(files)[:10])

    # The disk

    def _note_disk(self, error: OSError) -> None:
        if not self._disk_fails:
            log.error(
                "callback.outbox_failed",
                path=str(self._directory),
                error=error.strerror or str(error),
                advice="make room or mend it; until then events are kept in memory alone",
            )
        self._disk_fails = True

    def _keep_in_memory(self, events: Sequence[Event]) -> None:
        for event in events:
            for callback in self.subscribers(event):
                self._last_name = outbox.name_after(self._last_name)
                kept = Kept(callback, self._last_name, event)
                self._unsaved[callback, kept.name] = kept
                self._lanes.add(kept, time.monotonic())

    async def _save_again(self) -> None:
        """Write down what is in memory alone."""
        for key, kept in list(self._unsaved.items()):
            try:
                await asyncio.to_thread(outbox.keep, self._directory, kept)
            except OSError:
                return
            if self._unsaved.pop(key, None) is None:  # it was sent meanwhile
                await asyncio.to_thread(outbox.remove, self._directory, [kept])

    async def _remove(self, kept: Sequence[Kept]) -> None:
        for each in kept:
            self._unsaved.pop((each.callback, each.name), None)
        await asyncio.to_thread(outbox.remove, self._directory, kept)
