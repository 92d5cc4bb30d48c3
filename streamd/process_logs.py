"""Find, tail and follow the logs of supervised processes, over their rotation."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from streamd import names
from streamd.errors import StreamdError
from streamd.process_names import KINDS

MAX_NAME_BYTES = 200
MAX_LINE_BYTES = 1024 * 1024
POLL_S = 0.2

_SUFFIX = ".log"
_HASH_MARK = "%~"  # never made by percent-encoding, so a shortened name equals no whole one
_BLOCK = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of one process's log, without its end, safe to print on a terminal."""

    process: str
    text: str


def log_file_name(process: str) -> str:
    """Return the file name of a process's log; different names have different files.

    All but `[A-Za-z0-9._@~-]` is percent-encoded. A name that becomes longer than 200 bytes is
    cut, and told apart by a digest of the whole.
    """
    encoded = quote(process, safe="@~")
    if len(encoded) + len(_SUFFIX) > MAX_NAME_BYTES:
        digest = hashlib.sha256(process.encode()).hexdigest()[:32]
        kept = encoded[: MAX_NAME_BYTES - len(_SUFFIX) - len(_HASH_MARK) - len(digest)]
        encoded = f"{re.sub('%.?$', '', kept)}{_HASH_MARK}{digest}"
    return encoded + _SUFFIX


def find(log_dir: Path, name: str) -> dict[str, Path]:
    """Return the logs that a name means, by process, sorted.

    Args:
        log_dir: where the logs are.
        name: a server (`main`), a target (`youtube`: every stream of it and its backup), one
            stream of a target (`cdn@rooms/a`), a stream that streamd makes or transcodes
            (`lobby`), a rule of recordings with its recorders (`archive`), or any as the process
            is called (`target.youtube`).

    Raises:
        StreamdError: there is none; says where it was looked for, and which there are.
    """
    logs = _logs(log_dir)
    found = _meant(logs, name)
    if found:
        return found
    known = ", ".join(sorted(process.partition(".")[2] or process for process in logs))
    raise StreamdError(f"{log_dir}: no log of {name!r}; there are: {known or 'none yet'}")


def _logs(log_dir: Path) -> dict[str, Path]:
    try:
        paths = sorted(path for path in log_dir.iterdir() if path.suffix == _SUFFIX)
    except FileNotFoundError as error:
        raise StreamdError(
            f"{log_dir} does not exist: nothing has been started yet that would have a log there. "
            "Start streamd, or name its directory with --log-dir"
        ) from error
    except OSError as error:
        raise StreamdError(f"{log_dir} cannot be read: {error.strerror}") from error
    return {unquote(path.name.removesuffix(_SUFFIX)): path for path in paths}


def _meant(logs: Mapping[str, Path], name: str) -> dict[str, Path]:
    wholes = (name, *(f"{kind}.{name}" for kind in KINDS))
    if "/" not in name:
        wholes += tuple(f"{kind}.{names.full_name(name)}" for kind in KINDS)
    exact = {log_file_name(whole) for whole in wholes}
    parts = tuple(whole + mark for whole in wholes for mark in "@~")
    return {
        process: path
        for process, path in logs.items()
        if path.name in exact or process.startswith(parts)
    }


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log; what its rotation set aside is read when needed.

    Raises:
        StreamdError: it cannot be read.
    """
    found: list[bytes] = []
    for each in (path, path.with_name(f"{path.name}.1")):
        if len(found) < lines and (file := _open(each)) is not None:
            with file:
                whole, partial = _read_back(file, lines - len(found))
            found = [*whole, *([partial] if partial else []), *found]
    return [_printable(line) for line in found[-lines:]] if lines > 0 else []


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StreamdError(f"{path} cannot be read: {error.strerror}") from error


def _read_back(file: BinaryIO, lines: int) -> tuple[list[bytes], bytes]:
    """Return the last whole lines and the begun one after them; leaves the file at its end."""
    end = start = file.seek(0, os.SEEK_END)
    text = b""
    while start > 0 and text.count(b"\n") <= lines:
        size = min(_BLOCK, start)
        start -= size
        file.seek(start)
        text = file.read(size) + text
    file.seek(end)
    *whole, partial = text.split(b"\n")
    return whole[-lines:] if lines > 0 else [], partial


def _printable(line: bytes) -> str:
    # FFmpeg prints metadata that a publisher chose; none of it may steer a terminal.
    text = line.removesuffix(b"\r").decode(errors="replace")
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


async def follow(log_dir: Path, name: str, lines: int = 10) -> AsyncGenerator[LogLine, None]:
    """Yield the last lines of every log that `name` means, then each new line, without end.

    A log that is rotated is read to its end and then followed under its name. A process of the
    same name that begins later is followed from its first line.

    Raises:
        StreamdError: there is no such log, or it cannot be read.
    """
    followed: dict[str, _Followed] = {}
    try:
        for process, path in find(log_dir, name).items():
            followed[process] = _Followed(path)
            for text in followed[process].last_lines(lines):
                yield LogLine(process, text)
        while True:
            for process, path in _meant(_logs(log_dir), name).items():
                if process not in followed:
                    followed[process] = _Followed(path)
            for process, log in followed.items():
                for text in log.new_lines():
                    yield LogLine(process, text)
            await asyncio.sleep(POLL_S)
    finally:
        for log in followed.values():
            log.close()


class _Followed:
    """One log file, read on under its name whatever its rotation does to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        self._partial = b""

    def last_lines(self, lines: int) -> list[str]:
        """Return the last lines, and go on behind them."""
        if self._file is None:
            return []
        whole, self._partial = _read_back(self._file, lines)
        return [_printable(line) for line in whole]

    def new_lines(self) -> list[str]:
        """Return what was written since the last call, whole lines only."""
        found = self._read()
        if self._is_replaced():
            found += self._read()  # what was written between the read and the rotation
            if self._partial:
                found.append(_printable(self._partial))
            self.close()
            self._file, self._partial = _open(self._path), b""
            found += self._read()
        return found

    def _is_replaced(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        held = os.fstat(self._file.fileno())
        return not os.path.samestat(held, now) or now.st_size < self._file.tell()

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        *whole, self._partial = (self._partial + self._file.read()).split(b"\n")
        if len(self._partial) > MAX_LINE_BYTES:
            whole.append(self._partial)
            self._partial = b""
        return [_printable(line) for line in whole]

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
