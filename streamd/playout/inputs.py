"""The inputs whose media comes when it comes: an encoder's, and what is pulled."""

import asyncio
import time

from streamd.ffmpeg.pull import (
    PullAttempt,
    first_attempt,
    next_attempt,
    pull_command,
    pull_secrets,
)
from streamd.ffmpeg.pull_errors import pull_end
from streamd.playout.air import Port
from streamd.playout.child import Child, ChildError
from streamd.playout.flv import FlvError
from streamd.playout.retry import Retry
from streamd.playout.rtmp import RtmpError, open_play
from streamd.playout.settling import Settling
from streamd.playout.silence import Silence
from streamd.playout.spec import IngestInput, PullInput
from streamd.playout.tags import VIDEO, Tag
from streamd.redact import Redactor

_PLAY_TIMEOUT_S = 5.0
_ASK_AGAIN_S, _ASK_AGAIN_LIMIT_S = 0.05, 0.5

_PULL_AGAIN_S, _PULL_AGAIN_LIMIT_S = 0.2, 30.0
_HEALTHY_S = 10.0

_BEGIN_TIMEOUT_S = 20.0
_SILENT_TIMEOUT_S = 5.0
_SILENT_HTTP_TIMEOUT_S = 15.0  # a segment of HLS may be as long


async def play_ingest(given: IngestInput, port: Port) -> None:
    """Bring what an encoder publishes, whenever one does."""
    retry = Retry(_ASK_AGAIN_S, _ASK_AGAIN_LIMIT_S, port.air.random)
    while True:
        try:
            async with await open_play(given.url, timeout_s=_PLAY_TIMEOUT_S) as play:
                port.mend("the ingest is heard again")
                port.begin()
                async for tag in play:
                    retry.reset()
                    port.offer(tag)
        except RtmpError as error:
            if error.absent:
                port.mend("the ingest is heard again")
            else:
                port.fail(f"the ingest cannot be heard: {error}")
        port.end()
        await asyncio.sleep(retry.next_s())


async def play_pull(given: PullInput, port: Port) -> None:
    """Bring what an FFmpeg pulls, while this is wanted. What ends or is silent is begun anew."""
    retry = Retry(_PULL_AGAIN_S, _PULL_AGAIN_LIMIT_S, port.air.random)
    attempt = first_attempt(given)
    while True:
        await port.wanted.wait()
        puller = _Puller(given, port)
        await puller.run(attempt)
        port.end()
        if not port.wanted.is_set():
            continue
        other = next_attempt(attempt, tuple(puller.lines))
        if other != attempt:
            attempt = other
            continue
        port.fail(f"{puller.name}: {puller.ended}")
        if puller.lasted_s >= _HEALTHY_S:
            retry.reset()
        await asyncio.sleep(retry.next_s())


class _Puller:
    """One run of an FFmpeg that pulls."""

    def __init__(self, given: PullInput, port: Port) -> None:
        self.name = f"input {port.at} (pull)"
        self.ended = "ended"
        self.lines: list[str] = []
        self.lasted_s = 0.0
        self._given = given
        self._port = port
        self._settling = Settling()
        self._silence = Silence() if given.audio == "silent" else None

    async def run(self, attempt: PullAttempt) -> None:
        spec = self._port.air.spec
        try:
            command = pull_command(spec.ffmpeg, self._given, attempt, spec.ca_file)
        except ValueError as error:
            self.ended = f"its address {error}"
            return
        child = Child(
            command.argv,
            name=self.name,
            say=self._port.air.say,
            redact=Redactor(pull_secrets(self._given.url)),
            stdin=command.stdin,
        )
        try:
            async with child:
                await self._bring(child)
        except (ChildError, FlvError) as error:
            self.ended = str(error)
        self.lines = list(child.lines)

    async def _bring(self, child: Child) -> None:
        is_http = self._given.url.startswith("http")
        patience_s = _SILENT_HTTP_TIMEOUT_S if is_http else _SILENT_TIMEOUT_S
        loop = asyncio.get_running_loop()
        begun: float | None = None
        self._port.begin()
        try:
            async with asyncio.timeout(_BEGIN_TIMEOUT_S) as limit:
                async for tag in child.tags():
                    if begun is None:
                        begun = time.monotonic()
                        self._port.mend(f"{self.name}: delivers")
                    limit.reschedule(loop.time() + patience_s)
                    for counted in self._settling.take(tag, time.monotonic()):
                        self._offer(counted)
                    if not self._port.wanted.is_set():
                        return
                status = await child.wait()
                self.ended = pull_end(tuple(child.lines), status)
        except TimeoutError:
            silent_s = _BEGIN_TIMEOUT_S if begun is None else patience_s
            self.ended = f"sent nothing for {silent_s:g} s"
        finally:
            self.lasted_s = time.monotonic() - begun if begun is not None else 0.0

    def _offer(self, tag: Tag) -> None:
        if self._silence is not None and tag.kind == VIDEO and not tag.is_header:
            for silent in self._silence.until(tag.timestamp_ms):
                self._port.offer(silent)
        self._port.offer(tag)
