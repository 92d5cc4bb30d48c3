"""The input that shows a slate while nothing else has media: it fits it, and loops it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from streamd.errors import MediaError
from streamd.ffmpeg.flv_argv import slate_argv
from streamd.ffmpeg.probe import probe
from streamd.playout.air import Port
from streamd.playout.child import Child, ChildError
from streamd.playout.files import Files
from streamd.playout.flv import FlvError, FlvReader
from streamd.playout.slate import Shown, SlateCache
from streamd.playout.spec import FilesInput, SlateInput
from streamd.playout.tags import VIDEO, Tag

_LOOK_S = 1.0
_LOOK_AT_FILE_S = 10.0
_AGAIN_S = 30.0
_LONGEST_MAKING_S = 600.0
_NICE = 10

_READ_BYTES = 65_536
_GROW_S = 0.05
_LONGEST_GROW_S = 0.5


class Slate:
    """Shows a file.

    Args:
        given: the file.
        port: where to.
    """

    def __init__(self, given: SlateInput, port: Port) -> None:
        spec = port.air.spec
        self._given = given
        self._port = port
        self._air = port.air
        self._cache = SlateCache(spec.cache_directory, spec.stream)
        self._shown = Shown()
        self._file: _Fitted | None = None
        self._has_failed = False

    async def run(self) -> None:
        """Show it whenever that is wanted, for ever."""
        self._port.state.item = self._given.file
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_fitted(), name="fit the slate")
            tasks.create_task(self._show(), name="show the slate")

    async def _keep_fitted(self) -> None:
        self._shown, fitted = await asyncio.to_thread(self._cache.remembered)
        self._air.program.encoder_header = self._shown.video
        if fitted is not None:
            await self._use(_Fitted(fitted))
        while True:
            await self._fit()
            await self._until_another()

    async def _until_another(self) -> None:
        """Wait until the slate has to be another one, or may be made at last."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + (_AGAIN_S if self._has_failed else _LOOK_AT_FILE_S)
        while loop.time() < ends:
            await asyncio.sleep(_LOOK_S)
            run = self._air.shown
            if run is None:
                continue
            shown = Shown(run.video_header, run.audio_header, run.fps)
            if not shown.is_same(self._shown):
                self._shown = shown
                return

    async def _fit(self) -> None:
        """Have the file that fits, and take it."""
        shown = self._shown
        try:
            path = await asyncio.to_thread(self._cache.path, self._given.file, shown)
            has_it = self._file is not None and self._file.path == path
            if not has_it and not await self._use(_Fitted(path)):
                path.unlink(missing_ok=True)
                await self._make(path, shown)
            await asyncio.to_thread(self._cache.keep, path, shown)
        except (MediaError, ChildError, OSError) as error:
            self._fail(str(error))
        else:
            self._has_failed = False
            self._port.mend("the slate is fitted")

    def _fail(self, why: str) -> None:
        self._has_failed = True
        self._port.fail(f"the slate cannot be fitted: {why}")

    async def _make(self, path: Path, shown: Shown) -> None:
        """Make a fitted file; while it grows it is used already.

        Raises:
            MediaError, ChildError, OSError: it cannot be made.
        """
        given, spec = self._given, self._air.spec
        facts = await probe(given.file, ffprobe=spec.ffprobe, directories=given.directories)
        part = await asyncio.to_thread(self._cache.part, path)
        argv = slate_argv(spec.ffmpeg, facts, *shown.wanted, str(part))
        child = Child(argv, name="slate", say=self._air.say, nice=_NICE)
        growing = _Fitted(part, grows=lambda: not child.has_ended)
        try:
            async with asyncio.timeout(_LONGEST_MAKING_S), child:
                has_begun = await self._use(growing)
                if await child.wait() != 0 or not has_begun:
                    raise MediaError(child.last_words)
                part.replace(path)
                growing.path = path
        except TimeoutError as error:
            raise MediaError(f"it takes longer than {_LONGEST_MAKING_S:g} s") from error
        finally:
            if self._file is growing and growing.path != path:
                self._file = None
            part.unlink(missing_ok=True)

    async def _use(self, fitted: "_Fitted") -> bool:
        """Show a fitted file from now on, and return True; False where it is none."""
        try:
            header = await fitted.header()
        except (FlvError, OSError):
            return False
        if header is None:
            return False
        self._file = fitted
        self._air.program.slate_header = header
        return True

    async def _show(self) -> None:
        while True:
            await self._port.wanted.wait()
            fitted = self._file
            if fitted is not None:
                await self._show_fitted(fitted)
            elif self._has_failed:
                await self._show_live()
            else:
                await asyncio.sleep(_GROW_S)

    async def _show_fitted(self, fitted: "_Fitted") -> None:
        """Show it once."""
        port = self._port
        port.state.mode = "copy"
        port.begin()
        has_shown = False
        try:
            async for tag in fitted.tags():
                await port.pace(tag)
                if not port.wanted.is_set() or self._file is not fitted:
                    return
                port.offer(tag)
                has_shown = has_shown or tag.is_keyframe
        except (FlvError, OSError) as error:
            self._air.say("error", f"the fitted slate {fitted.path} cannot be read: {error}")
            has_shown = False
        if not has_shown and fitted.grows():
            await asyncio.sleep(_GROW_S)
        elif not has_shown:
            fitted.path.unlink(missing_ok=True)
            self._file = None
            self._has_failed = True

    async def _show_live(self) -> None:
        """Play the file itself, made alike as it is played, while there is none that fits."""
        given = FilesInput((self._given.file,), directories=self._given.directories)
        like = self._shown.as_facts()
        files = Files(given, self._port, like=like, ahead_s=0.0)
        playing = asyncio.create_task(files.play(), name="slate that is not fitted")
        try:
            while self._port.wanted.is_set() and self._file is None and not playing.done():
                await asyncio.wait((playing,), timeout=_GROW_S)
        finally:
            playing.cancel()
            await asyncio.wait((playing,))
        if not playing.cancelled():
            playing.result()


class _Fitted:
    """A fitted file.

    Attributes:
        path: where it lies.
        grows: tells whether it is still being written.
    """

    def __init__(self, path: Path, *, grows: Callable[[], bool] = lambda: False) -> None:
        self.path = path
        self.grows = grows

    async def header(self) -> Tag | None:
        """Return its picture's decoder header, as soon as that is written; None: it has none.

        Raises:
            FlvError, OSError: as of `tags`.
        """
        while True:
            grows = self.grows()
            try:
                async for tag in self.tags():
                    if tag.kind == VIDEO:
                        return tag if tag.is_header else None
            except FileNotFoundError:
                if not grows:
                    raise
            if not grows:
                return None
            await asyncio.sleep(_GROW_S)

    async def tags(self) -> AsyncIterator[Tag]:
        """Yield its tags; of one that grows slower than it is played, those that are there.

        Raises:
            FlvError: it is none.
            OSError: it cannot be read.
        """
        reader = FlvReader()
        waited_s = 0.0
        with self.path.open("rb") as file:
            while True:
                grows = self.grows()
                data = file.read(_READ_BYTES)
                for tag in reader.feed(data):
                    yield tag
                if data:
                    waited_s = 0.0
                elif not grows or waited_s >= _LONGEST_GROW_S:
                    return
                else:
                    waited_s += _GROW_S
                    await asyncio.sleep(_GROW_S)
