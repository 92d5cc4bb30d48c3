"""Files that are whole or not there."""

import os
from pathlib import Path

import pytest

from streamd.whole_file import PART, SHARED, write_whole


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_write_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_whole(path, "before")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_private_unless_it_is_said_to_be_shared(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "private", "x")
        write_whole(tmp_path / "shared", b"x", mode=SHARED)
        write_whole(tmp_path / "shared", b"y", mode=SHARED)
    finally:
        os.umask(before)
    assert mode(tmp_path / "private") == 0o600
    assert mode(tmp_path / "shared") == 0o640
    assert (tmp_path / "shared").read_bytes() == b"y"


def test_what_a_killed_write_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    path, left = tmp_path / "file", tmp_path / f".file{PART}"
    left.write_text("torn")
    left.chmod(0o444)
    write_whole(path, "whole", alone=True)
    assert path.read_text() == "whole"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_need_not_outlive_the_machine_is_not_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_whole(tmp_path / "file", "x", durable=False)
    assert synced == []
    write_whole(tmp_path / "file", "x")
    assert len(synced) == 1
