"""How the archives of recordings are: what each says in its status file, read once a second.

The files lie in the runtime directory and never on a disk with recordings, and are read in a
thread all the same: nothing that happens to recordings holds up the loop.
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from streamd.recordings.places import archive_status_path
from streamd.recordings.report import Report, read_report

log = structlog.get_logger()

READ_EVERY_S = 1.0

SILENT_S = 15.0
"""An archive that has not said for so long how it is, as it does every 5 s, hangs."""

MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Heard:
    """What an archive said last.

    Attributes:
        report: what it said.
        stamp: of the file, so that it is read again only when it has changed.
        heard_at: monotonic time at which that was first seen.
    """

    report: Report
    stamp: tuple[int, int, int]
    heard_at: float

    def is_silent(self, now: float) -> bool:
        """Tell whether the archive has said nothing for too long (monotonic time)."""
        return now - self.heard_at >= SILENT_S


class Archives:
    """Hears the archives.

    Args:
        directory: where they say how they are.
        changed: called when recorders may write elsewhere, may not any more, or may again.
        silenced: called in a thread with a rule: True when its archive says nothing any more,
            False when it does again.
    """

    def __init__(
        self,
        directory: Path,
        changed: Callable[[], None],
        silenced: Callable[[str, bool], None],
    ) -> None:
        self._directory = directory
        self._changed = changed
        self._silenced = silenced
        self._silent: frozenset[str] = frozenset()
        self._processes: Mapping[str, str] = {}
        self._by_process: Mapping[str, Heard] = {}

    @property
    def heard(self) -> Mapping[str, Heard]:
        """What each archive said last, by rule; absent while it said nothing."""
        return {
            rule: self._by_process[process]
            for rule, process in self._processes.items()
            if process in self._by_process
        }

    @property
    def spools(self) -> dict[str, str]:
        """Where recorders may write, by rule; absent where they may not."""
        return {
            rule: heard.report.spool
            for rule, heard in self.heard.items()
            if heard.report.spool and not heard.report.paused
        }

    async def expect(self, processes: Mapping[str, str]) -> None:
        """Hear these archives from now on, and read what they say already.

        Args:
            processes: the name of each archive's process, by rule.
        """
        self._processes = processes
        await self.read()

    async def read(self) -> None:
        """Read what is new."""
        before, spools = self.heard, self.spools
        names = self._processes.values()
        self._by_process = await asyncio.to_thread(
            read_reports, self._directory, names, self._by_process
        )
        found = self.heard
        if self.spools != spools:
            for rule in sorted(found):
                is_paused = found[rule].report.paused
                if rule in before and before[rule].report.paused != is_paused:
                    event = "recordings.paused" if is_paused else "recordings.resumed"
                    log.warning(event, rule=rule, free_bytes=found[rule].report.free_bytes)
            self._changed()
        await self._note_silence()

    async def _note_silence(self) -> None:
        now = time.monotonic()
        before = self._silent
        self._silent = frozenset(r for r, heard in self.heard.items() if heard.is_silent(now))
        for rule in sorted(self._silent - before):
            silent_s = round(now - self.heard[rule].heard_at)
            log.error("archive.silent", rule=rule, silent_s=silent_s)
            await asyncio.to_thread(self._silenced, rule, True)
        for rule in sorted(before - self._silent):
            log.info("archive.heard_again", rule=rule)
            await asyncio.to_thread(self._silenced, rule, False)

    async def run(self) -> None:
        """Read what is new, for ever."""
        while True:
            await self.read()
            await asyncio.sleep(READ_EVERY_S)


def read_reports(
    directory: Path, processes: Collection[str], before: Mapping[str, Heard]
) -> dict[str, Heard]:
    """Return what some archives say. Blocks.

    What cannot be read counts as not written anew.

    Args:
        directory: where they say how they are.
        processes: the names of their processes.
        before: what this returned last.
    """
    found = {}
    for name in processes:
        heard = _read(Path(archive_status_path(str(directory), name)), before.get(name))
        if heard is not None:
            found[name] = heard
    return found


def _read(path: Path, before: Heard | None) -> Heard | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if before is not None and before.stamp == stamp:
                return before
            report = read_report(file.read(MAX_BYTES).decode())
    except FileNotFoundError:
        return before
    except (OSError, ValueError) as error:
        log.warning("archive.report_unreadable", path=str(path), error=str(error))
        return before
    if not report.spool and before is not None:
        # It has just started, and has not looked yet; what was there before is there still.
        report = replace(report, spool=before.report.spool)
    return Heard(report, stamp, time.monotonic())
