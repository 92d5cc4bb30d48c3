"""The playlists of ladders on disk, beside the HLS that a media server writes there."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from streamd.errors import EngineError
from streamd.hls.master import master_path
from streamd.whole_file import write_whole


def renew_masters(root: Path, texts: Mapping[str, str], before: Iterable[str]) -> frozenset[str]:
    """Make a server's playlists of ladders be those that are wanted, and renew them.

    Call it again every 10 s or so (see `write_master`).

    Args:
        root: the directory that the server's HTTP serves.
        texts: the wanted playlists, by the stream (`app/stream`) that each ladder is made of.
        before: the streams that had one, as the last call returned.

    Returns:
        The streams that have one now.

    Raises:
        EngineError: the disk does not take them.
    """
    for stream in set(before) - texts.keys():
        remove_master(root, stream)
    for stream, text in texts.items():
        write_master(root, stream, text)
    return frozenset(texts)


def write_master(root: Path, stream: str, text: str) -> None:
    """Put the playlist of a ladder where the media server serves it, whole or not at all.

    Call it again every 10 s or so, as long as the ladder is on air: what is not renewed is taken
    for left over, and removed with the other playlists of streams that ended
    (`streamd.engines.hls_files`). A file that says the same already is not written anew.

    Args:
        root: the directory that the server's HTTP serves.
        stream: `app/stream` that the ladder is made of.
        text: of the playlist.

    Raises:
        EngineError: the disk does not take it.
    """
    path = root / master_path(stream)
    try:
        if _says(path, text):
            os.utime(path)
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror}") from error


def _says(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8", errors="replace") == text
    except FileNotFoundError:
        return False


def remove_master(root: Path, stream: str) -> None:
    """Remove the playlist of a ladder that is off air. One that is not there is no error.

    Raises:
        EngineError: the disk does not let it go.
    """
    path = root / master_path(stream)
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise EngineError(f"{path} cannot be removed: {error.strerror}") from error
    # Not when the name is an app, too, with streams of its own.
    with contextlib.suppress(OSError):
        path.parent.rmdir()
