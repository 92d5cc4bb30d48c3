"""Daily windows, also where the clocks change."""

from datetime import UTC, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamd.schedule import DailyWindow

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # the clocks change at midnight
    "Africa/Cairo",
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
)
CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin, forth
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin, back
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York
    datetime(2026, 9, 6, 4, tzinfo=UTC),  # Santiago
    datetime(2026, 4, 23, 22, tzinfo=UTC),  # Cairo
)

TIMES = st.times().map(lambda each: each.replace(microsecond=0))
WINDOWS = st.builds(DailyWindow, TIMES, TIMES, st.sampled_from(ZONES))
MOMENTS = st.builds(
    lambda start, seconds: start + timedelta(seconds=seconds),
    st.just(datetime(2024, 1, 1, tzinfo=UTC)),
    st.floats(0, 5 * 366 * 86400),
) | st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-2 * 24 * 60, 2 * 24 * 60),
)


def berlin(start: str, end: str) -> DailyWindow:
    return DailyWindow(time.fromisoformat(start), time.fromisoformat(end), "Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "end", "clock", "is_open"),
    [
        ("18:00", "23:30", "17:59:59", False),
        ("18:00", "23:30", "18:00", True),
        ("18:00", "23:30", "23:29:59", True),
        ("18:00", "23:30", "23:30", False),
        ("22:00", "02:00", "21:59:59", False),
        ("22:00", "02:00", "22:00", True),
        ("22:00", "02:00", "00:00", True),
        ("22:00", "02:00", "01:59:59", True),
        ("22:00", "02:00", "02:00", False),
        ("18:00", "00:00", "23:59:59", True),
        ("18:00", "00:00", "00:00", False),
        ("06:00", "06:00", "05:59:59", True),
        ("06:00", "06:00", "06:00", True),
    ],
)
def test_it_is_open_from_its_start_until_right_before_its_end(
    start: str, end: str, clock: str, is_open: bool
) -> None:
    day = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    now = datetime.combine(day, time.fromisoformat(clock), day.tzinfo)
    assert berlin(start, end).is_open(now.astimezone(UTC)) == is_open


@pytest.mark.parametrize(
    ("window", "begins", "ends"),
    [
        # 02:30 is left out on that day, and is what it would have been.
        (berlin("02:30", "06:00"), "2026-03-29T01:30", "2026-03-29T04:00"),
        (berlin("01:00", "02:30"), "2026-03-29T00:00", "2026-03-29T01:30"),
        # 02:30 comes twice on that day, and the first counts.
        (berlin("02:30", "06:00"), "2026-10-25T00:30", "2026-10-25T05:00"),
        (berlin("01:00", "02:30"), "2026-10-24T23:00", "2026-10-25T00:30"),
        (berlin("22:00", "04:00"), "2026-10-24T20:00", "2026-10-25T03:00"),
    ],
)
def test_it_keeps_to_the_clocks_when_they_change(
    window: DailyWindow, begins: str, ends: str
) -> None:
    first, last = (datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (begins, ends))
    a_moment = timedelta(seconds=1)
    assert not window.is_open(first - a_moment)
    assert window.next_change(first - a_moment) == first
    assert window.is_open(first)
    assert window.next_change(first) == last
    assert window.is_open(last - a_moment)
    assert not window.is_open(last)


def test_a_window_that_is_left_out_whole_is_not_open_on_that_day() -> None:
    window = berlin("02:30", "03:00")
    day = datetime(2026, 3, 29, tzinfo=UTC)
    assert not any(window.is_open(day + timedelta(minutes=minutes)) for minutes in range(24 * 60))


def test_next_change_says_when_it_opens_and_when_it_closes() -> None:
    window = DailyWindow(time(18), time(23, 30), "UTC")
    day = datetime(2026, 7, 1, tzinfo=UTC)
    assert window.next_change(day) == day.replace(hour=18)
    assert window.next_change(day.replace(hour=18)) == day.replace(hour=23, minute=30)
    assert window.next_change(day.replace(hour=23, minute=30)) == datetime(
        2026, 7, 2, 18, tzinfo=UTC
    )


@given(WINDOWS, MOMENTS)
@example(berlin("02:30", "03:00"), datetime(2026, 3, 29, 0, 59, tzinfo=UTC))
def test_the_next_change_is_to_come_and_nothing_changes_before_it(
    window: DailyWindow, now: datetime
) -> None:
    change = window.next_change(now)
    assert now < change <= now + timedelta(days=2)
    before = window.is_open(now)
    for share in (0.25, 0.5, 0.75):
        assert window.is_open(now + (change - now) * share) == before
    assert window.is_open(change - timedelta(microseconds=1)) == before


@given(WINDOWS, MOMENTS)
def test_it_opens_and_closes_at_next_changes_and_at_no_other_time(
    window: DailyWindow, now: datetime
) -> None:
    moment, end = now, now + timedelta(days=3)
    states = {}
    while moment < end:
        states[moment] = window.is_open(moment)
        moment = window.next_change(moment)
    edges = sorted(states)
    for minutes in range(0, 3 * 24 * 60, 13):
        asked = now + timedelta(minutes=minutes)
        last = max(edge for edge in edges if edge <= asked)
        assert window.is_open(asked) == states[last]


@given(WINDOWS, MOMENTS)
def test_it_is_what_the_clock_on_the_wall_says_where_no_clock_changes(
    window: DailyWindow, now: datetime
) -> None:
    fixed = DailyWindow(window.start, window.end, "UTC")
    clock = now.time()
    if window.start < window.end:
        expected = window.start <= clock < window.end
    else:
        expected = clock >= window.start or clock < window.end
    assert fixed.is_open(now) == expected


@given(WINDOWS, MOMENTS, st.sampled_from([*map(ZoneInfo, ZONES), timezone(timedelta(hours=-7))]))
@example(
    berlin("01:00", "02:30"),
    datetime(2026, 10, 25, 1, 10, tzinfo=UTC),
    ZoneInfo("Europe/Berlin"),
)
def test_the_zone_that_the_caller_counts_in_does_not_matter(
    window: DailyWindow, now: datetime, zone: ZoneInfo | timezone
) -> None:
    local = now.astimezone(zone)
    assert window.is_open(local) == window.is_open(now)
    assert window.next_change(local) == window.next_change(now)
    assert window.next_change(local).astimezone(UTC) > now
