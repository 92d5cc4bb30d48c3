import os
from pathlib import Path

import pytest

from streamd.playout.slate import KEPT_FILES, Shown, SlateCache
from streamd.playout.tags import AUDIO, Tag
from tests.unit.playout.values import ENCODER, SLATE, SOUND_HEADER

SHOWN = Shown(ENCODER, SOUND_HEADER, 15.0)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "slate.mp4"
    path.write_bytes(b"slate")
    return str(path)


@pytest.fixture
def cache(tmp_path: Path) -> SlateCache:
    return SlateCache(str(tmp_path / "cache"), "live/always-on")


def make(cache: SlateCache, file: str, shown: Shown) -> Path:
    path = cache.path(file, shown)
    part = cache.part(path)
    part.write_bytes(b"FLV")
    part.replace(path)
    cache.keep(path, shown)
    return path


def test_what_it_is_like_is_read_from_the_headers() -> None:
    video, audio, fps = SHOWN.wanted
    assert video is not None
    assert audio is not None
    assert (video.width, video.height, audio.sample_rate, audio.channels, fps) == (
        160,
        120,
        44_100,
        2,
        15.0,
    )


def test_a_file_is_the_same_for_the_same(cache: SlateCache, file: str) -> None:
    assert cache.path(file, SHOWN) == cache.path(file, Shown(ENCODER, SOUND_HEADER, 15.01))


def test_a_file_is_another_for_another_picture_sound_or_rate(cache: SlateCache, file: str) -> None:
    mono = Tag(AUDIO, 0, b"\xaf\0\x12\x08")
    others = [
        Shown(),
        Shown(ENCODER, mono, 15.0),
        Shown(ENCODER, SOUND_HEADER, 25.0),
        Shown(ENCODER),
    ]
    assert len({cache.path(file, shown) for shown in (SHOWN, *others)}) == 5


def test_a_file_is_another_when_the_slate_was_replaced(cache: SlateCache, file: str) -> None:
    before = cache.path(file, SHOWN)
    Path(file).write_bytes(b"another")
    other = cache.path(file, SHOWN)
    os.utime(file, ns=(1, 1))
    assert len({before, other, cache.path(file, SHOWN)}) == 3


def test_streams_do_not_share_files(tmp_path: Path, file: str) -> None:
    names = {
        SlateCache(str(tmp_path), stream).path(file, SHOWN)
        for stream in ("a_b/c", "a/b_c", "a/b/c", "x" * 300, "x" * 301)
    }
    assert len(names) == 5
    assert all(len(path.name) < 255 for path in names)


def test_what_was_on_air_is_remembered(cache: SlateCache, file: str) -> None:
    path = make(cache, file, SHOWN)
    shown, fitted = cache.remembered()
    assert fitted == path
    assert shown.is_same(SHOWN)
    assert not shown.is_same(Shown(SLATE, SOUND_HEADER, 15.0))


def test_nothing_is_remembered_of_what_is_lost(cache: SlateCache, file: str) -> None:
    assert cache.remembered() == (Shown(), None)
    path = make(cache, file, SHOWN)
    path.unlink()
    assert cache.remembered()[1] is None
    (memory,) = path.parent.glob("*.json")
    memory.write_text('{"video": 7}')
    assert cache.remembered() == (Shown(), None)


def test_old_files_are_removed(cache: SlateCache, file: str) -> None:
    paths = []
    for number in range(5):
        path = make(cache, file, Shown(fps=10.0 + number))
        os.utime(path, ns=(number, number))
        paths.append(path)
    cache.keep(paths[4], Shown())
    assert [path.exists() for path in paths] == [False, False, True, True, True]
    assert KEPT_FILES == 3


def test_what_was_begun_and_not_finished_is_removed(cache: SlateCache, file: str) -> None:
    left = cache.part(cache.path(file, SHOWN))
    left.write_bytes(b"FL")
    cache.part(cache.path(file, Shown()))
    assert not left.exists()


def test_a_slate_is_made_like_what_was_on_air_as_it_is_played() -> None:
    like = SHOWN.as_facts()
    assert like is not None
    assert like.video is not None
    assert like.audio is not None
    assert (like.video.width, like.video.profile, like.audio.channels) == (160, "Baseline", 2)
    assert Shown().as_facts() is None
