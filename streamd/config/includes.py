"""Which files an `include` names."""

import errno
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from streamd.config.reading import UnreadableError, reason

_MAGIC = frozenset("*?[")


def expand(pattern: str, directory: Path, looked_in: set[Path]) -> list[Path]:
    """Return the files that a pattern names, in the order of their names.

    A path without `*`, `?` or `[` names itself, whether it exists or not. A pattern names what
    matches, which may be nothing: directories that do not exist hold nothing. Hidden files
    (Kubernetes keeps `..data` beside its links) and what editors leave (`x~`, `.x.swp`, `.#x`)
    are never named by a pattern.

    Args:
        pattern: relative to `directory`, or absolute.
        directory: of the including file.
        looked_in: directories that were listed are added, for a watcher.

    Raises:
        UnreadableError: a directory may not be listed, or no path can be so.
    """
    if "\0" in pattern:
        raise UnreadableError("has a NUL in its path; correct it")
    found = [directory]
    for segment in Path(pattern).parts:
        if _MAGIC.isdisjoint(segment):
            found = [path / segment for path in found]
        else:
            found = [match for path in found for match in _matches(path, segment, looked_in)]
    return found


def is_pattern(text: str) -> bool:
    """Tell whether an `include` may name any number of files, none among them."""
    return not _MAGIC.isdisjoint(text)


def _matches(directory: Path, segment: str, looked_in: set[Path]) -> Iterator[Path]:
    looked_in.add(directory)
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are matched, not paths
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise UnreadableError(f"{directory} {reason(error)}") from error
    for name in sorted(names):
        if not name.startswith(".") and not name.endswith("~") and fnmatchcase(name, segment):
            yield directory / name
