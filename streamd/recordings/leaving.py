"""Lets the archive of a rule that is gone finish, tell and upload what it has, before it ends.

Somebody who removes or renames a rule, or gives it another directory, ends a recording with it: it
becomes a file, is told and uploaded as any other, whatever is killed meanwhile. So each of these
archives is written down until nothing is left to do for it:

    STATE/leaving/RULE@PLACE.json
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from streamd.desired import StorageSpec
from streamd.jobs import ArchiveJob
from streamd.recordings.archives import Heard, read_reports
from streamd.recordings.report import Report, trouble_of
from streamd.recordings.retired import from_json, retired, to_json, with_storage_of
from streamd.whole_file import write_whole

log = structlog.get_logger()

SETTLE_S = 5.0
"""A report that is not so much younger than the end of its recorders may not know of it."""

TROUBLE_S = 86_400.0
"""An archive that gets no further for so long is given up; what it has stays where it is."""

_KEPT = ".json"
_DAMAGED = ".damaged"


@dataclass(frozen=True, slots=True)
class Departure:
    """An archive that is on its way out.

    Attributes:
        job: what it is to do.
        since: when it was first looked at, Unix time.
        well_at: when it was last seen to get on, monotonic time.
    """

    job: ArchiveJob
    since: float
    well_at: float


class Leaving:
    """The archives that are on their way out.

    Args:
        reports: the directory where archives say how they are.
        kept: the directory where those that leave are written down; may not exist.
    """

    def __init__(self, reports: Path, kept: Path) -> None:
        self._reports = reports
        self._kept = kept
        self._heard: Mapping[str, Heard] = {}
        self._departures: dict[str, Departure] = {}
        self._changing = asyncio.Lock()

    def restore(self) -> None:
        """Take up what an earlier streamd has written down. Blocks."""
        for path in sorted(self._kept.glob(f"*{_KEPT}")):
            try:
                self._begin(from_json(path.read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                aside = path.with_suffix(_DAMAGED)
                log.error("archive.set_aside", path=str(path), to=str(aside), error=str(error))
                path.replace(aside)

    async def change(
        self,
        old: Mapping[str, ArchiveJob],
        new: Mapping[str, ArchiveJob],
        storages: Mapping[str, StorageSpec],
    ) -> None:
        """Let the archives that are wanted no longer leave, and keep those that are again.

        Args:
            old: the archives that were wanted before a save, by process.
            new: those that are after it.
            storages: the storages after it, by name.
        """
        async with self._changing:
            try:
                await asyncio.to_thread(self._change, old, new, storages)
            except OSError as error:
                # It leaves all the same; a kill of everything would leave its work undone.
                log.error("archive.not_kept", path=error.filename, error=error.strerror)

    def _change(
        self,
        old: Mapping[str, ArchiveJob],
        new: Mapping[str, ArchiveJob],
        storages: Mapping[str, StorageSpec],
    ) -> None:
        for name in self._departures.keys() & new.keys():
            self._end(name)
        changed = (with_storage_of(job, storages) for job in self.jobs.values())
        jobs = [job for job in changed if job != self.jobs[job.process]]
        for name in sorted(old.keys() - new.keys() - self._departures.keys()):
            note = "it finishes and uploads what it has"
            log.info("archive.leaving", archive=name, note=note)
            jobs.append(with_storage_of(retired(old[name]), storages))
        for job in jobs:
            self._begin(job)
        if jobs:
            self._kept.mkdir(mode=0o700, exist_ok=True)
        for job in jobs:
            write_whole(self._path(job.process), to_json(job))

    @property
    def jobs(self) -> Mapping[str, ArchiveJob]:
        """The archives that are to run on, by process."""
        return {name: each.job for name, each in self._departures.items()}

    @property
    def reports(self) -> Mapping[str, Report | None]:
        """What each said last, by process; None where it says nothing any more."""
        now = time.monotonic()
        return {
            name: None if heard.is_silent(now) else heard.report
            for name, heard in self._heard.items()
            if name in self._departures
        }

    async def look(self) -> Mapping[str, ArchiveJob]:
        """Let those go that have nothing left to do, and return the others, by process."""
        if not self._departures:
            return {}
        async with self._changing:
            self._heard = await asyncio.to_thread(
                read_reports, self._reports, [*self._departures], self._heard
            )
            now = time.monotonic()
            for name in [*self._departures]:
                if not self._is_busy(name, now):
                    await asyncio.to_thread(self._end, name)
            return self.jobs

    def _begin(self, job: ArchiveJob) -> None:
        self._departures[job.process] = Departure(job, time.time(), time.monotonic())

    def _end(self, name: str) -> None:
        self._departures.pop(name, None)
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            log.error("archive.not_forgotten", path=error.filename, error=error.strerror)

    def _path(self, name: str) -> Path:
        return self._kept / f"{name.partition('.')[2]}{_KEPT}"

    def _is_busy(self, name: str, now: float) -> bool:
        departure, report = self._departures[name], self.reports.get(name)
        if report is not None:
            is_settled = report.ready and report.at - departure.since >= SETTLE_S
            if is_settled and not report.active:
                log.info("archive.left", archive=name)
                return False
            if trouble_of(report) is None:
                self._departures[name] = Departure(departure.job, departure.since, now)
                return True
        if now - departure.well_at < TROUBLE_S:
            return True
        log.error(
            "archive.left_undone",
            archive=name,
            directory=departure.job.recording.directory,
            recordings=len(report.active) if report is not None else None,
            error=trouble_of(report) if report is not None else "it says nothing",
            advice="mend that and put its rule back into the file; it goes on from there",
        )
        return False
