"""Tell which processes leave lying what was sent to them, as the kernel counts it (proc(5))."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_TABLES = ("tcp", "tcp6")


def with_unread_input(pids: Collection[int], proc: Path = Path("/proc")) -> frozenset[int]:
    """Return those of the processes that have received bytes over TCP and have not read them.

    Args:
        pids: of processes in this network namespace, whose descriptors streamd may see; one that is
            gone, or may not be looked into, counts as having read everything.
        proc: where the kernel tells of processes.
    """
    unread = {f"socket:[{inode}]" for table in _TABLES for inode in _unread(proc / "net" / table)}
    return frozenset(pid for pid in pids if unread and not unread.isdisjoint(_open(proc, pid)))


def _unread(table: Path) -> list[str]:
    """Return the inodes of the sockets with bytes in their receive queues."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return []
    rows = (line.split() for line in lines)
    return [row[9] for row in rows if int(row[4].partition(":")[2], 16)]


def _open(proc: Path, pid: int) -> frozenset[str]:
    """Return what the descriptors of a process are, as the kernel writes it."""
    found = set()
    with suppress(OSError):
        for descriptor in (proc / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.add(str(descriptor.readlink()))
    return frozenset(found)
