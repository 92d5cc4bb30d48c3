"""Which segment goes into which recording: examples, and what holds after any kill."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.archive.assign import (
    Add,
    Drop,
    Keep,
    Move,
    Piece,
    Rules,
    SetAside,
    Step,
    assign,
)
from streamd.archive.layout import Spooled
from streamd.archive.mpegts import CLOCK_HZ, Media
from streamd.archive.recording import Recording, gaps
from streamd.archive.recording_json import from_json, list_lines, read_list, to_json
from tests.unit.archive.values import (
    FORMAT,
    NOW,
    STREAM,
    WIDER,
    piece,
    recording,
    run_of,
    segment,
)

RULES = Rules(split_s=60.0, resume_s=30.0)


def begin(started_at: float) -> Recording:
    return Recording("new", "archive", STREAM, "/rec/new", started_at)


def steps(
    *pieces: Piece,
    recordings: tuple[Recording, ...] = (),
    rules: Rules = RULES,
    now: float = NOW,
    idle_s: float = 0.0,
) -> list[Step]:
    return assign(pieces, recordings, rules, begin, now=now, idle_s=idle_s)


def test_a_recording_begins_as_soon_as_something_is_written() -> None:
    assert steps(piece(0, growing=True)) == [Keep(begin(NOW))]


def test_a_recorder_that_has_written_nothing_yet_begins_nothing() -> None:
    assert steps(piece(0, growing=True, size=0)) == []
    assert steps(piece(0, size=0, format_=None)) == [Drop(piece(0).spooled)]


def test_what_is_complete_is_added_and_what_grows_is_left() -> None:
    open_ = recording()
    after = recording(0)
    found = steps(piece(0), piece(1, growing=True), recordings=(open_,))
    assert found == [Keep(after), Add(after, (segment(0),))]


def test_the_beginning_is_that_of_the_first_picture() -> None:
    added = steps(piece(0, run_at=NOW, modified_at=NOW + 7.25))[-1]
    assert isinstance(added, Add)
    assert added.recording.started_at == NOW + 1.25


def test_what_cannot_be_understood_is_set_aside() -> None:
    assert steps(piece(0, format_=None)) == [SetAside(piece(0).spooled)]


def test_a_recording_is_never_longer_than_it_may_be() -> None:
    rules = replace(RULES, split_s=18.0)
    found = steps(piece(3), piece(4), recordings=(recording(0, 1, 2),), rules=rules, now=NOW + 30)
    closed = replace(recording(0, 1, 2), state="finishing", reason="split")
    opened = begin(NOW + 18)
    one = opened.with_segment(segment(3), FORMAT)
    both = one.with_segment(segment(4), FORMAT)
    assert found == [Keep(closed), Keep(opened), Keep(one), Add(both, (segment(3), segment(4)))]
    assert both.started_at == NOW + 18


def test_a_segment_that_is_too_long_alone_is_a_recording_of_its_own() -> None:
    found = steps(piece(0, seconds=90.0), now=NOW + 90)
    assert [type(step) for step in found] == [Keep, Keep, Add]


def test_a_publisher_that_is_back_in_time_goes_on_with_the_recording() -> None:
    again = piece(0, run_at=NOW + 32)
    (kept, added) = steps(again, recordings=(recording(0, 1),), now=NOW + 40)
    assert isinstance(added, Add)
    assert kept == Keep(added.recording)
    (gap,) = gaps(added.recording.runs)
    assert (gap.at_s, gap.seconds, gap.begin, gap.end) == (12.0, 20.0, NOW + 12, NOW + 32)


def test_what_was_recorded_twice_is_a_gap_below_nothing() -> None:
    again = piece(0, run_at=NOW + 11, modified_at=NOW + 17.5)
    (_, added) = steps(again, recordings=(recording(0, 1),), now=NOW + 18)
    assert isinstance(added, Add)
    assert gaps(added.recording.runs)[0].seconds == -0.5


def test_a_publisher_that_is_back_too_late_begins_another() -> None:
    again = piece(0, run_at=NOW + 43)
    closed = Keep(replace(recording(0, 1), state="finishing", reason="gone"))
    found = steps(again, recordings=(recording(0, 1),), now=NOW + 50)
    assert found[0] == closed
    assert [type(step) for step in found[1:]] == [Keep, Keep, Add]
    growing = piece(0, run_at=NOW + 43, growing=True)
    found = steps(growing, recordings=(recording(0, 1),), now=NOW + 44)
    assert found == [closed, Keep(begin(NOW + 43))]


def test_a_recording_waits_for_its_publisher_and_then_ends() -> None:
    open_ = recording(0, 1)
    assert steps(recordings=(open_,), now=NOW + 42) == []
    ended = [Keep(replace(open_, state="finishing", reason="gone"))]
    assert steps(recordings=(open_,), now=NOW + 42.1) == ended


def test_a_clock_that_was_set_back_keeps_no_recording_open() -> None:
    open_ = recording(0, 1)
    assert steps(recordings=(open_,), now=NOW - 86_400, idle_s=30.0) == []
    assert len(steps(recordings=(open_,), now=NOW - 86_400, idle_s=30.1)) == 1


def test_a_recording_is_open_as_long_as_its_recorder_lives() -> None:
    growing = piece(2, growing=True)
    assert steps(growing, recordings=(recording(0, 1),), now=NOW + 1e6, idle_s=1e6) == []


def test_another_format_is_another_recording() -> None:
    found = steps(piece(2, format_=WIDER), recordings=(recording(0, 1),))
    assert found[0] == Keep(replace(recording(0, 1), state="finishing", reason="format"))


def test_a_track_may_end_and_none_may_begin() -> None:
    silent = replace(FORMAT, audio=None)
    assert FORMAT.can_go_on_as(silent)
    assert FORMAT.can_go_on_as(FORMAT)
    assert not silent.can_go_on_as(FORMAT)
    assert not FORMAT.can_go_on_as(replace(silent, declared=("h264",)))


def test_what_is_listed_already_is_moved_and_not_listed_again() -> None:
    finishing = replace(recording(0, 1), state="finishing")
    other = recording(2, uuid="u2")
    found = steps(piece(1), piece(2), piece(3, growing=True), recordings=(finishing, other))
    assert found == [Move(finishing, piece(1).spooled), Move(other, piece(2).spooled)]


def test_what_is_listed_is_moved_whatever_is_still_written() -> None:
    old = replace(recording(0, uuid="u0", run_at=NOW - 60), state="finishing")
    pieces = (piece(0, run_at=NOW - 60), piece(2, growing=True))
    found = steps(*pieces, recordings=(old, recording(0, 1)))
    assert found == [Move(old, pieces[0].spooled)]


def test_what_was_recorded_later_waits_for_what_is_still_written() -> None:
    found = steps(piece(2, growing=True), piece(0, run_at=NOW + 13), recordings=(recording(0, 1),))
    assert found == []


def test_the_present_run_comes_first_where_the_clock_was_set_back() -> None:
    found = steps(piece(2), piece(0, run_at=NOW - 3600), recordings=(recording(0, 1),))
    added = [step for step in found if isinstance(step, Add)]
    assert [one.place[1] for step in added for one in step.segments] == [2, 0]


# A machine on which recorders, clocks and archives do as they like


@dataclass
class Machine:
    """What is on a disk, and what writes to it.

    Attributes:
        spool: segments of the spool; those that grow have a recorder.
        written: every segment that a recorder has completed with something in it, in order.
    """

    rules: Rules
    now: float = NOW
    monotonic: float = 0.0
    spool: dict[Spooled, Piece] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    jsons: dict[str, str] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    directories: dict[str, list[str]] = field(default_factory=dict)
    changed_at: float = 0.0
    run: str | None = None
    number: int = 0
    media_s: float = 0.0
    pids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    uuids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def start(self) -> None:
        """Start a recorder, which opens its first segment."""
        self.stop()
        self.run = run_of(self.now, next(self.pids))
        self.number, self.media_s = 0, 0.0
        self._open()

    def _open(self) -> None:
        assert self.run is not None
        spooled = Spooled(STREAM, self.run, self.number)
        assert spooled not in self.spool, "a recorder wrote over what was there"
        self.spool[spooled] = Piece(spooled, 0, self.now, growing=True)

    def record(self, seconds: float) -> None:
        """Record one segment to its end, and open the next."""
        if self.run is None:
            return
        self._complete(seconds)
        self.number += 1
        self._open()

    def _complete(self, seconds: float) -> None:
        assert self.run is not None
        self.wait(seconds)
        spooled = Spooled(STREAM, self.run, self.number)
        start = round((1.4 + self.media_s) * CLOCK_HZ)
        self.media_s += seconds
        media = Media(start, round(seconds * CLOCK_HZ), FORMAT)
        self.spool[spooled] = Piece(spooled, 5000, self.now, media=media)
        self.written.append(spooled.file)
        self.changed_at = self.monotonic

    def stop(self, seconds: float = 0.0) -> None:
        """Kill the recorder, in the middle of a segment where that has begun."""
        if self.run is None:
            return
        spooled = Spooled(STREAM, self.run, self.number)
        if seconds:
            self._complete(seconds)
        else:
            self.spool[spooled] = replace(self.spool[spooled], growing=False)
        self.run = None

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds

    def recordings(self) -> list[Recording]:
        """Return what an archive reads that has just started."""
        return [
            from_json(text, f"/rec/{uuid}", read_list(self.lists.get(uuid, ""))[0])
            for uuid, text in self.jsons.items()
        ]

    def archive(self, kill_after: int | None = None) -> bool:
        """Let an archive look once, and kill it in the midst; tell whether it did all."""
        unfinished = [each for each in self.recordings() if each.state != "finished"]
        idle_s = self.monotonic - self.changed_at
        pieces = list(self.spool.values())
        found = assign(pieces, unfinished, self.rules, self._begin, now=self.now, idle_s=idle_s)
        effects = [effect for step in found for effect in self._effects(step)]
        for effect in effects[:kill_after]:
            self._do(*effect)
        cut_short = [] if kill_after is None else effects[kill_after : kill_after + 1]
        for name, uuid, text in cut_short:
            if name == "list":
                self.lists[uuid] = self.lists.get(uuid, "") + text[: len(text) // 2]
        return kill_after is None or kill_after >= len(effects)

    def _begin(self, started_at: float) -> Recording:
        uuid = f"u{next(self.uuids)}"
        return Recording(uuid, "archive", STREAM, f"/rec/{uuid}", started_at)

    def _effects(self, step: Step) -> Iterator[tuple[str, str, str]]:
        if isinstance(step, Keep):
            yield "keep", step.recording.uuid, to_json(step.recording)
        elif isinstance(step, Add):
            yield "list", step.recording.uuid, list_lines(step.segments)
            for one in step.segments:
                yield "move", step.recording.uuid, one.file
        elif isinstance(step, Move):
            yield "move", step.recording.uuid, step.spooled.file
        elif isinstance(step, Drop):
            yield "drop", "", step.spooled.file

    def _do(self, effect: str, uuid: str, text: str) -> None:
        if effect == "keep":
            self.jsons[uuid] = text
        elif effect == "list":
            assert uuid in self.jsons
            listed, _ = read_list(self.lists.get(uuid, ""))
            self.lists[uuid] = list_lines(listed) + text
        else:
            (spooled,) = [each for each in self.spool if each.file == text]
            del self.spool[spooled]
            if effect == "move":
                self.directories.setdefault(uuid, []).append(text)


ACTIONS = st.one_of(
    st.just(("start", 0.0)),
    st.tuples(st.just("record"), st.sampled_from([6.0, 6.5, 9.0, 25.0])),
    st.tuples(st.just("stop"), st.sampled_from([0.0, 0.5, 5.0])),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 29.0, 31.0, 400.0])),
    st.tuples(st.just("jump"), st.sampled_from([-86_400.0, -7.0, 7.0, 86_400.0])),
    st.just(("archive", 99.0)),
    st.tuples(st.just("archive"), st.integers(0, 12).map(float)),
)


def play(actions: list[tuple[str, float]], rules: Rules) -> Machine:
    """Let things happen, and then everything come to rest."""
    machine = Machine(rules)
    for action, value in actions:
        if action == "start":
            machine.start()
        elif action == "archive":
            machine.archive(int(value))
        elif action == "jump":
            machine.now += value
        else:
            getattr(machine, action)(value)
    machine.stop()
    machine.archive()
    machine.changed_at = machine.monotonic
    machine.wait(rules.resume_s + 1)
    machine.archive()
    return machine


@settings(max_examples=300)
@given(st.lists(ACTIONS, max_size=40), st.sampled_from([None, 20.0]), st.sampled_from([0.0, 30.0]))
def test_every_segment_ends_in_exactly_one_recording_whatever_is_killed_and_when(
    actions: list[tuple[str, float]], split_s: float | None, resume_s: float
) -> None:
    machine = play(actions, Rules(split_s, resume_s))
    recordings = machine.recordings()
    listed = [one.file for each in recordings for one in each.segments]
    moved = [name for names in machine.directories.values() for name in names]
    assert machine.spool == {}
    assert sorted(listed) == sorted(moved) == sorted(machine.written)
    assert len(set(listed)) == len(listed)
    for each in recordings:
        assert each.state == "finishing"
        assert each.format == (FORMAT if each.segments else None)
        assert [one.file for one in each.segments] == machine.directories.get(each.uuid, [])
        places = [one.place for one in each.segments]
        for run in {run for run, _ in places}:
            numbers = [number for of_run, number in places if of_run == run]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        if split_s is not None:
            assert each.seconds <= split_s or len(each.segments) == 1


@settings(max_examples=200)
@given(st.lists(ACTIONS.filter(lambda action: action[0] != "jump"), max_size=40))
def test_without_jumps_of_the_clock_all_is_in_order_and_every_gap_is_short(
    actions: list[tuple[str, float]],
) -> None:
    machine = play(actions, RULES)
    recordings = sorted(machine.recordings(), key=lambda each: each.started_at)
    assert [one.file for each in recordings for one in each.segments] == machine.written
    for each in recordings:
        assert all(0 <= gap.seconds <= RULES.resume_s for gap in gaps(each.runs))
    for one, other in itertools.pairwise(recordings):
        assert other.started_at >= one.ended_at - 0.002


@given(st.lists(ACTIONS, max_size=30))
def test_what_was_done_need_not_be_done_again(actions: list[tuple[str, float]]) -> None:
    machine = play(actions, RULES)
    before = (dict(machine.jsons), dict(machine.lists), dict(machine.directories))
    machine.archive()
    assert (machine.jsons, machine.lists, machine.directories) == before
