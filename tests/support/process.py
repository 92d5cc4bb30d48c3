"""Programs that run while a test does, some started from a spec as supervisord's child does."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamd.supervision import protocol
from streamd.supervision.process import ProcessSpec
from streamd.supervision.spawn import readable_fd

_STOP_TIMEOUT_S = 10

# Runs between fork and exec: the pid is known only then, and stays the same over the exec.
_CHILD = """\
import json, os, runpy, sys, time
with open(int(sys.argv[1])) as given:
    argv, inputs, protocol = json.load(given)
protocol = runpy.run_path(protocol)
for at, source in inputs:
    os.dup2(source, at)
texts = {
    protocol["PID_ADDRESS"]: protocol["pid_address"](os.getpid()),
    protocol["SPAWNED"]: protocol["spawned"](os.getpid(), time.time_ns()),
}
for token, value in texts.items():
    argv = [text.replace(token, value) for text in argv]
os.execve(argv[0], argv, {})
"""


@dataclass(frozen=True)
class RunningProgram:
    """A program that a test has started, and whose process it sends signals to."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.process.poll() is None

    def wait(self, timeout: float = 30) -> int:
        """Wait until it ends, and return its exit status."""
        return self.process.wait(timeout)

    def freeze(self) -> None:
        """Let it do nothing more, without closing its connections."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; harmless where it is not frozen."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait(_STOP_TIMEOUT_S)

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """End it politely; at once if that does not help. More than once is harmless."""
        if not self.alive():
            return
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass(frozen=True)
class LoggedProgram(RunningProgram):
    """A program whose output goes to a file."""

    log_path: Path

    def log(self) -> str:
        """Return what it said so far."""
        return self.log_path.read_text(errors="replace")


class Spawned(LoggedProgram):
    """A process that runs from a spec."""

    def argv(self) -> str:
        """Return its argv as every user of the machine sees it."""
        return Path(f"/proc/{self.pid}/cmdline").read_text().replace("\0", " ")

    def runs(self, program: str) -> bool:
        """Tell whether it has become the program that it was started for."""
        return self.argv().startswith(f"{program} ")


@contextlib.contextmanager
def spawned(spec: ProcessSpec) -> Iterator[Spawned]:
    """Run a spec until the block ends; its log is not redacted."""
    sources = {at: readable_fd(text.encode()) for at, text in spec.secret_inputs.items()}
    # Clear of the numbers that they are to have.
    moved = {at: _above(source) for at, source in sources.items()}
    order = [spec.argv, list(moved.items()), protocol.__file__]
    given = readable_fd(json.dumps(order).encode())
    stdin = moved.get(0, subprocess.DEVNULL)
    log_path = Path(spec.log_path)
    try:
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-I", "-S", "-c", _CHILD, str(given)),
                stdin=stdin,
                stdout=log,
                stderr=log,
                pass_fds=(given, *moved.values()),
            )
    finally:
        for descriptor in (given, *moved.values()):
            os.close(descriptor)
    running = Spawned(process, log_path)
    try:
        yield running
    finally:
        running.stop()


def _above(descriptor: int, floor: int = 10) -> int:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, floor)
    finally:
        os.close(descriptor)
