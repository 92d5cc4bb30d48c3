from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.choice import FREEZE_S
from streamd.playout.settling import SETTLES_S, Settling
from streamd.playout.tags import VIDEO, Tag


def counted(moments: list[float]) -> list[list[int]]:
    """Return which tags count at each moment at which one comes."""
    settling = Settling()
    taken = [settling.take(Tag(VIDEO, at, b"x"), now) for at, now in enumerate(moments)]
    return [[tag.timestamp_ms for tag in tags] for tags in taken]


def test_without_a_silence_everything_counts_at_once() -> None:
    assert counted([0.0, 0.9, 1.0, 1.9]) == [[0], [1], [2], [3]]


def test_what_is_left_after_a_silence_and_ends_never_counts() -> None:
    assert counted([0.0, 0.1, 10.1, 10.1, 10.3]) == [[0], [1], [], [], []]


def test_what_goes_on_counts_as_a_whole() -> None:
    assert counted([0.0, 5.0, 5.2, 5.4, 5.6, 5.7]) == [[0], [], [], [], [1, 2, 3, 4], [5]]


def test_one_picture_every_two_seconds_still_comes() -> None:
    assert counted([0.0, 2.0, 4.0, 6.0, 8.0]) == [[0], [], [1, 2], [], [3, 4]]


@given(st.lists(st.floats(0.0, 3.0)))
def test_nothing_is_lost_or_moved_but_what_is_held_at_the_end(steps: list[float]) -> None:
    moments = [sum(steps[: number + 1]) for number in range(len(steps))]
    passed = [tag for tags in counted(moments) for tag in tags]
    assert passed == list(range(len(passed)))
    if len(passed) < len(moments):
        held = moments[len(passed) :]
        assert held[-1] - held[0] < SETTLES_S
        assert held[0] - moments[len(passed) - 1] >= FREEZE_S
