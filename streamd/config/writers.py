"""Whether somebody is still writing a file."""

import errno
import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from pathlib import Path

QUIET_S = 0.1
"""Without leases, a file counts as written when size and time of change stood for so long."""

STUCK_S = 5.0


@dataclass(frozen=True, slots=True)
class _Look:
    signature: tuple[int, int, int]
    since: float


class Writers:
    """Tells whether a file is open for writing, by asking the kernel for a read lease on it.

    A lease is given only for a file that nobody has open for writing (fcntl(2), F_SETLEASE), to
    its owner or with CAP_LEASE, on local file systems. Where it is not, a file counts as being
    written until it has been quiet for a moment.
    """

    def __init__(self) -> None:
        self._looks: dict[Path, _Look] = {}
        self._distrusted: set[Path] = set()

    def is_written(self, path: Path, now_s: float) -> bool:
        """Tell whether a file is being written now.

        Args:
            path: to a file; one that is missing or unreadable is not being written.
            now_s: monotonic time.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return False
            look = self._look(path, status, now_s)
            has_writer = None if path in self._distrusted else _has_writer(descriptor)
        finally:
            os.close(descriptor)
        return now_s - look.since < QUIET_S if has_writer is None else has_writer

    def give_up(self, path: Path, now_s: float) -> None:
        """Stop waiting for a file's writer.

        A file that has been quiet while it was said to be open for writing is judged by its
        quiet from now on: NFS refuses leases in the same way as a writer does, and some programs
        never close what they have written.
        """
        look = self._looks.get(path)
        if look is not None and now_s - look.since >= STUCK_S:
            self._distrusted.add(path)

    def forget(self) -> None:
        """Forget how files looked; the next time starts afresh."""
        self._looks.clear()

    def _look(self, path: Path, status: os.stat_result, now_s: float) -> _Look:
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        before = self._looks.get(path)
        if before is None or before.signature != signature:
            before = self._looks[path] = _Look(signature, now_s)
        return before


def _has_writer(descriptor: int) -> bool | None:
    """Tell whether anybody has an open file open for writing; None when the kernel cannot."""
    try:
        # Whoever opens it for writing while we have the lease makes the kernel signal us: SIGURG
        # is ignored by default, where the usual SIGIO would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
