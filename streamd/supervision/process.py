"""How a process is started: the value that travels to supervisord, and the seam to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from streamd.observed import ObservedProcess


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """Everything that supervisord needs to start one process.

    Attributes:
        name: unique; also the stem of its log file.
        argv: the program's absolute path and its arguments; never through a shell. The tokens of
            `streamd.supervision.protocol` in it are filled in between fork and exec.
        identity: kept with the process and given back by `list`.
        publisher: kept likewise.
        secret_inputs: file descriptor number -> text that the process reads from it (a pipe), so
            that it stays out of argv and environment.
        redact: texts that are masked in the process's log.
        redact_patterns: regular expressions; what their first group takes is masked there too.
        stop_timeout_s: SIGTERM, then SIGKILL after this many seconds.
        log_path: absolute path of its log; log_bytes and log_backups its rotation.
    """

    name: str
    argv: tuple[str, ...] = field(repr=False)
    identity: str
    log_path: str
    publisher: str = ""
    secret_inputs: Mapping[int, str] = field(default_factory=dict, repr=False)
    redact: tuple[str, ...] = field(default=(), repr=False)
    redact_patterns: tuple[str, ...] = ()
    stop_timeout_s: float = 2.0
    log_bytes: int = 5_000_000
    log_backups: int = 3


class ProcessRunner(Protocol):
    """The seam to supervisord. Everything raises SupervisorError when it cannot be done."""

    async def list(self) -> Mapping[str, ObservedProcess]:
        """Return every process, the exited ones included. Reaps what has exited."""

    async def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        """Start processes, and return pid by name. One that runs already is left alone.

        A process that exited before is started anew from the spec given now.
        """

    async def stop(self, names: Sequence[str]) -> None:
        """Ask processes to stop, without waiting: SIGTERM, SIGKILL after the stop timeout."""

    async def forget(self, names: Sequence[str]) -> None:
        """Drop exited processes from the list; one that still runs is left alone."""
