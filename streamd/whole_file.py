"""Files that are whole or not there, whatever is killed. The standard library is enough."""

import contextlib
import os
from pathlib import Path

PART = ".part"
"""What a file ends with that is being written; nobody reads it, and the next try begins anew."""

PRIVATE = 0o600
"""Permissions of a file that is of its owner alone."""

SHARED = 0o666
"""Permissions of a file that others may read as far as the umask lets them."""


def write_whole(
    path: Path,
    content: str | bytes,
    *,
    mode: int = PRIVATE,
    durable: bool = True,
    alone: bool = False,
) -> None:
    """Write a file whole or not at all, in the place of one that is there.

    Args:
        path: the file; its directory is there.
        content: text is written as UTF-8.
        mode: of the file, less the umask.
        durable: what it holds outlives the machine; for its name see `sync`.
        alone: nobody else writes this file meanwhile. A write that was killed leaves a file, which
            the next one then takes away; otherwise each write has one of a name of its own.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}{'' if alone else f'.{os.urandom(4).hex()}'}{PART}")
    try:
        if alone:
            part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have what was written to a file, or the names in a directory, on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
