"""An archive with what recorders have left in its spool, without recorders."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from streamd.archive.files import is_written
from streamd.archive.mpegts import CLOCK_HZ
from streamd.archive.recording import Recording
from streamd.archive.spool import read_media
from tests.support.archive import Place, picture_digests, place, probe, write_segments
from tests.support.media import clip, ffprobe
from tests.support.samples import sample
from tests.support.waiting import wait_until_sync

RUNS = [f"20261123T0130{second:02}.000000Z-{second + 1}" for second in range(60)]
FRAMES = 180
"""Pictures of the clip."""


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


def fill(
    here: Place, *, runs: int = 1, media: Path | None = None, arguments: tuple[str, ...] = ()
) -> list[Path]:
    """Write runs into the spool, of a second each segment."""
    here.spool.mkdir(parents=True, exist_ok=True)
    return [
        path
        for run in RUNS[:runs]
        for path in write_segments(here.spool, media or clip(), run, arguments=arguments)
    ]


def finish(here: Place, count: int = 1) -> list[Recording]:
    with here.archive():
        return here.finished(count)


def taken_in(tmp_path: Path) -> Place:
    """Return a place with a recording that has its segments, and is not finished yet."""
    waiting = place(tmp_path, resume_s=3600.0)
    fill(waiting)
    with waiting.archive() as running:
        wait_until_sync(
            lambda: waiting.recordings() and not waiting.segments(), what="an empty spool"
        )
        running.kill()
    return place(tmp_path)


def mp4(recording: Recording) -> Path:
    return Path(recording.path) / "index.mp4"


def test_what_was_recorded_becomes_a_file_without_a_picture_lost(here: Place) -> None:
    fill(here)
    (recording,) = finish(here)
    assert picture_digests(mp4(recording)) == picture_digests(clip())
    found = probe(mp4(recording))
    assert (found["video"]["codec_name"], found["audio"]["codec_name"]) == ("h264", "aac")
    data = mp4(recording).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it plays before all of it has arrived"
    assert not list(Path(recording.path).glob("*.ts"))
    assert sorted(path.name for path in Path(recording.path).iterdir()) == [
        "index.mp4",
        "recording.json",
    ]


def test_a_recording_says_what_it_is(here: Place) -> None:
    fill(here)
    (recording,) = finish(here)
    artifact = recording.artifact
    assert artifact is not None
    data = mp4(recording).read_bytes()
    assert artifact.bytes == len(data)
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert abs(artifact.seconds - 12.0) < 0.2
    assert artifact.video is not None
    assert (artifact.video["width"], artifact.video["frames"]) == (160, FRAMES)
    assert artifact.audio is not None
    assert artifact.audio["sample_rate"] == 44_100
    assert (recording.state, recording.reason, recording.notes) == ("finished", "gone", ())
    assert recording.path.startswith(f"{here.root}/live/cam/20")
    assert abs(recording.seconds - 12.0) < 0.2
    told = json.loads((Path(recording.path) / "recording.json").read_text())
    assert told["runs"][0]["segments"] == 12
    assert told["ended_at"] > told["started_at"]


def test_callbacks_are_told_of_the_beginning_and_the_end(here: Place) -> None:
    fill(here)
    (recording,) = finish(here)
    begin, end = here.events()
    assert (begin.action, end.action) == ("on_record_begin", "on_record_end")
    assert begin.fields["uuid"] == end.fields["uuid"] == recording.uuid
    assert begin.stream == end.stream == "live/cam"
    assert end.fields["artifact_code"] == 0
    assert end.fields["artifact_path"] == str(mp4(recording))
    below = mp4(recording).relative_to(here.root)
    assert end.fields["artifact_url"] == f"http://host/recordings/archive/{below}"


def test_the_parts_of_a_split_recording_hold_every_picture_once(tmp_path: Path) -> None:
    here = place(tmp_path, split_s=4.0)
    fill(here)
    recordings = finish(here, 3)
    assert [each.reason for each in recordings] == ["split"] * (len(recordings) - 1) + ["gone"]
    assert all(each.seconds <= 4.0 for each in recordings)
    frames = [digest for each in recordings for digest in picture_digests(mp4(each))]
    assert frames == picture_digests(clip())


def test_runs_of_one_recording_are_joined_and_their_times_go_on(here: Place) -> None:
    fill(here, runs=3)
    (recording,) = finish(here)
    assert len(recording.runs) == 3
    assert picture_digests(mp4(recording)) == 3 * picture_digests(clip())
    found = probe(mp4(recording))
    assert abs(float(found["format"]["duration"]) - recording.seconds) < 1.0


@pytest.mark.parametrize("format_", ["hls", "both"])
def test_a_playlist_plays_every_picture(tmp_path: Path, format_: str) -> None:
    here = place(tmp_path, format=format_)
    fill(here, runs=2)
    (recording,) = finish(here)
    playlist = Path(recording.path) / "index.m3u8"
    lines = playlist.read_text().splitlines()
    seconds = [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
    names = [line for line in lines if not line.startswith("#")]
    assert abs(sum(seconds) - recording.seconds) < 0.001
    assert max(seconds) <= int(next(line for line in lines if "TARGETDURATION" in line)[22:])
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert lines.count("#EXT-X-DISCONTINUITY") == 1
    assert names == sorted(path.name for path in Path(recording.path).glob("*.ts"))
    assert picture_digests(playlist) == 2 * picture_digests(clip())
    assert recording.artifact is not None
    assert recording.artifact.file == ("index.m3u8" if format_ == "hls" else "index.mp4")
    assert mp4(recording).exists() == (format_ == "both")
    on_disk = sum(path.stat().st_size for path in Path(recording.path).glob("[i2]*"))
    assert abs(recording.artifact.bytes - on_disk) < 10_000


@pytest.mark.parametrize(
    ("arguments", "kinds"), [(("-vn",), {"audio"}), (("-an",), {"video"})], ids=["sound", "picture"]
)
def test_one_track_alone_is_a_recording(
    here: Place, arguments: tuple[str, ...], kinds: set[str]
) -> None:
    here.spool.mkdir(parents=True)
    write_segments(here.spool, clip(), RUNS[0], arguments=arguments)
    (recording,) = finish(here)
    assert set(probe(mp4(recording))) - {"format"} == kinds
    assert recording.artifact is not None
    assert abs(recording.artifact.seconds - 12.0) < 0.3


def test_another_format_in_the_same_time_is_another_recording(here: Place) -> None:
    here.spool.mkdir(parents=True)
    small, large = sample("baseline.mp4"), sample("film.mp4")
    write_segments(here.spool, small, RUNS[0])
    write_segments(here.spool, large, RUNS[1])
    first, second = finish(here, 2)
    assert (first.reason, second.reason) == ("format", "gone")
    assert picture_digests(mp4(first)) == picture_digests(small)
    assert picture_digests(mp4(second)) == picture_digests(large)


def test_h265_is_recorded_so_that_every_player_knows_it(here: Place) -> None:
    fill(here, media=sample("ten-bit.mkv"), arguments=("-an",))
    (recording,) = finish(here)
    video = probe(mp4(recording))["video"]
    assert (video["codec_name"], video["codec_tag_string"]) == ("hevc", "hvc1")
    assert recording.format is not None
    assert str(recording.format) == "hevc 160x120"
    assert recording.notes == ()


def test_an_empty_and_a_strange_segment_spoil_nothing(here: Place) -> None:
    paths = fill(here)
    (here.spool / paths[-1].name.replace("-000011", "-000012")).write_bytes(b"")
    (here.spool / f"live!cam!{RUNS[1]}-000000.ts").write_bytes(b"no media at all" * 100)
    (here.spool / "something else.ts").write_bytes(b"of somebody's")
    (recording,) = finish(here)
    assert picture_digests(mp4(recording)) == picture_digests(clip())
    assert [path.name for path in (here.spool / "unreadable").iterdir()] == [
        f"live!cam!{RUNS[1]}-000000.ts"
    ]
    assert (here.spool / "something else.ts").exists()
    assert "is no MPEG-TS and put aside" in here.log()


def test_a_segment_that_was_cut_off_is_recorded_as_far_as_it_goes(here: Place) -> None:
    paths = fill(here)
    whole = paths[-1].read_bytes()
    paths[-1].write_bytes(whole[: len(whole) // 2 + 77])
    (recording,) = finish(here)
    frames = picture_digests(mp4(recording))
    assert frames[:170] == picture_digests(clip())[:170]


def test_a_segment_that_cannot_be_read_is_left_out_and_told(here: Place) -> None:
    paths = fill(here)
    data = bytearray(paths[5].read_bytes())
    data[188 * 3 :] = bytes(len(data) - 188 * 3)  # its tables are there, and one packet
    paths[5].write_bytes(data)
    (recording,) = finish(here)
    assert recording.state == "finished"
    frames = picture_digests(mp4(recording))
    source = picture_digests(clip())
    assert frames[: 5 * 15] == source[: 5 * 15]
    assert frames[-6 * 15 :] == source[-6 * 15 :]


def test_a_recording_in_which_nothing_can_be_read_says_so(tmp_path: Path) -> None:
    here = taken_in(tmp_path)
    for path in here.root.rglob("2026*.ts"):
        path.write_bytes(bytes(2000))
    (recording,) = finish(here)
    assert recording.state == "error"
    assert recording.error is not None
    assert recording.error.startswith("FFmpeg cannot join the segments")
    end = here.events()[-1]
    assert (end.action, end.fields["artifact_code"]) == ("on_record_end", 1)
    assert end.fields["error"] == recording.error


def test_a_damaged_recording_json_is_put_aside_and_nothing_is_lost(tmp_path: Path) -> None:
    here = taken_in(tmp_path)
    (path,) = here.root.rglob("recording.json")
    path.write_text('{"state": "reco')
    (listed,) = here.root.rglob("segments.csv")
    listed.write_text(listed.read_text()[:200])
    (recording,) = finish(here)
    assert picture_digests(mp4(recording)) == picture_digests(clip())
    assert "is damaged" in here.log()
    assert path.with_name("recording.json.damaged").exists()
    assert recording.uuid in recording.path


def test_a_list_that_is_lost_is_made_again_of_the_segments_that_are_there(tmp_path: Path) -> None:
    here = taken_in(tmp_path)
    (listed,) = here.root.rglob("segments.csv")
    listed.unlink()
    (recording,) = finish(here)
    assert picture_digests(mp4(recording)) == picture_digests(clip())
    assert "is lost or empty; it is made again" in here.log()


def test_each_beginning_is_told_before_the_next_also_of_what_is_over_at_once(
    tmp_path: Path,
) -> None:
    here = place(tmp_path, split_s=4.0)
    fill(here)
    recordings = finish(here, 3)
    begun = [each.fields["uuid"] for each in here.events() if each.action == "on_record_begin"]
    ordered = sorted(recordings, key=lambda each: each.started_at)
    assert begun == [each.uuid for each in ordered]


def test_a_directory_that_somebody_deletes_is_made_again(tmp_path: Path) -> None:
    here = taken_in(tmp_path)
    with here.archive():
        wait_until_sync(lambda: here.status().get("ready"), what="the archive to look")
        shutil.rmtree(here.root)
        wait_until_sync(here.spool.is_dir, what="the spool to be there again")
        wait_until_sync(
            lambda: here.status()["ready"] and not here.status()["error"], what="all to be well"
        )


def test_a_recording_whose_pointer_is_lost_is_found_again(tmp_path: Path) -> None:
    here = taken_in(tmp_path)
    (pointer,) = here.spool.glob("*.json")
    pointer.unlink()
    (recording,) = finish(here)
    assert picture_digests(mp4(recording)) == picture_digests(clip())


def test_the_oldest_are_deleted_where_all_take_too_much(tmp_path: Path) -> None:
    here = place(tmp_path, split_s=4.0)
    fill(here)
    before = finish(here, 3)
    assert all(each.artifact for each in before)
    sizes = [each.artifact.bytes for each in before if each.artifact]
    here.spec = place(tmp_path, keep_bytes=sum(sizes) - 1).spec
    with here.archive():
        here.wait_for("is deleted")
        wait_until_sync(lambda: here.status().get("kept", {}).get("recordings") == len(before) - 1)
    assert [each.uuid for each in here.recordings()] == [each.uuid for each in before[1:]]
    assert not Path(before[0].path).exists()


def test_a_kill_while_recordings_are_deleted_leaves_no_halves(tmp_path: Path) -> None:
    here = place(tmp_path)
    fill(here)
    (recording,) = finish(here)
    path = Path(recording.path)
    told = json.loads((path / "recording.json").read_text())
    (path / "recording.json").write_text(json.dumps(told | {"state": "deleting"}))
    mp4(recording).unlink()
    with here.archive():
        wait_until_sync(lambda: not here.recordings(), what="the rest to be deleted")
        live = here.root / "live"
        wait_until_sync(lambda: not live.exists(), what="the directories above it to be deleted")
    assert here.root.exists()


def test_finished_recordings_are_linked_to_where_they_are_served(tmp_path: Path) -> None:
    served = tmp_path / "served"
    here = place(tmp_path, served=str(served), split_s=6.5)
    fill(here)
    with here.archive():
        first, second = here.finished(2)
        links = [served / mp4(each).relative_to(here.root) for each in (first, second)]
        assert [link.read_bytes() for link in links] == [
            mp4(each).read_bytes() for each in (first, second)
        ]
        assert {path.name for path in served.rglob("*") if not path.is_dir()} == {"index.mp4"}
    shutil.rmtree(first.path)
    links[1].unlink()
    with here.archive():
        wait_until_sync(lambda: links[1].exists() and not links[0].is_symlink(), what="links")
    assert not links[0].parent.exists()


def test_a_clock_that_is_set_back_puts_no_recording_in_the_place_of_another(
    tmp_path: Path,
) -> None:
    here = place(tmp_path, name="{stream}", resume_s=0.0)
    here.spool.mkdir(parents=True)
    for count, run in enumerate(RUNS[1::-1], 1):
        write_segments(here.spool, clip(), run)
        recordings = finish(here, count)
    first, second = sorted(each.path for each in recordings)
    assert (first, second[: len(first) + 1]) == (f"{here.root}/cam", f"{first}~")
    for each in recordings:
        assert picture_digests(mp4(each)) == picture_digests(clip())


def test_two_archives_of_one_rule_do_not_work_at_once(here: Place) -> None:
    with here.archive() as first:
        wait_until_sync(lambda: here.status().get("ready"), what="the first")
        with here.archive():
            here.wait_for("is held by another archive of this rule")
            fill(here)
            first.kill()
            (recording,) = here.finished()
    assert picture_digests(mp4(recording)) == picture_digests(clip())


def test_a_finished_recording_is_told_of_in_the_report(here: Place) -> None:
    fill(here)
    with here.archive():
        (recording,) = here.finished()
        wait_until_sync(lambda: here.status()["finished"], what="the report")
        (told,) = here.status()["finished"]
    assert (told["uuid"], told["state"], told["artifact"]) == (
        recording.uuid,
        "finished",
        "index.mp4",
    )
    assert here.status()["kept"] == {
        "recordings": 1,
        "bytes": mp4(recording).stat().st_size,
        "counted": True,
    }


def test_an_archive_ends_at_once_and_is_asked_for_no_more(here: Place) -> None:
    with here.archive() as running:
        wait_until_sync(lambda: here.status().get("ready"), what="it to be ready")
        running.process.terminate()
        assert running.wait(5) == 143


@pytest.mark.parametrize("name", ["film.mp4", "baseline.mp4", "broadcast.ts", "ten-bit.mkv"])
def test_times_and_formats_of_segments_are_those_that_ffprobe_finds(
    tmp_path: Path, name: str
) -> None:
    arguments = ("-an",) if name == "ten-bit.mkv" else ()
    for path in write_segments(tmp_path, sample(name), RUNS[0], arguments=arguments):
        media = read_media(path)
        assert media is not None
        found = probe(path)
        assert abs(media.start / CLOCK_HZ - float(found["format"]["start_time"])) < 1e-4
        assert abs(media.ticks / CLOCK_HZ - float(found["format"]["duration"])) < 0.15
        assert media.format.video is not None
        assert media.format.video.codec == found["video"]["codec_name"]
        if media.format.video.width:
            sizes = (found["video"]["width"], found["video"]["height"])
            assert (media.format.video.width, media.format.video.height) == sizes
        if "audio" in found:
            assert media.format.audio is not None
            assert media.format.audio.codec in (found["audio"]["codec_name"], "mp3")


def test_a_file_that_somebody_writes_is_known(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        assert is_written(path)
        file.write(b"x")
        assert is_written(path)
    assert is_written(path) is False
    with path.open("rb"):
        assert is_written(path) is False


def test_segments_of_the_clip_are_what_they_seem() -> None:
    assert len(set(picture_digests(clip()))) == FRAMES
    assert {stream["codec_name"] for stream in ffprobe(str(clip()))} == {"h264", "aac"}


def test_what_was_finished_before_is_told_of_the_latest_first(tmp_path: Path) -> None:
    here = place(tmp_path, split_s=4.0)
    fill(here)
    before = finish(here, 3)
    with here.archive():
        wait_until_sync(
            lambda: here.status().get("kept", {}).get("counted"), what="all to be counted"
        )
        wait_until_sync(lambda: len(here.status()["finished"]) == len(before), what="the report")
        found = [entry["uuid"] for entry in here.status()["finished"]]
    assert found == [each.uuid for each in reversed(before)]
