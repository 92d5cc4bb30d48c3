"""HLS files on disk: remove what no player can ask for any more.

A server removes most by itself, but not what it left when it was killed, and nginx nothing at all
in a single process.
"""

import contextlib
from pathlib import Path

ENDED_S = 120.0
"""A playlist that was not written for so long, and its window too, is of a stream that ended."""

UNNAMED_S = 30.0
"""A segment that no playlist names goes after so long: it may be named soon, or still be sent."""

_PLAYLIST = ".m3u8"
_SEGMENTS = (".ts", ".tmp", ".bak")


def remove_expired(root: Path, *, window_s: float, now: float) -> int:
    """Remove expired playlists and segments below a directory, and return how many.

    Args:
        root: the directory that is served.
        window_s: length of a playlist, seconds.
        now: the time, as files carry it.
    """
    if not root.is_dir():
        return 0
    removed = 0
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
        removed += _remove_expired_in(directory, window_s, now)
    return removed


def _remove_expired_in(directory: Path, window_s: float, now: float) -> int:
    ages: dict[Path, float] = {}
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the server removes files too
            if path.is_file():
                ages[path] = now - path.stat().st_mtime
    named: set[str] = set()
    expired = []
    for path, age in ages.items():
        if path.suffix == _PLAYLIST:
            if age > ENDED_S + window_s:
                expired.append(path)
            else:
                named |= _segments(path)
    expired += [
        path
        for path, age in ages.items()
        if path.suffix in _SEGMENTS and path.name not in named and age > UNNAMED_S
    ]
    for path in expired:
        path.unlink(missing_ok=True)
    return len(expired)


def _segments(playlist: Path) -> set[str]:
    try:
        lines = playlist.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return set()
    return {line.rpartition("/")[2] for line in lines if line and not line.startswith("#")}
