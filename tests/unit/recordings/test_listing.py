"""Which recordings are found on disk, and how they are listed."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamd.archive.mpegts import CLOCK_HZ
from streamd.archive.recording import Artifact, Recording, Run, Segment
from streamd.archive.recording_json import FILE, LIST, LIST_HEADER, list_lines, to_json
from streamd.desired import RecordingSpec
from streamd.errors import StreamdError
from streamd.recordings.listing import find_recordings, recordings_json, recordings_text
from tests.support.mounts import hanging_mount

AT = 1_782_000_000.0
RUN = "20260621T000000.000000Z-7"


def rule(directory: Path, name: str = "archive") -> RecordingSpec:
    return RecordingSpec(name, ("*/*",), f"{directory}/{{app}}", "{uuid}")


def kept(directory: Path, uuid: str, **changes: object) -> Recording:
    """Leave a recording on disk, as its archive does."""
    path = directory / "live" / uuid
    recording = replace(
        Recording(
            uuid,
            "archive",
            "live/a",
            str(path),
            AT,
            state="finished",
            runs=(Run(RUN, AT, AT + 3725.0, 3725.0, 621, 900_000_000),),
            artifact=Artifact("index.mp4", 890_000_000, 3724.5, "ab" * 32),
        ),
        **changes,  # type: ignore[arg-type] # by field
    )
    path.mkdir(parents=True)
    (path / FILE).write_text(to_json(recording))
    return recording


def test_all_are_found_the_earliest_first(tmp_path: Path) -> None:
    kept(tmp_path, "b", started_at=AT + 10)
    kept(tmp_path, "a")
    kept(tmp_path, "c", started_at=AT + 5, rule="called-otherwise-once")
    kept(tmp_path / ".spool", "no")
    (tmp_path / "live/other").mkdir()
    (tmp_path / "live/other" / FILE).write_text("{")
    found = find_recordings([rule(tmp_path), rule(tmp_path, "second"), rule(tmp_path / "none")])
    assert [each.uuid for each in found] == ["a", "c", "b"]


def test_they_are_listed_for_people_and_for_programs(tmp_path: Path) -> None:
    done = kept(tmp_path, "a")
    wrong = kept(
        tmp_path, "b", started_at=AT + 1, state="error", artifact=None, error="no keyframe came"
    )
    found = find_recordings([rule(tmp_path)])
    first, second = recordings_json(found)["recordings"]
    assert json.loads(json.dumps(first)) == {
        "uuid": "a",
        "rule": "archive",
        "stream": "live/a",
        "state": "finished",
        "started_at": "2026-06-21T00:00:00.000Z",
        "ended_at": "2026-06-21T01:02:05.000Z",
        "seconds": 3724.5,
        "bytes": 890_000_000,
        "path": done.path,
        "file": "index.mp4",
        "sha256": "ab" * 32,
        "error": None,
        "notes": [],
    }
    assert (second["file"], second["seconds"], second["error"]) == (None, 3725.0, wrong.error)
    head, one, _, said = recordings_text(found).splitlines()
    assert head.split() == ["BEGAN", "STREAM", "STATE", "LENGTH", "SIZE", "RULE", "UUID", "PATH"]
    assert one.split() == [
        *("2026-06-21", "00:00:00Z", "live/a", "finished", "1:02:04", "890.0", "MB", "archive"),
        *("a", done.path),
    ]
    assert said == f"{wrong.path}: no keyframe came"
    assert recordings_text([]) == "no recordings"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_one_that_goes_on_is_as_long_as_its_segments(tmp_path: Path) -> None:
    going_on = kept(tmp_path, "a", state="recording", artifact=None)
    (found,) = find_recordings([rule(tmp_path)])
    assert found.seconds == 3725.0
    segments = [
        Segment(f"{RUN}-{n:06d}.ts", n * 6 * CLOCK_HZ, 6 * CLOCK_HZ, 1000, AT + 6 * n)
        for n in range(4)
    ]
    (Path(going_on.path) / LIST).write_text(LIST_HEADER + list_lines(segments))
    (found,) = find_recordings([rule(tmp_path)])
    assert (found.seconds, found.bytes) == (24.0, 4000)


def test_a_mount_that_hangs_is_given_up(tmp_path: Path) -> None:
    said = r"did not answer for 0\.2 s; if it is a mount"
    with hanging_mount(tmp_path), pytest.raises(StreamdError, match=said):
        find_recordings([rule(tmp_path)], limit_s=0.2)


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StreamdError, match="file cannot be read: Not a directory"):
        find_recordings([rule(tmp_path / "file")])
