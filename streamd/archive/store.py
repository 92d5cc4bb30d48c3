"""Recordings on disk: one directory each, and in the spool a pointer to each that needs work.

    ROOT/.spool/RULE/UUID.json    where the recording is, until nothing is left to do
    PATH/recording.json           what is known of it
    PATH/segments.csv, *.ts       what it is made of

With the pointers an archive that starts knows at once what it has to go on with, however many
finished recordings there are.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from streamd.archive import files
from streamd.archive.layout import SPOOL, Spooled, parse_file
from streamd.archive.recording import Recording, Segment, runs_of
from streamd.archive.recording_json import (
    FILE,
    LIST,
    LIST_HEADER,
    MP4,
    PLAYLIST,
    from_json,
    list_lines,
    read_list,
    to_json,
)
from streamd.archive.spool import read_media
from streamd.archive.tracks import Format
from streamd.stderr_log import Say
from streamd.whole_file import PART

_POINTER = ".json"


@dataclass(frozen=True, slots=True)
class Pointer:
    """What is known of a recording without its directory."""

    uuid: str
    stream: str
    path: str
    started_at: float


class Store:
    """The recordings of one rule.

    Args:
        rule: its name.
        root: the directory below which they all are.
        spool: where the pointers are.
        say: where damage is told.
    """

    def __init__(self, rule: str, root: Path, spool: Path, say: Say) -> None:
        self._rule = rule
        self._root = root
        self._spool = spool
        self._say = say
        self._torn: set[str] = set()

    def unfinished(self) -> list[Recording]:
        """Return the recordings that need work, and remove what a kill has left. Raises OSError."""
        found: list[Recording] = []
        for path in self._spool.glob(f"*{PART}"):
            path.unlink(missing_ok=True)
        for path in sorted(self._spool.glob(f"*{_POINTER}")):
            pointer = self._pointer(path)
            recording = None if pointer is None else self._load(pointer)
            if recording is None:
                path.unlink(missing_ok=True)
            else:
                found.append(recording)
        return found

    def is_taken(self, path: str) -> bool:
        """Tell whether there is something already where a recording would be."""
        return os.path.lexists(path)

    def keep(self, recording: Recording) -> None:
        """Write a recording down, and make its directory where there is none. Raises OSError."""
        pointer = self._pointer_path(recording.uuid)
        if not pointer.exists():
            below = os.path.relpath(recording.path, self._root)
            told = Pointer(recording.uuid, recording.stream, below, recording.started_at)
            files.write_whole(pointer, json.dumps(asdict(told)))
        directory = Path(recording.path)
        directory.mkdir(parents=True, exist_ok=True)
        files.write_whole(directory / FILE, to_json(recording))

    def add(self, recording: Recording, segments: Sequence[Segment]) -> None:
        """List segments that a recording has gained. Raises OSError."""
        path = Path(recording.path) / LIST
        if recording.uuid in self._torn or not path.exists():
            self._write_list(recording)
            return
        self._torn.add(recording.uuid)  # until it is known that all of it is there
        files.append(path, list_lines(segments))
        self._torn.discard(recording.uuid)

    def _write_list(self, recording: Recording) -> None:
        path = Path(recording.path) / LIST
        files.write_whole(path, LIST_HEADER + list_lines(recording.segments))
        self._torn.discard(recording.uuid)

    def move(self, recording: Recording, spooled: Spooled) -> None:
        """Move a segment into the directory of its recording. Raises OSError."""
        files.move(self._spool / spooled.spooled_as, Path(recording.path) / spooled.file)

    def missing(self, recording: Recording) -> list[str]:
        """Return the segments of a recording that are not in its directory. Raises OSError."""
        present = _names(recording.path)
        return [each.file for each in recording.segments if each.file not in present]

    def drop_segments(self, recording: Recording) -> None:
        """Delete the segments of a recording, and their list. Raises OSError."""
        directory = Path(recording.path)
        for name in _names(recording.path):
            if parse_file(name) is not None or name.endswith(PART):
                (directory / name).unlink(missing_ok=True)
        (directory / LIST).unlink(missing_ok=True)

    def done(self, recording: Recording) -> None:
        """Note that nothing is left to do for a recording. Raises OSError."""
        self._pointer_path(recording.uuid).unlink(missing_ok=True)

    def delete(self, recording: Recording) -> None:
        """Delete a recording and the directories that are empty without it. Raises OSError."""
        directory = Path(recording.path)
        self.keep(replace(recording, state="deleting"))
        files.remove_tree(directory, last=FILE)
        self.done(recording)
        self._remove_empty(directory.parent)

    def _remove_empty(self, directory: Path) -> None:
        """Delete a directory below the root, and what leads to it, as far as they are empty."""
        for each in (directory, *directory.parents):
            if each == self._root:
                break
            try:
                each.rmdir()
            except OSError:  # others are in it
                break

    def is_at_work(self, recording: Recording) -> bool:
        """Tell whether a pointer leads to a recording."""
        return self._pointer_path(recording.uuid).exists()

    def present(self) -> Iterator[Recording]:
        """Yield every recording of the rule that is below the root. Takes long. Raises OSError."""
        for directory, names, found in os.walk(self._root):
            names[:] = sorted(name for name in names if name != SPOOL)
            if FILE not in found:
                continue
            names.clear()
            recording = self.read(directory)
            if recording is not None and recording.rule == self._rule:
                yield recording

    def read(self, path: str) -> Recording | None:
        """Return the recording in a directory, without its segments; None where there is none."""
        try:
            return from_json((Path(path) / FILE).read_text(encoding="utf-8"), path)
        except (OSError, ValueError):
            return None

    def taken_up(self, recording: Recording) -> Recording:
        """Return a recording that was found without a pointer, with one and with its segments.

        Raises:
            OSError: it cannot be read or written.
        """
        segments, _ = self._listed(recording.path)
        self._torn.add(recording.uuid)
        found = replace(recording, segments=segments, runs=runs_of(segments) or recording.runs)
        self.keep(found)
        return found

    def _listed(self, path: str) -> tuple[tuple[Segment, ...], bool]:
        try:
            text = (Path(path) / LIST).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return (), True
        return read_list(text)

    def _pointer_path(self, uuid: str) -> Path:
        return self._spool / f"{uuid}{_POINTER}"

    def _pointer(self, path: Path) -> Pointer | None:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            texts = (str(data["uuid"]), str(data["stream"]), str(data["path"]))
            return Pointer(*texts, float(data["started_at"]))
        except (ValueError, KeyError, TypeError):
            self._say(
                "error",
                f"{path} is damaged and removed; its recording is looked for below {self._root}",
            )
            return None

    def _load(self, pointer: Pointer) -> Recording | None:
        """Return the recording that a pointer leads to; None where there is none any more."""
        path = str(self._root / pointer.path)
        segments, whole = self._listed(path)
        if not whole:
            self._torn.add(pointer.uuid)
        file = Path(path) / FILE
        try:
            recording = from_json(file.read_text(encoding="utf-8"), path, segments)
        except FileNotFoundError:
            return self._rebuilt(pointer, path, segments)
        except ValueError as error:
            aside = file.with_name(f"{FILE}.damaged")
            file.replace(aside)
            self._say("error", f"{file} is damaged ({error}) and put aside as {aside.name}")
            return self._rebuilt(pointer, path, segments)
        if recording.state == "recording" and not segments:
            return self._with_lost_list(recording)
        return recording

    def _with_lost_list(self, recording: Recording) -> Recording:
        """Return a recording of which nothing is listed, with what is in its directory."""
        found, format_ = _found(recording.path, ())
        if not found:
            return recording
        self._say(
            "error",
            f"{Path(recording.path) / LIST} is lost or empty; it is made again of the "
            f"{len(found)} segments that are there",
        )
        whole = replace(recording, segments=found, runs=runs_of(found), format=format_)
        self._write_list(whole)
        self.keep(whole)
        return whole

    def _rebuilt(
        self, pointer: Pointer, path: str, segments: tuple[Segment, ...]
    ) -> Recording | None:
        """Return a recording as its files tell it; None where there are none."""
        names = _names(path)
        found, format_ = _found(path, segments)
        if not found and not names & {MP4, PLAYLIST}:
            for name in names:
                if name.endswith(PART):
                    (Path(path) / name).unlink(missing_ok=True)
            self._remove_empty(Path(path))
            return None
        recording = Recording(
            pointer.uuid,
            self._rule,
            pointer.stream,
            path,
            pointer.started_at,
            state="recording" if found else "finishing",
            segments=found,
            runs=runs_of(found),
            format=format_,
        )
        self._write_list(recording)
        self.keep(recording)
        return recording


def _names(directory: str) -> set[str]:
    try:
        return {entry.name for entry in Path(directory).iterdir()}
    except FileNotFoundError:
        return set()


def _found(path: str, listed: Sequence[Segment]) -> tuple[tuple[Segment, ...], Format | None]:
    """Return the segments of a directory, those that are listed first, and what they are made of.

    Raises:
        OSError: one cannot be read.
    """
    segments = {segment.file: segment for segment in listed}
    format_ = None
    for name in sorted(_names(path)):
        file = Path(path) / name
        media = read_media(file) if parse_file(name) is not None else None
        if media is None:
            continue
        format_ = format_ or media.format
        status = file.stat()
        made = Segment(name, media.start, media.ticks, status.st_size, status.st_mtime)
        segments.setdefault(name, made)
    return tuple(segments.values()), format_
