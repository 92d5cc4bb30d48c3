"""Looks at the machine: small facts, read without a shell and without changing anything."""

import ctypes
import os
import pwd
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

from streamd.doctor.files import Node, Space
from streamd.doctor.host import Clock, OpenFiles

_PROC = Path("/proc")

# Linux's struct timex (adjtimex(2)) up to its status; the rest is only room.
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def clock() -> Clock | None:
    """Ask the kernel whether something keeps its clock right; None where it does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()  # modes 0: only read
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        return None
    synchronised = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return Clock(synchronised, timex.maxerror / 1e6)


def open_files(pid: int) -> OpenFiles | None:
    """Return a process's limits on open files; None where they cannot be read."""
    try:
        lines = (_PROC / str(pid) / "limits").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = next(line for line in lines if line.startswith("Max open files")).split()
    soft, hard = (1 << 30 if each == "unlimited" else int(each) for each in fields[3:5])
    return OpenFiles(soft, hard)


def space(path: Path) -> Space:
    """Return what is free where a directory is, or would be. Raises OSError."""
    while not path.exists():
        path = path.parent
    found = os.statvfs(path)
    return Space(
        device=path.stat().st_dev,
        free=found.f_bavail * found.f_frsize,
        total=found.f_blocks * found.f_frsize,
        files_free=found.f_favail if found.f_files else None,
        read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def sysctl(name: str) -> int | None:
    """Return a kernel setting that is a number, as `net.core.wmem_max`; None without it."""
    try:
        return int((_PROC / "sys" / name.replace(".", "/")).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def hides_processes() -> bool:
    """Tell whether /proc shows users their own processes alone."""
    try:
        lines = (_PROC / "self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    for mount in map(str.split, lines):
        if mount[1] == "/proc":
            options = dict(each.partition("=")[::2] for each in mount[3].split(","))
            return options.get("hidepid", "0") not in ("0", "off")
    return False


def node(path: Path) -> Node:
    """Return who owns a path, and its mode. Raises OSError."""
    found = path.stat()
    return Node(
        str(path),
        found.st_uid,
        found.st_gid,
        stat.S_IMODE(found.st_mode),
        stat.S_ISDIR(found.st_mode),
    )


def way_to(path: Path) -> tuple[Node, ...]:
    """Return a path and what leads to it, the root first, links followed. Raises OSError."""
    real = Path(os.path.realpath(path))
    return tuple(map(node, (*reversed(real.parents), real)))


def groups_of(uid: int) -> frozenset[int]:
    """Return the groups of a user."""
    if uid == os.geteuid():
        return frozenset((os.getegid(), *os.getgroups()))
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    return frozenset(os.getgrouplist(known.pw_name, known.pw_gid))


def environment_of(pid: int) -> dict[str, str] | None:
    """Return the environment that a process was started with; None where it cannot be read."""
    try:
        raw = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    pairs = (os.fsdecode(each).partition("=") for each in raw.split(b"\0") if each)
    return {name: value for name, _, value in pairs}


def with_ancestors(pid: int) -> Iterator[int]:
    """Yield a pid and those of the processes that it descends from, as far as they are seen."""
    while pid:
        yield pid
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        pid = int(text.rpartition(")")[2].split()[1])


def listener_of(path: Path) -> tuple[int, int]:
    """Return the pid and uid of who listens at a Unix socket. Raises OSError: nobody, or why not.

    They are those of the process that called listen(2) (SO_PEERCRED, unix(7)).
    """
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        raw = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", raw)
        return pid, uid
