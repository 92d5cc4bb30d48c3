"""What an archive says of itself, and what callbacks are told of its recordings."""

import json
from dataclasses import replace

from streamd.archive.announce import artifact_url, begin_event, end_event
from streamd.archive.assign import Piece
from streamd.archive.keep import Space
from streamd.archive.recording import Artifact, Recording
from streamd.archive.report import MOST_FINISHED, Facts, report, told
from streamd.callbacks.events import as_json, from_json
from tests.unit.archive.values import NOW, STREAM, piece, recording

GROWING = replace(piece(2, growing=True), modified_at=NOW + 15)
DONE = replace(
    recording(0, 1),
    state="finished",
    path="/rec/live/c ä/u1",
    artifact=Artifact("index.mp4", 999, 12.0, "00ff"),
    notes=("something",),
)


def facts(
    *recordings: Recording,
    live: dict[str, Piece] | None = None,
    troubles: dict[str, str] | None = None,
    paused: bool = False,
) -> Facts:
    return Facts(
        rule="archive",
        pid=7,
        ready=True,
        spool="/rec/.spool/archive",
        paused=paused,
        error=None,
        space=Space(1000, 100),
        limit=50,
        kept=3,
        kept_bytes=300,
        counted=True,
        recordings=recordings,
        live=live or {},
        troubles=troubles or {},
        finished=[told(DONE, "http://x")] * (MOST_FINISHED + 5),
    )


def states(found: Facts) -> list[str]:
    return [entry["state"] for entry in report(found, NOW)["recordings"]]


def test_a_report_is_json_and_says_how_all_is() -> None:
    found = report(facts(), NOW)
    assert json.loads(json.dumps(found)) == found
    assert (found["ready"], found["paused"], found["error"]) == (True, False, None)
    assert found["space"] == {"free": 100, "total": 1000, "limit": 50}
    assert found["kept"] == {"recordings": 3, "bytes": 300, "counted": True}
    assert len(found["finished"]) == MOST_FINISHED


def test_a_recording_that_grows_is_told_up_to_now() -> None:
    (entry,) = report(facts(recording(0, 1), live={STREAM: GROWING}), NOW)["recordings"]
    assert (entry["state"], entry["stream"], entry["uuid"]) == ("recording", STREAM, "u1")
    assert (entry["seconds"], entry["bytes"]) == (15.0, 300_000)
    assert entry["since"] == NOW


def test_a_recording_that_has_no_segment_yet_is_told_too() -> None:
    first = replace(piece(0, growing=True, size=500), modified_at=NOW + 2)
    (entry,) = report(facts(recording(), live={STREAM: first}), NOW)["recordings"]
    assert (entry["seconds"], entry["bytes"]) == (2.0, 500)


def test_the_state_says_what_is_going_on() -> None:
    open_ = recording(0)
    assert states(facts(open_, live={STREAM: GROWING})) == ["recording"]
    assert states(facts(open_)) == ["waiting"]
    assert states(facts(open_, paused=True)) == ["paused"]
    assert states(facts(open_, troubles={STREAM: "no way"})) == ["error"]
    assert states(facts(replace(open_, state="finishing"), paused=True)) == ["finishing"]


def test_what_is_in_the_way_is_told_where_it_is() -> None:
    open_, other = recording(0), replace(recording(0, uuid="u2"), state="finishing")
    found = report(facts(open_, other, troubles={"u2": "disk full"}), NOW)["recordings"]
    assert {entry["uuid"]: entry["last_error"] for entry in found} == {
        "u1": None,
        "u2": "disk full",
    }


def test_the_last_recording_of_a_stream_comes_first() -> None:
    early = replace(recording(0, uuid="early"), state="finishing")
    late = recording(0, uuid="late", run_at=NOW + 60)
    found = report(facts(early, late), NOW)["recordings"]
    assert [entry["uuid"] for entry in found] == ["late", "early"]


def test_an_event_told_again_is_known_as_the_same() -> None:
    one, again = begin_event(DONE), begin_event(replace(DONE, state="error"))
    assert one == again
    end = end_event(DONE, url="http://x", at=NOW)
    assert end.request_id == end_event(DONE, url="", at=NOW + 9).request_id
    assert end.request_id != one.request_id
    assert begin_event(recording(uuid="u2")).request_id != one.request_id
    assert from_json(as_json(end)) == end


def test_the_end_tells_what_there_is() -> None:
    fields = end_event(DONE, url="http://x/index.mp4", at=NOW).fields
    assert (fields["artifact_code"], fields["artifact_url"]) == (0, "http://x/index.mp4")
    assert fields["artifact_path"] == "/rec/live/c ä/u1/index.mp4"
    assert (fields["seconds"], fields["bytes"], fields["sha256"]) == (12.0, 999, "00ff")
    failed = replace(DONE, artifact=None, state="error", error="no way")
    fields = end_event(failed, url="http://x", at=NOW).fields
    assert (fields["artifact_code"], fields["artifact_url"]) == (1, "")
    assert fields["error"] == "no way"


def test_the_address_of_an_artifact_is_its_path_below_the_root() -> None:
    url = artifact_url(DONE, url_base="http://h/recordings/r", root="/rec")
    assert url == "http://h/recordings/r/live/c%20%C3%A4/u1/index.mp4"
    assert artifact_url(DONE, url_base="", root="/rec") == ""
    unfinished = replace(DONE, artifact=None)
    assert artifact_url(unfinished, url_base="http://h", root="/rec") == ""
