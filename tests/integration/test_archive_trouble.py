"""An archive on disks that are full, gone or not to be written, and killed at any moment."""

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamd.archive.recording import Recording
from streamd.archive.recording_json import FILE
from streamd.archive.store import Store
from streamd.whole_file import PART
from tests.support.archive import Place, picture_digests, place, write_segments
from tests.support.media import clip
from tests.support.waiting import wait_until_sync

RUNS = [f"20261123T0130{second:02}.000000Z-{second + 1}" for second in range(60)]
MB = 1 << 20


def fill(here: Place, *runs: str, media: Path | None = None, stream: str = "live/cam") -> None:
    here.spool.mkdir(parents=True, exist_ok=True)
    for run in runs or RUNS[:1]:
        write_segments(here.spool, media or clip(), run, stream=stream)


def mp4(recording: Recording) -> Path:
    return Path(recording.path) / "index.mp4"


@contextlib.contextmanager
def small_disk(path: Path, size: int) -> Iterator[Path]:
    """Mount a file system of so many bytes."""
    path.mkdir()
    mounted = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(path))
    if os.geteuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("NOT TESTED: a full disk; mounting a small one needs root")
    try:
        yield path
    finally:
        subprocess.run(("umount", "-l", str(path)), check=True)


@pytest.mark.parametrize("format_", ["mp4", "both"])
def test_whatever_is_killed_and_when_a_recording_is_finished_once(
    tmp_path: Path, format_: str
) -> None:
    here = place(tmp_path, format=format_, split_s=5.0)
    fill(here, *RUNS[:2])
    chance = random.Random(7)
    for _ in range(12):
        with here.archive() as running:
            time.sleep(chance.uniform(0.05, 1.6))  # that it may be anywhere is the point
            running.kill()
    with here.archive():
        recordings = here.finished(5)
        wait_until_sync(lambda: not [*here.spool.glob("*.json")], what="no pointer to be left")
    frames = [digest for each in recordings for digest in picture_digests(mp4(each))]
    assert frames == 2 * picture_digests(clip())
    assert {each.state for each in recordings} == {"finished"}
    events = here.events()
    for action in ("on_record_begin", "on_record_end"):
        told = {
            event.fields["uuid"]: event.request_id for event in events if event.action == action
        }
        assert told.keys() == {each.uuid for each in recordings}
        assert len({event.request_id for event in events if event.action == action}) == len(told)
    left = [str(path) for path in here.root.rglob("*") if path.name.endswith(".part")]
    assert left == []


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    here = place(tmp_path)
    here.spool.mkdir(parents=True)
    path = here.root / "live/cam/2026-11-23/013000Z-0"
    store = Store("archive", here.root, here.spool, lambda *_: None)
    store.keep(Recording("0", "archive", "live/cam", str(path), 0.0))
    (path / FILE).rename(path / f".{FILE}{PART}")
    (here.spool / f".1.json{PART}").write_text("{")
    assert store.unfinished() == []
    assert [*here.root.rglob("*")] == [here.spool.parent, here.spool]


def test_below_the_limit_recording_pauses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 32 * MB) as disk:
        here = place(tmp_path, directory=str(disk / "rec"), free_bytes=8 * MB)
        with here.archive():
            wait_until_sync(lambda: here.status().get("ready"), what="it to be ready")
            assert here.status()["paused"] is False
            (disk / "ballast").write_bytes(bytes(25 * MB))
            wait_until_sync(lambda: here.status()["paused"], what="a pause")
            here.wait_for("recording pauses: ")
            space = here.status()["space"]
            assert space["free"] < space["limit"] == 8 * MB
            os.truncate(disk / "ballast", int(23.5 * MB))  # writing it again would empty it first
            wait_until_sync(lambda: here.status()["space"]["free"] > 8 * MB, what="some room")
            assert here.status()["paused"], "a little room more is not enough"
            (disk / "ballast").unlink()
            wait_until_sync(lambda: not here.status()["paused"], what="recording to go on")
            here.wait_for("recording goes on")


def test_the_oldest_give_way_before_recording_pauses(tmp_path: Path) -> None:
    large = clip(video_kbps=4000)
    with small_disk(tmp_path / "disk", 64 * MB) as disk:
        here = place(tmp_path, directory=str(disk / "rec"))
        for run, stream in zip(RUNS, ("live/a", "live/b", "live/c"), strict=False):
            fill(here, run, media=large, stream=stream)
            with here.archive():
                here.finished()
        sizes = [each.artifact.bytes for each in here.recordings() if each.artifact]
        free = shutil.disk_usage(disk).free
        limit = free + sizes[0] // 2
        here = place(tmp_path, directory=str(disk / "rec"), free_bytes=limit)
        with here.archive():
            here.wait_for("is deleted")
            wait_until_sync(lambda: not here.status().get("paused", True), what="no pause")
        assert [each.stream for each in here.recordings()] in (["live/c"], ["live/b", "live/c"])


def test_a_recording_that_finds_no_room_to_be_finished_is_when_there_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 48 * MB) as disk:
        here = place(tmp_path, directory=str(disk / "rec"))
        fill(here, media=clip(video_kbps=4000))
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 10 * MB))
        with here.archive():
            here.wait_for("are needed to finish it")
            (entry,) = wait_until_sync(lambda: here.status()["recordings"], what="the report")
            assert entry["state"] == "finishing"
            wait_until_sync(
                lambda: "make room" in str(here.status()["recordings"]), what="the reason"
            )
            ballast.unlink()
            (recording,) = here.finished()
        assert recording.state == "finished"
        assert recording.error is None


def test_a_disk_that_is_full_to_the_last_byte_loses_nothing_that_was_recorded(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 48 * MB) as disk:
        here = place(tmp_path, directory=str(disk / "rec"))
        fill(here)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        with here.archive():
            here.wait_for("No space left on device")
            ballast.unlink()
            (recording,) = here.finished()
        assert picture_digests(mp4(recording)) == picture_digests(clip())
        assert len([*here.root.rglob(FILE)]) == 1


def test_a_directory_that_cannot_be_made_is_told_and_used_once_it_can(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("in the way")
    here = place(tmp_path)
    with here.archive():
        wait_until_sync(lambda: here.status().get("error"), what="the trouble to be told")
        assert here.status()["ready"] is False
        assert f"{here.root}" in here.status()["error"]
        (tmp_path / "recordings").unlink()
        wait_until_sync(lambda: here.status()["ready"], what="it to be ready")
        assert here.status()["error"] is None
        fill(here)
        (recording,) = here.finished()
    assert recording.state == "finished"


def test_a_stream_whose_directory_cannot_be_made_waits_and_disturbs_no_other(
    tmp_path: Path,
) -> None:
    here = place(tmp_path)
    fill(here)
    fill(here, RUNS[1], stream="lot/cam")
    in_the_way = here.root / "live"
    in_the_way.write_text("in the way")
    with here.archive():
        here.wait_for(f"live/cam waits in {here.spool}: {in_the_way}")
        (other,) = here.finished()
        assert other.stream == "lot/cam"
        assert len(here.segments("live/cam")) == 12
        in_the_way.unlink()
        recordings = here.finished(2)
    assert {each.stream for each in recordings} == {"live/cam", "lot/cam"}
    assert [event.action for event in here.events()].count("on_record_begin") == 2


@pytest.mark.parametrize("resume_s", [0.0, 3.0], ids=["over when it is found", "over later"])
def test_an_outbox_that_cannot_be_written_holds_up_the_telling_alone(
    tmp_path: Path, resume_s: float
) -> None:
    (tmp_path / "outbox").write_text("in the way")
    here = place(tmp_path, resume_s=resume_s)
    fill(here)
    with here.archive():
        wait_until_sync(lambda: [*here.root.rglob("index.mp4")], what="the file")
        here.wait_for("callbacks cannot be told")
        wait_until_sync(
            lambda: "callbacks cannot be told" in str(here.status().get("recordings")),
            what="the reason to be told",
        )
        (tmp_path / "outbox").unlink()
        (recording,) = here.finished()
    assert [event.action for event in here.events()] == ["on_record_begin", "on_record_end"]
    assert recording.begin_told
    said = [line for line in here.log().splitlines() if "callbacks cannot be told" in line]
    assert len(said) <= 2, "at the begin, and at the end"


def test_an_ffmpeg_that_is_missing_holds_up_the_finish_alone(tmp_path: Path) -> None:
    here = place(tmp_path, ffmpeg=str(tmp_path / "ffmpeg"))
    fill(here)
    with here.archive():
        here.wait_for("cannot be run: No such file or directory")
        (entry,) = wait_until_sync(lambda: here.status()["recordings"], what="the report")
        assert entry["state"] == "finishing"
        assert len([*here.root.rglob("2026*.ts")]) == 12
    whole = place(tmp_path)
    with whole.archive():
        (recording,) = whole.finished()
    assert picture_digests(mp4(recording)) == picture_digests(clip())


def test_a_disk_that_hangs_is_told_once_and_the_archive_still_ends_when_asked(
    tmp_path: Path,
) -> None:
    here = place(tmp_path)
    here.spool.mkdir(parents=True)
    os.mkfifo(here.spool / "pointer.json")  # whoever reads it waits, as for a dead mount
    with here.archive() as running:
        wait_until_sync(lambda: here.status().get("error"), what="the trouble to be told")
        status = here.status()
        assert "does not answer; check its disk" in status["error"]
        assert (status["ready"], status["spool"]) == (False, "")
        running.process.terminate()
        assert running.wait(5) == 143


def test_a_recording_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    here = place(tmp_path, keep_bytes=10**9)
    elsewhere = here.root / "a" / "b"
    elsewhere.mkdir(parents=True)
    os.mkfifo(elsewhere / FILE)
    fill(here)
    with here.archive():
        wait_until_sync(lambda: [*here.root.rglob("index.mp4")], what="the file")
        wait_until_sync(lambda: here.status().get("ready"), what="it to be ready")
        wait_until_sync(lambda: not here.status()["recordings"], what="nothing left to do")
        assert here.status()["kept"]["counted"] is False
