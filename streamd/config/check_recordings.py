"""Checks of `recordings` and `storages`: what they match, where they go, what is kept. Pure."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from streamd import names
from streamd.archive.layout import TOKENS, root_of
from streamd.archive.storage_address import directory_of
from streamd.config.data_path import DataPath
from streamd.config.defaults import listen_of
from streamd.config.known_streams import KnownStreams
from streamd.config.models import Config
from streamd.config.recording_models import Keep, Recording, storage_of
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.desired import EngineName
from streamd.errors import Problem
from streamd.recordings.places import SERVED_UNDER

SHORTEST_SPLIT = timedelta(seconds=6)
"""One segment as it is written; a recording cannot be split within one."""

_TOKEN = re.compile(r"\{([^{}]*)\}")
_UNSERVED = re.compile(r"[^A-Za-z0-9_.~=+@,:/{}-]")  # SRS takes paths as they were sent
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_PART = 200
_DEFAULT_DIRECTORY = "/\0"  # stands for the one in the state directory, and is like no other


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a rule puts its recordings: the parts of their path, tokens and all."""

    rule: str
    parts: tuple[str, ...]
    streams: tuple[str, ...]  # full patterns


def check_recordings(
    config: Config,
    source: Source,
    suggestions: Suggestions,
    known: KnownStreams,
    engines: Mapping[str, EngineName | None],
) -> Iterator[Problem]:
    """Yield what is wrong with the recordings and storages.

    Args:
        config: to check.
        source: where it stands.
        suggestions: for names that are not known.
        known: the streams that can be recorded.
        engines: of each server, None where none is known.
    """
    places: list[_Place] = []
    uploaded: list[_Place] = []
    for name, recording in config.recordings.items():
        path: DataPath = ("recordings", name)
        if not recording.streams:
            yield source.error((*path, "streams"), "is empty; name a stream or a pattern")
        for position, text in enumerate(recording.streams):
            yield from known.unmatched((*path, "streams", position), text)
        faults = [*_paths(path, recording, source)]
        yield from faults
        if not faults:
            place = _place(name, recording)
            yield from _collision(path, place, places, source)
            places.append(place)
            yield from _uploaded(path, recording, config, source, uploaded)
        yield from _times(path, recording, source)
        yield from _keep((*path, "keep"), recording.keep, source)
        yield from _upload(path, recording, config, source, suggestions)
        yield from _serve(path, recording, config, source, engines)
    yield from _storages(config, source)


def _paths(path: DataPath, recording: Recording, source: Source) -> Iterator[Problem]:
    if recording.directory is not None:
        fault = _directory_fault(str(recording.directory))
        if fault is not None:
            yield source.error((*path, "directory"), fault)
    fault = name_fault(recording.name)
    if fault is not None:
        yield source.error((*path, "name"), fault)
        return
    template = f"{recording.directory or ''}/{recording.name}"
    if "{uuid}" not in template and "{time}" not in template:
        yield source.error(
            (*path, "name"),
            "is the same for one recording and the next; put {uuid} or {time} in it",
            unless=[(*path, "directory")],
        )
    elif "{uuid}" not in template and "{stream}" not in template and _is_many(recording):
        yield source.error(
            (*path, "name"),
            "is the same for several streams; put {uuid} or {stream} in it",
            unless=[(*path, "directory")],
        )


def _is_many(recording: Recording) -> bool:
    return len(recording.streams) > 1 or any(map(names.has_wildcard, recording.streams))


def _directory_fault(text: str) -> str | None:
    fault = _token_fault(text)
    if fault is not None:
        return fault
    if _CONTROL.search(text) or ".." in text.split("/"):
        return "has a control character or `..` in it; write the path without"
    if text.startswith("/{") or text == "/":
        return "has no directory before its first token; begin with one, as /srv/recordings"
    return None


def name_fault(text: str) -> str | None:
    """Say why a name of recordings is none that stays within their directory."""
    fault = _token_fault(text)
    if fault is not None:
        return fault
    parts = text.split("/")
    if _CONTROL.search(text) or "\\" in text:
        return "holds a control character or a backslash; remove it"
    if any(part in ("", ".", "..") for part in parts):
        return "is not below `directory`; write parts with `/` between them, none empty, . or .."
    if any(part.startswith(".") for part in parts):
        return "has a part that begins with a dot, as streamd's own do; begin it otherwise"
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        return f"has a part that is too long; write {_LONGEST_PART} characters or fewer"
    return None


def _token_fault(text: str) -> str | None:
    rest = _TOKEN.sub("", text)
    if "{" in rest or "}" in rest:
        return "has a `{` or `}` without its other half; write tokens as {stream}"
    unknown = next((found for found in _TOKEN.findall(text) if found not in TOKENS), None)
    if unknown is None:
        return None
    listed = ", ".join(f"{{{token}}}" for token in TOKENS)
    return (
        f"has a token that is not known{Suggestions().nearest(unknown, TOKENS)}; there are {listed}"
    )


def _place(name: str, recording: Recording) -> _Place:
    whole = f"{recording.directory or _DEFAULT_DIRECTORY}/{recording.name}"
    parts = tuple(part for part in whole.split("/") if part)
    return _Place(name, parts, tuple(map(names.full_name, recording.streams)))


def _collision(
    path: DataPath, place: _Place, others: list[_Place], source: Source
) -> Iterator[Problem]:
    other = next((each for each in others if _collide(each, place)), None)
    if other is not None:
        yield source.error(
            (*path, "name"),
            f"can be the place of a recording of recordings.{other.rule} too; give it another "
            "`directory`, or put {uuid} in both names",
            at_name=True,
            unless=((*path, "directory"), ("recordings", other.rule, "directory")),
        )


def _uploaded(
    path: DataPath, recording: Recording, config: Config, source: Source, others: list[_Place]
) -> Iterator[Problem]:
    """Say where uploads of a rule would be written over its recordings, or another's uploads."""
    name = storage_of(recording) or ""
    storage = config.storages.get(name)
    if storage is None:
        return
    root = root_of(str(recording.directory)) if recording.directory is not None else None
    there = directory_of(storage.url)
    if root is not None and there is not None and _is_within(there, root):
        yield source.error(
            (*path, "upload"),
            f"storages.{name} is within the `directory` of this rule; name a directory elsewhere",
        )
        return
    below = str(recording.directory or "")[len(root or "") :]
    where = (storage.url.rstrip("/"), storage.plain_options().get("endpoint", ""))
    parts = (*where, *filter(None, f"{below}/{recording.name}".split("/")))
    place = _Place(str(path[1]), parts, tuple(map(names.full_name, recording.streams)))
    # What lies within another one there has other names, so that the two do not meet.
    alike = (each for each in others if len(each.parts) == len(parts) and _collide(each, place))
    other = next(alike, None)
    if other is not None:
        yield source.error(
            (*path, "upload"),
            f"can put a recording where one of recordings.{other.rule} is in storages.{name}; put "
            "{uuid} in both names, or give it a storage with another prefix",
            unless=(
                (*path, "directory"),
                ("recordings", other.rule, "directory"),
                ("storages", name, "options", "endpoint"),
            ),
        )
    others.append(place)


def _is_within(directory: str, root: str) -> bool:
    """Tell whether a directory is another one, or below it, as far as their names say."""
    below, above = (posixpath.normpath(each).split("/") for each in (directory, root))
    return below[: len(above)] == above


def _collide(one: _Place, other: _Place) -> bool:
    """Tell whether a recording of one rule can lie in the place, or within one, of another's."""
    shared = [*zip(one.parts, other.parts, strict=False)]
    if any("{uuid}" in first or "{uuid}" in second for first, second in shared):
        return False
    return all(names.overlap(_as_pattern(a), _as_pattern(b)) for a, b in shared) and any(
        names.overlap(first, second) for first in one.streams for second in other.streams
    )


def _as_pattern(part: str) -> str:
    return _TOKEN.sub("*", part.replace("*", "")) or "*"


def _times(path: DataPath, recording: Recording, source: Source) -> Iterator[Problem]:
    if recording.split is not None and recording.split < SHORTEST_SPLIT:
        yield source.error(
            (*path, "split"), "is shorter than one segment as it is written; write 6s or more"
        )


def _keep(path: DataPath, keep: Keep, source: Source) -> Iterator[Problem]:
    if keep.for_ == timedelta(0):
        yield source.error(
            (*path, "for"),
            "keeps nothing; write a time, or `keep_local: false` for what is uploaded",
        )
    if keep.size == 0:
        yield source.error((*path, "size"), "keeps nothing; write a size, or remove it")
    if keep.free == 0 or (isinstance(keep.free, float) and keep.free >= 1):
        yield source.error(
            (*path, "free"),
            "has no meaning: "
            + ("the disk could fill up" if keep.free == 0 else "nothing could be recorded")
            + "; write for example 10% or 20GB",
        )


def _upload(
    path: DataPath,
    recording: Recording,
    config: Config,
    source: Source,
    suggestions: Suggestions,
) -> Iterator[Problem]:
    name = storage_of(recording)
    if name is None:
        if not recording.keep_local:
            yield source.error(
                (*path, "keep_local"),
                "has no meaning without `upload`; remove it, or add that",
                unless=[(*path, "upload")],
            )
        return
    known = source.declared("storages")
    if name not in config.storages and name not in known:
        hint = suggestions.nearest(name, known) or "; add it under `storages`"
        where = (*path, "upload") if isinstance(recording.upload, str) else (*path, "upload", "to")
        yield source.error(where, f"there is no storage {name}{hint}", unless=[("storages",)])
    if recording.serve and not recording.keep_local:
        yield source.error(
            (*path, "serve"),
            "serves what is here, and `keep_local: false` deletes it; remove one",
        )


def _serve(
    path: DataPath,
    recording: Recording,
    config: Config,
    source: Source,
    engines: Mapping[str, EngineName | None],
) -> Iterator[Problem]:
    if not recording.serve:
        return
    if not any(
        engine is None or listen_of(config.servers[name], engine).http
        for name, engine in engines.items()
    ):
        yield source.error(
            (*path, "serve"),
            "needs a server with an `http` port; add one to its `listen`",
            unless=[
                ("servers", server, *what)
                for server in source.declared("servers")
                for what in (("engine",), ("listen", "http"))
            ],
        )
    for name in config.streams:
        if names.split(names.full_name(name))[0].partition("/")[0] == SERVED_UNDER:
            yield source.error(
                (*path, "serve"),
                f"has the addresses of streams.{name}; publish that under another app than "
                f"{SERVED_UNDER}",
            )
    directory = str(recording.directory or "")
    below = directory.removeprefix(root_of(directory))
    for field, text in (("directory", below), ("name", recording.name)):
        if _UNSERVED.search(text):
            yield source.error(
                (*path, field),
                "has a character that cannot stand in an address that is served; use letters, "
                "digits, tokens and -_.~=+@,:",
            )


def _storages(config: Config, source: Source) -> Iterator[Problem]:
    used = {storage_of(recording) for recording in config.recordings.values()}
    for name in config.storages:
        if name not in used:
            yield source.warning(
                ("storages", name),
                "no recording is uploaded there; name it in the `upload` of one, or remove it",
                at_name=True,
            )
