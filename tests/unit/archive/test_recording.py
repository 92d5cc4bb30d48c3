"""What recordings add up to, and what is read back of what was written about them."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.mpegts import CLOCK_HZ
from streamd.archive.recording import (
    Artifact,
    Recording,
    Segment,
    durations,
    gaps,
    runs_of,
)
from streamd.archive.recording_json import (
    LIST_HEADER,
    from_json,
    list_lines,
    read_list,
    to_json,
)
from tests.unit.archive.values import FORMAT, NOW, recording, run_of, segment

MS = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
SEGMENTS = st.builds(
    lambda at, number, start, ticks, size, ended_at: Segment(
        f"{run_of(NOW + at)}-{number:06d}.ts", start, ticks, size, ended_at
    ),
    st.integers(0, 3),
    st.integers(0, 10**6),
    st.integers(0, 2**33 - 1),
    st.integers(0, 10**8),
    st.integers(0, 10**12),
    MS,
)


def finished(*segments: Segment) -> Recording:
    made = recording()
    for each in segments:
        made = made.with_segment(each, FORMAT)
    return replace(
        made,
        state="finished",
        reason="split",
        artifact=Artifact("index.mp4", 10**9, 12.5, "00ff", {"codec": "h264"}, None),
        notes=("left out: ä",),
        begin_told=True,
        upload={"state": "done", "files": {"index.mp4": {"etag": "x"}}},
    )


def test_a_segment_is_as_long_as_it_takes_to_the_next() -> None:
    uneven = [replace(segment(number), ticks=segment(number).ticks + 2000) for number in range(3)]
    assert durations(uneven) == [6.0, 6.0, 6.0 + 2000 / CLOCK_HZ]
    assert runs_of(uneven)[0].seconds == pytest.approx(18.0 + 2000 / CLOCK_HZ)


def test_a_segment_that_is_missing_makes_no_other_longer() -> None:
    assert durations([segment(0), segment(2)]) == [6.0, 6.0]


def test_times_go_on_when_their_bits_are_full() -> None:
    last = replace(segment(0), start=2**33 - 3 * CLOCK_HZ)
    assert durations([last, replace(segment(1), start=3 * CLOCK_HZ)]) == [6.0, 6.0]


def test_a_gap_is_what_the_clock_says_between_two_runs() -> None:
    segments = [segment(0), segment(1), segment(0, run_at=NOW + 20)]
    (gap,) = gaps(runs_of(segments))
    assert (gap.at_s, gap.seconds) == (12.0, 8.0)


@given(st.lists(SEGMENTS, max_size=12))
def test_runs_are_the_same_whether_segments_come_one_by_one_or_all_at_once(
    segments: list[Segment],
) -> None:
    made = recording()
    for each in segments:
        made = made.with_segment(each, FORMAT)
    assert made.runs == runs_of(segments)
    assert made.seconds == pytest.approx(sum(durations(segments)))
    assert made.bytes == sum(each.bytes for each in segments)


@given(st.lists(SEGMENTS, max_size=8, unique_by=lambda each: each.file))
def test_what_was_written_is_read_back(segments: list[Segment]) -> None:
    made = finished(*segments)
    listed, whole = read_list(LIST_HEADER + list_lines(segments))
    assert whole
    found = from_json(to_json(made), made.path, listed)
    assert found == replace(made, started_at=found.started_at)
    assert abs(found.started_at - made.started_at) < 0.001
    assert to_json(found) == to_json(made)


def test_runs_are_known_once_segments_are_gone() -> None:
    made = recording(0, 1, 2)
    found = from_json(to_json(made), made.path)
    assert found == replace(made, segments=())
    assert (found.seconds, found.bytes, found.ended_at) == (18.0, 300_000, NOW + 18)


def test_fields_of_a_later_release_are_kept() -> None:
    data = json.loads(to_json(finished(segment(0))))
    data |= {"version": 2, "colour": "blue"}
    data["artifact"]["sound"] = "loud"
    data["format"]["video"]["dolby"] = True
    found = from_json(json.dumps(data), "/rec/u1")
    assert found.unknown == {"colour": "blue"}
    assert json.loads(to_json(found))["colour"] == "blue"


def test_fields_of_a_later_release_may_be_missing() -> None:
    least = {
        "uuid": "u",
        "rule": "r",
        "stream": "live/cam",
        "state": "recording",
        "started_at": "2026-11-23T01:30:00.123Z",
    }
    assert from_json(json.dumps(least), "/r") == Recording("u", "r", "live/cam", "/r", NOW + 0.123)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "flying"},
        {"state": None},
        {"reason": "why not"},
        {"uuid": ""},
        {"stream": 7},
        {"started_at": "yesterday"},
        {"started_at": None},
        {"artifact": {"file": "index.mp4"}},
        {"artifact": []},
        {"format": {}},
        {"runs": [{}]},
        {"runs": 3},
        {"upload": 3},
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object]) -> None:
    data = json.loads(to_json(recording()))
    with pytest.raises(ValueError):  # noqa: PT011 - of a number or of the recording
        from_json(json.dumps({**data, **change}), "/rec/u1")


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_what_is_no_recording_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of the JSON or of the recording
        from_json(text, "/rec/u1")


@given(st.lists(SEGMENTS, max_size=5, unique_by=lambda each: each.file), st.data())
def test_a_list_that_was_cut_off_is_right_up_to_its_last_whole_line(
    segments: list[Segment], data: st.DataObject
) -> None:
    text = LIST_HEADER + list_lines(segments)
    cut = data.draw(st.integers(0, len(text)))
    found, whole = read_list(text[:cut])
    assert found == tuple(segments[: len(found)])
    assert len(found) == max(0, text[:cut].count("\n") - 1)
    assert whole == (text[:cut].endswith("\n") or not cut)


@given(st.text())
def test_any_text_is_read_as_a_list(text: str) -> None:
    segments, _ = read_list(text)
    assert read_list(list_lines(segments)) == (segments, True)
