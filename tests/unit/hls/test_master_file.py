import os
from pathlib import Path

import pytest

from streamd.engines.hls_files import remove_expired
from streamd.errors import EngineError
from streamd.hls.master_file import remove_master, renew_masters, write_master


def test_a_playlist_is_written_renewed_and_removed(tmp_path: Path) -> None:
    write_master(tmp_path, "live/show", "one")
    path = tmp_path / "live" / "show" / "master.m3u8"
    assert path.read_text() == "one"
    write_master(tmp_path, "live/show", "two")
    assert path.read_text() == "two"
    assert [each.name for each in path.parent.iterdir()] == ["master.m3u8"]
    remove_master(tmp_path, "live/show")
    remove_master(tmp_path, "live/show")
    assert not path.parent.exists()


def test_what_says_the_same_is_renewed_in_place(tmp_path: Path) -> None:
    write_master(tmp_path, "live/show", "one")
    path = tmp_path / "live" / "show" / "master.m3u8"
    os.utime(path, (1000, 1000))
    inode = path.stat().st_ino
    write_master(tmp_path, "live/show", "one")
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > 1000


def test_only_what_is_not_renewed_goes_with_streams_that_ended(tmp_path: Path) -> None:
    for name in ("kept", "left"):
        write_master(tmp_path, f"live/{name}", "text")
        os.utime(tmp_path / "live" / name / "master.m3u8", (1000, 1000))
    write_master(tmp_path, "live/kept", "text")
    now = (tmp_path / "live" / "kept" / "master.m3u8").stat().st_mtime
    assert remove_expired(tmp_path, window_s=20.0, now=now) == 1
    assert (tmp_path / "live" / "kept" / "master.m3u8").exists()


def test_playlists_come_and_go_with_their_ladders(tmp_path: Path) -> None:
    have = renew_masters(tmp_path, {"live/a": "1", "live/b": "2"}, ())
    assert have == {"live/a", "live/b"}
    have = renew_masters(tmp_path, {"live/b": "3"}, have)
    assert have == {"live/b"}
    (left,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert (left.parent.name, left.read_text()) == ("b", "3")


def test_a_directory_that_holds_another_streams_files_stays(tmp_path: Path) -> None:
    write_master(tmp_path, "live/show", "one")
    other = tmp_path / "live" / "show" / "other.m3u8"
    other.write_text("playlist of live/show/other")
    remove_master(tmp_path, "live/show")
    assert other.exists()


def test_a_disk_that_does_not_take_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("a file where a directory should be")
    with pytest.raises(EngineError, match=r"live/show/master\.m3u8 cannot be written: "):
        write_master(tmp_path, "live/show", "one")
    remove_master(tmp_path, "live/show")
