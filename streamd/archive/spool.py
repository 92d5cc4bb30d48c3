"""What recorders have written and no recording has yet."""

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streamd.archive.assign import Piece
from streamd.archive.files import is_written
from streamd.archive.layout import Spooled, parse_spooled
from streamd.archive.mpegts import PACKET_BYTES, Media, look

LOCK = ".lock"
UNREADABLE = "unreadable"
"""Below the spool: segments in which nothing could be found."""

ABANDONED_S = 20.0
"""Where the kernel cannot tell: a segment that did not change for so long is written by nobody.

A recorder waits 15 s for its input before it ends.
"""

_HEAD_BYTES = 700 * PACKET_BYTES
_TAIL_BYTES = 700 * PACKET_BYTES
_LONG_TAIL_BYTES = 12_000 * PACKET_BYTES  # a keyframe may be large


class SpoolError(Exception):
    """The spool cannot be used."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """How a segment was when it was last looked at."""

    size: int
    modified_ns: int
    since: float


class Spool:
    """The directory that the recorders of a rule write to.

    Args:
        directory: absolute.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock: int | None = None
        self._seen: dict[str, _Seen] = {}
        self._media: dict[str, Media | None] = {}

    def open(self) -> None:
        """Make the directory, and hold it for this process. More than once is harmless.

        Raises:
            OSError: it cannot be made.
            SpoolError: another process holds it.
        """
        (self.directory / UNREADABLE).mkdir(parents=True, exist_ok=True)
        if self._lock is not None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.directory / LOCK, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise SpoolError(
                f"{self.directory} is held by another archive of this rule; it ends soon, or "
                "another streamd records to the same directory"
            ) from error
        except OSError:  # a file system without locks
            pass
        self._lock = descriptor

    def close(self) -> None:
        """Let go of the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def path_of(self, spooled: Spooled) -> Path:
        """Return where a segment is."""
        return self.directory / spooled.spooled_as

    def look(self, monotonic: float) -> dict[str, list[Piece]]:
        """Return the segments of each stream, in order. Raises OSError."""
        runs: defaultdict[tuple[str, str], list[tuple[Spooled, os.stat_result]]] = defaultdict(list)
        for spooled, status in self._entries():
            runs[spooled.stream, spooled.run].append((spooled, status))
        pieces: defaultdict[str, list[Piece]] = defaultdict(list)
        for (stream, _), entries in runs.items():
            entries.sort()
            for entry in entries:
                is_last = entry is entries[-1]
                pieces[stream].append(self._piece(*entry, monotonic, is_last=is_last))
        self._forget({piece.spooled.spooled_as for each in pieces.values() for piece in each})
        return {
            stream: sorted(each, key=lambda piece: piece.spooled) for stream, each in pieces.items()
        }

    def set_aside(self, spooled: Spooled) -> None:
        """Put a segment away that cannot be understood. Raises OSError."""
        self.path_of(spooled).rename(self.directory / UNREADABLE / spooled.spooled_as)

    def drop(self, spooled: Spooled) -> None:
        """Delete a segment. Raises OSError."""
        self.path_of(spooled).unlink(missing_ok=True)

    def _entries(self) -> Iterable[tuple[Spooled, os.stat_result]]:
        with os.scandir(self.directory) as entries:
            for entry in entries:
                spooled = parse_spooled(entry.name)
                if spooled is None or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield spooled, status

    def _piece(
        self, spooled: Spooled, status: os.stat_result, monotonic: float, *, is_last: bool
    ) -> Piece:
        growing = is_last and self._may_grow(spooled, status, monotonic)
        return Piece(
            spooled=spooled,
            bytes=status.st_size,
            modified_at=status.st_mtime_ns / 1e9,
            growing=growing,
            media=None if growing else self._media_of(spooled, is_last=is_last),
        )

    def _may_grow(self, spooled: Spooled, status: os.stat_result, monotonic: float) -> bool:
        """Tell whether somebody may write to the last segment of a run.

        In the moment between two segments a recorder has none open. The first of them is complete
        then, which is all that follows from a no.
        """
        before = self._seen.get(spooled.spooled_as)
        same = before is not None and (before.size, before.modified_ns) == (
            status.st_size,
            status.st_mtime_ns,
        )
        since = before.since if before is not None and same else monotonic
        self._seen[spooled.spooled_as] = _Seen(status.st_size, status.st_mtime_ns, since)
        if before is not None and not same:
            return True
        written = is_written(self.path_of(spooled))
        return monotonic - since < ABANDONED_S if written is None else written

    def _media_of(self, spooled: Spooled, *, is_last: bool) -> Media | None:
        name = spooled.spooled_as
        if name not in self._media:
            self._media[name] = read_media(self.path_of(spooled), is_last=is_last)
        return self._media[name]

    def _forget(self, present: set[str]) -> None:
        self._seen = {name: seen for name, seen in self._seen.items() if name in present}
        self._media = {name: media for name, media in self._media.items() if name in present}


def read_media(path: Path, *, is_last: bool = True) -> Media | None:
    """Return what a segment holds; None where nothing could be found. Raises OSError.

    Args:
        path: of the file.
        is_last: none of its run comes after it, so that its own length counts.
    """
    longest = _LONG_TAIL_BYTES if is_last else _TAIL_BYTES
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size // PACKET_BYTES * PACKET_BYTES
        file.seek(max(len(head), size - longest))
        return look(head, file.read(longest))
