"""Links to the files of finished recordings, for a media server that serves them.

    SERVED/APP/STREAM/.../index.mp4    -> the file of that name in the recording's directory

Nothing but what players fetch is linked, and only of recordings that are finished.
"""

import contextlib
import os
from pathlib import Path

from streamd.archive.layout import parse_file
from streamd.archive.recording import Recording
from streamd.archive.recording_json import MP4, PLAYLIST


class Links:
    """The links of one rule.

    Args:
        served: directory of the links; None where nothing is served.
        root: below which the recordings are.
    """

    def __init__(self, served: Path | None, root: Path) -> None:
        self._served = served
        self._root = root

    def add(self, recording: Recording) -> None:
        """Link what players fetch of a finished recording. More than once is harmless.

        Raises:
            OSError: it cannot be linked.
        """
        place = self._place(recording.path)
        if place is None or recording.state != "finished":
            return
        place.mkdir(parents=True, exist_ok=True)
        for name in os.listdir(recording.path):  # noqa: PTH208 - names are wanted
            if name not in (MP4, PLAYLIST) and parse_file(name) is None:
                continue
            with contextlib.suppress(FileExistsError):
                (place / name).symlink_to(f"{recording.path}/{name}")

    def remove(self, path: str) -> None:
        """Take the links of a recording away. Raises OSError."""
        place = self._place(path)
        if place is None or not place.is_dir():
            return
        for link in place.iterdir():
            if link.is_symlink():
                link.unlink(missing_ok=True)
        assert self._served is not None  # noqa: S101 - for mypy: there is a place
        for directory in (place, *place.parents):
            if directory == self._served:
                break
            try:
                directory.rmdir()
            except OSError:  # others are in it
                break

    def remove_dead(self) -> None:
        """Take away links that lead nowhere, as of recordings that somebody deleted."""
        if self._served is None:
            return
        for directory, _, names in os.walk(self._served, topdown=False):
            for name in names:
                link = Path(directory) / name
                if link.is_symlink() and not link.exists():
                    link.unlink(missing_ok=True)
            if directory != str(self._served):
                with contextlib.suppress(OSError):  # not empty
                    Path(directory).rmdir()

    def _place(self, path: str) -> Path | None:
        if self._served is None:
            return None
        return self._served / os.path.relpath(path, self._root)
