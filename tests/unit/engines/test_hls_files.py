import os
from pathlib import Path

import pytest

from streamd.engines.hls_files import ENDED_S, UNNAMED_S, remove_expired

NOW = 1_000_000.0
WINDOW_S = 20.0


def _file(path: Path, *, age: float, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (NOW - age, NOW - age))
    return path


def _tidy(root: Path) -> int:
    return remove_expired(root, window_s=WINDOW_S, now=NOW)


def test_what_a_playlist_names_stays_however_old(tmp_path: Path) -> None:
    named = _file(tmp_path / "live/cam-1.ts", age=10_000)
    with_query = _file(tmp_path / "live/cam-2.ts", age=10_000)
    playlist = _file(
        tmp_path / "live/cam.m3u8",
        age=1,
        text="#EXTM3U\n#EXTINF:2,\ncam-1.ts\n#EXTINF:2,\n/live/cam-2.ts\n",
    )
    assert _tidy(tmp_path) == 0
    assert named.exists()
    assert with_query.exists()
    assert playlist.exists()


@pytest.mark.parametrize("name", ["cam-1.ts", "cam-1.ts.tmp", "cam.m3u8.bak"])
def test_what_no_playlist_names_goes_after_a_while(tmp_path: Path, name: str) -> None:
    old = _file(tmp_path / "lot/west" / name, age=UNNAMED_S + 1)
    young = _file(tmp_path / "lot/west" / f"young-{name}", age=UNNAMED_S - 1)
    assert _tidy(tmp_path) == 1
    assert not old.exists()
    assert young.exists()


def test_a_stream_that_ended_goes_whole(tmp_path: Path) -> None:
    age = ENDED_S + WINDOW_S + 1
    segment = _file(tmp_path / "live/cam-1.ts", age=age)
    playlist = _file(tmp_path / "live/cam.m3u8", age=age, text="cam-1.ts\n")
    assert _tidy(tmp_path) == 2
    assert not segment.exists()
    assert not playlist.exists()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    other = _file(tmp_path / "live/readme.txt", age=10**6)
    assert _tidy(tmp_path) == 0
    assert other.exists()


def test_a_directory_that_is_not_there_yet_is_tidy(tmp_path: Path) -> None:
    assert _tidy(tmp_path / "nothing") == 0
