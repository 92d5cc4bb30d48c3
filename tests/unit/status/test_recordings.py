"""What is said of recordings: in the report, on the page, as text and as metrics."""

import html
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.desired import RecordingSpec, StorageSpec
from streamd.observed import JobHistory, ObservedProcess
from streamd.process_names import archive_process_name
from streamd.recordings.report import Active, Finished, Report, StorageReport
from streamd.status.metrics import exposition, sample
from streamd.status.page import content_security_policy, page
from streamd.status.report import as_json, reasons, remember, status_of
from streamd.status.snapshot import ArchiveFacts, Snapshot
from streamd.status.text import status_text
from tests.support.snapshots import DESIRED, NOW, running, snapshot

RULE = RecordingSpec("archive", ("*/*",), "/srv/rec", "{uuid}", storage="cloud")
CLOUD = StorageSpec("cloud", "s3://bucket", (("secret_access_key", "KEY-0123456789"),))
REPORT = Report("archive", 7, NOW.timestamp(), spool="/srv/rec/.spool/archive")
ARCHIVE = running(archive_process_name(RULE), 70)
RECORDER = running("record.archive@live/show", 71)
GROWING = Active(
    "u-1", "live/show", "/srv/rec/u-1", "recording", NOW.timestamp() - 60, 54.04, 6_000_000
)


def recording(
    report: Report | None = REPORT,
    *processes: ObservedProcess,
    rule: RecordingSpec = RULE,
    silent: bool = False,
    live: bool = True,
    histories: Mapping[str, JobHistory] | None = None,
) -> Snapshot:
    """Return a machine that records; the archive runs."""
    base = snapshot()
    return replace(
        base,
        desired=replace(DESIRED, recordings={rule.name: rule}, storages={"cloud": CLOUD}),
        observed=replace(
            base.observed,
            publishers=base.observed.publishers if live else {},
            processes={each.name: each for each in (ARCHIVE, *processes)},
            histories=histories or {},
        ),
        archives={rule.name: ArchiveFacts(report, silent)} if report is not None else {},
    )


def entry(of: Snapshot, name: str = "archive@live/show") -> dict[str, Any]:
    entries = as_json(status_of(of))["recordings"]
    assert isinstance(entries, dict)
    assert list(entries) == [name]
    found = entries[name]
    assert isinstance(found, dict)
    return found


def test_what_grows_is_told_in_whole() -> None:
    assert entry(recording(replace(REPORT, active=(GROWING,)), RECORDER)) == {
        "state": "recording",
        "since": (NOW - timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "uuid": "u-1",
        "path": "/srv/rec/u-1",
        "seconds": 54.0,
        "bytes": 6_000_000,
        "uploaded": 0,
        "others": 0,
        "pid": 71,
        "restarts": 0,
        "last_error": None,
    }


def test_what_has_just_begun_is_recorded_before_its_archive_knows() -> None:
    found = entry(recording(REPORT, RECORDER))
    assert (found["state"], found["uuid"], found["pid"]) == ("recording", None, 71)
    assert entry(recording(REPORT))["state"] == "waiting"


def test_what_grows_comes_before_what_is_being_finished() -> None:
    earlier = replace(GROWING, uuid="u-0", state="finishing", since=NOW.timestamp() - 5)
    later = replace(earlier, uuid="u-2", state="uploading", since=NOW.timestamp() - 1)
    found = entry(recording(replace(REPORT, active=(earlier, GROWING, later)), RECORDER))
    assert (found["uuid"], found["state"], found["others"]) == ("u-1", "recording", 2)
    over = entry(recording(replace(REPORT, active=(earlier, later)), live=False))
    assert (over["uuid"], over["state"], over["others"]) == ("u-2", "uploading", 1)


def test_a_publisher_that_is_gone_may_come_back() -> None:
    waits = replace(GROWING, state="waiting")
    found = entry(recording(replace(REPORT, active=(waits,)), live=False))
    assert (found["state"], found["uuid"]) == ("waiting", "u-1")
    back = entry(recording(replace(REPORT, active=(waits,)), RECORDER))
    assert (back["state"], back["uuid"]) == ("recording", "u-1")


def test_a_rule_without_anything_to_record_has_an_entry_of_its_own() -> None:
    assert entry(recording(live=False), "archive")["state"] == "waiting"
    named = replace(RULE, streams=("live/other",))
    found = status_of(recording(rule=named, live=False)).recordings
    assert {name: each.state for name, each in found.items()} == {"archive@live/other": "waiting"}


def test_a_disk_without_room_is_told() -> None:
    full = replace(REPORT, paused=True, free_bytes=1_500_000_000)
    words = "too little of the disk is free (1.5 GB); make room, or lower `keep`"
    for found in (entry(recording(full)), entry(recording(full, live=False), "archive")):
        assert (found["state"], found["last_error"]) == ("paused", words)
    told = reasons(replace(status_of(recording(full)), converged=False))
    assert told[-1] == f"recording archive@live/show: paused: {words}"


@pytest.mark.parametrize("live", [True, False])
def test_an_archive_that_does_not_answer_is_told(live: bool) -> None:
    name = "archive@live/show" if live else "archive"
    found = entry(recording(silent=True, live=live), name)
    assert found["state"] == "error"
    assert "does not answer; if `directory` is on a mount" in found["last_error"]
    never = recording(None, live=live)
    assert entry(never, name)["state"] == "error"
    young = replace(ARCHIVE, started_at=NOW.timestamp() - 1)
    just_started = recording(None, young, live=live)
    assert entry(just_started, name)["state"] == "waiting"


def test_what_is_wrong_with_an_archive_is_told() -> None:
    wrong = replace(REPORT, last_error="/srv/rec cannot be written: read-only file system")
    found = entry(recording(wrong, RECORDER))
    assert (found["state"], found["last_error"]) == ("error", wrong.last_error)
    ended = replace(ARCHIVE, state="exited", pid=0)
    history = JobHistory(failures=3, last_error="ended with status 1: no such thing")
    crashed = entry(recording(REPORT, ended, histories={ARCHIVE.name: history}))
    assert crashed["last_error"] == "its archive does not run: ended with status 1: no such thing"


def test_a_recorder_that_fails_is_told() -> None:
    history = JobHistory(failures=2, last_error="FFmpeg ended with status 1", restarts=2)
    failing = recording(REPORT)
    observed = replace(failing.observed, histories={RECORDER.name: history})
    found = entry(replace(failing, observed=observed))
    assert (found["state"], found["restarts"]) == ("error", 2)
    assert found["last_error"] == "FFmpeg ended with status 1"


DONE = Finished(
    uuid="u-0",
    stream="live/show",
    path="/srv/rec/u-0",
    started_at=NOW.timestamp() - 4000,
    ended_at=NOW.timestamp() - 400,
    seconds=3600.04,
    bytes=900_000_000,
    file="index.mp4",
    url="http://live.example.com:8080/recordings/archive/u-0/index.mp4",
)


def test_finished_ones_are_listed_newest_first_and_can_be_played() -> None:
    later = replace(
        DONE, uuid="u-9", ended_at=NOW.timestamp() - 4, file="index.m3u8", uploaded=True,
        url="https://cdn.example.com/u-9/index.m3u8",
    )  # fmt: skip
    away = replace(DONE, uuid="u-5", url="s3://bucket/u-5", uploaded=True, local=False)
    status = status_of(recording(replace(REPORT, finished=(DONE, later, away))))
    assert [each.uuid for each in status.recorded] == ["u-9", "u-0", "u-5"]
    listed = as_json(status)["recorded"]
    assert isinstance(listed, list)
    assert (listed[1]["seconds"], listed[1]["rule"]) == (3600.0, "archive")
    shown = page(status)
    assert shown.count("<video controls") == 1
    assert f'src="{DONE.url}"' in shown
    assert f'<a href="{later.url}"' in shown
    assert "s3://bucket" not in shown
    policy = content_security_policy(status)
    assert "media-src http://live.example.com:8080 https://cdn.example.com;" in policy


def test_one_that_could_not_be_finished_says_why() -> None:
    wrong = replace(DONE, file="", url="", error="MP4 cannot carry this <codec>")
    status = status_of(recording(replace(REPORT, finished=(wrong,))))
    assert (status.recorded[0].file, status.recorded[0].url) == (None, None)
    assert "MP4 cannot carry this &lt;codec&gt;" in page(status)
    assert "<video" not in page(status)


@given(st.text(max_size=60))
def test_no_address_becomes_markup_or_policy(text: str) -> None:
    odd = replace(DONE, url=f"http://h/{text}", stream=text, path=text, error=text or None)
    for url in (f"http://h/{text}", f"http://{text}/x.mp4", text):
        status = status_of(recording(replace(REPORT, finished=(replace(odd, url=url),))))
        shown = page(status)
        assert shown.count("<script") == 1
        assert html.escape(text) in shown or not text.strip()
        policy = content_security_policy(status)
        assert policy.count(";") == 8
        assert policy.isascii()
        assert "\n" not in policy


def test_storages_add_up_over_rules() -> None:
    def upload(**fields: Any) -> Report:
        return replace(REPORT, storage=StorageReport("cloud", **fields))

    one = recording(
        upload(state="uploading", pending_recordings=2, pending_bytes=300, sent_bytes=10)
    )
    both = replace(
        one,
        archives={
            **one.archives,
            "other": ArchiveFacts(
                upload(
                    state="error",
                    pending_recordings=1,
                    pending_bytes=5,
                    last_error="403 from https://u:pw@s3/x",
                    retry_at=NOW.timestamp() + 30,
                )
            ),
        },
    )
    storage = status_of(one).storages["cloud"]
    assert (storage.state, storage.pending_recordings, storage.sent_bytes) == ("uploading", 2, 10)
    storage = status_of(both).storages["cloud"]
    assert (storage.state, storage.pending_recordings, storage.pending_bytes) == ("error", 3, 305)
    assert storage.retry_at == NOW + timedelta(seconds=30)
    assert "pw" not in (storage.last_error or "")
    assert status_of(recording()).storages["cloud"].state == "idle"


def test_text_and_metrics_tell_the_same() -> None:
    report = replace(
        REPORT,
        active=(GROWING,),
        kept=3,
        kept_bytes=12,
        free_bytes=99,
        storage=StorageReport("cloud", "uploading", 2, 300, 10),
    )
    of = recording(report, RECORDER)
    text = status_text(as_json(status_of(of)))
    assert "RECORDINGS" in text
    assert "archive@live/show  recording" in text
    assert "STORAGES" in text
    lines = exposition(sample(of)).decode().splitlines()
    for line in (
        'streamd_recording_state{recording="archive@live/show",state="recording"} 1.0',
        'streamd_recording_state{recording="archive@live/show",state="paused"} 0.0',
        'streamd_recording_seconds{recording="archive@live/show"} 54.0',
        'streamd_recordings_kept{rule="archive"} 3.0',
        'streamd_recordings_free_bytes{rule="archive"} 99.0',
        'streamd_storage_pending_bytes{storage="cloud"} 300.0',
        'streamd_storage_state{state="uploading",storage="cloud"} 1.0',
    ):
        assert line in lines


def test_states_are_dated() -> None:
    waiting = recording(live=False)
    memory = remember(waiting)
    assert memory.since["recording:archive"] == ("waiting", NOW)
    later = replace(waiting, memory=memory, now=NOW + timedelta(minutes=1))
    assert entry(later, "archive")["since"] == "2026-07-01T12:00:00.000Z"
    assert memory.since["storage:cloud"] == ("idle", NOW)


def test_nothing_secret_is_told() -> None:
    of = recording(replace(REPORT, active=(GROWING,), finished=(DONE,)), RECORDER)
    for text in (page(status_of(of)), str(as_json(status_of(of))), repr(of)):
        assert "KEY-0123456789" not in text


def test_what_rules_that_are_gone_have_left_to_do_is_told_at_the_end() -> None:
    name = archive_process_name(RULE)
    busy = replace(REPORT, active=(GROWING,))
    full = replace(busy, storage=StorageReport("cloud", "error", last_error="the bucket is full"))

    def warned(report: Report | None) -> tuple[str, ...]:
        return status_of(replace(snapshot(), leaving={name: report})).warnings

    assert warned(REPORT) == ()
    (line,) = warned(busy)
    assert line == (
        "1 recordings of archive, which is not in the file any more, are being finished and "
        "uploaded"
    )
    assert warned(full) == (f"{line}: the bucket is full",)
    (silent,) = warned(None)
    assert "its archive does not answer" in silent
    assert line in status_text(as_json(status_of(replace(snapshot(), leaving={name: busy}))))
