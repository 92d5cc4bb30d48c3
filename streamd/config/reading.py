"""Reading the files of a configuration: small regular ones, whole, without ever waiting."""

import errno
import os
import stat
from pathlib import Path

_REASONS = {
    errno.ENOENT: "does not exist; create it or correct the path",
    errno.ENOTDIR: "does not exist; a part of its path is not a directory",
    errno.EACCES: "cannot be read; give streamd's user permission",
    errno.EPERM: "cannot be read; give streamd's user permission",
    errno.EISDIR: "is a directory; name a file",
    errno.ELOOP: "is a link that leads to itself; correct it",
    errno.ENAMETOOLONG: "has too long a name; correct the path",
}


class UnreadableError(Exception):
    """A file cannot be read; the message follows its name, and says what to do."""


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: to the file.
        limit: the most bytes it may have.

    Raises:
        UnreadableError: it is missing, forbidden, too large, or not a file (a FIFO would make the
            reader wait for ever).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                raise UnreadableError(_REASONS[errno.EISDIR])
            if not stat.S_ISREG(mode):
                raise UnreadableError("is not a regular file; name one")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(reason(error)) from error
    except ValueError as error:
        raise UnreadableError("has a NUL in its path; correct the path") from error
    if len(data) > limit:
        raise UnreadableError(f"is larger than {limit // 1024} KiB; make it smaller")
    return data


def reason(error: OSError) -> str:
    """Say why the operating system refused a file, and what to do; follows the file's name."""
    known = _REASONS.get(error.errno or 0)
    return known or f"cannot be read: {os.strerror(error.errno or 0).lower()}"
