"""Decides which segment belongs to which recording: one stream at a time. Pure.

A decision follows from what is on disk and nothing else, so it can be made again after a kill at
any moment. Each step may be interrupted and done again. A segment is listed in a recording before
it is moved there, so it is in the list of exactly one, whatever happens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from streamd.archive.layout import Spooled, run_started_at
from streamd.archive.mpegts import CLOCK_HZ, Media
from streamd.archive.recording import Reason, Recording, Segment

LEAST_BYTES = 1000
"""A segment that is shorter, and has no media that could be found, has none."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment in the spool.

    Attributes:
        spooled: its name.
        bytes: its size.
        modified_at: when it was written last, Unix time.
        growing: its recorder has it open, so more may come.
        media: what it holds; None for nothing that could be found, and where it was not looked at.
    """

    spooled: Spooled
    bytes: int
    modified_at: float
    growing: bool = False
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How recordings are made; seconds, None for no limit."""

    split_s: float | None
    resume_s: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Write a recording down, and make its directory where there is none."""

    recording: Recording


@dataclass(frozen=True, slots=True)
class Add:
    """List segments in a recording (which has them already), then move their files there."""

    recording: Recording
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Move a file from the spool into the directory of the recording that lists it."""

    recording: Recording
    spooled: Spooled


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete a file of the spool in which nothing is."""

    spooled: Spooled


@dataclass(frozen=True, slots=True)
class SetAside:
    """Put a file of the spool away that cannot be understood."""

    spooled: Spooled


Step = Keep | Add | Move | Drop | SetAside

Begin = Callable[[float], Recording]
"""Makes a new recording of the stream that began at a Unix time."""


def assign(
    pieces: Sequence[Piece],
    recordings: Sequence[Recording],
    rules: Rules,
    begin: Begin,
    *,
    now: float,
    idle_s: float,
) -> list[Step]:
    """Return what to do about the segments of one stream, in order.

    Args:
        pieces: what of it is in the spool.
        recordings: those of it that are not finished.
        rules: how recordings are made.
        begin: makes a recording.
        now: Unix time.
        idle_s: how long nothing has changed by a clock that nobody sets, as far as is known.
    """
    assigning = _Assigning(recordings, rules, begin)
    unlisted = [piece for piece in pieces if piece.growing or not assigning.is_listed(piece)]
    for piece in _in_order(unlisted, assigning.open):
        if piece.growing:
            assigning.expect(piece)
            break  # what was recorded after it waits, to keep the order
        assigning.take(piece)
    else:
        assigning.end_if_idle(now, idle_s)
    return assigning.steps()


def _in_order(pieces: Sequence[Piece], current: Recording | None) -> list[Piece]:
    """Return pieces as they were recorded; the clock may have been set back between two runs."""
    going_on = current.runs[-1].run if current is not None and current.runs else None
    return sorted(pieces, key=lambda piece: (piece.spooled.run != going_on, piece.spooled))


class _Assigning:
    """The recordings of a stream while segments are given to them."""

    def __init__(self, recordings: Sequence[Recording], rules: Rules, begin: Begin) -> None:
        self._rules = rules
        self._begin = begin
        self._recordings = recordings
        self._steps: list[Step] = []
        self._added: list[Segment] = []
        self.open: Recording | None = None
        # A kill between two steps can leave more than one open: the last goes on.
        unfinished = [each for each in recordings if each.state == "recording"]
        for recording in sorted(unfinished, key=lambda each: each.started_at):
            if self.open is not None:
                self._close("gone")
            self.open = recording

    @cached_property
    def _owners(self) -> dict[str, Recording]:
        return {
            segment.file: recording
            for recording in self._recordings
            for segment in recording.segments
        }

    def is_listed(self, piece: Piece) -> bool:
        """Tell whether a recording has a piece already, and have it moved there."""
        owner = self._owners.get(piece.spooled.file)
        if owner is not None:
            self._steps.append(Move(owner, piece.spooled))
        return owner is not None

    def expect(self, piece: Piece) -> None:
        """Have a recording for a piece that is being written."""
        if piece.bytes < LEAST_BYTES:
            return
        started_at = run_started_at(piece.spooled.run)
        if self.open is not None and self._is_other_publish(piece.spooled.run, started_at):
            self._close("gone")
        if self.open is None:
            self._open(started_at)

    def take(self, piece: Piece) -> None:
        """Give a piece that is complete to a recording."""
        if piece.media is None:
            empty = piece.bytes < LEAST_BYTES
            self._steps.append(Drop(piece.spooled) if empty else SetAside(piece.spooled))
            return
        segment = Segment(
            file=piece.spooled.file,
            start=piece.media.start,
            ticks=piece.media.ticks,
            bytes=piece.bytes,
            ended_at=round(piece.modified_at, 3),
        )
        reason = self._reason_to_end(segment, piece.media)
        if reason:
            self._close(reason)
        if self.open is None:
            self._open(segment.ended_at - segment.ticks / CLOCK_HZ)
        assert self.open is not None  # noqa: S101 - for mypy: opened
        is_news = not self.open.runs or self.open.runs[-1].run != piece.spooled.run
        if is_news:
            self._write_down()
        self.open = self.open.with_segment(segment, piece.media.format)
        self._added.append(segment)
        if is_news:  # its format, or a gap, of which the list does not tell
            self._steps.append(Keep(self.open))

    def end_if_idle(self, now: float, idle_s: float) -> None:
        """End a recording that nobody writes to, and that nobody came back to in time."""
        if self.open is not None and max(now - self.open.ended_at, idle_s) > self._rules.resume_s:
            self._close("gone")

    def steps(self) -> list[Step]:
        """Return all that is to be done."""
        self._write_down()
        return self._steps

    def _reason_to_end(self, segment: Segment, media: Media) -> Reason:
        current = self.open
        if current is None or not current.runs:
            return ""
        after = current.with_segment(segment, media.format)
        if self._is_other_publish(segment.place[0], after.runs[-1].started_at):
            return "gone"
        if current.format is not None and not current.format.can_go_on_as(media.format):
            return "format"
        if self._rules.split_s is not None and after.seconds > self._rules.split_s:
            return "split"
        return ""

    def _is_other_publish(self, run: str, started_at: float) -> bool:
        current = self.open
        if current is None or not current.runs or current.runs[-1].run == run:
            return False
        return started_at - current.ended_at > self._rules.resume_s

    def _open(self, started_at: float) -> None:
        self.open = self._begin(started_at)
        self._steps.append(Keep(self.open))

    def _close(self, reason: Reason) -> None:
        self._write_down()
        assert self.open is not None  # noqa: S101 - for mypy: the caller looked
        self._steps.append(Keep(replace(self.open, state="finishing", reason=reason)))
        self.open = None

    def _write_down(self) -> None:
        if self.open is not None and self._added:
            self._steps.append(Add(self.open, tuple(self._added)))
        self._added = []
