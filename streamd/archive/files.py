"""Files that are there whole or not at all, whatever is killed, and moved without a copy."""

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path

from streamd import whole_file
from streamd.archive.keep import Space
from streamd.whole_file import PART, SHARED, sync


def write_whole(path: Path, text: str) -> None:
    """Write a file of a recording whole or not at all, and have it on the disk. Raises OSError."""
    data = text.encode(errors="surrogatepass")
    whole_file.write_whole(path, data, mode=SHARED, alone=True)
    sync_directory(path.parent)


def append(path: Path, text: str) -> None:
    """Add to a file, and have it on the disk. Raises OSError."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk, where its file system knows of that."""
    with contextlib.suppress(OSError):  # some that are reached over a network do not
        sync(path)


def move(source: Path, target: Path) -> None:
    """Move a file; one that is not there any more was moved before.

    Raises:
        OSError: it cannot be moved, and is where it was.
    """
    try:
        source.rename(target)
    except FileNotFoundError:
        if not target.exists():
            raise
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}{PART}")
        shutil.copy2(source, part)
        sync(part)
        part.replace(target)
        source.unlink()


def is_written(path: Path) -> bool | None:
    """Tell whether any process has a file open for writing; None where that cannot be known.

    The kernel grants a lease for reading, which is given back at once, only where nobody writes
    (fcntl(2), F_SETLEASE). Network file systems grant none.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def space_of(path: Path) -> Space:
    """Return how much room a file system has for streamd's user. Raises OSError."""
    found = os.statvfs(path)
    return Space(
        total=found.f_frsize * (found.f_blocks - found.f_bfree + found.f_bavail),
        free=found.f_frsize * found.f_bavail,
    )


def remove_tree(directory: Path, *, last: str) -> None:
    """Delete a directory, with one of its files after all others. Raises OSError."""
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name == last):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    directory.rmdir()
