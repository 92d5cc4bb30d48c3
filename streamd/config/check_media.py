"""Checks of the media files that a configuration plays: can they be played, and are they copied?

Looks into the files with ffprobe, within bounds.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from streamd import names
from streamd.config.data_path import DataPath
from streamd.config.defaults import Machine, source_directories
from streamd.config.models import Config
from streamd.config.source import Source
from streamd.errors import MediaAccessError, MediaError, Problem
from streamd.ffmpeg.media import MediaFacts, as_sent, handling, lent_sound
from streamd.ffmpeg.probe import probe
from streamd.machine import find_ffprobe

PROBED_AT_ONCE = 4

PROBED_AT_MOST = 64
"""So many files of one configuration are looked into; of the others a playout finds out."""


@dataclass(frozen=True, slots=True)
class MediaFindings:
    """What is wrong with files, and how those that are played are sent.

    `notes` holds, by `app/stream`, a line for each file: that it is copied, or why not.
    """

    problems: tuple[Problem, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def check_media(config: Config, source: Source, *, machine: Machine) -> MediaFindings:
    """Look into the files that are played as sources, slates, pictures and overlays.

    A file that is missing or may not be read or played is an error. One that is there and cannot
    be played is a warning in a playlist with others, which skips it.
    """
    ffmpeg = config.ffmpeg or machine.ffmpeg
    ffprobe = None if ffmpeg is None else find_ffprobe(ffmpeg)
    files = dict.fromkeys(path for _, paths in _uses(config) for _, path in paths)
    if not files:
        return MediaFindings()
    if ffprobe is None:
        where = next(paths[0][0] for _, paths in _uses(config))
        message = "cannot be looked into: no ffprobe is found beside FFmpeg; install it"
        return MediaFindings((source.warning(where, message),))
    look = partial(_look, ffprobe=str(ffprobe), directories=source_directories(config, machine))
    with ThreadPoolExecutor(PROBED_AT_ONCE) as pool:
        found = dict(zip(files, pool.map(look, list(files)[:PROBED_AT_MOST]), strict=False))
    notes = {
        names.full_name(name): tuple(_notes([found.get(file) for file in stream.source.files]))
        for name, stream in config.streams.items()
        if stream.source is not None and stream.source.files
    }
    return MediaFindings(tuple(_problems(config, source, found)), notes)


_Use = tuple[bool, list[tuple[DataPath, Path]]]


def _uses(config: Config) -> Iterator[_Use]:
    """Yield the files that stand for one another, with their places; True where some may fail."""
    for name, stream in config.streams.items():
        path: DataPath = ("streams", name)
        if stream.source is not None and stream.source.files:
            place = (*path, "source", "files")
            yield True, [((*place, n), file) for n, file in enumerate(stream.source.files)]
        if stream.source is not None and stream.source.picture is not None:
            yield False, [((*path, "source", "picture"), stream.source.picture)]
        if stream.fallback is not None:
            yield False, [((*path, "fallback"), stream.fallback)]
    for name, transcode in config.transcodes.items():
        overlay = transcode.video.overlay
        if overlay is not None:
            yield False, [(("transcodes", name, "video", "overlay", "file"), overlay.file)]


def _problems(
    config: Config, source: Source, found: Mapping[Path, MediaFacts | MediaError]
) -> Iterator[Problem]:
    for is_playlist, places in _uses(config):
        plays = any(isinstance(found.get(path), MediaFacts) for _, path in places)
        for place, path in places:
            what = found.get(path)
            if not isinstance(what, MediaError):
                continue
            if is_playlist and plays and not isinstance(what, MediaAccessError):
                yield source.warning(place, f"{what}; it is skipped")
            else:
                # A file that plays may be among those that were left out of a playlist.
                others = [place[:-1]] if is_playlist else []
                directories = ("daemon", "source_directories")
                yield source.error(place, str(what), unless=[directories, *others])


def _notes(found: Sequence[MediaFacts | MediaError | None]) -> Iterator[str]:
    """Yield how each file of a playlist is sent; the first that plays is what the others follow."""
    like: MediaFacts | None = None
    sounding = (each for each in found if isinstance(each, MediaFacts) and each.audio is not None)
    heard = next(sounding, None)
    for facts in found:
        if isinstance(facts, MediaError):
            yield f"{facts}; it is skipped"
        if not isinstance(facts, MediaFacts):
            continue
        like = like or lent_sound(facts, heard)
        how = handling(facts, like)
        like = like or as_sent(facts)
        done = "copied" if how.mode == "copy" else f"transcoded, because {how.reason}"
        yield f"{facts.path} is {done}"


def _look(path: Path, *, ffprobe: str, directories: tuple[str, ...]) -> MediaFacts | MediaError:
    try:
        status = path.stat()
    except OSError:
        status = None  # probing it says why
    stamp = (status.st_ino, status.st_mtime_ns, status.st_size) if status else None
    return _facts(str(path), ffprobe, directories, stamp)


@lru_cache(maxsize=1024)
def _facts(
    path: str, ffprobe: str, directories: tuple[str, ...], stamp: object
) -> MediaFacts | MediaError:
    """Probe a file; a file that has not changed (`stamp`) is not looked into again."""
    try:
        return asyncio.run(probe(path, ffprobe=ffprobe, directories=directories))
    except MediaError as error:
        return error
