"""Whether recordings can be written to a directory: asked of the disk, and for a limited time."""

import errno
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streamd.bounded import answers

ANSWER_S = 3.0
"""A file system that has not answered for so long hangs, as a mount does whose server is gone."""

_MISTAKES = {
    errno.EACCES: "cannot be written by streamd's user; change its owner or mode",
    errno.EPERM: "cannot be written by streamd's user; change its owner or mode",
    errno.ENOTDIR: "is not a directory, or lies below what is none; correct the path",
    errno.ENAMETOOLONG: "has a name that is too long; shorten it",
    errno.ELOOP: "has links that lead in a circle; correct the path",
}

# A disk is remounted so when it fails, which is no reason to refuse what else is in the file.
_READ_ONLY = (
    "is read-only for streamd; mount it for writing, or name it in the units that systemd runs "
    "streamd by (ReadWritePaths=)"
)


@dataclass(frozen=True, slots=True)
class DirectoryFault:
    """Why recordings cannot be written to a directory, following its path.

    `passing` tells that it may heal by itself: a full or read-only disk, or a mount that hangs.
    """

    message: str
    passing: bool


def directory_faults(
    directories: Iterable[Path], limit_s: float | None = None
) -> dict[Path, DirectoryFault]:
    """Return what is wrong with directories; those that recordings can be written to are left out.

    One that is missing counts by the nearest directory above it, where it would be made. Nothing
    that stays is made or written. All are looked at at the same time.

    Args:
        directories: absolute paths.
        limit_s: how long all of it may take, seconds; by default `ANSWER_S`.
    """
    limit_s = ANSWER_S if limit_s is None else limit_s
    asked = {path: partial(_try_writing, path) for path in directories}
    answered = answers(asked, limit_s)
    hangs = DirectoryFault(
        f"did not answer for {limit_s:g} s; if it is a mount, look at the server behind it", True
    )
    faults = {path: _fault(answered[path]) if path in answered else hangs for path in asked}
    return {path: fault for path, fault in faults.items() if fault is not None}


def _fault(error: OSError | None) -> DirectoryFault | None:
    if error is None:
        return None
    if error.errno == errno.EROFS:
        return DirectoryFault(_READ_ONLY, True)
    mistake = _MISTAKES.get(error.errno or 0)
    said = os.strerror(error.errno or 0).lower()
    return DirectoryFault(
        mistake or f"cannot be written now: {said}; recording waits until it can", not mistake
    )


def _try_writing(path: Path) -> None:
    nearest = path
    while not nearest.exists():
        nearest = nearest.parent
    # Asking for permission is not enough: a full, remote or read-only file system says no later.
    with tempfile.TemporaryFile(dir=nearest) as file:
        file.write(b"\0")
        file.flush()
