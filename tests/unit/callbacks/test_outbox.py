"""Events on disk: whole, in order, once for each callback, whatever is interrupted."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamd.callbacks import outbox
from streamd.callbacks.events import Event
from streamd.callbacks.outbox import Kept, deal, drop, keep, name_after, pending, remove


def event(number: int, stream: str = "live/a", to: tuple[str, ...] | None = None) -> Event:
    return Event(f"id-{number}", "on_unpublish", stream, float(number), {"n": number}, to)


def both(found: Event) -> Sequence[str]:
    return ("a", "b") if found.to is None else found.to


def numbers(found: Sequence[Kept], callback: str) -> list[int]:
    return [int(each.event.request_id[3:]) for each in found if each.callback == callback]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_what_is_dropped_is_dealt_to_each_callback_in_order(tmp_path: Path) -> None:
    assert drop(tmp_path, [event(1), event(2)]) == 0
    drop(tmp_path, [event(3, to=("b",))])
    dealt, damaged = deal(tmp_path, both)
    assert damaged == []
    assert (numbers(dealt, "a"), numbers(dealt, "b")) == ([1, 2], [1, 2, 3])
    assert pending(tmp_path) == (sorted(dealt, key=lambda kept: (kept.callback, kept.name)), [])
    assert files(tmp_path / "incoming") == []
    assert deal(tmp_path, both) == ([], [])


def test_what_nobody_is_told_of_goes(tmp_path: Path) -> None:
    drop(tmp_path, [event(1)])
    assert deal(tmp_path, lambda _: ()) == ([], [])
    assert files(tmp_path) == []


def test_what_was_sent_is_gone_for_its_callback_alone(tmp_path: Path) -> None:
    drop(tmp_path, [event(1)])
    dealt, _ = deal(tmp_path, both)
    remove(tmp_path, [each for each in dealt if each.callback == "a"])
    remove(tmp_path, [each for each in dealt if each.callback == "a"])
    found, _ = pending(tmp_path)
    assert [each.callback for each in found] == ["b"]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    drop(tmp_path / "outbox", [event(1)])
    deal(tmp_path / "outbox", both)
    for path in (tmp_path / "outbox" / "pending" / "a").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "outbox" / "incoming").stat().st_mode & 0o077 == 0


def test_an_interrupted_deal_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill between any two steps leaves what a kill at the link or at the unlink leaves."""
    drop(tmp_path, [event(1), event(2)])
    real = os.link
    made: list[str] = []

    def link(source: Path, target: Path) -> None:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(str(target))
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(KeyboardInterrupt):
        deal(tmp_path, both)
    monkeypatch.undo()
    dealt, _ = deal(tmp_path, both)
    assert (numbers(dealt, "a"), numbers(dealt, "b")) == ([1, 2], [1, 2])
    found, _ = pending(tmp_path)
    assert (numbers(found, "a"), numbers(found, "b")) == ([1, 2], [1, 2])
    assert files(tmp_path / "incoming") == []


def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)
    drop(tmp_path, [event(1)])
    deal(tmp_path, both)
    found, _ = pending(tmp_path)
    assert (numbers(found, "a"), numbers(found, "b")) == ([1], [1])


def test_a_clock_that_is_set_back_keeps_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(tmp_path, [event(1)])
    deal(tmp_path, both)
    monkeypatch.setattr(time, "time_ns", lambda: 1_000)
    drop(tmp_path, [event(2)])
    drop(tmp_path, [event(3), event(4)])
    deal(tmp_path, both)
    found, _ = pending(tmp_path)
    assert numbers(found, "a") == [1, 2, 3, 4]
    assert name_after(found[-1].name) > found[-1].name


def test_what_cannot_be_written_is_kept_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(tmp_path, [event(1)])
    real = os.fsync
    synced: list[int] = []

    def fsync(descriptor: int) -> None:
        if len(synced) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        synced.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        drop(tmp_path, [event(2), event(3)])
    monkeypatch.undo()
    dealt, _ = deal(tmp_path, both)
    assert numbers(dealt, "a") == [1]
    assert len(files(tmp_path)) == 2


def test_of_too_many_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LIMIT", 3)
    assert drop(tmp_path, [event(n) for n in range(3)]) == 0
    assert drop(tmp_path, [event(n) for n in range(3, 5)]) == 2
    dealt, _ = deal(tmp_path, both)
    assert numbers(dealt, "a") == [2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"x" * 70_000, b"[" * 60_000])
def test_a_damaged_file_is_told_and_removed(tmp_path: Path, content: bytes) -> None:
    drop(tmp_path, [event(1)])
    name = name_after("")
    (tmp_path / "incoming" / name).write_bytes(content)
    dealt, damaged = deal(tmp_path, both)
    assert damaged == [f"incoming/{name}"]
    assert numbers(dealt, "a") == [1]
    (tmp_path / "pending" / "a" / name).write_bytes(content)
    found, damaged = pending(tmp_path)
    assert damaged == [f"pending/a/{name}"]
    assert numbers(found, "a") == [1]
    assert pending(tmp_path)[1] == []


def test_what_is_not_whole_is_passed_over_and_removed_when_nobody_writes_it(
    tmp_path: Path,
) -> None:
    drop(tmp_path, [event(1)])
    torn = tmp_path / "incoming" / f".{name_after('')}"
    torn.write_text("{")
    foreign = tmp_path / "incoming" / "README"
    foreign.write_text("?")
    assert numbers(deal(tmp_path, both)[0], "a") == [1]
    assert torn.exists()
    os.utime(torn, (0, 0))
    deal(tmp_path, both)
    assert not torn.exists()
    assert foreign.exists()


def test_an_event_can_be_kept_for_one_callback(tmp_path: Path) -> None:
    kept = Kept("a", name_after(""), event(1))
    keep(tmp_path, kept)
    assert pending(tmp_path) == ([kept], [])


def test_nothing_is_there_before_the_first_event(tmp_path: Path) -> None:
    assert pending(tmp_path / "outbox") == ([], [])
    assert deal(tmp_path / "outbox", both) == ([], [])


WRITER = """\
import sys
from pathlib import Path
from streamd.callbacks.events import Event
from streamd.callbacks.outbox import drop
for number in range(1_000_000):
    drop(Path(sys.argv[1]), [Event(f"id-{number}", "on_unpublish", "live/a", 0.0)])
    print(number, flush=True)
"""


def test_what_a_process_dropped_outlives_its_kill(tmp_path: Path) -> None:
    """Killed in the middle of it, ten times: all that it was told is safe is there, in order."""
    for done in range(10):
        directory = tmp_path / str(done)
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(5 + done):
                told = int(writer.stdout.readline())
            writer.kill()
            rest = writer.stdout.read().split()
        last = int(rest[-1]) if rest and rest[-1].isdecimal() else told
        dealt, damaged = deal(directory, lambda _: ("a",))
        assert damaged == []
        found = numbers(dealt, "a")
        assert found == list(range(len(found)))
        assert len(found) in (last + 1, last + 2)


def test_it_costs_another_process_no_more_than_the_standard_library() -> None:
    code = (
        "import sys, json; import streamd.callbacks.outbox;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    foreign = set(json.loads(told.stdout)) - set(sys.stdlib_module_names) - {"streamd"}
    assert not {name for name in foreign if not name.startswith("_")} & {
        "aiohttp", "asyncio", "pydantic", "structlog", "yaml", "watchfiles",
    }  # fmt: skip
