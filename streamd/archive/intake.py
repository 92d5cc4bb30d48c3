"""Takes in what recorders have written: looks at the spool, decides, and does it."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from streamd.archive.announce import begin_event
from streamd.archive.assign import Add, Drop, Keep, Move, Piece, Rules, SetAside, Step, assign
from streamd.archive.layout import Spooled, recording_path
from streamd.archive.recording import Recording
from streamd.archive.spec import ArchiveSpec
from streamd.archive.spool import Spool
from streamd.archive.store import Store
from streamd.archive.tell import UntoldError, tell
from streamd.stderr_log import Say

_RETRY_S = 5.0


class Intake:
    """Gives every segment to a recording.

    Args:
        spec: of the archive.
        spool: what recorders write to.
        store: where recordings are.
        say: the log.

    Attributes:
        recordings: those that are not done, by uuid.
        live: the last segment of each stream that is being recorded.
        troubles: what is wrong with a stream, for an operator.
    """

    def __init__(self, spec: ArchiveSpec, spool: Spool, store: Store, say: Say) -> None:
        self._spec = spec
        self._spool = spool
        self._store = store
        self._say = say
        self._rules = Rules(spec.split_s, spec.resume_s)
        self._opened = False
        self._begun: dict[str, list[Recording]] = {}
        self._changes: dict[str, tuple[Sequence[tuple[str, int]], float]] = {}
        self._retry_at: dict[str, float] = {}
        self._untold: str | None = None
        self.recordings: dict[str, Recording] = {}
        self.live: dict[str, Piece] = {}
        self.troubles: dict[str, str] = {}

    def look(self, now: float, monotonic: float) -> None:
        """Look once. May take as long as the disk does.

        Args:
            now: Unix time.
            monotonic: of a clock that nobody sets.

        Raises:
            OSError: the spool cannot be used.
            SpoolError: another archive holds it.
        """
        if not self._opened:
            self._spool.open()
            found = self._store.unfinished()
            self.recordings.update({each.uuid: each for each in found})
            self._opened = True
        try:
            pieces = self._spool.look(monotonic)
        except FileNotFoundError:  # somebody has deleted the directory
            self._opened = False
            self._spool.close()
            raise
        self.live = {
            stream: each[-1] for stream, each in pieces.items() if any(one.growing for one in each)
        }
        open_ = {each.stream for each in [*self.recordings.values()]}
        for stream in sorted(pieces.keys() | open_):
            idle_s = self._idle_s(stream, pieces.get(stream, ()), monotonic)
            if self._retry_at.get(stream, monotonic) > monotonic:
                continue
            try:
                self._assign(stream, pieces.get(stream, ()), now, idle_s)
            except OSError as error:
                self._fail(stream, error, monotonic)
            else:
                self.troubles.pop(stream, None)
        self._changes = {
            name: each for name, each in self._changes.items() if name in pieces or name in open_
        }
        self._tell_begun(monotonic)

    def _assign(self, stream: str, pieces: Sequence[Piece], now: float, idle_s: float) -> None:
        recordings = [each for each in [*self.recordings.values()] if each.stream == stream]

        # What could not be written down keeps its name, so that no try leaves anything behind.
        begun = self._begun.setdefault(stream, [])
        untaken = iter([*begun])

        def begin(started_at: float) -> Recording:
            recording = next(untaken, None)
            if recording is None:
                recording = self._new(stream, started_at)
                begun.append(recording)
            return replace(recording, started_at=round(started_at, 3))

        for step in assign(pieces, recordings, self._rules, begin, now=now, idle_s=idle_s):
            self._do(stream, step)

    def _do(self, stream: str, step: Step) -> None:
        match step:
            case Keep(recording):
                if recording.state != "recording" and not recording.begin_told:
                    recording = self._begin_told(recording)
                self._store.keep(recording)
                self._note(recording)
            case Add(recording, segments):
                self._store.add(recording, segments)
                self._note(recording)
                for segment in segments:
                    self._store.move(recording, Spooled(stream, *segment.place))
            case Move(recording, spooled):
                self._store.move(recording, spooled)
            case Drop(spooled):
                self._spool.drop(spooled)
            case SetAside(spooled):
                self._spool.set_aside(spooled)
                self._say("error", f"{spooled.spooled_as} is no MPEG-TS and put aside")

    def _note(self, recording: Recording) -> None:
        before = self.recordings.get(recording.uuid)
        self.recordings[recording.uuid] = recording
        if before is None:
            waiting = self._begun.get(recording.stream, [])
            waiting[:] = [each for each in waiting if each.uuid != recording.uuid]
            self._say("info", f"{recording.stream} is recorded to {recording.path}")
        elif before.state != recording.state:
            said = f"{recording.seconds:.0f} s of {recording.stream} are recorded"
            self._say("info", f"{said} ({recording.reason}): {recording.path}")

    def _new(self, stream: str, started_at: float) -> Recording:
        name = str(uuid.uuid4())
        path = recording_path(
            self._spec.directory,
            self._spec.name,
            stream=stream,
            started_at=started_at,
            uuid=name,
        )
        begun = [each.path for others in self._begun.values() for each in others]
        if path in begun or self._store.is_taken(path):
            path = f"{path}~{name[:8]}"
        return Recording(name, self._spec.rule, stream, path, round(started_at, 3))

    def _tell_begun(self, monotonic: float) -> None:
        untold = [
            each
            for each in [*self.recordings.values()]
            if each.state == "recording" and not each.begin_told  # others are not ours to write
        ]
        if not untold:
            return
        untold.sort(key=lambda each: each.started_at)
        try:
            tell(self._spec.outbox, map(begin_event, untold))
        except UntoldError as error:
            if str(error) != self._untold:
                self._say("error", str(error))
            self._untold = str(error)
            return
        self._untold = None
        for each in untold:
            told = replace(each, begin_told=True)
            self.recordings[each.uuid] = told  # at once: they are not told again while we live
            try:
                self._store.keep(told)
            except OSError as error:
                self._fail(each.stream, error, monotonic)

    def _begin_told(self, recording: Recording) -> Recording:
        """Tell that a recording began which is over already: before the next one begins."""
        try:
            tell(self._spec.outbox, [begin_event(recording)])
        except UntoldError:
            return recording  # it is told with its end
        return replace(recording, begin_told=True)

    def _idle_s(self, stream: str, pieces: Sequence[Piece], monotonic: float) -> float:
        """Return how long nothing of a stream has changed, as far as we have seen."""
        now = [(piece.spooled.file, piece.bytes) for piece in pieces]
        before, since = self._changes.get(stream, (None, monotonic))
        if now != before:
            since = monotonic
        self._changes[stream] = (now, since)
        return monotonic - since

    def _fail(self, stream: str, error: OSError, monotonic: float) -> None:
        text = f"{error.filename or self._spec.directory}: {error.strerror or error}"
        if self.troubles.get(stream) != text:
            self._say("error", f"{stream} waits in {self._spool.directory}: {text}")
        self.troubles[stream] = text
        self._retry_at[stream] = monotonic + _RETRY_S
