"""Put a server's files on disk, for use or for its own check."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamd.engines.base import RenderedServer
from streamd.errors import EngineError
from streamd.whole_file import write_whole

_FIX = "make room, or fix its permissions"


def make_directories(rendered: RenderedServer) -> None:
    """Make the directories that a server needs, private to this user.

    Raises:
        EngineError: one cannot be made.
    """
    for directory in rendered.directories:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(f"{directory} cannot be made: {error.strerror}; {_FIX}") from error


def write_files(rendered: RenderedServer) -> None:
    """Write a server's files, each whole or not at all, and make its directories.

    Raises:
        EngineError: the disk does not take them.
    """
    make_directories(rendered)
    for path, text in rendered.files.items():
        try:
            write_whole(path, text)
        except OSError as error:
            raise EngineError(f"{path} cannot be written: {error.strerror}; {_FIX}") from error


@contextmanager
def checked_copy(text: str) -> Iterator[Path]:
    """Hold a copy of one configuration file for a check, at a place of its own."""
    with tempfile.TemporaryDirectory(prefix="streamd-check-") as directory:
        path = Path(directory) / "checked.conf"
        write_whole(path, text)
        yield path
