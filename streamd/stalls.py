"""Tell which processes hang: by what they report, and servers by what they answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamd.backlog import with_unread_input
from streamd.encoding_pace import falls_behind
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.ffmpeg.track import Track
from streamd.flow import STALL_S, Flow, flows, is_stalled
from streamd.histories import Histories
from streamd.jobs import Job, TranscodeJob, fed_by
from streamd.listings import Listings
from streamd.observe import Listing
from streamd.observed import Observed, ObservedProcess
from streamd.process_names import kind_of, reports_progress, server_of

SUSPICIOUS_AFTER_S = 2.0

UNREAD_S = 1.0
"""A process that has left its input unread for so long, and sent nothing for `STALL_S`, hangs."""

SILENT_S = 10.0
"""A playout reports every second, also with nothing on air; one that does not hangs."""

STALLED = f"media stopped advancing for {STALL_S:.0f} s while the stream went on"
SILENT = f"it reported nothing for {SILENT_S:.0f} s"
HANGS = "it stopped answering, or a port of it stopped accepting connections"


@dataclass(frozen=True, slots=True)
class Heed:
    """What asks for a closer look than usual.

    Attributes:
        connecting: some FFmpeg has not sent anything yet.
        suspicious: some FFmpeg has sent nothing for a while.
    """

    connecting: bool = False
    suspicious: bool = False


class Stalls:
    """Judges which processes hang.

    Args:
        listings: the servers' own lists, which tell how far each input has come.
        histories: told of every job whose media advances.

    Attributes:
        progress: where FFmpegs report to; None before the first `hear`.
    """

    def __init__(self, listings: Listings, histories: Histories) -> None:
        self._listings = listings
        self._histories = histories
        self.progress: ProgressReceiver | None = None
        self._started_at: dict[int, float] = {}
        self._flows: Mapping[tuple[str, str], Flow] = {}
        self._unread_since: Mapping[int, float] = {}

    def hear(self, progress: ProgressReceiver) -> None:
        """Hear FFmpegs' reports there from now on, also of those that run already."""
        self.progress = progress
        for pid in self._started_at:
            progress.register(pid)

    def started(self, process: str, pid: int, now: float) -> None:
        """Note a process that is seen for the first time; one that reports nothing is left out."""
        if not reports_progress(process):
            return
        self._started_at[pid] = now
        if self.progress is not None:
            self.progress.register(pid)

    def ended(self, pid: int) -> None:
        """Drop what is known of a process. One that is not known is no error."""
        self._started_at.pop(pid, None)
        if self.progress is not None:
            self.progress.forget(pid)

    def listed(self, listings: Mapping[str, Listing]) -> None:
        """Note how far the inputs have come."""
        self._flows = flows(self._flows, listings)

    def look(self, observed: Observed, jobs: Mapping[str, Job], now: float) -> Heed:
        """Read every report that waits, and note which jobs do what they are for."""
        if self.progress is None:
            return Heed()
        self.progress.drain(now)
        connecting = False
        suspects = []
        for process, job in _reporting(observed, jobs):
            advanced_at = self._advanced_at(process)
            if advanced_at is not None and now - advanced_at < SUSPICIOUS_AFTER_S:
                self._histories.advanced(job, now)
            elif fed_by(job) is not None:  # a playout may have nothing to send for hours
                connecting = connecting or advanced_at is None
                suspects += [process.pid] if advanced_at is not None else []
        unread = with_unread_input(suspects) if suspects else ()
        self._unread_since = {pid: self._unread_since.get(pid, now) for pid in unread}
        return Heed(connecting, bool(suspects))

    def stalled(self, observed: Observed, jobs: Mapping[str, Job], now: float) -> frozenset[str]:
        """Return the names of the processes that hang, by every report up to now."""
        if self.progress is not None:
            self.progress.drain(now)
        servers = (
            process.name
            for process in observed.processes.values()
            if process.pid
            and (server := server_of(process.name)) is not None
            and self._listings.hangs(server)
        )
        jobs_stalled = (
            process.name
            for process, job in _reporting(observed, jobs)
            if self._is_stalled(process, job, observed, now)
        )
        return frozenset((*servers, *jobs_stalled))

    def behind(self, observed: Observed, jobs: Mapping[str, Job], now: float) -> frozenset[str]:
        """Return the names of the processes that encode more slowly than their input comes."""
        return frozenset(
            process.name
            for process, job in _reporting(observed, jobs)
            if isinstance(job, TranscodeJob)
            and falls_behind(self._track(process), self._flow(job.stream, observed), now)
        )

    def _flow(self, stream: str, observed: Observed) -> Flow | None:
        publisher = observed.publishers.get(stream)
        return self._flows.get((publisher.server, publisher.client_id)) if publisher else None

    def _is_stalled(
        self, process: ObservedProcess, job: Job, observed: Observed, now: float
    ) -> bool:
        stream = fed_by(job)
        started_at = self._started_at.get(process.pid, now)
        if stream is None:
            track = self._track(process)
            heard_at = max(started_at, track.reported_at if track else 0.0)
            return self.progress is not None and now - heard_at >= SILENT_S
        publisher = observed.publishers.get(stream)
        if publisher is None:
            return False
        advanced_at = self._advanced_at(process)
        if advanced_at is not None and self._leaves_input(process.pid, advanced_at, now):
            return True
        return is_stalled(started_at, advanced_at, self._flow(stream, observed), now)

    def _leaves_input(self, pid: int, advanced_at: float, now: float) -> bool:
        """Tell whether a process does nothing with what it gets, which needs no listing to see."""
        unread_since = self._unread_since.get(pid, now)
        return now - unread_since >= UNREAD_S and now - advanced_at >= STALL_S

    def _advanced_at(self, process: ObservedProcess) -> float | None:
        track = self._track(process)
        return track.advanced_at if track is not None else None

    def _track(self, process: ObservedProcess) -> Track | None:
        return self.progress.tracks.get(process.pid) if self.progress is not None else None


def failure_of(process: str) -> str:
    """Say what is wrong with a process that hangs."""
    if not reports_progress(process):
        return HANGS
    return SILENT if kind_of(process) == "playout" else STALLED


def _reporting(
    observed: Observed, jobs: Mapping[str, Job]
) -> Iterator[tuple[ObservedProcess, Job]]:
    """Yield the running FFmpegs that are wanted."""
    for process in observed.processes.values():
        if process.state == "running" and reports_progress(process.name):
            job = jobs.get(process.name)
            if job is not None:
                yield process, job
