"""Find and end what a supervisord left behind that was killed.

Its children die with it by themselves; this is for those that could not: the workers of a master
that did, and a program with file capabilities, whose wish to die the kernel dropped. They are
known by the marker in their environment or, where they overwrote that (nginx) or it cannot be
read, by the session that the killed supervisord led.
"""

import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streamd.supervision.protocol import MARKER

SWEEP_TIMEOUT_S = 5.0
"""A process that SIGKILL does not end within this time hangs in the kernel."""

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"
_SESSION, _START = 3, 19  # places in /proc/PID/stat, counted from the state


@dataclass(frozen=True, slots=True)
class Leader:
    """A supervisord, told apart from any later process of the same pid.

    Attributes:
        pid: its pid, and the number of its session if it `leads` one.
        started: clock ticks since boot.
        boot: id of the boot.
        leads: every process of its session is its own.
    """

    pid: int
    started: int
    boot: str
    leads: bool

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.boot} {'leads' if self.leads else 'shares'}"

    @classmethod
    def parse(cls, text: str) -> "Leader | None":
        """Read what `str` wrote; None for anything else."""
        match text.split():
            case [pid, started, boot, role] if pid.isdecimal() and started.isdecimal():
                return cls(int(pid), int(started), boot, role == "leads")
        return None

    @classmethod
    def this_process(cls) -> "Leader":
        """Describe the calling process."""
        stat = _stat(os.getpid())
        assert stat is not None, "we run"  # noqa: S101 - for mypy
        return cls(os.getpid(), int(stat[_START]), _boot_id(), os.getsid(0) == os.getpid())

    def is_alive(self) -> bool:
        """Tell whether this very process still runs."""
        stat = _stat(self.pid)
        return (
            stat is not None
            and stat[0] not in ("Z", "X")
            and int(stat[_START]) == self.started
            and _boot_id() == self.boot
        )

    def open(self) -> int | None:
        """Return a pidfd of this very process; None when it is gone."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.is_alive():
            return pidfd
        os.close(pidfd)
        return None


def sweep_orphans(runtime_dir: Path, former: Leader | None) -> list[int]:
    """Kill every process that a dead supervisord of this directory left, and wait for their end.

    The caller has to hold the directory's lock, so that no supervisord of it runs.

    Args:
        runtime_dir: absolute; value of the marker in their environment.
        former: the supervisord that ran last, None if unknown.

    Returns:
        The pids of those that were found, including any that hang in the kernel.
    """
    found: dict[int, int] = {}
    for pid in find_orphans(runtime_dir, former):
        with suppress(OSError):
            found[pid] = os.pidfd_open(pid)
    # Once more: a pid that was taken by somebody else since is not in both.
    certain = set(find_orphans(runtime_dir, former))
    try:
        for pid in found.keys() & certain:
            with suppress(OSError):
                signal.pidfd_send_signal(found[pid], signal.SIGKILL)
        _wait(found[pid] for pid in found.keys() & certain)
    finally:
        for pidfd in found.values():
            os.close(pidfd)
    return sorted(found.keys() & certain)


def find_orphans(runtime_dir: Path, former: Leader | None) -> list[int]:
    """Return the pids of processes that belong to this directory; zombies are not counted."""
    marker = b"%b=%b" % (MARKER.encode(), os.fsencode(runtime_dir))
    session = former if former is not None and _is_left_behind(former) else None
    own = os.getpid()
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if pid != own and _belongs(pid, marker, session)]


def _belongs(pid: int, marker: bytes, session: Leader | None) -> bool:
    stat = _stat(pid)
    if stat is None or stat[0] in ("Z", "X") or not _is_ours(pid):
        return False
    if session is not None and int(stat[_SESSION]) == session.pid:
        return int(stat[_START]) >= session.started
    try:
        return marker in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _is_left_behind(leader: Leader) -> bool:
    """Tell whether the session of this number can only be that of the dead leader."""
    if not leader.leads or leader.boot != _boot_id():
        return False
    stat = _stat(leader.pid)
    return stat is None or (stat[0] in ("Z", "X") and int(stat[_START]) == leader.started)


def _is_ours(pid: int) -> bool:
    if os.geteuid() == 0:
        return True
    try:
        status = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    real_uid = next((line.split()[1] for line in status.splitlines() if line[:4] == "Uid:"), "")
    return real_uid == str(os.getuid())


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _wait(pidfds: Iterable[int]) -> None:
    poll = select.poll()
    waiting = set(pidfds)
    for pidfd in waiting:
        poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + SWEEP_TIMEOUT_S
    while waiting and (left := deadline - time.monotonic()) > 0:
        for pidfd, _ in poll.poll(left * 1000):
            poll.unregister(pidfd)
            waiting.discard(pidfd)
