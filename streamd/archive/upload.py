"""Uploads recordings to a storage: some at a time, again and again until they have arrived.

Nothing here holds up what records: a storage that refuses, hangs or is slow costs its own uploads
their time, and the disk the room for what waits.
"""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from streamd.archive.layout import parse_file
from streamd.archive.recording import Recording
from streamd.archive.recording_json import FILE, MP4, PLAYLIST, to_json
from streamd.archive.sent import Sent
from streamd.archive.spec import ArchiveSpec, UploadSpec
from streamd.archive.storage import Storage, StorageError
from streamd.callbacks.events import timestamp
from streamd.stderr_log import Say
from streamd.waits import doubling_s

FIRST_RETRY_S, LONGEST_RETRY_S = 5.0, 300.0
_BEGUN = 0
"""Stands for the size of a segment that is on its way."""


@dataclass
class Progress:
    """How far the upload of a recording is: bytes that arrived or are on their way, of all."""

    sent: int = 0
    total: int = 0


@dataclass
class Trouble:
    """What is wrong with the storage.

    Attributes:
        failures: in a row.
        error: the last one; None for nothing.
        retry_at: monotonic time of the next try.
        retry_at_unix: the same as Unix time.
    """

    failures: int = 0
    error: str | None = None
    retry_at: float = 0.0
    retry_at_unix: float | None = None


@dataclass
class Uploader:
    """Uploads the recordings of one rule.

    Args:
        spec: of the archive.
        upload: where to.
        root: below which the recordings are.
        spool: of the rule.
        say: the log.

    Attributes:
        progress: of each recording that is on its way, by uuid.
        trouble: with the storage.
        sent_bytes: what arrived since this archive runs.
    """

    spec: ArchiveSpec
    upload: UploadSpec
    root: Path
    spool: Path
    say: Say
    progress: dict[str, Progress] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)
    sent_bytes: int = 0

    def __post_init__(self) -> None:
        self._sent = Sent(self.spool, self.upload.url, self.upload.options.get("endpoint", ""))
        self._storage: Storage | None = None
        self._segment = asyncio.Lock()

    def may_try(self) -> bool:
        """Tell whether the storage is not to be left alone for now."""
        return time.monotonic() >= self.trouble.retry_at

    async def whole(self, recording: Recording) -> Recording:
        """Upload a recording that is finished here, and return it as it is then.

        Raises:
            StorageError: the storage did not take it; it is noted as `trouble`.
            OSError: the recording cannot be read.
        """
        async with self._segment:  # one that is on its way arrives first
            names = await asyncio.to_thread(self._files_of, recording)
        sizes = await asyncio.to_thread(self._sizes, recording, names)
        arrived = await asyncio.to_thread(self._sent.of, recording.uuid)
        progress = Progress(total=sum(sizes.values()))
        self.progress[recording.uuid] = progress
        try:
            for name in names:
                if arrived.get(name) == sizes[name]:
                    progress.sent += sizes[name]
                    continue
                await self._put(recording, name, sizes[name], progress)
            if self.spec.format == "mp4":
                for name in arrived.keys() - sizes.keys():  # segments that it was made of
                    key = self._key(recording, name)
                    await self._tried(partial(_delete, key=key))
            done = replace(
                recording,
                state="finished",
                upload={
                    "storage": self.upload.storage,
                    "files": len(names),
                    "bytes": progress.total,
                    "at": timestamp(time.time()),
                },
            )
            key = self._key(recording, FILE)
            await self._tried(lambda storage: storage.put_text(to_json(done), key))
        finally:
            del self.progress[recording.uuid]
        return done

    async def segments(self, uuid: str, recordings: Mapping[str, Recording]) -> None:
        """Upload the segments that a recording has so far, as long as it is going on.

        Args:
            uuid: of the recording.
            recordings: those that are not done, as they are now.

        Raises:
            StorageError: likewise.
        """
        arrived = await asyncio.to_thread(self._sent.of, uuid)
        for segment in recordings[uuid].segments:
            if arrived.get(segment.file) == segment.bytes:
                continue
            async with self._segment:
                recording = recordings.get(uuid)
                if recording is None or recording.state != "recording":
                    return
                # What is there without its size in the list is known to be taken away again.
                await asyncio.to_thread(self._sent.add, uuid, segment.file, _BEGUN)
                try:
                    await self._put(recording, segment.file, segment.bytes, Progress())
                except FileNotFoundError:
                    return  # it is on its way into the directory

    def forget(self, recording: Recording) -> None:
        """Forget what was sent of a recording of which all is. Raises OSError."""
        self._sent.forget(recording.uuid)

    def _files_of(self, recording: Recording) -> list[str]:
        """Return what is uploaded of a recording: what a player begins with comes last."""
        present = os.listdir(recording.path)  # noqa: PTH208 - names are all that is wanted
        found = []
        if self.spec.format != "mp4":
            found += sorted(name for name in present if parse_file(name) is not None)
        return found + [name for name in (MP4, PLAYLIST) if name in present]

    def _sizes(self, recording: Recording, names: Iterable[str]) -> dict[str, int]:
        return {name: Path(recording.path, name).stat().st_size for name in names}

    def _key(self, recording: Recording, name: str) -> str:
        return f"{os.path.relpath(recording.path, self.root)}/{name}"

    async def _put(self, recording: Recording, name: str, size: int, progress: Progress) -> None:
        def sent(count: int) -> None:
            progress.sent += count

        before, path = progress.sent, Path(recording.path, name)
        try:
            await self._tried(lambda storage: storage.put(path, self._key(recording, name), sent))
        except BaseException:
            progress.sent = before
            raise
        await asyncio.to_thread(self._sent.add, recording.uuid, name, size)
        self.sent_bytes += size

    async def _tried(self, action: Callable[[Storage], Awaitable[None]]) -> None:
        """Do something at the storage, and note how that went."""
        try:
            if self._storage is None:
                self._storage = Storage(self.upload.url, self.upload.options)
            await action(self._storage)
        except StorageError as error:
            self._storage = None  # where it leads may be another place by the next try
            trouble = self.trouble
            if not self.may_try():  # others that were on their way failed with it
                raise
            failures = trouble.failures + 1
            jitter = random.random()  # noqa: S311 - spreads tries
            wait_s = doubling_s(failures, FIRST_RETRY_S, LONGEST_RETRY_S, jitter=jitter)
            if str(error) != trouble.error:
                self.say("error", f"{self.upload.storage}: {error}; tried again in {wait_s:.0f} s")
            self.trouble = Trouble(
                failures, str(error), time.monotonic() + wait_s, time.time() + wait_s
            )
            raise
        if self.trouble.error is not None:
            self.say("info", f"{self.upload.storage}: it goes on")
            self.trouble = Trouble()


async def _delete(storage: Storage, key: str) -> None:
    await storage.delete(key)
