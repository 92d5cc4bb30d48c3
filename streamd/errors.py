"""What can go wrong, on one screen. Every message is written for the operator who reads it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class StreamdError(Exception):
    """The base of every error that streamd raises on purpose."""

    def as_json(self) -> list[dict[str, str | int]]:
        """Return what scripts are told, as JSON types: a `message` for each thing that is wrong."""
        return [{"message": str(self)}]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with the configuration, and where.

    Lines and columns count from 1; 0 means that the problem has no place in a file.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        """Render as `file:line:column: path: what is wrong; what to do`.

        A warning says so before its message.
        """
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        kind = "warning" if self.warning else ""
        return ": ".join(part for part in (where, self.path, kind, self.message) if part)

    def as_json(self) -> dict[str, str | int]:
        """Return what scripts are told of it, as JSON types."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "message": self.message,
        }


class ConfigError(StreamdError):
    """The configuration cannot be used. Holds every problem found, in file order.

    `files` and `directories` are what was read or looked for (as in `config.load.Loaded`): one
    of them has to change before a new attempt makes sense.
    """

    def __init__(
        self,
        problems: Iterable[Problem],
        *,
        files: frozenset[Path] = frozenset(),
        directories: frozenset[Path] = frozenset(),
    ) -> None:
        self.problems = tuple(sorted(set(problems)))
        self.files = files
        self.directories = directories
        super().__init__("\n".join(map(str, self.problems)))

    def as_json(self) -> list[dict[str, str | int]]:
        """Return every problem with its place, as JSON types."""
        return [problem.as_json() for problem in self.problems]


class SettingsError(StreamdError):
    """A flag, environment variable or directory cannot be used."""


class EngineError(StreamdError):
    """A media server could not be tested, started, asked or changed."""


class PortError(EngineError, SettingsError):
    """Ports cannot be listened at.

    `reasons` says why of each, behind the names of the field that has it: those below a server, as
    `("listen", "rtmp")`, or those from the top, as `("daemon", "status")`.
    """

    def __init__(self, reasons: Sequence[tuple[tuple[str, ...], str]]) -> None:
        self.reasons = reasons
        super().__init__("\n".join(f"{'.'.join(path)}: {why}" for path, why in reasons))


class PortTakenError(PortError):
    """Somebody else has ports that are to be listened at.

    `is_free` tells whether nobody has them any more. It asks the kernel, and blocks for no longer.
    """

    def __init__(
        self, reasons: Sequence[tuple[tuple[str, ...], str]], is_free: Callable[[], bool]
    ) -> None:
        self.is_free = is_free
        super().__init__(reasons)


class SupervisorError(StreamdError):
    """supervisord could not be started or did not do what it was asked."""


class FFmpegError(StreamdError):
    """The FFmpeg binary is missing or cannot be used."""


class MediaError(StreamdError):
    """A media file cannot be played."""


class MediaAccessError(MediaError):
    """A media file is not there, or it may not be read or played."""


class PlanRefusedError(StreamdError):
    """The guard refused a plan that would stop too much of what is live."""


class ControlError(StreamdError):
    """The running daemon could not be reached, or answered with an error."""


class NoDaemonError(ControlError):
    """No daemon runs that could be asked."""
