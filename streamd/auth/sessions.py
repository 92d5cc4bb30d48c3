"""Who publishes with which key, remembered over a restart of streamd.

Media servers outlive streamd and cannot tell which key let a publisher in, so streamd writes that
down. The file is a journal of JSON lines, `{"in": {publisher}}` and `{"out": [server, client]}`,
in the runtime directory: a change costs one short write whatever the number of publishers, and is
down before the next thing happens. It is written anew, atomically, when most of it is past.
It is not synced to disk: what it tells of ends with the machine's uptime.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from streamd.observed import Publisher
from streamd.whole_file import write_whole

log = structlog.get_logger()

_SPARE_LINES = 256

# Fields that another release of streamd wrote are left out.
_PUBLISHER = TypeAdapter(Publisher)
_LEFT = TypeAdapter(tuple[str, str])


class Sessions:
    """The publishers that were let in and have not left, by (server, client id), on disk.

    Nothing here raises: without its file it still remembers in memory, logs what is wrong, and
    writes everything again as soon as it can.

    Args:
        path: the journal; made readable by its owner only. Its directory exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._publishers: dict[tuple[str, str], Publisher] = {}
        self._file: int | None = None
        self._lines = 0
        self._failed = False

    def load(self) -> tuple[Publisher, ...]:
        """Read what an earlier streamd left, and return it.

        A file with damage is set aside as `NAME.damaged`, and what can be read of it is kept.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            log.error("sessions.unreadable", path=str(self._path), error=str(error))
            data = b""
        whole, _, _ = data.rpartition(b"\n")  # a kill in the middle of a write leaves a torn end
        damaged = sum(not self._replay(line) for line in whole.split(b"\n") if line)
        if damaged:
            self._set_aside(damaged)
        self._rewrite()
        return tuple(self._publishers.values())

    def add(self, publisher: Publisher) -> None:
        """Remember a publisher that was let in."""
        key = (publisher.server, publisher.client_id)
        if self._publishers.get(key) != publisher:
            self._publishers[key] = publisher
            self._append({"in": asdict(publisher)})

    def remove(self, server: str, client_id: str) -> None:
        """Forget one that left. One that is not known is no error."""
        if self._publishers.pop((server, client_id), None) is not None:
            self._append({"out": [server, client_id]})

    def close(self) -> None:
        """Close the file. A change after this opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _replay(self, line: bytes) -> bool:
        """Apply one line; False when it is none."""
        try:
            entry = json.loads(line)
            if "in" in entry:
                publisher = _PUBLISHER.validate_python(entry["in"])
                self._publishers[publisher.server, publisher.client_id] = publisher
            else:
                self._publishers.pop(_LEFT.validate_python(entry["out"]), None)
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        return True

    def _set_aside(self, damaged: int) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        log.warning(
            "sessions.damaged",
            path=str(aside),
            damaged_lines=damaged,
            publishers=len(self._publishers),
        )
        try:
            self._path.replace(aside)
        except OSError as error:
            log.error("sessions.not_set_aside", path=str(aside), error=str(error))

    def _append(self, entry: Mapping[str, object]) -> None:
        mostly_past = self._lines >= 2 * len(self._publishers) + _SPARE_LINES
        if self._file is None or mostly_past or not self._is_in_place(self._file):
            self._rewrite()
            return
        line = _line(entry)
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")
        except OSError as error:
            self._fail(error)
            return
        self._lines += 1

    def _is_in_place(self, file: int) -> bool:
        """Tell whether the open file is still the one at its path."""
        try:
            at_path = self._path.stat()
        except OSError:
            return False
        return os.path.samestat(at_path, os.fstat(file))

    def _rewrite(self) -> None:
        self.close()
        entries = [_line({"in": asdict(publisher)}) for publisher in self._publishers.values()]
        try:
            write_whole(self._path, b"".join(entries), durable=False, alone=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            self._fail(error)
            return
        self._lines = len(entries)
        if self._failed:
            self._failed = False
            log.info("sessions.written_again", path=str(self._path))

    def _fail(self, error: OSError) -> None:
        self.close()  # so that the next change writes everything
        if not self._failed:
            log.error("sessions.not_written", path=str(self._path), error=str(error))
        self._failed = True


def _line(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, default=_encode, separators=(",", ":")).encode() + b"\n"


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a session")
