"""Uploads what is finished, some recordings at a time, and segments as they come."""

import asyncio
import time
from collections.abc import MutableMapping

from streamd.archive.recording import Recording
from streamd.archive.report import StorageFacts, StorageState
from streamd.archive.retries import Retries
from streamd.archive.storage import StorageError
from streamd.archive.store import Store
from streamd.archive.upload import Uploader
from streamd.stderr_log import Say

AT_ONCE = 3
"""Recordings that are uploaded at a time: each takes 20 MB while it is."""

_LOOK_S = 1.0


class UploadLoop:
    """The uploads of one rule.

    Args:
        uploader: what uploads one recording.
        recordings: those that are not done, by uuid; one that is uploaded is put back so.
        store: where they are written down.
        retries: what is in the way of each.
        say: the log.
    """

    def __init__(
        self,
        uploader: Uploader,
        recordings: MutableMapping[str, Recording],
        store: Store,
        retries: Retries,
        say: Say,
    ) -> None:
        self._uploader = uploader
        self._recordings = recordings
        self._store = store
        self._retries = retries
        self._say = say
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Upload what is finished, for ever."""
        uploader = self._uploader
        while True:
            self._running = {uuid: task for uuid, task in self._running.items() if not task.done()}
            if uploader.may_try():
                # After a failure one recording finds out whether the storage is there again.
                most = 1 if uploader.trouble.error is not None else AT_ONCE
                for recording in self._waiting()[: max(0, most - len(self._running))]:
                    task = asyncio.create_task(self._one(recording), name=recording.uuid)
                    self._running[recording.uuid] = task
            await asyncio.sleep(_LOOK_S)

    async def run_segments(self) -> None:
        """Upload segments as they come, for ever."""
        while True:
            if self._uploader.may_try():
                growing = [
                    uuid for uuid, each in [*self._recordings.items()] if each.state == "recording"
                ]
                try:
                    for uuid in growing:
                        await self._uploader.segments(uuid, self._recordings)
                except StorageError:
                    pass  # it is noted with the storage
                except OSError as error:
                    self._say("error", f"{error.filename}: {error.strerror or error}")
            await asyncio.sleep(_LOOK_S)

    def facts(self) -> StorageFacts:
        """Return how uploads go."""
        waiting = [each for each in [*self._recordings.values()] if each.state == "uploading"]
        trouble = self._uploader.trouble
        state: StorageState = "uploading" if waiting else "idle"
        return StorageFacts(
            name=self._uploader.upload.storage,
            state=state if trouble.error is None else "error",
            pending=len(waiting),
            pending_bytes=sum(each.artifact.bytes if each.artifact else 0 for each in waiting),
            sent_bytes=self._uploader.sent_bytes,
            error=trouble.error,
            retry_at=trouble.retry_at_unix,
            progress={uuid: each.sent for uuid, each in self._uploader.progress.items()},
        )

    def _waiting(self) -> list[Recording]:
        """Return what waits to be uploaded, the oldest first."""
        waiting = [
            each
            for each in [*self._recordings.values()]
            if each.state == "uploading"
            and each.uuid not in self._running
            and self._retries.may_try(each)
        ]
        return sorted(waiting, key=lambda each: each.started_at)

    async def _one(self, recording: Recording) -> None:
        began = time.monotonic()
        try:
            done = await self._uploader.whole(recording)
            await asyncio.to_thread(self._store.keep, done)
            await asyncio.to_thread(self._uploader.forget, done)
        except StorageError:
            return  # it is noted with the storage
        except OSError as error:
            where = error.filename or recording.path
            self._retries.failed(recording, f"{where}: {error.strerror or error}")
            return
        except Exception as error:  # noqa: BLE001 - a bug in uploads holds up no recording
            told = f"{recording.path}: a bug of streamd: {type(error).__name__}: {error}"
            self._retries.failed(recording, told)
            return
        self._recordings[done.uuid] = done
        self._retries.done(done)
        took_s = time.monotonic() - began
        to = self._uploader.upload.storage
        self._say("info", f"{done.path} is uploaded to {to} in {took_s:.0f} s")
