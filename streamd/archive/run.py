"""An archive, from its start to its end: several loops over what is on disk.

Whatever can hang with a disk runs in a thread; what is reported does not wait for it.
"""

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamd.archive import files
from streamd.archive.announce import begin_event, end_event
from streamd.archive.finish import Finisher, NeverError, NotNowError
from streamd.archive.intake import Intake
from streamd.archive.keep import Clock, Space, free_limit, is_full
from streamd.archive.layout import root_of, spool_of
from streamd.archive.recording import Recording
from streamd.archive.report import Facts, report
from streamd.archive.retries import Retries
from streamd.archive.shelf import Shelf
from streamd.archive.spec import ArchiveSpec
from streamd.archive.spool import Spool, SpoolError
from streamd.archive.store import Store
from streamd.archive.tell import UntoldError, tell
from streamd.archive.upload import Uploader
from streamd.archive.upload_loop import UploadLoop
from streamd.stderr_log import Say
from streamd.whole_file import SHARED, write_whole

LOOK_S = 1.0
REPORT_S = 5.0
"""The report is written so often where nothing has changed, to say that all is well."""

HANGS_S = 10.0
"""A look at the disk that takes longer hangs. That is reported once, and then nothing is."""

_SETTLED = ("finished", "error", "deleting")

_RETAIN_S, _RECOUNT_S = 5.0, 60.0


class Archive:
    """The archive of one rule.

    A recording has one writer at a time: the intake as long as its state is `recording`, then
    whatever finishes it, and an upload while it is `uploading`.

    Args:
        spec: of the archive.
        say: the log.
    """

    def __init__(self, spec: ArchiveSpec, say: Say) -> None:
        self._spec = spec
        self._say = say
        self._root = Path(root_of(spec.directory))
        spool = Path(spool_of(spec.directory, spec.rule))
        self._store = Store(spec.rule, self._root, spool, say)
        self._intake = Intake(spec, Spool(spool), self._store, say)
        self._finisher = Finisher(spec)
        self._shelf = Shelf(spec, self._root, self._store, say)
        self._retries = Retries(say)
        self._uploads: UploadLoop | None = None
        if spec.upload is not None:
            uploader = Uploader(spec, spec.upload, self._root, spool, say)
            recordings = self._intake.recordings
            self._uploads = UploadLoop(uploader, recordings, self._store, self._retries, say)
        self._space: Space | None = None
        self._limit = 0
        self._paused = False
        self._error: str | None = None
        self._looking_since: float | None = None
        self._looked = asyncio.Event()
        self._clock = Clock.began(time.time(), time.monotonic())

    async def run(self) -> None:
        """Run for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_in(), name="intake")
            tasks.create_task(self._finish(), name="finish")
            tasks.create_task(self._retain(), name="retain")
            if self._uploads is not None:
                await self._looked.wait()
                tasks.create_task(self._uploads.run(), name="upload")
                if self._spec.upload is not None and self._spec.upload.when == "segment":
                    tasks.create_task(self._uploads.run_segments(), name="segments")
            tasks.create_task(self._tell(), name="report")

    # What recorders write

    async def _take_in(self) -> None:
        while True:
            self._looking_since = time.monotonic()
            try:
                await asyncio.to_thread(self._look)
            except SpoolError as error:
                self._fail(str(error))
            except OSError as error:
                self._fail(f"{error.filename or self._root}: {error.strerror or error}")
            else:
                self._error = None
                self._looked.set()
            self._looking_since = None
            await asyncio.sleep(LOOK_S)

    def _look(self) -> None:
        self._intake.look(time.time(), time.monotonic())
        found = files.space_of(self._root)
        # What is made in the place of segments takes their place when it is done.
        passing = self._finisher.part_bytes if self._spec.format == "mp4" else 0
        self._space = replace(found, free=found.free + passing)
        self._limit = free_limit(self._spec, self._space)
        self._pause(is_full(self._space, self._limit, was_full=self._paused))

    def _pause(self, paused: bool) -> None:
        if paused != self._paused and self._space is not None:
            free, limit = self._space.free >> 20, self._limit >> 20
            said = f"{free} MB of {self._root} are free, {limit} MB have to be"
            text = f"recording pauses: {said}" if paused else f"recording goes on: {said}"
            self._say("error" if paused else "info", text)
        self._paused = paused

    def _fail(self, error: str) -> None:
        if error != self._error:
            self._say("error", error)
        self._error = error

    # What becomes of them

    async def _finish(self) -> None:
        await self._looked.wait()
        while True:
            recording = self._next()
            if recording is None:
                await asyncio.sleep(LOOK_S)
                continue
            try:
                if recording.state == "finishing":
                    recording = await self._finished_one(recording)
                if recording.state == "uploading" and self._spec.upload is None:
                    recording = replace(recording, state="finished")
                if recording.state in _SETTLED:
                    await asyncio.to_thread(self._settle, recording)
                self._retries.done(recording)
            except (NotNowError, UntoldError) as error:
                self._retries.failed(recording, str(error))
            except OSError as error:
                where = error.filename or recording.path
                self._retries.failed(recording, f"{where}: {error.strerror or error}")

    def _next(self) -> Recording | None:
        """Return the oldest recording that something can be done for now."""
        waiting = [
            each
            for each in self._unfinished()
            if self._is_for_us(each)
            and each.stream not in self._intake.troubles
            and self._retries.may_try(each)
        ]
        return min(waiting, key=lambda each: each.started_at, default=None)

    def _is_for_us(self, recording: Recording) -> bool:
        if recording.state == "uploading":
            return self._spec.upload is None
        return recording.state != "recording"

    def _unfinished(self) -> list[Recording]:
        return [*self._intake.recordings.values()]

    async def _finished_one(self, recording: Recording) -> Recording:
        """Return a recording once it is what its rule asks for, and that is written down."""
        began = time.monotonic()
        try:
            done = await self._finisher.finish(recording)
            done = replace(done, state="uploading" if self._spec.upload else "finished")
            if self._spec.upload and self._spec.format == "mp4":
                await asyncio.to_thread(self._store.keep, done)
                await asyncio.to_thread(self._store.drop_segments, done)
        except NeverError as error:
            done = replace(recording, state="error", error=str(error))
        await asyncio.to_thread(self._store.keep, done)
        self._intake.recordings[done.uuid] = done
        took_s = time.monotonic() - began
        if done.artifact is None:
            self._say("error", f"{done.path} cannot be finished: {done.error}")
        else:
            size = done.artifact.bytes / 1e6
            said = f"{done.path}: {done.artifact.seconds:.0f} s, {size:.1f} MB"
            self._say("info", f"{said}, finished in {took_s:.1f} s")
        for note in done.notes:
            self._say("warning", f"{done.path}: {note}")
        return done

    def _settle(self, recording: Recording) -> None:
        """Do what is left once a recording is done; each step again after a kill."""
        if recording.state == "deleting":
            self._shelf.delete_rest(recording)
            self._intake.recordings.pop(recording.uuid, None)
            return
        if recording.state == "finished" and self._spec.format == "mp4":
            self._store.drop_segments(recording)
        self._shelf.put(recording)
        if not recording.end_told:
            begin = [] if recording.begin_told else [begin_event(recording)]
            end = end_event(recording, url=self._shelf.url_of(recording), at=time.time())
            tell(self._spec.outbox, [*begin, end])
            recording = replace(recording, begin_told=True, end_told=True)
            self._store.keep(recording)
        if self._is_elsewhere_only(recording):
            self._shelf.delete_local(recording)
        else:
            self._store.done(recording)
        self._intake.recordings.pop(recording.uuid, None)

    def _is_elsewhere_only(self, recording: Recording) -> bool:
        """Tell whether a recording is not to stay here, now that it is at the storage."""
        upload = self._spec.upload
        return upload is not None and not upload.keep_local and recording.upload is not None

    # How long it stays

    async def _retain(self) -> None:
        await self._looked.wait()
        while True:
            try:
                lost = await asyncio.to_thread(self._shelf.count)
                break
            except OSError as error:
                self._say("error", f"{error.filename or self._root}: {error.strerror or error}")
                await asyncio.sleep(_RECOUNT_S)
        self._intake.recordings.update({each.uuid: each for each in lost})
        while True:
            monotonic, now = time.monotonic(), time.time()
            self._clock = self._clock.looked_at(now, monotonic)
            assert self._space is not None  # noqa: S101 - for mypy: looked at
            superfluous = self._shelf.superfluous(
                self._space,
                self._unfinished(),
                now=now if self._clock.is_trusted(monotonic) else None,
            )
            for kept in superfluous:
                await asyncio.to_thread(self._shelf.delete, kept)
            await asyncio.sleep(_RETAIN_S)

    # How it is

    async def _tell(self) -> None:
        path = Path(self._spec.status)
        before: dict[str, Any] = {}
        told_at = 0.0
        while True:
            facts = self._facts()
            now = report(facts, time.time())
            changed = {**now, "at": 0} != {**before, "at": 0}
            is_due = time.monotonic() - told_at >= REPORT_S and not self._hangs
            if changed or is_due:
                before, told_at = now, time.monotonic()
                try:
                    _write(path, json.dumps(now))
                except OSError as error:
                    self._say("error", f"{path}: {error.strerror or error}")
            await asyncio.sleep(LOOK_S)

    @property
    def _hangs(self) -> bool:
        since = self._looking_since
        return since is not None and time.monotonic() - since > HANGS_S

    def _facts(self) -> Facts:
        error = self._error
        if self._hangs:
            error = f"{self._root} does not answer; check its disk, or what is mounted there"
        kept = [*self._shelf.kept.values()]
        return Facts(
            rule=self._spec.rule,
            pid=os.getpid(),
            ready=self._looked.is_set() and error is None,
            spool=spool_of(self._spec.directory, self._spec.rule) if self._looked.is_set() else "",
            paused=self._paused,
            error=error,
            space=self._space,
            limit=self._limit,
            kept=len(kept),
            kept_bytes=sum(each.bytes for each in kept),
            counted=self._shelf.counted,
            recordings=self._unfinished(),
            live=self._intake.live,
            troubles={**self._intake.troubles, **self._retries.troubles},
            finished=[*self._shelf.last],
            storage=None if self._uploads is None else self._uploads.facts(),
        )


def _write(path: Path, text: str) -> None:
    """Write the report whole; it need not outlive the machine."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, text, mode=SHARED, durable=False, alone=True)
