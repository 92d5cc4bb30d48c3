from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from streamd.playout.timeline import BELIEVED_GAP_MS, Timeline, Wall

PICTURE, SOUND, TEXT = b"\x17\x01", b"\xaf\x01", b"\x02"


def video(at: int) -> Tag:
    return Tag(VIDEO, at, PICTURE)


def audio(at: int) -> Tag:
    return Tag(AUDIO, at, SOUND)


def interleaved(begin: int, lag: int, steps: tuple[int, int], count: int) -> list[Tag]:
    """A run: pictures from `begin`, sound `lag` later, in the order of their times."""
    picture, sound = steps
    tags = [video(begin + picture * number) for number in range(count)]
    tags += [audio(begin + lag + sound * number) for number in range(picture * count // sound)]
    ordered = sorted(tags, key=lambda tag: (tag.timestamp_ms, tag.kind != VIDEO))
    return ordered[:count]


runs = st.lists(
    st.builds(
        interleaved,
        st.integers(0, 10**9),
        st.integers(0, 40),
        st.tuples(st.integers(15, 100), st.integers(10, 60)),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=6,
)


def placed(timeline: Timeline, run: list[Tag]) -> list[tuple[Tag, Tag]]:
    """Place a run; return what was kept of it beside where it went."""
    timeline.begin(run[0])
    both = [(tag, timeline.place(tag)) for tag in run]
    return [(tag, out) for tag, out in both if out is not None]


@given(runs)
def test_no_kind_ever_goes_back(given_runs: list[list[Tag]]) -> None:
    timeline = Timeline()
    out = [after for run in given_runs for _, after in placed(timeline, run)]
    for kind in (AUDIO, VIDEO):
        times = [tag.timestamp_ms for tag in out if tag.kind == kind]
        assert times == sorted(times)


@given(runs)
def test_picture_and_sound_of_a_run_are_moved_alike(given_runs: list[list[Tag]]) -> None:
    timeline = Timeline()
    for run in given_runs:
        moved = {after.timestamp_ms - tag.timestamp_ms for tag, after in placed(timeline, run)}
        assert len(moved) == 1


@given(runs)
def test_all_pictures_are_kept(given_runs: list[list[Tag]]) -> None:
    timeline = Timeline()
    for run in given_runs:
        pictures = [tag for tag in run if tag.kind == VIDEO]
        assert [tag for tag, _ in placed(timeline, run) if tag.kind == VIDEO] == pictures


@given(runs)
def test_a_change_of_run_is_no_jump(given_runs: list[list[Tag]]) -> None:
    timeline = Timeline()
    parts = [placed(timeline, run) for run in given_runs]
    steps = {
        VIDEO: max(40, *(_step(part, VIDEO) for part in parts)),
        AUDIO: max(23, *(_step(part, AUDIO) for part in parts)),
    }
    for before, after in pairwise(parts):
        for kind in (AUDIO, VIDEO):
            old = [out.timestamp_ms for _, out in before if out.kind == kind]
            new = [(tag.timestamp_ms, out.timestamp_ms) for tag, out in after if out.kind == kind]
            if old and new:
                begins_later = new[0][0] - after[0][0].timestamp_ms
                ended_earlier = max(out.timestamp_ms for _, out in before) - old[-1]
                own = max(steps[kind], begins_later) + ended_earlier
                most = own + steps[VIDEO] + steps[AUDIO]
                assert new[0][1] - old[-1] <= most


def _step(run: list[tuple[Tag, Tag]], kind: int) -> int:
    times = [tag.timestamp_ms for tag, _ in run if tag.kind == kind]
    return max((b - a for a, b in pairwise(times)), default=0)


def test_the_next_run_begins_one_frame_behind_the_last_picture() -> None:
    timeline = Timeline()
    placed(timeline, [video(500), video(540), video(580)])
    assert [out.timestamp_ms for _, out in placed(timeline, [video(9), video(49)])] == [120, 160]


def test_sound_that_was_heard_is_left_out_and_not_squeezed_in() -> None:
    timeline = Timeline()
    placed(timeline, [video(0), audio(0), audio(20), audio(40), audio(60)])
    kept = placed(timeline, [video(100), audio(80), audio(100), audio(120), audio(140)])
    assert [(out.kind, out.timestamp_ms) for _, out in kept] == [(VIDEO, 40), (AUDIO, 80)]


def test_a_picture_waits_for_sound_that_goes_on_for_long() -> None:
    timeline = Timeline()
    placed(timeline, [video(0), *map(audio, range(0, 1001, 20))])
    kept = placed(timeline, [video(0), audio(0), audio(200), audio(220)])
    assert [(out.kind, out.timestamp_ms) for _, out in kept] == [(VIDEO, 800), (AUDIO, 1020)]


def test_a_leap_within_a_run_is_closed() -> None:
    timeline = Timeline()
    placed(timeline, [video(0), video(40)])
    leaped = timeline.place(video(40 + BELIEVED_GAP_MS + 1))
    assert leaped is not None
    assert leaped.timestamp_ms == 80


def test_a_leap_is_believed_when_as_long_has_passed() -> None:
    timeline = Timeline()
    placed(timeline, [video(0), video(40)])
    later = timeline.place(video(5040), gap_ms=BELIEVED_GAP_MS + 5000)
    assert later is not None
    assert later.timestamp_ms == 5040


def test_a_run_that_starts_its_times_anew_goes_on() -> None:
    timeline = Timeline()
    placed(timeline, [video(100_000), video(100_040)])
    again = [timeline.place(video(0)), timeline.place(video(40))]
    assert [tag.timestamp_ms for tag in again if tag is not None] == [80, 120]


def test_a_small_step_back_is_flattened() -> None:
    timeline = Timeline()
    placed(timeline, [video(0), video(40)])
    back = timeline.place(video(30))
    assert back is not None
    assert back.timestamp_ms == 40


def test_data_stands_where_the_media_is() -> None:
    timeline = Timeline()
    placed(timeline, [video(700), video(740)])
    text = timeline.place(Tag(DATA, 0, TEXT))
    assert text is not None
    assert text.timestamp_ms == 40


@given(runs)
def test_the_position_is_where_a_tag_is_placed(given_runs: list[list[Tag]]) -> None:
    timeline = Timeline()
    for run in given_runs:
        timeline.begin(run[0])
        for tag in run:
            expected = timeline.position(tag)
            out = timeline.place(tag)
            assert expected == (out.timestamp_ms if out is not None else None)


def test_what_follows_live_media_is_due_where_that_would_have_gone_on() -> None:
    wall = Wall()
    wall.arrived(1000, 50.0)
    assert wall.due(2000, 50.5) == 51.0


def test_live_media_that_comes_late_once_does_not_set_the_clock_back() -> None:
    wall = Wall()
    wall.arrived(1000, 50.0)
    wall.arrived(1040, 50.9)
    assert wall.due(2000, 51.0) < 51.01


def test_what_live_media_has_gone_ahead_is_given_back_by_and_by() -> None:
    wall = Wall()
    wall.arrived(0, 50.0)
    wall.arrived(2000, 51.4)  # 0.6 s ahead
    dues = []
    for _ in range(4):
        dues.append(wall.due(3000, 52.0))
        wall.arrived(3000, dues[-1])
    assert dues == pytest.approx([52.65, 52.9, 53.0, 53.0])


def test_what_follows_live_media_that_fell_behind_catches_up() -> None:
    wall = Wall()
    wall.arrived(0, 50.0)
    for tenth in range(20, 4000):
        wall.arrived(tenth * 100 - 1000, 50.0 + tenth / 10)  # 1 s behind
    assert wall.due(400_000, 451.0) == 450.0


@given(st.lists(st.tuples(st.integers(100, 5000), st.floats(-0.25, 0.25)), max_size=60))
def test_viewers_do_not_fall_behind_for_ever(turns: list[tuple[int, float]]) -> None:
    wall = Wall()
    position, now = 0, 0.0
    wall.arrived(0, 0.0)
    for length_ms, early_s in turns:
        position += length_ms
        now = max(now, position / 1000 - early_s)
        wall.arrived(position, now)
        position += 40
        now = max(now, wall.due(position, now))
        assert position / 1000 - now <= 0.5


def test_what_is_far_behind_is_due_now_and_not_caught_up() -> None:
    wall = Wall()
    wall.arrived(0, 0.0)
    assert wall.due(1000, 100.0) == 100.0
    assert wall.due(1500, 100.0) == 100.5
