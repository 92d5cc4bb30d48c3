"""Become supervisord: `python -m streamd.supervision.start RUNTIME_DIR LOG_DIR`.

The one way in which a supervisord of streamd's comes up, under systemd as well as by itself: take
the lock on the runtime directory, end what a killed predecessor left, write the INI, exec. Stdlib
only, because every channel waits for it after a crash.
"""

import fcntl
import os
import resource
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from streamd.errors import SupervisorError
from streamd.supervision.orphans import Leader, sweep_orphans

LOCKED = 75
"""Exit status when another supervisord holds the runtime directory (EX_TEMPFAIL)."""

SOCKET_NAME = "supervisord.sock"
LOCK_NAME = "supervisord.lock"
INI_NAME = "supervisord.ini"
PIDFILE_NAME = "supervisord.pid"
LOG_NAME = "supervisord.log"

_SOCKET_PATH_BYTES = 107  # of sun_path, without its NUL
_SUFFIX_BYTES = len(".4194304")  # supervisord binds a temporary name with its pid first
_OPEN_FILES = 65_536
_KEPT_VARIABLES = ("PATH", "HOME", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LockedError(SupervisorError):
    """Another supervisord holds the runtime directory."""


def socket_path(runtime_dir: Path) -> Path:
    """Return where supervisord listens.

    Raises:
        SupervisorError: the directory's path is too long for a Unix socket.
    """
    path = runtime_dir / SOCKET_NAME
    excess = len(os.fsencode(path)) + _SUFFIX_BYTES - _SOCKET_PATH_BYTES
    if excess > 0:
        raise SupervisorError(
            f"{runtime_dir}: the path is {excess} bytes too long for a Unix socket; "
            "choose a shorter --runtime-dir"
        )
    return path


def render_ini(runtime_dir: Path, log_dir: Path, *, lock_fd: int, umask: int) -> str:
    """Return supervisord's configuration: a private socket and the `streamd` namespace alone.

    Without its own `supervisor` namespace `supervisorctl` cannot touch what streamd runs.

    Args:
        runtime_dir: absolute; holds the socket.
        log_dir: absolute; holds supervisord's own log.
        lock_fd: inherited descriptor of the lock.
        umask: of the supervised processes.

    Raises:
        SupervisorError: a path that the INI format cannot hold.
    """
    return f"""\
[unix_http_server]
file = {_ini_value(socket_path(runtime_dir))}
chmod = 0600

[supervisord]
nodaemon = true
silent = true
logfile = {_ini_value(log_dir / LOG_NAME)}
logfile_maxbytes = 5MB
logfile_backups = 3
loglevel = info
pidfile = {_ini_value(runtime_dir / PIDFILE_NAME)}
childlogdir = {_ini_value(log_dir)}
nocleanup = true
minfds = 64
minprocs = 1

[rpcinterface:streamd]
supervisor.rpcinterface_factory = streamd.supervision.plugin:make_interface
runtime_dir = {_ini_value(runtime_dir)}
lock_fd = {lock_fd}
umask = {umask:o}
"""


def _ini_value(path: Path) -> str:
    text = str(path)
    if not text.isprintable() or text != text.strip() or " ;" in text or " #" in text:
        raise SupervisorError(
            f"{text!r}: supervisord cannot use this path; choose one without control characters, "
            "' ;' and ' #'"
        )
    return text.replace("%", "%%")


def minimal_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what supervisord and its children get of an environment; secrets stay behind."""
    kept = {name: environment[name] for name in _KEPT_VARIABLES if name in environment}
    return {"PATH": _DEFAULT_PATH, **kept, "LANG": "C.UTF-8"}


def exec_supervisord(runtime_dir: Path, log_dir: Path) -> NoReturn:
    """Become supervisord, in the foreground; for a systemd unit and for `Supervisord`.

    Both directories are made if need be, readable by the owner alone.

    Raises:
        LockedError: another supervisord runs on this directory.
        SupervisorError: a directory cannot be used.
    """
    runtime_dir, log_dir = runtime_dir.absolute(), log_dir.absolute()
    umask = os.umask(0o077)
    try:
        runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_shared(runtime_dir)
        lock_fd = _lock(runtime_dir / LOCK_NAME)
        _refuse_answered(socket_path(runtime_dir))
        ini = runtime_dir / INI_NAME
        ini.write_text(
            render_ini(runtime_dir, log_dir, lock_fd=lock_fd, umask=umask), encoding="utf-8"
        )
        _take_over(runtime_dir, lock_fd)
        socket_path(runtime_dir).unlink(missing_ok=True)
        _raise_open_files_limit()
        os.chdir("/")
        _hand_on_only(lock_fd)
        # -P: a supervisor package in the working directory is not the one to run.
        argv = [sys.executable, "-P", "-m", "supervisor.supervisord", "-n", "-c", str(ini)]
        os.execve(sys.executable, argv, minimal_environment(os.environ))  # noqa: S606 - its purpose
    except OSError as error:
        raise SupervisorError(f"supervisord cannot be started in {runtime_dir}: {error}") from error


def _refuse_shared(directory: Path) -> None:
    """Refuse a directory in which others could put a link in the place of our files."""
    status = directory.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise SupervisorError(
            f"{directory}: others can write there; choose a directory of your own (mode 0700)"
        )


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = Leader.parse(_content(fd))
        os.close(fd)
        raise LockedError(
            f"{path}: held by another supervisord"
            f"{f' (pid {holder.pid})' if holder else ''}; stop that one first"
        ) from error
    return fd


def _refuse_answered(path: Path) -> None:
    """Refuse to take over from one that lives, whose lock file somebody removed."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise LockedError(f"{path}: another supervisord answers there; stop that one first")


def _take_over(runtime_dir: Path, lock_fd: int) -> None:
    """End what the last holder of the lock left, and write ourselves down."""
    for pid in sweep_orphans(runtime_dir, Leader.parse(_content(lock_fd))):
        print(f"streamd: killed orphan {pid} of a former supervisord", file=sys.stderr)  # noqa: T201 - goes to its log
    with suppress(PermissionError):  # we lead a process group: a shell's job, or already a session
        os.setsid()
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, str(Leader.this_process()).encode(), 0)


def _content(fd: int) -> str:
    return os.pread(fd, 4096, 0).decode("ascii", "replace")


def last_leader(runtime_dir: Path) -> Leader | None:
    """Return the supervisord that took the lock of a directory last, whether it lives or not."""
    try:
        return Leader.parse((runtime_dir / LOCK_NAME).read_text(encoding="ascii", errors="replace"))
    except FileNotFoundError:
        return None


def _hand_on_only(kept: int) -> None:
    """Keep what our caller left open from supervisord, and so from every process."""
    for link in Path("/proc/self/fd").iterdir():
        if (fd := int(link.name)) > 2:
            with suppress(OSError):  # the one that listed the directory
                os.set_inheritable(fd, fd == kept)


def _raise_open_files_limit() -> None:
    """Allow what many processes need; each costs supervisord two descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def main() -> int:
    """Run as `python -m streamd.supervision.start RUNTIME_DIR LOG_DIR`."""
    runtime_dir, log_dir = map(Path, sys.argv[1:3])
    try:
        exec_supervisord(runtime_dir, log_dir)
    except SupervisorError as error:
        print(f"streamd: {error}", file=sys.stderr)  # noqa: T201 - goes to its log
        return LOCKED if isinstance(error, LockedError) else 1


if __name__ == "__main__":
    sys.exit(main())
