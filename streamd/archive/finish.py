"""Makes of a recording's segments what its rule asks for, again and again until it is done.

Nothing is deleted before what replaces it has been looked at and is on the disk, so a kill at any
moment costs the time of another try.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamd.archive import files
from streamd.archive.joining import (
    ENTRIES,
    Verdict,
    concat_list,
    is_damaged,
    join_argv,
    judge,
    look_argv,
    sample_list,
)
from streamd.archive.playlist import playlist
from streamd.archive.programs import Ended, ProgramError, run
from streamd.archive.recording import Artifact, Recording, Segment, durations
from streamd.archive.recording_json import MP4, PLAYLIST
from streamd.archive.spec import ArchiveSpec
from streamd.archive.tracks import Format
from streamd.whole_file import PART, sync

RESERVE_BYTES = 16 << 20
"""What is left of the disk at least while a file is made."""

_PROBE_TIMEOUT_S = 120.0
_LEAST_BYTES_PER_S = 500_000  # a disk that is slower hangs
_READ_BYTES = 1 << 20
_NO_SPACE = "No space left on device"


class NotNowError(Exception):
    """Something is in the way that may heal: it is tried again later."""


class NeverError(Exception):
    """What was recorded cannot be made a file, however often it is tried."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that was made of segments, and looked at."""

    verdict: Verdict
    segments: tuple[Segment, ...]
    notes: tuple[str, ...]


class Finisher:
    """Finishes recordings of one rule.

    Args:
        spec: of the archive.
    """

    def __init__(self, spec: ArchiveSpec) -> None:
        self._spec = spec
        self.part: Path | None = None

    @property
    def part_bytes(self) -> int:
        """How much the file that is being made takes, in the place of segments."""
        part = self.part
        try:
            return part.stat().st_size if part is not None else 0
        except OSError:
            return 0

    async def finish(self, recording: Recording) -> Recording:
        """Return a recording with its artifact, which is on the disk then, as its segments are.

        Raises:
            NotNowError: it may be possible later; says why.
            NeverError: it is not possible; says why.
        """
        try:
            segments, notes = await asyncio.to_thread(_present, recording)
            if not segments or recording.format is None:
                return await self._adopted(recording)
            if self._spec.format == "hls":
                return await self._as_playlist(recording, segments, notes)
            made = await self._joined(recording, recording.format, segments)
            path = Path(recording.path)
            if self._spec.format == "both":
                text = playlist(made.segments)
                await asyncio.to_thread(files.write_whole, path / PLAYLIST, text)
            return await self._with_artifact(recording, made, path / MP4, notes)
        except OSError as error:
            where = error.filename or recording.path
            raise NotNowError(f"{where}: {error.strerror}") from error
        except ProgramError as error:
            raise NotNowError(str(error)) from error

    async def _adopted(self, recording: Recording) -> Recording:
        """Return a recording whose segments are gone because it was finished already."""
        path = Path(recording.path) / MP4
        if not path.exists():
            raise NeverError("nothing was recorded")
        verdict = await self._judged(path, None, None)
        if verdict.fault is not None:
            raise NeverError(verdict.fault)
        return await self._with_artifact(recording, _Made(verdict, (), ()), path, ())

    async def _as_playlist(
        self, recording: Recording, segments: tuple[Segment, ...], notes: tuple[str, ...]
    ) -> Recording:
        assert recording.format is not None  # noqa: S101 - for mypy: looked at
        first = Path(recording.path) / segments[0].file
        probed = await self._judged(first, recording.format, None)
        seconds = sum(durations(segments))
        verdict = replace(probed, fault=None, seconds=round(seconds, 3), notes=())
        notes += await self._damage(recording, segments)
        path = Path(recording.path) / PLAYLIST
        await asyncio.to_thread(files.write_whole, path, playlist(segments))
        return await self._with_artifact(recording, _Made(verdict, segments, ()), path, notes)

    async def _joined(
        self, recording: Recording, format_: Format, segments: tuple[Segment, ...]
    ) -> _Made:
        """Join segments; where that fails, those of them that can be read."""
        await asyncio.to_thread(self._refuse_small_disk, recording, segments)
        made = await self._join(recording, format_, segments)
        if made.verdict.fault is None:
            return made
        readable = await self._readable(recording, segments)
        if readable and len(readable) < len(segments):
            left = tuple(each.file for each in segments if each not in readable)
            again = await self._join(recording, format_, readable)
            if again.verdict.fault is None:
                note = f"left out, for nothing in them can be read: {', '.join(left)}"
                return replace(again, notes=(*again.notes, note))
        raise NeverError(made.verdict.fault)

    async def _join(
        self, recording: Recording, format_: Format, segments: tuple[Segment, ...]
    ) -> _Made:
        path = Path(recording.path)
        part = path / f".{MP4}{PART}"
        self.part = part
        try:
            size = sum(segment.bytes for segment in segments)
            ended = await run(
                join_argv(self._spec.ffmpeg, str(part), format_, recording.started_at),
                stdin=concat_list(recording.path, segments),
                timeout_s=_PROBE_TIMEOUT_S + size / _LEAST_BYTES_PER_S,
            )
            verdict = await self._judge_join(ended, part, format_, sum(durations(segments)))
            if verdict.fault is not None:
                return _Made(verdict, segments, ())
            notes = await self._damage(recording, segments)
            await asyncio.to_thread(_put_in_place, part, path / MP4)
            return _Made(verdict, segments, notes)
        finally:
            self.part = None
            await asyncio.to_thread(part.unlink, missing_ok=True)

    async def _judge_join(
        self, ended: Ended, part: Path, format_: Format, seconds: float
    ) -> Verdict:
        if _NO_SPACE in ended.said:
            raise NotNowError(f"{part.parent}: {_NO_SPACE.lower()}")
        if ended.status != 0:
            return Verdict(f"FFmpeg cannot join the segments: {ended.last_words}")
        return await self._judged(part, format_, seconds)

    async def _judged(self, path: Path, format_: Format | None, seconds: float | None) -> Verdict:
        argv = (self._spec.ffprobe, "-v", "error", "-show_entries", ENTRIES, "-of", "json")
        ended = await run((*argv, f"file:{path}"), timeout_s=_PROBE_TIMEOUT_S)
        return judge(ended.output, format_, seconds)

    async def _readable(
        self, recording: Recording, segments: tuple[Segment, ...]
    ) -> tuple[Segment, ...]:
        found = []
        for segment in segments:
            path = Path(recording.path) / segment.file
            verdict = await self._judged(path, None, None)
            if verdict.fault is None:
                found.append(segment)
        return tuple(found)

    async def _damage(self, recording: Recording, segments: Sequence[Segment]) -> tuple[str, ...]:
        """Return what is to be said of pictures that cannot be decoded; no picture is lost by it.

        An encoder that changes its picture without publishing anew leaves such: FFmpeg goes on
        with the headers of the first.
        """
        if recording.format is None or recording.format.video is None:
            return ()
        text, chosen = sample_list(recording.path, segments)
        if not await self._has_damage(text, len(chosen)):
            return ()
        broken = [
            each
            for each in chosen
            if await self._has_damage(sample_list(recording.path, [each])[0], 1)
        ]
        if not broken:
            return ()
        at_s = sum(durations(segments[: segments.index(broken[0])]))
        return (
            f"pictures from {at_s:.0f} s on cannot be decoded, in {len(broken)} of {len(chosen)} "
            "segments that were looked at; an encoder that changes its picture has to publish anew",
        )

    async def _has_damage(self, listed: str, segments: int) -> bool:
        ended = await run(
            look_argv(self._spec.ffmpeg),
            stdin=listed,
            timeout_s=_PROBE_TIMEOUT_S + segments,
        )
        return any(map(is_damaged, ended.said.splitlines()))

    async def _with_artifact(
        self, recording: Recording, made: _Made, path: Path, notes: tuple[str, ...]
    ) -> Recording:
        digest, size = await asyncio.to_thread(_digest, path)
        if self._spec.format != "mp4":
            size += sum(segment.bytes for segment in made.segments)
        verdict = made.verdict
        artifact = Artifact(path.name, size, verdict.seconds, digest, verdict.video, verdict.audio)
        said = (*notes, *made.notes, *verdict.notes)
        return replace(recording, artifact=artifact, error=None, notes=tuple(dict.fromkeys(said)))

    def _refuse_small_disk(self, recording: Recording, segments: Sequence[Segment]) -> None:
        needed = round(1.02 * sum(segment.bytes for segment in segments)) + RESERVE_BYTES
        free = files.space_of(Path(recording.path)).free
        if free < needed:
            raise NotNowError(
                f"{recording.path}: {needed >> 20} MB are needed to finish it, {free >> 20} MB "
                "are free; make room"
            )


def _present(recording: Recording) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Return the segments that are there, and what is to be said of the others."""
    found = []
    for segment in recording.segments:
        try:
            size = (Path(recording.path) / segment.file).stat().st_size
        except FileNotFoundError:
            continue
        if size:
            found.append(segment)
    lost = len(recording.segments) - len(found)
    note = f"{lost} of {len(recording.segments)} segments were deleted by somebody"
    return tuple(found), (note,) if lost else ()


def _put_in_place(part: Path, path: Path) -> None:
    sync(part)
    part.replace(path)
    files.sync_directory(path.parent)


def _digest(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file and its size."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            digest.update(data)
            size += len(data)
    return digest.hexdigest(), size
