"""Uploads to real storages: rclone as S3 and WebDAV, and a directory."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from streamd.archive.spec import UploadSpec
from tests.support.archive import LIMIT_S, Place, place, write_segments
from tests.support.media import clip
from tests.support.mounts import small_disk
from tests.support.object_store import SECRET, ObjectStore, object_store
from tests.support.waiting import wait_until_sync

RUNS = [f"20261123T0130{second:02}.000000Z-{second + 1}" for second in range(60)]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with object_store(tmp_path) as running:
        yield running


def uploading(tmp_path: Path, upload: UploadSpec, **changes: Any) -> Place:
    """Return a place whose recordings are uploaded, with one in its spool."""
    here = place(tmp_path, upload=upload, url_base="https://cdn.example.com/rec", **changes)
    fill(here, 0)
    return here


def fill(here: Place, run: int) -> None:
    here.spool.mkdir(parents=True, exist_ok=True)
    write_segments(here.spool, clip(), RUNS[run])


def wait_stored(store: ObjectStore, count: int, here: Place) -> dict[str, bytes]:
    """Wait until so many recordings are there whole, and return the files by their own names."""

    def whole() -> dict[str, bytes]:
        found = store.files()
        return found if sum(name.endswith("/recording.json") for name in found) >= count else {}

    return wait_until_sync(whole, LIMIT_S, f"{count} uploads; {here.status()}; {here.log()}")


def named(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name.rpartition("/")[2]: data for name, data in files.items()}


@pytest.mark.parametrize("kind", ["s3", "webdav"])
def test_a_finished_recording_arrives_whole_and_is_told_of_then(
    tmp_path: Path, kind: Literal["s3", "webdav"]
) -> None:
    with object_store(tmp_path, kind) as store:
        here = uploading(tmp_path, store.spec())
        with here.archive():
            (recording,) = here.finished()
            files = wait_stored(store, 1, here)
            below = Path(recording.path).relative_to(here.root)
            assert sorted(files) == [f"{below}/index.mp4", f"{below}/recording.json"]
            assert recording.artifact is not None
            sent = files[f"{below}/index.mp4"]
            assert hashlib.sha256(sent).hexdigest() == recording.artifact.sha256
            assert json.loads(files[f"{below}/recording.json"])["state"] == "finished"
            assert recording.upload is not None
            assert recording.upload["storage"] == "cloud"
            assert (Path(recording.path) / "index.mp4").exists()
            begin, end = here.events()
            assert (begin.action, end.action) == ("on_record_begin", "on_record_end")
            assert end.fields["artifact_url"] == f"https://cdn.example.com/rec/{below}/index.mp4"
            status = here.status()
            assert status["finished"][0]["uploaded"]
            assert status["storage"]["state"] == "idle"
            assert status["storage"]["sent_bytes"] == len(sent)
        assert not list(here.spool.glob("*.sent"))
    assert SECRET not in here.log() + json.dumps(status)


def test_a_playlist_arrives_with_its_segments_and_nothing_stays_here(
    tmp_path: Path, store: ObjectStore
) -> None:
    upload = store.spec(keep_local=False)
    here = uploading(tmp_path, upload, format="hls", served=str(tmp_path / "served"))
    with here.archive():
        files = named(wait_stored(store, 1, here))
        playlist = files["index.m3u8"].decode().splitlines()
        segments = [line for line in playlist if line and not line.startswith("#")]
        assert segments
        assert set(segments) <= set(files)
        wait_until_sync(lambda: not here.recordings(), LIMIT_S, "nothing to stay here")
        wait_until_sync(lambda: here.status()["finished"], LIMIT_S)
        (told,) = here.status()["finished"]
        assert (told["uploaded"], told["local"]) == (True, False)
        assert told["url"].startswith("https://cdn.example.com/rec/live/cam/")
    assert [each.action for each in here.events()] == ["on_record_begin", "on_record_end"]
    assert [path for path in here.root.rglob("*") if ".spool" not in str(path)] == []
    assert not [path for path in (tmp_path / "served").rglob("*") if path.is_symlink()]


def test_a_directory_can_be_a_storage(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    here = uploading(tmp_path, UploadSpec("disk", f"fs://{elsewhere}"))
    with here.archive():
        (recording,) = here.finished()
    (copy,) = elsewhere.rglob("index.mp4")
    assert copy.read_bytes() == (Path(recording.path) / "index.mp4").read_bytes()


def test_a_link_that_led_to_the_recordings_themselves_is_followed_anew_once_it_is_mended(
    tmp_path: Path,
) -> None:
    link = tmp_path / "storage"
    here = uploading(tmp_path, UploadSpec("disk", f"fs://{link}"))
    link.symlink_to(here.root)
    with here.archive():
        wait_until_sync(lambda: "is the recording itself" in here.log(), LIMIT_S, "a refusal")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "new").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "new").replace(link)
        (recording,) = here.finished()
    (copy,) = (tmp_path / "elsewhere").rglob("index.mp4")
    assert copy.read_bytes() == (Path(recording.path) / "index.mp4").read_bytes()


def test_an_archive_that_is_killed_goes_on_and_the_end_is_told_once(
    tmp_path: Path, store: ObjectStore
) -> None:
    store.freeze()
    here = uploading(tmp_path, store.spec(), format="both")
    with here.archive() as running:
        wait_until_sync(
            lambda: (
                [each["state"] for each in here.status().get("recordings", ())] == ["uploading"]
            ),
            LIMIT_S,
            "an upload",
        )
        running.kill()
    store.stop()
    store.start()
    with here.archive():
        (recording,) = here.finished()
        files = named(wait_stored(store, 1, here))
    for path in Path(recording.path).iterdir():
        if path.name not in ("recording.json", "segments.csv"):
            assert files[path.name] == path.read_bytes()
    assert [each.action for each in here.events()] == ["on_record_begin", "on_record_end"]


def test_a_storage_that_hangs_holds_up_nothing_else(tmp_path: Path, store: ObjectStore) -> None:
    store.freeze()
    here = uploading(tmp_path, store.spec())
    with here.archive():
        for run in (1, 2, 3):
            wait_until_sync(
                lambda count=run: len([r for r in here.recordings() if r.artifact]) == count,  # type: ignore[misc] # a default that binds the loop's value
                LIMIT_S,
                f"{run} recordings to be finished here; {here.log()}",
            )
            fill(here, run)
        wait_until_sync(
            lambda: [r.state for r in here.recordings()] == ["uploading"] * 4, LIMIT_S, here.log()
        )
        wait_until_sync(lambda: here.status()["storage"]["pending_recordings"] == 4, LIMIT_S)
        assert here.status()["ready"]
        store.stop()
        store.start()
        assert len(named(wait_stored(store, 4, here))) == 2
        assert len(here.finished(4)) == 4


def test_wrong_keys_are_told_and_right_ones_go_on_at_once(
    tmp_path: Path, store: ObjectStore
) -> None:
    wrong = store.options | {"secret_access_key": "wrong-secret-that-nobody-may-see"}
    here = uploading(tmp_path, store.spec(options=wrong))
    with here.archive():
        wait_until_sync(
            lambda: (here.status().get("storage") or {}).get("state") == "error", LIMIT_S
        )
        told = here.status()["storage"]
        assert "SignatureDoesNotMatch" in told["last_error"]
        assert "correct the keys under `options`" in told["last_error"]
        assert told["retry_at"] is not None
        assert "wrong-secret" not in here.log() + json.dumps(here.status())
    right = Place(here.home, replace(here.spec, upload=store.spec()))
    with right.archive():
        wait_stored(store, 1, right)
        right.finished()


def test_a_storage_that_is_away_gets_everything_once_it_is_there(tmp_path: Path) -> None:
    with object_store(tmp_path, started=False) as store:
        here = uploading(tmp_path, store.spec())
        with here.archive():
            here.wait_for("Connection refused")
            here.wait_for("check `endpoint`")
            store.start()
            wait_stored(store, 1, here)
            here.wait_for("cloud: it goes on")


@as_root
def test_a_storage_that_is_full_gets_it_once_there_is_room(tmp_path: Path) -> None:
    with object_store(tmp_path, started=False) as store, small_disk(store.directory, "64k"):
        store.objects.mkdir()
        store.start()
        here = uploading(tmp_path, store.spec())
        with here.archive():
            wait_until_sync(
                lambda: (here.status().get("storage") or {}).get("state") == "error", LIMIT_S
            )
            assert [r.state for r in here.recordings()] == ["uploading"]
            os.system(f"mount -o remount,size=64m {store.directory}")
            wait_stored(store, 1, here)


def test_segments_arrive_as_they_come_and_go_when_what_they_make_is_there(
    tmp_path: Path, store: ObjectStore
) -> None:
    upload = store.spec(when="segment")
    here = uploading(tmp_path, upload, resume_s=3600.0)
    with here.archive():
        wait_until_sync(
            lambda: len([name for name in store.files() if name.endswith(".ts")]) >= 10,
            LIMIT_S,
            f"segments; {here.log()}",
        )
        assert [r.state for r in here.recordings()] == ["recording"]
        (segment,) = list(here.root.glob("live/cam/*/*/*-000003.ts"))
        assert named(store.files())[segment.name] == segment.read_bytes()
    ended = Place(here.home, replace(here.spec, resume_s=0.5))
    with ended.archive():
        ended.finished()
        assert sorted(named(wait_stored(store, 1, ended))) == ["index.mp4", "recording.json"]


def test_what_is_uploaded_no_more_is_finished_as_it_is(tmp_path: Path, store: ObjectStore) -> None:
    store.freeze()
    here = uploading(tmp_path, store.spec())
    with here.archive():
        wait_until_sync(
            lambda: [each.state for each in here.recordings()] == ["uploading"], LIMIT_S
        )
    without = Place(here.home, replace(here.spec, upload=None))
    with without.archive():
        (recording,) = without.finished()
    assert (recording.state, recording.upload) == ("finished", None)
