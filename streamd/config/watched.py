"""Which files matter to the configuration, what is in them, and where changes to them show."""

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamd.config.reading import UnreadableError, read_file

Content = str | frozenset[str]
"""A file's digest (or why it cannot be read), or the names in a directory."""

_READ_BYTES = 16 * 1024 * 1024
_LINKS_FOLLOWED = 40  # as Linux does
_DIGEST, _ERROR = "sha256:", "error:"
_EMPTY = _DIGEST + hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Places:
    """Where the file system tells of changes.

    Attributes:
        directories: every directory that a watched path leads through, links followed, with its
            device and inode; a replaced one has to be watched anew.
        entries: every name that is looked up on the way.
        listed: directories in which any name matters.
    """

    directories: Mapping[str, tuple[int, int]]
    entries: frozenset[str]
    listed: frozenset[str]

    def concerned(self, paths: Iterable[str]) -> bool:
        """Tell whether a change of one of these paths can be a change of what is watched."""
        return any(path in self.entries or os.path.dirname(path) in self.listed for path in paths)  # noqa: PTH120 - thousands of texts a second

    def replaced(self, paths: Iterable[str]) -> bool:
        """Tell whether one of these paths is a directory that was made, moved or deleted."""
        return any(path in self.directories for path in paths)


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: the content of `files`, and which names are in `directories`."""

    files: frozenset[Path] = frozenset()
    directories: frozenset[Path] = frozenset()

    def contents(self) -> dict[Path, Content]:
        """Read everything."""
        found: dict[Path, Content] = {path: _names(path) for path in self.directories}
        return found | {path: _digest(path) for path in self.files}

    def places(self) -> Places:
        """Find out where changes show now."""
        directories: dict[str, tuple[int, int]] = {}
        entries: set[str] = set()
        for path in self.files | self.directories:
            _trace(path, directories, entries)
        listed = frozenset(os.path.realpath(path) for path in self.directories)
        return Places(directories, frozenset(entries), listed)


def _digest(path: Path) -> str:
    try:
        return _DIGEST + hashlib.sha256(read_file(path, _READ_BYTES)).hexdigest()
    except UnreadableError as error:
        return f"{_ERROR}{error}"


def _names(directory: Path) -> Content:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are all that is wanted
    except OSError as error:
        return f"{_ERROR}{error.strerror}"
    # What `*` does not match in a shell, and the backups of editors, is never included.
    return frozenset(name for name in names if not name.startswith(".") and not name.endswith("~"))


def changed_files(
    before: Mapping[Path, Content], after: Mapping[Path, Content]
) -> dict[Path, Content]:
    """Return the files whose content has changed, and those that are new in a directory.

    A path that was not there before has changed, unless it cannot be read now either.
    """
    changed: dict[Path, Content] = {}
    for path, content in after.items():
        old = before.get(path)
        if content == old:
            continue
        if isinstance(content, frozenset):
            known = old if isinstance(old, frozenset) else frozenset()
            changed |= {path / name: "" for name in content - known}
        changed[path] = content
    return changed


def is_lost(before: Content | None, after: Content) -> bool:
    """Tell whether what had content before is unreadable or empty now."""
    if before is None or not isinstance(after, str) or _is_nothing(before):
        return False
    return _is_nothing(after)


def _is_nothing(content: Content) -> bool:
    return isinstance(content, str) and (content.startswith(_ERROR) or content == _EMPTY)


def _trace(path: Path, directories: dict[str, tuple[int, int]], entries: set[str]) -> None:
    """Look a path up as the kernel does, and note every directory and name on the way."""
    at = Path("/")
    ahead = deque(path.absolute().parts[1:])
    links = 0
    while _note_directory(at, directories) and ahead:
        name = ahead.popleft()
        if name == "..":
            at = at.parent
            continue
        entry = at / name
        entries.add(str(entry))
        try:
            if not stat.S_ISLNK(entry.lstat().st_mode):
                at = entry
                continue
            target = Path(os.readlink(entry))  # noqa: PTH115 - `Path.readlink` drops a `.` too
        except OSError:
            return  # missing: its directory is watched, and tells when it comes
        links += 1
        if links > _LINKS_FOLLOWED:
            return
        at = Path("/") if target.is_absolute() else at
        ahead.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))


def _note_directory(path: Path, directories: dict[str, tuple[int, int]]) -> bool:
    """Note a directory; False when it is none, or one that cannot be looked into."""
    try:
        status = path.stat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    if os.access(path, os.R_OK):  # inotify asks for it, to look a name up does not
        directories[str(path)] = (status.st_dev, status.st_ino)
    return True
