"""Events on disk until they are sent: written by any process, sent by the daemon.

    OUTBOX/incoming/NAME.json            what happened; `drop` puts it here
    OUTBOX/pending/CALLBACK/NAME.json    what a callback is still to be told; `deal` puts it here

A file appears whole or not at all, and outlives a kill of every process and of the machine. NAME
begins with a number that grows, so that names in order are events in order. What is not whole
begins with a dot.

The standard library is all that this needs, so that a process that only drops events stays light.
"""

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamd.callbacks.events import Event, as_json, from_json
from streamd.whole_file import sync, write_whole

LIMIT = 10_000
"""So many events are kept in one directory; with more, the oldest are dropped."""

EVENT_BYTES = 64 * 1024
"""A longer file is no event."""

ABANDONED_S = 600.0
"""What is not whole after so long never will be: its writer was killed."""

_SUFFIX = ".json"
_DIGITS = 20


def drop(outbox: Path, events: Iterable[Event]) -> int:
    """Keep events until they are sent, in order. Returns when they are safe on disk.

    Any process may call it. It blocks as long as the disk does.

    Args:
        outbox: the directory, which is made where it is not there.
        events: what happened, oldest first.

    Returns:
        How many of the oldest that wait were dropped, because there were more than `LIMIT`.

    Raises:
        OSError: they could not be written; none of them is kept.
    """
    directory = outbox / "incoming"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    waiting = _names(directory)
    # A clock that was set back must not put what is new before what waits.
    last = max(map(_last_number, (directory, *_pending_directories(outbox))))
    written: list[str] = []
    try:
        for event in events:
            last = max(last + 1, time.time_ns())
            name = f"{last:0{_DIGITS}d}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
            write(directory / name, event)
            written.append(name)
        sync(directory)
    except BaseException:
        for name in written:
            with contextlib.suppress(OSError):
                (directory / name).unlink(missing_ok=True)
        raise
    over = (waiting + written)[:-LIMIT]
    for name in over:
        (directory / name).unlink(missing_ok=True)
    return len(over)


def write(path: Path, event: Event) -> None:
    """Write one event, whole or not at all; `sync` of its directory makes it last.

    Raises:
        OSError: it could not be written.
    """
    write_whole(path, as_json(event).encode(errors="surrogatepass"), alone=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """An event on disk that one callback is to be told."""

    callback: str
    name: str
    event: Event


def pending(outbox: Path) -> tuple[list[Kept], list[str]]:
    """Return what waits for each callback, oldest first, and files that are no events, removed.

    Removes what writers that were killed have left, too.

    Raises:
        OSError: the outbox cannot be read.
    """
    found: list[Kept] = []
    damaged: list[str] = []
    for directory in _pending_directories(outbox):
        _remove_abandoned(directory)
        for name in _names(directory):
            event = _read(directory / name)
            if event is None:
                damaged.append(f"pending/{directory.name}/{name}")
            else:
                found.append(Kept(directory.name, name, event))
    return found, damaged


def deal(
    outbox: Path, subscribers: Callable[[Event], Sequence[str]]
) -> tuple[list[Kept], list[str]]:
    """Give each event that came in to the callbacks that are told of it.

    May be interrupted anywhere and called again: nothing is lost then, and what was dealt already
    is returned once more under the same name.

    Args:
        outbox: the directory.
        subscribers: names of the callbacks that are told of an event.

    Returns:
        What waits for a callback, oldest first, and files that were no events, which are removed.

    Raises:
        OSError: the outbox cannot be read or written.
    """
    incoming = outbox / "incoming"
    incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_abandoned(incoming)
    dealt: list[Kept] = []
    damaged: list[str] = []
    done: list[Path] = []
    touched: set[Path] = set()
    for name in _names(incoming):
        event = _read(incoming / name)
        if event is None:
            damaged.append(f"incoming/{name}")
            continue
        for callback in subscribers(event):
            directory = outbox / "pending" / callback
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _link(incoming / name, directory / name, event)
            touched.add(directory)
            dealt.append(Kept(callback, name, event))
        done.append(incoming / name)
    for directory in touched:
        sync(directory)
    for path in done:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return dealt, damaged


def keep(outbox: Path, kept: Kept) -> None:
    """Write down what a callback is to be told. Raises OSError."""
    directory = outbox / "pending" / kept.callback
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(directory / kept.name, kept.event)
    sync(directory)


def remove(outbox: Path, kept: Iterable[Kept]) -> None:
    """Forget what was sent or given up. What cannot be removed is sent once more some day."""
    for each in kept:
        with contextlib.suppress(OSError):
            (outbox / "pending" / each.callback / each.name).unlink(missing_ok=True)


def name_after(last: str) -> str:
    """Return a name for an event that comes after the one of another name ("" for none)."""
    number = max(_number(last) + 1 if last else 0, time.time_ns())
    return f"{number:0{_DIGITS}d}-{uuid.uuid4().hex[:8]}{_SUFFIX}"


def _names(directory: Path) -> list[str]:
    with os.scandir(directory) as entries:
        return sorted(each.name for each in entries if _is_name(each.name))


def _is_name(name: str) -> bool:
    return name.endswith(_SUFFIX) and name[:_DIGITS].isdigit()


def _number(name: str) -> int:
    return int(name[:_DIGITS])


def _last_number(directory: Path) -> int:
    return max(map(_number, _names(directory)), default=0)


def _pending_directories(outbox: Path) -> list[Path]:
    try:
        return sorted(each for each in (outbox / "pending").iterdir() if each.is_dir())
    except FileNotFoundError:
        return []


def _read(path: Path) -> Event | None:
    """Return an event; None for a file that is none, which is removed. Raises OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(EVENT_BYTES + 1)
        if len(data) <= EVENT_BYTES:
            return from_json(data)
    except (ValueError, RecursionError):
        pass
    except OSError as error:
        if error.errno != errno.EIO:  # a sector that is lost stays lost
            raise
    path.unlink(missing_ok=True)
    return None


def _link(path: Path, other: Path, event: Event) -> None:
    try:
        os.link(path, other)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        write(other, event)


def _abandoned(directory: Path) -> Iterator[Path]:
    limit = time.time() - ABANDONED_S
    with os.scandir(directory) as entries:
        for each in entries:
            if each.name.startswith(".") and each.stat(follow_symlinks=False).st_mtime < limit:
                yield directory / each.name


def _remove_abandoned(directory: Path) -> None:
    for path in list(_abandoned(directory)):
        with contextlib.suppress(OSError):
            path.unlink()
