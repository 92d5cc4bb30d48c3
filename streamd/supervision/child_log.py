"""The log of one supervised process: masked line by line, bounded, rotated.

Runs inside supervisord: stdlib only, and nothing in here may raise or grow.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from streamd.redact import MASK, Redactor

MAX_LINE_BYTES = 16_384
"""A longer line is cut, so that output without line ends takes no memory."""

_READ_BYTES = 1 << 17
_CUT = " [line cut]"
_LINE_END = re.compile(rb"[\r\n]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ENCODED_LENGTH = 12  # bytes that one character can take: four of UTF-8, percent-encoded
_TELLING = 4  # so many characters of a secret's beginning are worth masking


class LineMasker:
    """Turns chunks of output into whole masked lines, however a secret is split over chunks.

    A carriage return ends a line too, and empty lines are dropped. Control characters are
    escaped, because a publisher can have text of its own choice logged.

    Args:
        secrets: texts that never come out.
        patterns: regular expressions whose first group never comes out.
    """

    def __init__(self, secrets: Iterable[str], patterns: Sequence[str] = ()) -> None:
        self._patterns = patterns
        self.redact(secrets)
        self._rest = b""
        self._skipping = False

    def redact(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, and no other texts."""
        self._secrets = tuple(secrets)
        self._redact = Redactor(self._secrets, self._patterns)
        self._margin = _ENCODED_LENGTH * max(map(len, self._secrets), default=0)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, each with its line end."""
        first, *others = _LINE_END.split(data)
        if self._skipping:
            if not others:
                return []
            self._skipping = False
            first = b""
        *lines, self._rest = self._rest + first, *others
        masked = [self._mask(line) for line in lines if line]
        if len(self._rest) > MAX_LINE_BYTES:
            masked.append(self._mask(self._rest))
            self._rest = b""
            self._skipping = True
        return masked

    def finish(self) -> list[bytes]:
        """Return what came after the last line end, once no more comes."""
        rest, self._rest = self._rest, b""
        self._skipping = False
        return [self._mask(self._without_begun_secret(rest))] if rest else []

    def _mask(self, line: bytes) -> bytes:
        text = line[:MAX_LINE_BYTES].decode("utf-8", "surrogateescape")
        text = self._redact(_COLOUR.sub("", text))
        if len(line) > MAX_LINE_BYTES:
            # The cut may have split a secret, which is then not recognised: drop what it can hold.
            text = text[: max(0, len(text) - self._margin)] + _CUT
        text = _CONTROL.sub(_escaped, text)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def _without_begun_secret(self, line: bytes) -> bytes:
        """Mask a secret whose writer died in the middle of it."""
        for secret in map(str.encode, self._secrets):
            for length in range(len(secret) - 1, _TELLING - 1, -1):
                if line.endswith(secret[:length]):
                    return line[:-length] + MASK.encode()
        return line


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


class RotatedFile:
    """Appends lines to a file that only its owner reads, and rotates it.

    PATH.1 is the youngest backup. A line is never split over two files. What cannot be written is
    lost: a full disk must not stop the process whose log this is.

    Args:
        path: absolute path; its directories are made, readable by the owner alone.
        max_bytes: the file is rotated before it grows beyond this.
        backups: rotated files that are kept.
        complain: told once when writing begins to fail.
    """

    def __init__(
        self, path: str, max_bytes: int, backups: int, complain: Callable[[str], None]
    ) -> None:
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._backups = backups
        self._complain = complain
        self._failing = False
        self._fd = -1
        self._size = 0

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines."""
        try:
            self._append(lines)
        except OSError as error:
            self.close()
            if not self._failing:
                self._failing = True
                self._complain(f"cannot write {self._path}: {error.strerror}; lines are lost")
        else:
            self._failing = False

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, lines: Sequence[bytes]) -> None:
        if lines and self._fd < 0:
            self._open()
        block: list[bytes] = []
        length = 0
        for line in lines:
            if self._size + length and self._size + length + len(line) > self._max_bytes:
                self._write_out(block)
                self._rotate()
                block, length = [], 0
            block.append(line)
            length += len(line)
        self._write_out(block)

    def _write_out(self, block: list[bytes]) -> None:
        if block:
            self._size += os.write(self._fd, b"".join(block))

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        os.fchmod(self._fd, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        self.close()
        rotated = [Path(f"{self._path}.{number}") for number in range(1, self._backups + 1)]
        for older, younger in pairwise([*reversed(rotated), self._path]):
            with suppress(FileNotFoundError):
                younger.replace(older)
        if not rotated:
            os.truncate(self._path, 0)
        self._open()


class ChildLog:
    """Moves one process's output into its log; polled by supervisord as one of its dispatchers.

    It stays open through every error but the end of the output: nobody else would read the pipe,
    and a process blocks on a full one.

    Args:
        fd: the pipe's end, non-blocking; None for a log that is only written to.
        masker: masks it.
        file: the log.
    """

    def __init__(self, fd: int | None, masker: LineMasker, file: RotatedFile) -> None:
        self.closed = fd is None
        self._fd = -1 if fd is None else fd
        self._masker = masker
        self._file = file

    def readable(self) -> bool:
        """Tell whether supervisord polls it for reading."""
        return not self.closed

    def writable(self) -> bool:
        """Tell whether supervisord polls it for writing: never."""
        return False

    def handle_read_event(self) -> None:
        """Take what is there."""
        if self.closed:
            return  # within one pass of supervisord its fd may already be another process's
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._file.write(self._masker.feed(data))
        else:
            self.close()

    def handle_error(self) -> None:
        """Lose what could not be handled, and go on."""

    def redact(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, and no other texts."""
        self._masker.redact(secrets)

    def write_line(self, text: str) -> None:
        """Add a line that is not the process's own."""
        self._file.write([text.encode("utf-8", "backslashreplace") + b"\n"])
        if self.closed:
            self._file.close()

    def close(self) -> None:
        """Write what is left and close the file; the pipe is supervisor's to close."""
        self.closed = True
        self._file.write(self._masker.finish())
        self._file.close()

    def reopenlogs(self) -> None:
        """Take a new file at the next write (SIGUSR2, for logrotate)."""
        self._file.close()
