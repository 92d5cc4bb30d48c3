"""Puts what successive inputs send on one line of time that never goes back and never jumps. Pure.

A *run* is what one input sends from one beginning on. Within a run every tag is moved by the same
offset, so that picture and sound stay in step; the next run begins one frame behind the end of the
last one, whatever its own times are. The wall clock comes in by `Wall` alone.
"""

from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag

BELIEVED_GAP_MS = 1000
"""A step of more than this within a run is a fault in its times, unless as long has passed."""

_USUAL_STEP_MS = {VIDEO: 40, AUDIO: 23}
_LONGEST_STEP_MS = 100

# Sound may go on for longer than its picture, above all where pictures are reordered. So far the
# next run lies beside it. Media servers take 250 ms between the two for a fault and mend it.
_MOST_BESIDE_MS = 200


class Timeline:
    """Moves tags. All times are milliseconds from 0 on.

    Laws: the times of one kind never decrease; at a change of run no kind advances by more than
    its own step and one frame beyond what it lagged behind the other; audio and video of a run are
    moved by the same offset.
    """

    def __init__(self) -> None:
        self._offset: int | None = None
        self._last: dict[int, int] = {}
        self._input_last: dict[int, int] = {}
        self._steps = dict(_USUAL_STEP_MS)
        self._floors: dict[int, int] = {}

    @property
    def end_ms(self) -> int:
        """The latest time that was given to a tag; 0 before any."""
        return max(self._last.values(), default=0)

    def next_ms(self, kind: int) -> int:
        """Return where a run would begin whose first tag is of a kind."""
        if not self._last:
            return 0
        own = self._last.get(kind)
        if own is None:
            return self.end_ms
        return max(own + self._steps[kind], self.end_ms - _MOST_BESIDE_MS)

    def begin(self, first: Tag) -> None:
        """Begin a run with its first tag, which is placed next."""
        self._offset = self.next_ms(first.kind) - first.timestamp_ms
        self._input_last.clear()
        # Sound that would lie beside what was heard already is left out, not squeezed in.
        self._floors = {kind: last + 1 for kind, last in self._last.items()}

    def position(self, tag: Tag, *, gap_ms: int = BELIEVED_GAP_MS) -> int | None:
        """Return where `place` would put a tag; None where it would leave it out."""
        if self._offset is None or self._is_jump(tag, gap_ms):
            return self.next_ms(tag.kind) if tag.kind != DATA else self.end_ms
        if tag.kind == DATA:
            return self.end_ms
        moved = tag.timestamp_ms + self._offset
        if tag.kind == AUDIO and moved < self._floors.get(AUDIO, 0):
            return None
        return max(moved, self._last.get(tag.kind, 0))

    def place(self, tag: Tag, *, gap_ms: int = BELIEVED_GAP_MS) -> Tag | None:
        """Return a tag of the present run with its time on the line; None: it is left out.

        Args:
            tag: picture, sound or data.
            gap_ms: how far its time may lie behind the last tag's and still be believed. A tag
                that lies farther, or before its run began, moves its run anew.
        """
        if tag.kind != DATA and (self._offset is None or self._is_jump(tag, gap_ms)):
            self.begin(tag)
        position = self.position(tag, gap_ms=gap_ms)
        if position is None:
            return None
        if tag.kind != DATA:
            self._measure(tag)
            self._floors.pop(tag.kind, None)
            self._last[tag.kind] = position
        return Tag(tag.kind, position, tag.body)

    def _is_jump(self, tag: Tag, gap_ms: int) -> bool:
        if tag.kind == DATA or not self._input_last:
            return False
        newest, own = max(self._input_last.values()), self._input_last.get(tag.kind)
        behind = tag.timestamp_ms < (newest if own is None else own) - BELIEVED_GAP_MS
        return behind or tag.timestamp_ms > newest + gap_ms

    def _measure(self, tag: Tag) -> None:
        before = self._input_last.get(tag.kind)
        if before is not None and tag.timestamp_ms > before:
            self._steps[tag.kind] = min(tag.timestamp_ms - before, _LONGEST_STEP_MS)
        self._input_last[tag.kind] = max(tag.timestamp_ms, before or tag.timestamp_ms)


class Wall:
    """Where the wall clock stands on a timeline, so that a run can be sent in real time.

    Live media tells: what arrives now is due now, and what follows it is due where it would have
    gone on. But each change of run may add up to a frame, and encoders' clocks differ; so what is
    not live goes back to the first relation by and by, and viewers do not fall behind for ever.
    Seconds are those of a monotonic clock.
    """

    MOST_LATE_S = 3.0
    """A run that has fallen farther behind is not caught up: its clock is set anew."""

    GIVEN_BACK_S = 0.25
    """How much less than live media has gone ahead what follows it may be ahead."""

    _DRIFT = 0.001

    def __init__(self) -> None:
        self._first: float | None = None
        self._zero = 0.0
        self._was_live = False

    def due(self, position_ms: int, now: float) -> float:
        """Return when a place on the timeline is due; it may have passed by `MOST_LATE_S`."""
        position_s = position_ms / 1000
        if self._first is not None and self._was_live:
            self._zero = min(self._first, self._zero + self.GIVEN_BACK_S)
            self._was_live = False
        if self._first is None or self._zero + position_s < now - self.MOST_LATE_S:
            self._first = self._zero = now - position_s
        return self._zero + position_s

    def arrived(self, position_ms: int, now: float) -> None:
        """Note live media. What comes early counts at once, what comes late only if it stays so."""
        zero = now - position_ms / 1000
        if self._first is None or zero > self._zero + self.MOST_LATE_S:
            self._first = self._zero = zero
        elif zero < self._zero:
            self._zero = zero
        else:
            self._zero += (zero - self._zero) * self._DRIFT
        self._was_live = True
