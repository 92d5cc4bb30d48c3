"""Every way of saving a file is seen, and seen whole, on a real file system."""

import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd.config import watch as watch_module
from streamd.config.watch import ConfigWatcher
from tests.support.waiting import wait_until

WITHOUT_POLL_S = 3600.0


@dataclass
class Reader:
    """A daemon that reads the file whenever it is told to, and what it has read so far."""

    path: Path
    watcher: ConfigWatcher
    reads: list[str | None] = field(default_factory=list)

    async def run(self) -> None:
        async for _ in self.watcher.changes():
            try:
                self.reads.append(self.path.read_text())
            except OSError:
                self.reads.append(None)

    async def reads_at_last(self, content: str | None) -> None:
        await wait_until(
            lambda: self.reads and self.reads[-1] == content,
            what=f"the watcher to tell of {content!r}; it told of {self.reads!r}",
        )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "streamd" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("old")
    return path


async def started(path: Path, poll_s: float = WITHOUT_POLL_S) -> tuple[Reader, asyncio.Task[None]]:
    watcher = ConfigWatcher(poll_s)
    watcher.watch([path])
    reader = Reader(path, watcher)
    return reader, asyncio.create_task(reader.run())


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def reader(config: Path) -> AsyncIterator[Reader]:
    """A reader that has read the first content and sees nothing but by events."""
    reader, task = await started(config)
    await reader.reads_at_last("old")
    yield reader
    await ended(task)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, timeout=60)


def write_in_place(path: Path) -> None:
    path.write_text("new")


def write_and_rename(path: Path) -> None:
    temporary = path.with_name(".config.yaml.tmp")
    temporary.write_text("new")
    temporary.rename(path)


def save_as_vim_does(path: Path) -> None:
    """Probe the directory, keep a swap file open, move the old file away, write a new one."""
    swap = path.with_name(".config.yaml.swp")
    with swap.open("w") as held:
        held.write("swap")
        held.flush()
        probe = path.with_name("4913")
        probe.touch()
        probe.unlink()
        backup = path.with_name("config.yaml~")
        path.rename(backup)
        path.write_text("new")
        backup.unlink()
    swap.unlink()


def edit_with_sed(path: Path) -> None:
    run("sed", "-i", "s/old/new/", path)


def copy_over(path: Path) -> None:
    source = path.parent.parent / "prepared"
    source.write_text("new")
    run("cp", source, path)


def install_over(path: Path) -> None:
    source = path.parent.parent / "prepared"
    source.write_text("new")
    run("install", "-m", "0640", source, path)


def replace_by_a_link(path: Path) -> None:
    target = path.parent.parent / "elsewhere.yaml"
    target.write_text("new")
    run("ln", "-sfn", target, path)


def delete_and_create(path: Path) -> None:
    path.unlink()
    path.write_text("new")


def truncate_then_append(path: Path) -> None:
    path.write_text("")
    with path.open("a") as file:
        file.write("new")


def replace_the_directory(path: Path) -> None:
    prepared = path.parent.with_name("prepared")
    prepared.mkdir()
    (prepared / path.name).write_text("new")
    path.parent.rename(path.parent.with_name("former"))
    prepared.rename(path.parent)


def delete_and_create_the_directory(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text("new")


def delete_and_create_its_parents(path: Path) -> None:
    shutil.rmtree(path.parent.parent)
    path.parent.mkdir(parents=True)
    path.write_text("new")


def keep_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_text("new")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "save",
    [
        write_in_place,
        write_and_rename,
        save_as_vim_does,
        edit_with_sed,
        copy_over,
        install_over,
        replace_by_a_link,
        delete_and_create,
        truncate_then_append,
        replace_the_directory,
        delete_and_create_the_directory,
        delete_and_create_its_parents,
        keep_size_and_time,
    ],
)
async def test_a_save_is_seen_whole_and_once_more_after_it(
    reader: Reader, save: Callable[[Path], None]
) -> None:
    await asyncio.to_thread(save, reader.path)
    await reader.reads_at_last("new")
    assert set(reader.reads) == {"old", "new"}  # and never missing, empty or in part
    write_in_place_again = reader.path.resolve()
    write_in_place_again.write_text("newer")
    await reader.reads_at_last("newer")
    assert set(reader.reads) == {"old", "new", "newer"}


async def test_a_slow_writer_is_waited_for(reader: Reader) -> None:
    """Another process truncates the file, writes one half, and the other a second later."""
    program = textwrap.dedent("""
        import sys, time
        with open(sys.argv[1], "w") as file:
            file.write("first half, ")
            file.flush()
            time.sleep(1)
            file.write("second half")
    """)
    await asyncio.to_thread(run, sys.executable, "-c", program, reader.path)
    await reader.reads_at_last("first half, second half")
    assert reader.reads == ["old", "first half, second half"]


async def test_a_writer_that_never_closes_is_waited_for_only_so_long(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "SETTLE_LIMIT_S", 1.0)
    with capture_logs() as logs, reader.path.open("w") as held:
        held.write("held open")
        held.flush()
        await reader.reads_at_last("held open")
    assert [entry["event"] for entry in logs] == ["config.still_being_written"]


@pytest.mark.parametrize("save", [write_in_place, write_and_rename])
async def test_two_saves_in_a_row_end_with_the_last(
    reader: Reader, save: Callable[[Path], None]
) -> None:
    for number in range(5):
        await asyncio.to_thread(save, reader.path)
        await asyncio.sleep(0.05)
        reader.path.write_text(f"save {number}")
        await reader.reads_at_last(f"save {number}")


async def test_a_save_while_the_last_one_is_being_applied_is_not_lost(config: Path) -> None:
    watcher = ConfigWatcher(WITHOUT_POLL_S)
    watcher.watch([config])
    changes = watcher.changes()
    await anext(changes)
    write(config, "first")
    await anext(changes)
    write(config, "second")  # before the caller asks for the next change
    async with asyncio.timeout(30):
        await anext(changes)
    await changes.aclose()


async def test_the_same_content_again_is_no_change(reader: Reader) -> None:
    for save in (write_in_place, write_and_rename):
        await asyncio.to_thread(save, reader.path)
        await reader.reads_at_last("new")
    run("touch", reader.path)
    run("chmod", "0600", reader.path)
    (reader.path.parent / "unrelated").write_text("x")
    reader.path.write_text("last")
    await reader.reads_at_last("last")
    assert reader.reads == ["old", "new", "last"]


async def test_a_file_that_is_deleted_for_good_is_told_of(reader: Reader) -> None:
    reader.path.unlink()
    await reader.reads_at_last(None)
    reader.path.write_text("back")
    await reader.reads_at_last("back")


async def test_a_directory_that_is_deleted_and_returns_is_watched_again(reader: Reader) -> None:
    for number in range(3):  # file systems like to reuse the inode
        shutil.rmtree(reader.path.parent)
        await reader.reads_at_last(None)
        reader.path.parent.mkdir()
        reader.path.write_text(f"returned {number}")
        await reader.reads_at_last(f"returned {number}")
        reader.path.write_text(f"edited {number}")
        await reader.reads_at_last(f"edited {number}")


async def test_a_file_below_directories_that_do_not_exist_yet_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "config.yaml"
    reader, task = await started(path)
    path.parent.mkdir(parents=True)
    path.write_text("new")
    await reader.reads_at_last("new")
    await ended(task)


class ConfigMap:
    """A directory as the kubelet makes it: files are links into `..data`, which is swapped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._version = 0
        directory.mkdir()
        self.update("v0")
        (directory / "config.yaml").symlink_to("..data/config.yaml")

    def update(self, content: str) -> None:
        before = self._directory / f"..{self._version}"
        self._version += 1
        data = self._directory / f"..{self._version}"
        data.mkdir()
        (data / "config.yaml").write_text(content)
        link = self._directory / "..data_tmp"
        link.symlink_to(data.name)
        link.rename(self._directory / "..data")
        if before.exists():
            shutil.rmtree(before)


async def test_a_config_map_is_seen_at_every_swap(tmp_path: Path) -> None:
    config_map = ConfigMap(tmp_path / "mount")
    reader, task = await started(tmp_path / "mount" / "config.yaml")
    await reader.reads_at_last("v0")
    for number in range(1, 5):
        await asyncio.to_thread(config_map.update, f"v{number}")
        await reader.reads_at_last(f"v{number}")
    assert None not in reader.reads
    await ended(task)


@pytest.mark.parametrize("target", ["relative", "absolute"])
async def test_a_swapped_link_in_the_middle_of_the_path_is_seen(
    tmp_path: Path, target: str
) -> None:
    for release in ("one", "two", "three"):
        (tmp_path / "releases" / release).mkdir(parents=True)
        (tmp_path / "releases" / release / "config.yaml").write_text(release)
    current = tmp_path / "current"
    base = Path("releases") if target == "relative" else tmp_path / "releases"
    run("ln", "-sfn", base / "one", current)
    reader, task = await started(current / "config.yaml")
    await reader.reads_at_last("one")
    for release in ("two", "three"):
        run("ln", "-sfn", base / release, current)
        await reader.reads_at_last(release)
        (tmp_path / "releases" / release / "config.yaml").write_text(f"{release} edited")
        await reader.reads_at_last(f"{release} edited")
    await ended(task)


async def test_links_that_lead_in_a_circle_stop_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.symlink_to("other")
    (tmp_path / "other").symlink_to("config.yaml")
    reader, task = await started(path)
    await reader.reads_at_last(None)
    path.unlink()
    path.write_text("new")
    await reader.reads_at_last("new")
    await ended(task)


async def test_names_that_come_and_go_in_a_directory_are_seen(config: Path) -> None:
    watcher = ConfigWatcher(WITHOUT_POLL_S)
    included = config.parent / "conf.d"
    included.mkdir()
    watcher.watch([config], [included])
    changes = watcher.changes()
    await anext(changes)

    async def told() -> None:
        async with asyncio.timeout(30):
            await anext(changes)

    (included / "a.yaml").write_text("a")
    await told()
    (included / ".a.yaml.swp").write_text("hidden")
    (included / "a.yaml~").write_text("backup")
    (included / "a.yaml").rename(included / "b.yaml")
    await told()
    (included / "b.yaml").unlink()
    await told()
    shutil.rmtree(included)
    await told()
    included.mkdir()
    await told()
    (included / "c.yaml").write_text("c")
    await told()
    await changes.aclose()


async def test_what_is_watched_can_be_replaced_at_any_time(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "secret"
    other.parent.mkdir()
    write(other, "s1")
    reader, task = await started(config)
    await reader.reads_at_last("old")
    reader.watcher.watch([config, other])
    await wait_until(lambda: len(reader.reads) == 2)  # it may have changed since it was read
    write(other, "s2")
    await wait_until(lambda: len(reader.reads) == 3)
    reader.watcher.watch([config])
    write(other, "s3")
    write(config, "new")
    await reader.reads_at_last("new")
    assert reader.reads == ["old", "old", "old", "new"]
    await ended(task)


async def test_without_events_a_change_is_found_by_looking(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        """A file system without events."""

        def __init__(self, *_: object) -> None: ...
        def __enter__(self) -> "Deaf":
            return self

        def __exit__(self, *_: object) -> None: ...
        def watch(self, _debounce: int, _step: int, ms: int, stop: threading.Event) -> str:
            return "stop" if stop.wait(ms / 1000) else "timeout"

    monkeypatch.setattr(watch_module, "RustNotify", Deaf)
    reader, task = await started(config, poll_s=0.1)
    await reader.reads_at_last("old")
    keep_size_and_time(config)
    await reader.reads_at_last("new")
    await ended(task)


async def test_without_a_watch_it_goes_on_by_looking_and_says_so(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_watches_left(*_: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watch_module, "_RETRY_S", 0.1)
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(watch_module, "RustNotify", no_watches_left)
        reader, task = await started(config)
        await reader.reads_at_last("old")
        write(config, "new")
        await reader.reads_at_last("new")
        assert [entry["event"] for entry in logs] == ["config.watch_failed"]
    write(config, "newer")
    await reader.reads_at_last("newer")
    await ended(task)


async def test_a_foreign_file_is_judged_by_its_quiet(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease is only for the file's owner; without one the writer's pauses have to be short."""

    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fcntl.fcntl", refused)
    with reader.path.open("w") as file:
        for part in ("a", "b", "c"):
            file.write(part)
            file.flush()
            await asyncio.sleep(0.03)
    await reader.reads_at_last("abc")


async def test_the_watching_ends_with_its_caller(config: Path) -> None:
    before = set(threading.enumerate())
    reader, task = await started(config)
    await reader.reads_at_last("old")
    own = set(threading.enumerate()) - before
    assert [thread.name for thread in own] == ["config-watch"]
    await ended(task)
    await wait_until(lambda: not any(thread.is_alive() for thread in own))
