"""What archives write is what the daemon reads."""

import json

import pytest

from streamd.archive.keep import Space
from streamd.archive.recording import Recording
from streamd.archive.report import Facts, report, told
from streamd.recordings.report import Active, Finished, Report, StorageReport, read_report
from tests.unit.archived import REPORT, written

READ = Report(
    rule="archive",
    pid=7,
    at=1000.5,
    ready=True,
    spool="/srv/.spool/archive",
    free_bytes=10,
    total_bytes=100,
    kept=2,
    kept_bytes=5,
    active=(Active("u1", "live/ä", "/srv/ä", "recording", 990.0, 10.5, 4000),),
    finished=(Finished("u0", "live/a", "/srv/a", 1.0, 2.0, 1.0, 10, "index.mp4", "http://h/x"),),
)


def test_everything_is_read() -> None:
    assert read_report(written()) == READ


def test_what_an_archive_writes_is_read() -> None:
    recording = Recording("u1", "archive", "live/a", "/srv/a", 990.0)
    facts = Facts(
        rule="archive",
        pid=7,
        ready=True,
        spool="/srv/.spool/archive",
        paused=True,
        error="/srv does not answer",
        space=Space(total=100, free=10),
        limit=20,
        kept=1,
        kept_bytes=3,
        counted=True,
        recordings=[recording],
        live={},
        troubles={},
        finished=[told(recording, "http://h/x")],
    )
    found = read_report(json.dumps(report(facts, 1000.5)))
    assert (found.rule, found.pid, found.at, found.spool) == (
        *("archive", 7, 1000.5, "/srv/.spool/archive"),
    )
    assert (found.paused, found.last_error) == (True, "/srv does not answer")
    assert (found.free_bytes, found.total_bytes, found.kept, found.kept_bytes) == (10, 100, 1, 3)
    assert [(each.uuid, each.state) for each in found.active] == [("u1", "paused")]
    assert [(each.uuid, each.file, each.url) for each in found.finished] == [
        ("u1", "", "http://h/x")
    ]


def test_a_report_of_a_later_release_is_read() -> None:
    data = json.loads(written())
    for part in (data, data["space"], data["recordings"][0], data["finished"][0]):
        part["new"] = {"more": 1}
    data["recordings"][0]["state"] = "of-another-kind"
    found = read_report(json.dumps(data))
    assert found.finished == READ.finished
    assert found.active[0].state == "finishing"


def test_a_report_of_an_earlier_release_is_read() -> None:
    assert read_report('{"rule": "archive", "pid": 7, "at": 1}') == Report("archive", 7, 1.0)


def test_a_storage_is_read() -> None:
    storage = {
        "name": "cloud",
        "state": "error",
        "pending_recordings": 2,
        "pending_bytes": 300,
        "sent_bytes": 100,
        "last_error": "refused",
        "retry_at": 1010,
    }
    found = read_report(written(storage=storage)).storage
    assert found == StorageReport("cloud", "error", 2, 300, 100, "refused", 1010.0)
    assert read_report(written(storage={"name": "cloud"})).storage == StorageReport("cloud")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "7", "{}", '{"rule": "a"}', "[" * 100_000),
        json.dumps(REPORT | {"at": "x"}),
        json.dumps(REPORT | {"at": None}),
        json.dumps(REPORT | {"recordings": [7]}),
        json.dumps(REPORT | {"recordings": [{}]}),
        json.dumps(REPORT | {"finished": 7}),
        json.dumps(REPORT | {"space": 7}),
        json.dumps(REPORT | {"storage": "x"}),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_report(text)
