"""What to do about a file of certificates that cannot be used."""

import errno
import os
from pathlib import Path

from streamd.users import giving, user_name

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM)


def told(error: OSError, directory: Path) -> str:
    """Say which file cannot be used, why, and what to do about it.

    Args:
        error: that the file was met with.
        directory: of all certificates, above which nothing is streamd's to tell of.
    """
    path = Path(error.filename or directory)
    return f"{path} cannot be used: {error.strerror or error}; {_advice(error, path, directory)}"


def _advice(error: OSError, path: Path, directory: Path) -> str:
    if error.errno in _FULL:
        return "make room"
    if error.errno in _REFUSED:
        foreign = _belongs_to_others(path, directory)
        if foreign is None:
            return "it is streamd's own: look for what forbids it (`lsattr`, a security module)"
        whose, of_whom = foreign
        me = user_name(os.geteuid())
        it = "it" if whose == path else whose
        return f"{it} belongs to {of_whom}, and streamd runs as {me}: `{giving(whose, me)}`"
    if error.errno == errno.EROFS:
        return "mount its filesystem for writing"
    return "make room, or fix its permissions"


def _belongs_to_others(path: Path, directory: Path) -> tuple[Path, str] | None:
    """Return the outermost of a file and what leads to it that is not ours, and whose it is."""
    for each in (*_way(path, directory), *_way(path.resolve(), directory.resolve())):
        try:
            owner = each.lstat().st_uid
        except OSError:
            continue
        if owner != os.geteuid():
            return each, user_name(owner)
    return None


def _way(path: Path, directory: Path) -> list[Path]:
    """Return a file and the directories that lead to it from one of them, that one first."""
    return [each for each in (*reversed(path.parents), path) if each.is_relative_to(directory)]
