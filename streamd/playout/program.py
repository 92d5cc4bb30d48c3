"""What is sent: of the input that is on air its tags, on one timeline, headers where needed. Pure.

Inputs are known by their place in the spec. Seconds are monotonic and given by the caller.
"""

from collections.abc import Sequence
from dataclasses import replace

from streamd.playout.choice import Choice
from streamd.playout.headers import covers, joined, parameter_sets, with_sets
from streamd.playout.run import Run
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from streamd.playout.timeline import BELIEVED_GAP_MS, Timeline, Wall

_LIVE = ("ingest", "pull")
_BELIEVED_FILE_GAP_MS = 10_000


class Program:
    """Makes one stream of several inputs.

    Args:
        kinds: of the inputs, as `spec.kind_of` says; the one that is preferred first.
        now: when the playout begins.

    Attributes:
        choice: which input is on air.
        encoder_header: of the picture, of what was on air last and is no slate.
        slate_header: of the slate that is fitted to that.
    """

    def __init__(self, kinds: Sequence[str], now: float) -> None:
        self.choice = Choice(kinds, now)
        self.encoder_header: Tag | None = None
        self.slate_header: Tag | None = None
        self._kinds = tuple(kinds)
        self._runs = [Run() for _ in kinds]
        self._on_line: Run | None = None
        self._timeline = Timeline()
        self._wall = Wall()
        self._sent: dict[int, Tag] = {}
        self._has_changed = False
        self._heard_at = now

    @property
    def end_ms(self) -> int:
        """How far the timeline has come."""
        return self._timeline.end_ms

    def run(self, at: int) -> Run:
        """Return what an input has sent since it began."""
        return self._runs[at]

    def begin(self, at: int) -> None:
        """Note that what an input sends next has nothing to do with what it sent before."""
        self._runs[at] = Run()

    def offer(self, at: int, tag: Tag, now: float) -> list[Tag]:
        """Take a tag of an input, and return what is to be sent now."""
        if tag.is_sequence_end:  # of this input alone
            self.choice.ended(at)
            return []
        run = self._runs[at]
        enters = run.hear(tag, now)
        was_on_air = self.choice.on_air == at
        self.choice.heard(at, now, enters=enters and (was_on_air or not run.is_late))
        if self.choice.on_air != at or tag.is_header:
            return []
        if run is not self._on_line or not was_on_air:
            if not enters:
                return []
            self._timeline.begin(tag)
            self._on_line = run
        placed = self._placed(at, run, tag, now)
        return [] if placed is None else self._dressed(at, run, placed)

    def _placed(self, at: int, run: Run, tag: Tag, now: float) -> Tag | None:
        if tag is run.metadata:
            return None  # goes with the headers
        if tag.kind == VIDEO and run.awaits_keyframe:
            if not tag.is_keyframe:
                return None
            run.awaits_keyframe = False
        placed = self._timeline.place(tag, gap_ms=self._gap_ms(at, now))
        self._heard_at = now
        if placed is not None and self._is_live(at):
            self._wall.arrived(placed.timestamp_ms, now)
        return placed

    def _gap_ms(self, at: int, now: float) -> int:
        if not self._is_live(at):
            return _BELIEVED_FILE_GAP_MS
        return BELIEVED_GAP_MS + round(1000 * max(0.0, now - self._heard_at))

    def _is_live(self, at: int) -> bool:
        return self._kinds[at] in _LIVE

    def _dressed(self, at: int, run: Run, tag: Tag) -> list[Tag]:
        """Return a tag of the run on air behind the headers that it needs."""
        if tag.kind == AUDIO:
            return [*self._header(run.audio_header, tag), tag]
        if tag.kind == DATA or not tag.is_keyframe:
            return [tag]
        headers = self._header(self._video_header(at, run), tag)
        if headers and run.metadata is not None:
            headers.insert(0, replace(run.metadata, timestamp_ms=tag.timestamp_ms))
            self._sent[DATA] = run.metadata
        return [*headers, self._with_sets(run, tag)]

    def _header(self, header: Tag | None, before: Tag) -> list[Tag]:
        sent = self._sent.get(before.kind)
        if header is None or (sent is not None and covers(sent, header)):
            return []
        self._has_changed = self._has_changed or (sent is not None and before.kind == VIDEO)
        header = replace(header, timestamp_ms=before.timestamp_ms)
        self._sent[before.kind] = header
        return [header]

    def _video_header(self, at: int, run: Run) -> Tag | None:
        """Return the header for a run: with the sets of encoder and slate where that can be."""
        own = run.video_header
        if own is not None and self._kinds[at] != "slate":
            self.encoder_header = own
        if own is None or self.encoder_header is None or self.slate_header is None:
            return own
        both = joined(self.encoder_header, self.slate_header)
        return both if both is not None and covers(both, own) else own

    def _with_sets(self, run: Run, picture: Tag) -> Tag:
        """Put a run's own sets before a keyframe where a receiver may have others.

        Not all take a header in mid-stream: an FFmpeg that copies passes it on and warns.
        """
        sent, own = self._sent.get(VIDEO), run.video_header
        if sent is None or own is None or not (self._has_changed or sent.body != own.body):
            return picture
        sets = parameter_sets(own)
        return picture if sets is None else with_sets(picture, sets)

    def due(self, at: int, tag: Tag, now: float) -> float:
        """Return when a tag of an input that is not live, its next one, has to be offered."""
        run = self._runs[at]
        if tag.kind == DATA or tag.is_header:
            return now
        if self.choice.on_air == at and run is self._on_line:
            position = self._timeline.position(tag, gap_ms=self._gap_ms(at, now))
            return now if position is None else self._wall.due(position, now)
        takes_over = self.choice.on_air == at or not self.choice.has_media(now)
        if takes_over and tag.is_keyframe:
            return self._wall.due(self._timeline.next_ms(VIDEO), now)
        own = run.due(tag)
        return now if own is None else own

    def over_at(self, now: float) -> float:
        """Return when all that was sent so far is due."""
        return self._wall.due(self._timeline.end_ms, now)

    def prelude(self) -> list[Tag]:
        """Return what a receiver has to be told that comes in the midst of it."""
        kept = (self._sent.get(kind) for kind in (DATA, VIDEO, AUDIO))
        return [tag for tag in kept if tag is not None]
