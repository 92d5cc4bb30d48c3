import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.errors import StreamdError
from streamd.process_logs import (
    MAX_LINE_BYTES,
    MAX_NAME_BYTES,
    POLL_S,
    LogLine,
    find,
    follow,
    log_file_name,
    tail,
)


def write(path: Path, *lines: str) -> Path:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def log_of(directory: Path, process: str, *lines: str) -> Path:
    return write(directory / log_file_name(process), *lines)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_a_file_name_is_legal_and_short(process: str) -> None:
    name = log_file_name(process)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@~-%")
    assert name not in {"", ".", ".."}


@given(st.lists(st.text("a/%~.é", max_size=120), unique=True, min_size=2, max_size=8))
def test_different_processes_have_different_files(processes: list[str]) -> None:
    assert len({log_file_name(process) for process in processes}) == len(processes)


def test_a_usual_name_stays_readable() -> None:
    assert log_file_name("target.cdn@rooms/a~backup") == "target.cdn@rooms%2Fa~backup.log"


def test_a_long_name_keeps_its_beginning() -> None:
    name = log_file_name("target.cdn@rooms/" + "x" * 400)
    assert name.startswith("target.cdn@rooms%2Fxxx")
    assert name.endswith(".log")


@pytest.mark.parametrize(
    ("name", "processes"),
    [
        ("main", ["server.main"]),
        ("server.main", ["server.main"]),
        ("youtube", ["target.youtube", "target.youtube~backup"]),
        ("target.youtube", ["target.youtube", "target.youtube~backup"]),
        ("cdn", ["target.cdn@rooms/a", "target.cdn@rooms/b"]),
        ("cdn@rooms/b", ["target.cdn@rooms/b"]),
        ("target.cdn@rooms/a", ["target.cdn@rooms/a"]),
        ("supervisord", ["supervisord"]),
    ],
)
def test_a_name_means_every_log_of_its_object(
    tmp_path: Path, name: str, processes: list[str]
) -> None:
    for process in (
        "server.main",
        "target.youtube",
        "target.youtube~backup",
        "target.youtube2",
        "target.cdn@rooms/a",
        "target.cdn@rooms/b",
        "supervisord",
    ):
        log_of(tmp_path, process)
    assert list(find(tmp_path, name)) == processes


def test_a_shortened_name_is_found_by_the_whole(tmp_path: Path) -> None:
    stream = "rooms/" + "y" * 300
    path = log_of(tmp_path, f"target.cdn@{stream}")
    log_of(tmp_path, f"target.cdn@{stream}z")
    assert list(find(tmp_path, f"cdn@{stream}").values()) == [path]


def test_an_unknown_name_tells_which_there_are(tmp_path: Path) -> None:
    log_of(tmp_path, "server.main")
    log_of(tmp_path, "target.youtube")
    with pytest.raises(StreamdError, match=r"no log of 'nosuch'; there are: main, youtube"):
        find(tmp_path, "nosuch")


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StreamdError, match="nowhere does not exist: nothing has been started yet"):
        find(tmp_path / "nowhere", "main")


@given(
    lines=st.lists(st.text("ab é", max_size=30), max_size=40),
    rotated=st.lists(st.text("cd", max_size=30), max_size=40),
    wanted=st.integers(0, 90),
)
def test_a_tail_is_the_end_of_all_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], rotated: list[str], wanted: int
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    path = write(directory / "x.log", *lines)
    write(directory / "x.log.1", *rotated)
    assert tail(path, wanted) == ((rotated + lines)[-wanted:] if wanted else [])


def test_a_tail_of_a_large_log_reads_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "x.log", *(f"line {n} {'.' * 100}" for n in range(20_000)))
    assert tail(path, 3_000)[0].startswith("line 17000 ")


def test_a_tail_shows_a_line_that_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("one\ntwo\nthr")
    assert tail(path, 2) == ["two", "thr"]


def test_a_tail_of_nothing_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "x.log", 10) == []


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"title: \x1b[2J\x07 \xc2\x9b2J\tend\r\n\xff\n")
    assert tail(path, 2) == ["title: \\x1b[2J\\x07 \\x9b2J\tend", "\ufffd"]


class Reader:
    """Takes lines from a follower as they come."""

    def __init__(self, lines: AsyncIterator[LogLine]) -> None:
        self._lines = lines

    async def take(self, count: int) -> list[str]:
        async with asyncio.timeout(30):
            return [(await anext(self._lines)).text for _ in range(count)]


async def test_following_goes_on_over_rotation(tmp_path: Path) -> None:
    path = log_of(tmp_path, "server.main", *(f"old {n}" for n in range(20)))
    async with aclosing(follow(tmp_path, "main", 2)) as lines:
        reader = Reader(lines)
        assert await reader.take(2) == ["old 18", "old 19"]
        write(path, "new 1")
        assert await reader.take(1) == ["new 1"]
        write(path, "new 2")
        path.rename(path.with_name(f"{path.name}.1"))
        write(path, "new 3")
        assert await reader.take(2) == ["new 2", "new 3"]


async def test_following_goes_on_after_a_truncation(tmp_path: Path) -> None:
    path = log_of(tmp_path, "server.main", "a long first line")
    async with aclosing(follow(tmp_path, "main")) as lines:
        reader = Reader(lines)
        assert await reader.take(1) == ["a long first line"]
        path.write_text("short\n")
        assert await reader.take(1) == ["short"]


async def test_following_a_target_takes_up_streams_that_begin_later(tmp_path: Path) -> None:
    log_of(tmp_path, "target.cdn@rooms/a", "first")
    async with aclosing(follow(tmp_path, "cdn")) as lines:
        assert await anext(lines) == LogLine("target.cdn@rooms/a", "first")
        log_of(tmp_path, "target.cdn@rooms/b", "one", "two")
        async with asyncio.timeout(30):
            assert await anext(lines) == LogLine("target.cdn@rooms/b", "one")
            assert await anext(lines) == LogLine("target.cdn@rooms/b", "two")


async def test_following_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = log_of(tmp_path, "server.main", "whole")
    with path.open("a") as file:
        file.write("beg")
    async with aclosing(follow(tmp_path, "main")) as lines:
        reader = Reader(lines)
        assert await reader.take(1) == ["whole"]
        write(path, "un")
        assert await reader.take(1) == ["begun"]


async def test_following_waits_while_a_rotation_is_half_done(tmp_path: Path) -> None:
    path = log_of(tmp_path, "server.main", "first")
    with path.open("a") as file:
        file.write("begun")
    async with aclosing(follow(tmp_path, "main")) as lines:
        reader = Reader(lines)
        assert await reader.take(1) == ["first"]
        path.rename(path.with_name(f"{path.name}.1"))
        waiting = asyncio.create_task(reader.take(2))
        done, _ = await asyncio.wait({waiting}, timeout=3 * POLL_S)
        assert not done
        write(path, "after")
        assert await waiting == ["begun", "after"]


async def test_following_passes_on_a_line_that_does_not_end(tmp_path: Path) -> None:
    path = log_of(tmp_path, "server.main", "first")
    async with aclosing(follow(tmp_path, "main")) as lines:
        reader = Reader(lines)
        assert await reader.take(1) == ["first"]
        with path.open("a") as file:
            file.write("x" * (MAX_LINE_BYTES + 1))
        assert await reader.take(1) == ["x" * (MAX_LINE_BYTES + 1)]


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "server.main.log").mkdir()
    with pytest.raises(StreamdError, match=r"server\.main\.log cannot be read: Is a directory"):
        tail(tmp_path / "server.main.log", 5)


async def test_following_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StreamdError, match="none yet"):
        await anext(follow(tmp_path, "main"))
