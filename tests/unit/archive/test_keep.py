"""What is deleted and when recording pauses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.keep import (
    TRUSTED_AFTER_S,
    Clock,
    Kept,
    Space,
    free_limit,
    is_full,
    to_delete,
)
from streamd.archive.spec import ArchiveSpec
from tests.unit.archive.values import SPEC

DAY = 86_400.0
NOW = 1_800_000_000.0
ROOMY = Space(total=1000, free=1000)
FREE = replace(SPEC, keep_for_s=None, keep_bytes=None, free_share=0.0, free_bytes=0)


def kept(*days_ago: float, size: int = 100) -> list[Kept]:
    return [Kept(f"/rec/{days}", NOW - days * DAY, size) for days in days_ago]


def deleted(
    spec: ArchiveSpec,
    recordings: list[Kept],
    *,
    space: Space = ROOMY,
    others_bytes: int = 0,
    now: float | None = NOW,
) -> list[str]:
    found = to_delete(recordings, spec, space, others_bytes=others_bytes, now=now)
    return [each.path.removeprefix("/rec/") for each in found]


def test_without_limits_nothing_is_deleted() -> None:
    assert deleted(FREE, kept(1, 10_000), space=Space(1000, 0)) == []


def test_what_is_too_old_is_deleted() -> None:
    spec = replace(FREE, keep_for_s=30 * DAY)
    assert deleted(spec, kept(1, 31, 29.9, 40)) == ["40", "31"]


def test_the_oldest_are_deleted_while_all_take_too_much() -> None:
    spec = replace(FREE, keep_bytes=250)
    assert deleted(spec, kept(1, 2, 3, 4)) == ["4", "3"]
    assert deleted(spec, kept(1, 2)) == []


def test_what_may_not_be_deleted_counts_too() -> None:
    spec = replace(FREE, keep_bytes=250)
    assert deleted(spec, kept(1, 2), others_bytes=100) == ["2"]
    assert deleted(spec, kept(1, 2), others_bytes=10_000) == ["2", "1"]


def test_room_is_made_with_a_margin() -> None:
    spec = replace(FREE, free_bytes=300)
    assert deleted(spec, kept(1, 2, 3), space=Space(1000, 300)) == []
    assert deleted(spec, kept(1, 2, 3), space=Space(1000, 299)) == ["3"]
    assert deleted(spec, kept(1, 2, 3), space=Space(1000, 229)) == ["3", "2"]
    assert deleted(spec, kept(1, 2, 3), space=Space(1000, 0)) == ["3", "2", "1"]


def test_nothing_is_deleted_for_a_disk_that_is_smaller_than_the_limit() -> None:
    spec = replace(FREE, free_bytes=1001)
    assert deleted(spec, kept(1, 2, 3), space=Space(1000, 0)) == []
    assert is_full(Space(1000, 900), free_limit(spec, Space(1000, 900)), was_full=False)


def test_the_greater_limit_counts() -> None:
    spec = replace(FREE, free_bytes=300, free_share=0.5)
    assert free_limit(spec, Space(1000, 0)) == 500
    assert free_limit(spec, Space(400, 0)) == 300


def test_recording_goes_on_with_some_room_more_than_it_paused_at() -> None:
    assert is_full(Space(1000, 99), 100, was_full=False)
    assert not is_full(Space(1000, 100), 100, was_full=False)
    assert is_full(Space(1000, 109), 100, was_full=True)
    assert not is_full(Space(1000, 110), 100, was_full=True)
    assert not is_full(Space(1000, 0), 0, was_full=True)


def test_a_clock_that_is_not_trusted_makes_nothing_old() -> None:
    spec = replace(FREE, keep_for_s=DAY)
    assert deleted(spec, kept(400), now=None) == []
    assert deleted(replace(spec, keep_bytes=0), kept(400), now=None) == ["400"]


def test_a_clock_that_jumped_is_not_trusted_for_a_while() -> None:
    clock = Clock.began(NOW, 50.0)
    assert clock.is_trusted(50.0)
    clock = clock.looked_at(NOW + 10, 60.0)
    assert clock.is_trusted(60.0)
    for jump in (365 * DAY, -365 * DAY):
        jumped = clock.looked_at(NOW + 20 + jump, 70.0)
        assert not jumped.is_trusted(70.0)
        assert not jumped.looked_at(NOW + 120 + jump, 170.0).is_trusted(170.0)
        later = 70.0 + TRUSTED_AFTER_S
        assert jumped.looked_at(NOW + later - 50 + jump, later).is_trusted(later)


def test_a_clock_that_is_set_a_little_at_a_time_is_trusted() -> None:
    clock = Clock.began(NOW, 0.0)
    for second in range(1, 100):
        clock = clock.looked_at(NOW + 1.5 * second, float(second))
        assert clock.is_trusted(float(second))


RECORDINGS = st.lists(
    st.builds(
        Kept,
        st.uuids().map(str),
        st.floats(NOW - 100 * DAY, NOW),
        st.integers(0, 1000),
    ),
    max_size=20,
)


@given(
    RECORDINGS,
    st.none() | st.integers(0, 5000),
    st.none() | st.floats(0, 100).map(lambda days: days * DAY),
    st.integers(0, 5000),
    st.integers(0, 5000),
)
def test_no_more_is_deleted_than_has_to_be_and_the_oldest_go_first(
    recordings: list[Kept],
    keep_bytes: int | None,
    keep_for_s: float | None,
    limit: int,
    free: int,
) -> None:
    spec = replace(FREE, keep_bytes=keep_bytes, keep_for_s=keep_for_s, free_bytes=limit)
    space = Space(10_000, free)
    gone = to_delete(recordings, spec, space, others_bytes=0, now=NOW)
    left = [each for each in recordings if each not in gone]
    assert all(one.ended_at <= other.ended_at for one in gone for other in left)
    if keep_bytes is not None:
        assert sum(each.bytes for each in left) <= keep_bytes or not left
    if keep_for_s is not None:
        assert all(each.ended_at + keep_for_s >= NOW for each in left)
    now_free = free + sum(each.bytes for each in gone)
    assert now_free >= limit or not left
    again = Space(10_000, now_free)
    assert to_delete(left, spec, again, others_bytes=0, now=NOW) == []


@pytest.mark.parametrize("count", [0, 1, 5])
def test_what_is_deleted_is_told_once(count: int) -> None:
    spec = replace(FREE, keep_bytes=0, keep_for_s=0.0, free_bytes=10_000)
    assert len(deleted(spec, kept(*range(1, count + 1)), space=Space(10_000, 0))) == count
