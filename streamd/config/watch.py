"""Sees every way in which the configuration's files can be saved, and waits until they are whole.

Events of the file system only say that it is time to look; what counts is whether the content
differs from what was told of last. So a save is never missed for good: what comes in while a
change is told of, or without an event, is found by the next look.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from watchfiles._rust_notify import RustNotify

from streamd.config.watched import Content, Places, Watched, changed_files, is_lost
from streamd.config.writers import Writers

log = structlog.get_logger()

POLL_S = 5.0
"""File systems without events, as NFS and some bind mounts, are looked at this often."""

SETTLE_LIMIT_S = 10.0
"""A file that is still being written after so long is told of as it is."""

LOST_S = 1.0
"""A file that is gone or empty may be in the middle of a save for so long."""

# watchfiles wakes every step to look for events; one of 30 ms costs 0.23 % of a core, and a save
# is seen within two steps.
_STEP_MS = 30
_DEBOUNCE_MS = 90
_LOOK_AGAIN_S = 0.02
_RETRY_S = 1.0


class ConfigWatcher:
    """Tells when the content of watched files may have changed.

    Seen are writes in place, renames over a file, editors' backups, swaps of symbolic links on
    any part of the path (Kubernetes' ConfigMaps), files and directories that vanish and return,
    and changes without events. A thread of its own does all that touches the file system, so
    that one that hangs holds up nothing else.

    Args:
        poll_s: how often to look without an event.
    """

    def __init__(self, poll_s: float = POLL_S) -> None:
        self._poll_s = poll_s
        self._watched = Watched()
        self._interrupt = threading.Event()

    def watch(self, files: Iterable[Path], directories: Iterable[Path] = ()) -> None:
        """Watch these from now on, and nothing else.

        Args:
            files: whose content matters; they need not exist.
            directories: in which names that come and go matter, hidden ones left out.

        A file that was not watched before is told of once, since it may have changed after the
        caller read it.
        """
        watched = Watched(frozenset(files), frozenset(directories))
        if watched != self._watched:
            self._watched = watched
            self._interrupt.set()

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield whenever content may have changed, the first time for what is there already.

        Several changes that come while the caller is busy are one. Never ends and never fails;
        one caller at a time.
        """
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        closed = threading.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(changed.set)

        threading.Thread(
            target=self._run, args=(tell, closed), name="config-watch", daemon=True
        ).start()
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield
        finally:
            closed.set()
            self._interrupt.set()

    def _run(self, tell: Callable[[], None], closed: threading.Event) -> None:
        look = _Look(tell, self._interrupt)
        failures = 0
        last_error = ""
        while not closed.is_set():
            self._interrupt.clear()
            watched = self._watched
            try:
                self._watch_places(look, watched, closed)
                failures = 0
            except Exception as error:  # noqa: BLE001 - no error may end the watching
                failures += 1
                if failures == 1:
                    continue  # a directory that vanished between being found and being watched
                if str(error) != last_error:
                    last_error = str(error)
                    log.warning("config.watch_failed", error=last_error, retry_s=_RETRY_S)
                with suppress(Exception):
                    look.compare(watched)
                self._interrupt.wait(_RETRY_S)

    def _watch_places(self, look: "_Look", watched: Watched, closed: threading.Event) -> None:
        """Watch until other files shall be watched, or the same ones are at other places."""
        places = watched.places()
        # watchfiles' own `watch` gives no moment between the start of watching and the first
        # wait, in which what was saved before can be looked for.
        with RustNotify(list(places.directories), False, False, 0, False, True) as events:
            while not (closed.is_set() or self._interrupt.is_set()):
                if watched.places() != places:
                    return
                look.compare(watched)
                if self._wait(events, places):
                    return

    def _wait(self, events: RustNotify, places: Places) -> bool:
        """Wait until it is time to look; True when the places have to be watched anew."""
        until = time.monotonic() + self._poll_s
        while (left_ms := int((until - time.monotonic()) * 1000)) > 0:
            found = events.watch(_DEBOUNCE_MS, _STEP_MS, left_ms, self._interrupt)
            if isinstance(found, str):
                return False
            paths = [path for _, path in found]
            if places.replaced(paths):
                return True
            if places.concerned(paths):
                return False
        return False


class _Look:
    """Compares content with what was told of last, and tells of what has changed."""

    def __init__(self, tell: Callable[[], None], interrupt: threading.Event) -> None:
        self._tell = tell
        self._interrupt = interrupt
        self._told: Mapping[Path, Content] = {}
        self._writers = Writers()

    def compare(self, watched: Watched) -> None:
        """Tell of content that has changed, once it is whole. Stops early when interrupted."""
        contents = watched.contents()
        start = time.monotonic()
        while changed := changed_files(self._told, contents):
            unfinished = self._unfinished(changed, time.monotonic() - start)
            before, contents = contents, watched.contents()
            if not unfinished and contents == before:
                break
            if time.monotonic() - start > SETTLE_LIMIT_S:
                self._give_up(unfinished)
                break
            if self._interrupt.wait(_LOOK_AGAIN_S):
                return
        self._writers.forget()
        if changed_files(self._told, contents):
            self._told = contents
            self._tell()

    def _unfinished(self, changed: Mapping[Path, Content], waited_s: float) -> list[Path]:
        """Return the files that seem to be in the middle of a save."""
        now_s = time.monotonic()
        return [
            path
            for path, content in changed.items()
            if (waited_s < LOST_S and is_lost(self._told.get(path), content))
            or self._writers.is_written(path, now_s)
        ]

    def _give_up(self, unfinished: Iterable[Path]) -> None:
        for path in unfinished:
            self._writers.give_up(path, time.monotonic())
            log.warning("config.still_being_written", path=str(path), waited_s=SETTLE_LIMIT_S)
