"""The input that plays files, one behind the other without a gap."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from streamd.errors import MediaError
from streamd.ffmpeg.flv_argv import file_argv
from streamd.ffmpeg.media import Handling, MediaFacts, as_sent, handling, lent_sound
from streamd.ffmpeg.probe import probe
from streamd.playout.air import Port
from streamd.playout.child import Child, ChildError
from streamd.playout.flv import FlvError
from streamd.playout.order import rounds
from streamd.playout.retry import Retry
from streamd.playout.spec import FilesInput
from streamd.playout.tags import Tag

AHEAD_S = 0.25
"""How much earlier than due a file's media is sent, against hiccups of this machine."""

_PREPARE_S = 5.0
_BEGIN_TIMEOUT_S = 20.0
_LEAST_APART_S = 0.5
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0

_MOST_FAULTS = 5
"""A file of which as much is malformed is left for the next one."""

_MOST_THROW_OUTS = 2
"""So often the server may end the publish while one file is on air.

What it finds wrong may be deep in the media: with WebRTC, SRS decodes the sound.
"""


@dataclass(slots=True)
class _Opened:
    """A file whose FFmpeg has written its first tag."""

    path: str
    facts: MediaFacts
    how: Handling
    child: Child
    first: Tag
    others: AsyncIterator[Tag]

    def is_nearly_over(self, tag: Tag) -> bool:
        """Tell whether the next file has to be made ready."""
        left_s = self.facts.duration_s - tag.timestamp_ms / 1000
        return self.child.has_ended or (self.facts.duration_s > 0 and left_s < _PREPARE_S)


class Files:
    """Plays a playlist.

    Args:
        given: the playlist.
        port: where to.
        like: what every file has to be like; None: like the first one that can be played.
        ahead_s: how much earlier than due its media is sent.
    """

    def __init__(
        self,
        given: FilesInput,
        port: Port,
        *,
        like: MediaFacts | None = None,
        ahead_s: float = AHEAD_S,
    ) -> None:
        self._ahead_s = ahead_s
        self._given = given
        self._port = port
        self._like = like
        self._retry = Retry(_FIRST_WAIT_S, _LONGEST_WAIT_S, port.air.random)
        self._coming = self._in_order()
        self._bad_in_a_row = 0
        self._has_played = False
        self._fault = ""
        self._told: dict[str, str] = {}
        self._left: set[str] = set()
        self._thrown_out: set[str] = set()
        self._opened_at = 0.0
        self._opened: list[_Opened] = []

    def _in_order(self) -> Iterator[str]:
        given, random = self._given, self._port.air.random
        for files in rounds(given.files, loop=given.loop, shuffle=given.shuffle, random=random):
            yield from files

    async def play(self) -> None:
        """Play until the playlist is over and everything of it is due.

        Raises:
            MediaError: nothing of it could be played.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                opening = tasks.create_task(self._open_next(), name="next file")
                while (opened := await opening) is not None:
                    opening = await self._play(opened, tasks)
        finally:
            for opened in self._opened:
                await opened.child.end()
        if not self._has_played:
            raise MediaError("nothing of the playlist could be played")
        await self._port.until_over()

    async def _play(
        self, opened: _Opened, tasks: asyncio.TaskGroup
    ) -> "asyncio.Task[_Opened | None]":
        """Play a file, and return the opening of the next one."""
        port, opening = self._port, None
        port.begin()
        port.state.item, port.state.mode = opened.path, _mode(opened.how)
        if self._told.get(opened.path) != opened.how.reason:
            self._told[opened.path] = opened.how.reason
            port.air.say("info", f"{opened.path}: {opened.how.mode}: {opened.how.reason}")
        tag: Tag | None = opened.first
        begun = time.monotonic()
        while tag is not None:
            await port.pace(tag, ahead_s=self._ahead_s)
            if why := self._damage(opened.path, begun):
                await self._leave(opened, why)
                break
            port.offer(tag)
            if opening is None and opened.is_nearly_over(tag):
                opening = tasks.create_task(self._open_next(), name="next file")
            tag = await self._tag_after(opened)
        else:
            self._left.discard(opened.path)
            port.state.skipped.pop(opened.path, None)
        self._has_played = True
        return opening or tasks.create_task(self._open_next(), name="next file")

    def _damage(self, path: str, begun: float) -> str | None:
        """Return why a file that is on air is not played on; None where it is."""
        if self._port.sieve.faults >= _MOST_FAULTS:
            return f"{path} is damaged: it has {self._port.sieve.fault}, and more like it"
        throw_outs = self._port.air.throw_outs
        if throw_outs and sum(at > begun for at in throw_outs) >= _MOST_THROW_OUTS:
            self._thrown_out.add(path)
            return f"{path} is damaged: the media server ended the stream for it more than once"
        return None

    async def _leave(self, opened: _Opened, why: str) -> None:
        """End a file in its middle. It is named until it has been played to its end."""
        skipped, path = self._port.state.skipped, opened.path
        if skipped.get(path) != why:
            self._port.air.say("error", f"skipped the rest: {why}")
        skipped[path] = why
        self._left.add(path)
        await opened.child.end()
        self._opened.remove(opened)

    async def _tag_after(self, opened: _Opened) -> Tag | None:
        """Return the next tag of a file; None after the last, when its FFmpeg has ended as well."""
        try:
            tag = await anext(opened.others, None)
        except FlvError as error:
            fault = f"FFmpeg wrote {error}"
            await opened.child.end()
        else:
            if tag is not None:
                return tag
            fault = opened.child.last_words if await opened.child.wait() else ""
        self._opened.remove(opened)
        if fault:
            self._port.air.say("error", f"{opened.path} ended early: {fault}")
        return None

    async def _open_next(self) -> _Opened | None:
        """Return the next file that can be played; None after the last."""
        for path in self._coming:
            if not self._port.is_on_air:
                await self._port.wanted.wait()
            await self._wait_a_little()
            try:
                opened = await self._open(path)
            except (MediaError, ChildError, FlvError, TimeoutError) as error:
                await self._skip(path, str(error) or "FFmpeg wrote nothing of it for 20 s")
            else:
                self._bad_in_a_row = 0
                self._retry.reset()
                if path not in self._left:
                    self._port.state.skipped.pop(path, None)
                if self._port.state.error == self._fault:
                    self._port.state.error = None
                return opened
        return None

    async def _wait_a_little(self) -> None:
        """Keep a playlist of the shortest clips from costing a start of FFmpeg a frame."""
        now = time.monotonic()
        wait_s = max(0.0, self._opened_at + _LEAST_APART_S - now)
        self._opened_at = now + wait_s
        await asyncio.sleep(wait_s)

    async def _open(self, path: str) -> _Opened:
        facts, how, argv = await self._prepared(path)
        child = await Child(argv, name=Path(path).name, say=self._port.air.say).start()
        try:
            async with asyncio.timeout(_BEGIN_TIMEOUT_S):
                others = child.tags()
                first = await anext(others, None)
                if first is None:
                    await child.wait()
                    raise MediaError(f"{path} cannot be played: {child.last_words}")
        except BaseException:
            await child.end()
            raise
        opened = _Opened(path, facts, how, child, first, others)
        self._opened.append(opened)
        return opened

    async def _prepared(self, path: str) -> tuple[MediaFacts, Handling, tuple[str, ...]]:
        given, spec = self._given, self._port.air.spec
        facts = await probe(path, ffprobe=spec.ffprobe, directories=given.directories)
        picture = None
        if facts.video is None and given.picture is not None:
            picture = await probe(
                given.picture, ffprobe=spec.ffprobe, directories=given.directories
            )
        if self._like is None and facts.audio is None:
            self._like = lent_sound(facts, await self._sounding(path))
        how = handling(facts, self._like)
        if path in self._thrown_out and how.copies_audio:
            reason = "the media server ended the stream for it before"
            how = replace(how, mode="transcode", reason=reason, copies_audio=False)
        argv = file_argv(spec.ffmpeg, facts, how, self._like, picture)
        self._like = self._like or as_sent(facts, None, picture)
        return facts, how, argv

    async def _sounding(self, silent: str) -> MediaFacts | None:
        """Return a file of the playlist that has sound, None where none has."""
        spec = self._port.air.spec
        for path in dict.fromkeys(self._given.files):
            if path == silent:
                continue
            with contextlib.suppress(MediaError):  # it is skipped when its turn comes
                facts = await probe(path, ffprobe=spec.ffprobe, directories=self._given.directories)
                if facts.audio is not None:
                    return facts
        return None

    async def _skip(self, path: str, why: str) -> None:
        state = self._port.state
        if state.skipped.get(path) != why:
            self._port.air.say("error", f"skipped: {why}")
        state.skipped[path] = why
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= len(self._given.files):
            self._bad_in_a_row = 0
            self._fault = f"none of {len(self._given.files)} files can be played: {why}"
            self._port.fail(self._fault)
            if not self._port.is_on_air:
                self._port.end()
            await asyncio.sleep(self._retry.next_s())


def _mode(how: Handling) -> str:
    return "copy" if how.mode == "copy" else f"transcode, {how.reason}"
