"""One recording, as a value: what it is made of and how far it is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from streamd.archive.layout import parse_file
from streamd.archive.mpegts import CLOCK_HZ, ticks_between
from streamd.archive.tracks import Format

State = Literal["recording", "finishing", "uploading", "finished", "error", "deleting"]
"""How far a recording is.

    recording  more may come
    finishing  no more comes; it becomes what its rule asks for
    uploading  it is finished here
    finished   nothing is left to do
    error      it cannot be finished; what was recorded is kept
    deleting   it is on its way out
"""

Reason = Literal["", "gone", "split", "format"]
"""Why it ended: the publisher is gone, it was long enough, or something else is sent now."""

# Two segments of one run that are further apart than this have something missing between them.
_SEAM_TICKS = CLOCK_HZ


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of MPEG-TS.

    Attributes:
        file: its name in the recording's directory.
        start: the earliest time in it, in ticks.
        ticks: how long it is, by itself.
        bytes: its size.
        ended_at: when it was written last, Unix time.
    """

    file: str
    start: int
    ticks: int
    bytes: int
    ended_at: float

    @property
    def place(self) -> tuple[str, int]:
        """The run of the recorder that wrote it, and its number in the run."""
        return parse_file(self.file) or ("", 0)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a recorder gave; times are Unix times."""

    run: str
    started_at: float
    ended_at: float
    seconds: float
    segments: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What is between two runs.

    Attributes:
        at_s: where in the recording.
        seconds: how long nothing was recorded; below 0 where as much was recorded twice.
        begin, end: Unix times.
    """

    at_s: float
    seconds: float
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a finished recording is.

    Attributes:
        file: its name in the recording's directory, index.mp4 or index.m3u8.
        bytes: its size; of a playlist that of all that it names.
        seconds: how long it plays.
        sha256: of the file.
        video, audio: what ffprobe says of the tracks; None without.
    """

    file: str
    bytes: int
    seconds: float
    sha256: str
    video: Mapping[str, Any] | None = None
    audio: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording.

    Attributes:
        uuid: of the recording.
        rule: that it was made by.
        stream: `app/stream`.
        path: absolute; its directory.
        started_at: Unix time of its first picture or sound.
        state: how far it is.
        segments: in order; empty once they are gone, or were not read.
        runs: what the segments add up to.
        format: what it is made of; None before the first segment.
        reason: why it ended.
        artifact: None before it is finished.
        error: what is wrong, for an operator.
        notes: what is not as it should be although it is finished, likewise.
        begin_told, end_told: the events are on their way.
        upload: what an upload has to remember; None before it began.
        unknown: fields of `recording.json` that are of a later release.
    """

    uuid: str
    rule: str
    stream: str
    path: str
    started_at: float
    state: State = "recording"
    segments: tuple[Segment, ...] = ()
    runs: tuple[Run, ...] = ()
    format: Format | None = None
    reason: Reason = ""
    artifact: Artifact | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()
    begin_told: bool = False
    end_told: bool = False
    upload: Mapping[str, Any] | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How much was recorded, gaps left out."""
        return sum(run.seconds for run in self.runs)

    @property
    def bytes(self) -> int:
        """How much the segments take or took."""
        return sum(run.bytes for run in self.runs)

    @property
    def ended_at(self) -> float:
        """When it was written last, Unix time."""
        return self.runs[-1].ended_at if self.runs else self.started_at

    def with_segment(self, segment: Segment, format_: Format) -> "Recording":
        """Return the recording with one more segment."""
        last = self.segments[-1] if self.segments else None
        runs = _with_segment(self.runs, last, segment)
        return replace(
            self,
            segments=(*self.segments, segment),
            runs=runs,
            started_at=self.started_at if self.runs else runs[0].started_at,
            format=self.format or format_,
        )


def durations(segments: Sequence[Segment]) -> list[float]:
    """Return how long each segment is, seconds: up to the next one, where that follows at once.

    Sound and picture of a segment do not end together, so its own length is not exact; what lies
    between the beginnings of two is, however many there are.
    """
    ticks = [segment.ticks for segment in segments]
    for at, (one, next_) in enumerate(pairwise(segments)):
        ticks[at] = _ticks_until(one, next_)
    return [each / CLOCK_HZ for each in ticks]


def runs_of(segments: Sequence[Segment]) -> tuple[Run, ...]:
    """Return the runs that segments are of, in order."""
    runs: tuple[Run, ...] = ()
    last: Segment | None = None
    for segment in segments:
        runs = _with_segment(runs, last, segment)
        last = segment
    return runs


def gaps(runs: Sequence[Run]) -> list[Gap]:
    """Return what is between runs."""
    found: list[Gap] = []
    at_s = 0.0
    for one, next_ in pairwise(runs):
        at_s += one.seconds
        apart = round(next_.started_at - one.ended_at, 3)
        found.append(Gap(round(at_s, 3), apart, one.ended_at, next_.started_at))
    return found


def _with_segment(runs: tuple[Run, ...], last: Segment | None, segment: Segment) -> tuple[Run, ...]:
    run, _ = segment.place
    seconds = segment.ticks / CLOCK_HZ
    if last is None or not runs or runs[-1].run != run:
        started_at = round(segment.ended_at - seconds, 3)
        return (*runs, Run(run, started_at, segment.ended_at, seconds, 1, segment.bytes))
    before = runs[-1]
    grown = replace(
        before,
        ended_at=segment.ended_at,
        seconds=before.seconds + seconds + (_ticks_until(last, segment) - last.ticks) / CLOCK_HZ,
        segments=before.segments + 1,
        bytes=before.bytes + segment.bytes,
    )
    return (*runs[:-1], grown)


def _ticks_until(one: Segment, next_: Segment) -> int:
    """Return how long a segment is when another one comes after it."""
    (run, number), (next_run, next_number) = one.place, next_.place
    apart = ticks_between(one.start, next_.start)
    follows = run == next_run and number + 1 == next_number
    return apart if follows and 0 < apart < one.ticks + _SEAM_TICKS else one.ticks
