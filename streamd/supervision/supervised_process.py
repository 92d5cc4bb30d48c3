"""One process inside supervisord 4.3, by value: supervisor's classes with streamd's manners.

It gets its argv as it is, reads secrets from descriptors, knows its pid and start, dies with
supervisord, is started once, and its output is masked before it reaches a file.
"""

import errno
import fcntl
import os
import resource
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from supervisor.options import ProcessConfig
from supervisor.process import Subprocess
from supervisor.states import ProcessStates

from streamd.supervision.child_log import ChildLog, LineMasker, RotatedFile
from streamd.supervision.protocol import MARKER, PID_ADDRESS, SPAWNED, pid_address, spawned
from streamd.supervision.spawn import die_with_parent, readable_fd

PRIORITY = 999

_SPAWN_FAILED = 127  # what a shell answers for a program that it cannot run
_RESERVED_FDS = 32  # kept free for connections and logs; without them accept() closes the server
_HANDLED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGCHLD,
    signal.SIGUSR2,
)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class SupervisedConfig(ProcessConfig):
    """One process as a `ProcessSpec` describes it; supervisor itself starts it only once."""

    def __init__(self, options: Any, spec: dict[str, Any], runtime_dir: str, umask: int) -> None:
        self.argv: list[str] = spec["argv"]
        self.identity: str = spec["identity"]
        self.publisher: str = spec["publisher"]
        self.redact: list[str] = spec["redact"]
        # A release of streamd before this one sends none.
        self.redact_patterns: list[str] = spec.get("redact_patterns", [])
        self.secret_inputs = {int(fd): text for fd, text in spec["secret_inputs"].items()}
        self.log_path: str = spec["log_path"]
        self.log_bytes: int = spec["log_bytes"]
        self.log_backups: int = spec["log_backups"]
        output = {
            f"{channel}_{name}": value
            for channel in ("stdout", "stderr")
            for name, value in (
                ("logfile", None),
                ("logfile_maxbytes", 0),
                ("logfile_backups", 0),
                ("capture_maxbytes", 0),
                ("events_enabled", False),
                ("syslog", False),
            )
        }
        super().__init__(
            options,
            name=spec["name"],
            command=self.argv[0],
            uid=None,
            directory=None,
            umask=umask,
            priority=PRIORITY,
            autostart=False,
            autorestart=False,
            startsecs=0,
            startretries=0,
            stopsignal=signal.SIGTERM,
            stopwaitsecs=spec["stop_timeout_s"],
            stopasgroup=False,
            killasgroup=True,
            exitcodes=[0],
            redirect_stderr=True,
            environment={MARKER: runtime_dir},
            **output,
        )

    def make_process(self, group: Any = None) -> "SupervisedProcess":
        """Return the process; it is not started."""
        process = SupervisedProcess(self)
        process.group = group
        return process

    def open_log(self, fd: int | None = None) -> ChildLog:
        """Return its log, fed from `fd`."""
        warn = self.options.logger.warn
        return ChildLog(
            fd,
            LineMasker(self.redact, self.redact_patterns),
            RotatedFile(self.log_path, self.log_bytes, self.log_backups, warn),
        )

    def make_dispatchers(
        self, proc: "SupervisedProcess"
    ) -> tuple[dict[int, ChildLog], dict[str, int | None]]:
        """Open what the child gets: /dev/null or a secret as stdin, one pipe for its output.

        Raises:
            OSError: no file descriptors are left.
        """
        pipes: dict[str, int | None] = dict.fromkeys(
            ("stdin", "child_stdin", "stdout", "child_stdout", "stderr", "child_stderr")
        )
        try:
            pipes["stdout"], pipes["child_stdout"] = output = os.pipe()
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            if limit != resource.RLIM_INFINITY and max(output) >= limit - _RESERVED_FDS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pipes["child_stdin"] = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.set_blocking(output[0], False)
            for fd, text in self.secret_inputs.items():
                proc.secret_fds[fd] = readable_fd(text.encode("utf-8", "surrogateescape"))
        except OSError:
            self.options.close_parent_pipes(pipes)
            self.options.close_child_pipes(pipes)
            raise
        return {output[0]: self.open_log(output[0])}, pipes


class SupervisedProcess(Subprocess):
    """A process that dies with supervisord, reads its secrets from pipes, and runs once."""

    config: SupervisedConfig
    state: int
    dispatchers: dict[int, ChildLog]
    pipes: dict[str, int | None]

    def __init__(self, config: SupervisedConfig) -> None:
        super().__init__(config)
        self.secret_fds: dict[int, int] = {}
        self.exit_status: int | None = None
        self.start_error: str | None = None
        self._supervisor_pid = os.getpid()
        self._signal_mask: set[int | signal.Signals] = set()

    def spawn(self) -> int | None:
        """Start it and return its pid, or None with `spawnerr` set."""
        # A SIGTERM before exec would go to the handlers inherited from supervisord and be lost.
        self._signal_mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            pid: int | None = super().spawn()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._signal_mask)
            for fd in self.secret_fds.values():
                os.close(fd)
            self.secret_fds = {}
            self.config.secret_inputs = {}
        if self.state == ProcessStates.BACKOFF:
            self._fail()
        elif pid:
            self._log_line(f"started {_now()} pid={pid}")
        return pid

    def redact(self, further: Iterable[str]) -> None:
        """Mask further texts in its log."""
        self.config.redact = sorted({*self.config.redact, *further})
        for log in self.dispatchers.values():
            log.redact(self.config.redact)

    def _fail(self) -> None:
        # supervisor would try again, and after a failed fork it would go on polling closed pipes.
        self.dispatchers = {}
        self.pipes = {}
        self.give_up()
        self.exit_status = _SPAWN_FAILED
        self.start_error = str(self.spawnerr)
        self._log_line(f"not started {_now()}: {self.start_error}")

    def _log_line(self, text: str) -> None:
        for log in self.dispatchers.values() or [self.config.open_log()]:
            log.write_line(f"streamd: {text}")

    def get_execv_args(self) -> tuple[str, list[str]]:
        """Return the program and its arguments as they are; supervisor would split a string.

        Raises:
            ProcessException: the program is missing or cannot be executed.
        """
        program = self.config.argv[0]
        try:
            status = Path(program).stat()
        except OSError:
            status = None
        self.config.options.check_execv_args(program, self.config.argv, status)
        return program, self.config.argv

    def _spawn_as_child(self, filename: str, argv: list[str]) -> None:
        try:
            for number in (*_HANDLED, *_IGNORED_BY_PYTHON):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._signal_mask)
            super()._spawn_as_child(filename, _filled(argv))
        finally:
            os._exit(_SPAWN_FAILED)  # whatever happens, no second supervisord goes on from here

    def _prepare_child_fds(self) -> None:
        # supervisor closes 3 to minfds, and one input's number may be another's target.
        floor = max((self.config.options.minfds, *self.secret_fds)) + 1
        moved = {
            target: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor)
            for target, fd in self.secret_fds.items()
        }
        super()._prepare_child_fds()
        for target, fd in moved.items():
            os.dup2(fd, target)
        die_with_parent(self._supervisor_pid)

    def kill(self, sig: int) -> str | None:
        """Send a signal, and return what went wrong."""
        problem: str | None = super().kill(sig)
        if self.state == ProcessStates.UNKNOWN:
            # The signal was not permitted. supervisor would die of an assertion at its exit.
            self.state = ProcessStates.RUNNING
        return problem

    def finish(self, pid: int, sts: int) -> None:
        """Take note of its exit, and end what is left of its process group.

        The workers of a master that crashed would keep its ports.
        """
        logs = list(self.dispatchers.values())
        self.exit_status = os.waitstatus_to_exitcode(sts)
        super().finish(pid, sts)
        with suppress(ProcessLookupError, PermissionError):  # as a rule nothing is left
            os.killpg(pid, signal.SIGKILL)
        for log in logs:
            log.close()

    def kill_due_in_s(self) -> float | None:
        """Return the time until its SIGKILL; None when it is not being stopped."""
        return self.delay - time.time() if self.state == ProcessStates.STOPPING else None


def _filled(argv: list[str]) -> list[str]:
    """Put into an argv what is known of a process only within it."""
    pid = os.getpid()
    texts = {PID_ADDRESS: pid_address(pid), SPAWNED: spawned(pid, time.time_ns())}
    for token, text in texts.items():
        argv = [argument.replace(token, text) for argument in argv]
    return argv


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
