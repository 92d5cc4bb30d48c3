"""What an archive says of itself is what streamd reads."""

import json
from dataclasses import replace

import pytest

from streamd.archive.report import Active, Finished, Report, StorageReport, from_json, to_json

REPORT = Report(
    rule="archive",
    pid=7,
    at=1000.5,
    spool="/srv/.spool/archive",
    paused=True,
    free_bytes=10,
    total_bytes=100,
    kept=2,
    kept_bytes=5,
    active=(Active("u1", "live/ä", "/srv/ä", "recording", 990.0, 10.5, 4000),),
    finished=(Finished("u0", "live/a", "/srv/a", 1.0, 2.0, 1.0, 10, "index.mp4", "http://h/x"),),
    storage=StorageReport("cloud", "error", 2, 300, 100, "refused", 1010.0),
    last_error="/srv is full",
)


def test_everything_arrives() -> None:
    assert from_json(to_json(REPORT)) == REPORT
    assert from_json(to_json(Report("archive", 7, 1.0))) == Report("archive", 7, 1.0)


def test_a_report_of_a_later_release_is_read() -> None:
    data = json.loads(to_json(REPORT))
    for part in (data, data["active"][0], data["finished"][0], data["storage"]):
        part["new"] = {"more": 1}
    assert from_json(json.dumps(data)) == REPORT


def test_a_report_of_an_earlier_release_is_read() -> None:
    assert from_json('{"rule": "archive", "pid": 7, "at": 1.0}') == Report("archive", 7, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"rule": "a"}',
        '{"rule": "a", "pid": 1, "at": 1, "active": [7]}',
        '{"rule": "a", "pid": 1, "at": 1, "active": {"a": 1}}',
        '{"rule": "a", "pid": 1, "at": 1, "storage": "x"}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a report of an archive|Expecting"):
        from_json(text)


def test_a_state_that_is_not_known_is_none() -> None:
    odd = replace(REPORT.active[0], state="dancing")  # type: ignore[arg-type] # on purpose
    with pytest.raises(ValueError, match="a state that is not known"):
        from_json(to_json(replace(REPORT, active=(odd,))))
