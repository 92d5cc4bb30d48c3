"""From a file to a checked configuration, or to everything that is wrong with it."""

import gc
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from streamd.config import shape
from streamd.config.check import check
from streamd.config.check_files import check_files
from streamd.config.check_media import MediaFindings, check_media
from streamd.config.check_pairs import check_pairs, own_files
from streamd.config.check_storages import check_storages
from streamd.config.defaults import Machine
from streamd.config.files import ConfigFiles
from streamd.config.left_out import LeftOut
from streamd.config.models import NAMED_SECTIONS, Config
from streamd.config.problems import schema_problems, what_is_wrong
from streamd.config.references import References
from streamd.config.source import Document, Doubtful, Source
from streamd.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used, and where it came from.

    Attributes:
        config: the file as types, references resolved, included files merged.
        source: finds the line of a path, for problems that show later.
        files: everything that was read: the file, included files, secret files, certificates.
            Absolute paths as the configuration names them, links not followed.
        directories: what the patterns of `include` looked in; may not exist.
        secrets: values that must not be shown: of every reference, and of every secret field.
        hash: SHA-256 in hex over what the configuration says: equal for files that differ only in
            comments, order, spacing, or in how they are spread over included files.
        warnings: what is legal and looks like a mistake.
        data: the configuration as JSON types, for `restore`. Holds secrets.
        media: how files are sent, a line for each, by `app/stream`.
    """

    config: Config
    source: Source = field(repr=False)
    files: frozenset[Path]
    directories: frozenset[Path]
    secrets: frozenset[str] = field(repr=False)
    hash: str
    warnings: tuple[Problem, ...]
    data: Mapping[str, Any] = field(repr=False)
    media: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def load(
    path: Path,
    *,
    environment: Mapping[str, str],
    credentials_directory: Path | None = None,
    as_path: Path | None = None,
    machine: Machine | None = None,
    now: datetime | None = None,
) -> Loaded:
    """Read, resolve, merge, validate and check a configuration. Blocks; run it in a thread.

    Args:
        path: the file.
        environment: what `${env:X}` is looked up in.
        credentials_directory: what `${cred:NAME}` is looked up in (CREDENTIALS_DIRECTORY).
        as_path: resolve relative paths as if the file stood there, and name it so in messages.
        machine: the engines that this machine has; None leaves out what depends on the machine:
            what an engine lacks where `engine` is `auto`, and whether binaries are there.
        now: for the windows of keys; by default the time of the call.

    Raises:
        ConfigError: with everything that is wrong, not only the first.
    """
    with _no_garbage_collection():
        return _load(
            ConfigFiles(References(environment, credentials_directory)),
            path,
            as_path or path,
            machine,
            now or datetime.now(UTC),
        )


def _load(
    reading: ConfigFiles, path: Path, place: Path, machine: Machine | None, now: datetime
) -> Loaded:
    data = reading.read_all(path, place)
    files = frozenset(item.absolute() for item in reading.files | reading.references.files)
    directories = frozenset(item.absolute() for item in reading.directories)
    problems = reading.problems
    config = None
    media = MediaFindings()
    if data is not None:
        source = Source(tuple(reading.documents), reading.references.values)
        config, sound, left_out = _validate(data, source, reading)
        if sound is not None:
            files |= own_files(sound)
            found, media = _checked(sound, replace(source, left_out=left_out), machine, now)
            problems += found
    errors = [problem for problem in problems if not problem.warning]
    if errors or config is None or data is None:
        raise ConfigError(errors, files=files, directories=directories)
    return Loaded(
        config=config,
        source=source.released(),
        files=files,
        directories=directories,
        secrets=frozenset(reading.references.values) | frozenset(secrets_of_config(config)),
        hash=_hash(data),
        warnings=tuple(sorted(set(problems))),
        data={name: found for name, found in data.items() if name != "include"},
        media=media.notes,
    )


def _checked(
    sound: Config, source: Source, machine: Machine | None, now: datetime
) -> tuple[list[Problem], MediaFindings]:
    """Return what checks of the whole say, without what they say of what was left out."""
    media = MediaFindings()
    problems = [
        *check(sound, source, machine=machine, now=now),
        *check_storages(sound, source),
    ]
    if machine is not None:
        problems += check_files(sound, source, machine=machine)
        problems += check_pairs(sound, source, machine=machine)
        media = check_media(sound, source, machine=machine)
        problems += media.problems
    return [problem for problem in problems if not isinstance(problem, Doubtful)], media


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Hold the collector off while hundreds of thousands of nodes are made and none is garbage.

    It would go through all of them again and again: that takes as long as the rest of the work,
    in pauses that stop every thread.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def restore(data: Mapping[str, Any], file: str) -> Config:
    """Return the configuration that `Loaded.data` was taken from.

    References in it are resolved already, and nothing in it is taken for one.

    Args:
        data: as kept, for example read back from JSON.
        file: its name for messages.

    Raises:
        ConfigError: another version of streamd, or somebody, wrote what this one does not take.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        nowhere = Source((Document(file, ""),))
        problems = schema_problems(error, nowhere, frozenset())
        raise ConfigError(
            Problem(file, 0, 0, item.path, item.message) for item in problems
        ) from error


def _validate(
    data: dict[str, Any], source: Source, reading: ConfigFiles
) -> tuple[Config | None, Config | None, LeftOut]:
    """Return the configuration; what of it is fit for checks of the whole; and what is not."""
    left_out = LeftOut(frozenset(reading.spoilt))
    config = None
    try:
        config = _typed(data, source)
    except ValidationError as error:
        reading.problems += schema_problems(error, source, reading.spoilt)
        left_out = LeftOut(left_out.paths | what_is_wrong(error, data))
    if not reading.complete:
        return config, None, left_out
    if config is not None and not left_out.paths:
        return config, config, left_out
    return config, *_sound(data, left_out)


def _sound(data: Mapping[str, Any], left_out: LeftOut) -> tuple[Config | None, LeftOut]:
    """Leave out no more than has to be, and return what is left, and all that is not.

    Where what was left out has to be there, what holds it goes too.
    """
    while () not in left_out.paths:
        try:
            return Config.model_validate(left_out.without(data) | {"version": 1}), left_out
        except ValidationError as error:
            more = LeftOut(left_out.paths | what_is_wrong(error, data))
        if more == left_out:
            break
        left_out = more
    return None, left_out


def _typed(data: dict[str, Any], source: Source) -> Config:
    """Validate the data. Raises ValidationError.

    Where text is needed, what looks like a number or truth is the text that was written: a
    stream key `0123` is no 123. The data is changed where it is so.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        texts = {
            path: written
            for details in error.errors(include_url=False)
            if details["type"] == "string_type" and isinstance(details["input"], (int, float))
            for path in [shape.spot(details["loc"]).path]
            if (written := source.written(path)) is not None
        }
        if not texts:
            raise
    for path, written in texts.items():
        holder: Any = data
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = written
    return Config.model_validate(data)


_HOLDERS = (SecretStr, BaseModel, dict, tuple)


def secrets_of_config(value: object) -> Iterator[str]:
    """Yield every secret value that a configuration (or a part of one) holds."""
    parts: Iterable[object] = ()
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        parts = value.__dict__.values()
    elif isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, tuple):
        parts = value
    for part in parts:
        if isinstance(part, _HOLDERS):
            yield from secrets_of_config(part)


def _hash(data: Mapping[str, Any]) -> str:
    meaning = {
        name: found
        for name, found in data.items()
        if name != "include" and not (name in NAMED_SECTIONS and found == {})
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()
