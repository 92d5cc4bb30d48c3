"""Lets an archive that is not wanted any more finish and upload what it has, before it is ended.

Somebody who removes or renames a rule, or gives it another directory, ends a recording with it: it
becomes a file, is told and uploaded as any other.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from streamd.archive_report import Report
from streamd.archives import Heard, read_reports
from streamd.observed import ObservedProcess
from streamd.process_names import rule_of_archive

log = structlog.get_logger()

SETTLE_S = 5.0
"""A report that is not so much younger than the end of its recorders may not know of it."""

TROUBLE_S = 600.0
"""An archive that gets no further for so long is given up; what it has stays where it is."""


@dataclass(frozen=True, slots=True)
class Departure:
    """An archive that is on its way out.

    Attributes:
        since: when that was first seen, Unix time.
        well_at: when it was last seen to get on, monotonic time.
    """

    since: float
    well_at: float


class Leaving:
    """Watches the archives that are on their way out.

    Args:
        directory: where archives say how they are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._heard: Mapping[str, Heard] = {}
        self._departures: dict[str, Departure] = {}
        self._given_up: frozenset[str] = frozenset()

    async def look(
        self, processes: Mapping[str, ObservedProcess], wanted: Collection[str]
    ) -> frozenset[str]:
        """Return the archives that are not wanted and have something left to do.

        Args:
            processes: that exist, by name.
            wanted: the archives that shall run, by name.
        """
        names = frozenset(
            name
            for name, process in processes.items()
            if rule_of_archive(name) is not None
            and name not in wanted
            and process.state == "running"
        )
        self._given_up &= names
        for name in self._departures.keys() - names:
            del self._departures[name]
        if not names:
            self._heard = {}
            return names
        self._heard = await asyncio.to_thread(read_reports, self._directory, names, self._heard)
        now, clock = time.monotonic(), time.time()
        return frozenset(name for name in names if self._is_busy(name, now, clock))

    def _is_busy(self, name: str, now: float, clock: float) -> bool:
        if name in self._given_up:
            return False
        departure = self._departures.get(name)
        if departure is None:
            log.info("archive.leaving", archive=name, note="it finishes and uploads what it has")
            departure = self._departures[name] = Departure(clock, now)
        heard = self._heard.get(name)
        if heard is not None and not heard.is_silent(now):
            report = heard.report
            if not _left(report) and report.at - departure.since >= SETTLE_S:
                log.info("archive.left", archive=name)
                return False
            if not _is_in_trouble(report):
                self._departures[name] = Departure(departure.since, now)
                return True
        if now - departure.well_at < TROUBLE_S:
            return True
        self._given_up |= {name}
        log.error(
            "archive.left_undone",
            archive=name,
            recordings=_left(heard.report) if heard is not None else None,
            error=_error(heard.report) if heard is not None else "it says nothing",
            advice="mend that and put its rule back into the file; it goes on from there",
        )
        return False


def _left(report: Report) -> int:
    """Count the recordings that are not done; what is to be uploaded is among them."""
    return len(report.active)


def _is_in_trouble(report: Report) -> bool:
    return _error(report) is not None


def _error(report: Report) -> str | None:
    if report.last_error is not None:
        return report.last_error
    if report.storage is not None and report.storage.last_error is not None:
        return report.storage.last_error
    return next((each.last_error for each in report.active if each.last_error), None)
