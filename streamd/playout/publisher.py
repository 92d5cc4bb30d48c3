"""Sends what is on air to the media server, for as long as there is something to send."""

import asyncio
import contextlib
import time

from streamd.playout.air import Air
from streamd.playout.retry import Retry
from streamd.playout.rtmp import Publish, RtmpError, open_publish
from streamd.playout.spec import PullInput

IDLE_S = 5.0
"""With nothing to send for as long the stream ends; it begins anew with the next media."""

IDLE_PULL_S = 8.0
"""The same where something is pulled: an FFmpeg that hangs is begun anew after 5 s."""

_OPEN_TIMEOUT_S = 5.0
_CLOSE_TIMEOUT_S = 0.5
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0

_APART_S = 1.0
"""How long after a publish the next one begins at the earliest.

SRS 6 takes a stream apart behind its publish. A publish that comes meanwhile is turned away
(StreamDisposing), and leaves the name busy until SRS is restarted.
"""

_BUSY_AFTER = 3
_BUSY = (
    "the media server hangs up on every publish to this name, as SRS does while it holds the name "
    "for a publish that is over (StreamBusy in its log); if it goes on for a minute, restart that "
    "server: nothing else frees the name"
)
_STEADY_S = 5.0
_LATELY_S = 60.0
_LOOK_S = 1.0
_LOOK_AGAIN_S = 0.01


class Publisher:
    """Publishes a stream.

    Args:
        air: what is sent.

    Attributes:
        sent_bytes: of media, since the playout began.
    """

    def __init__(self, air: Air) -> None:
        self.sent_bytes = 0
        self._air = air
        pulls = any(isinstance(each, PullInput) for each in air.spec.inputs)
        self._idle_s = IDLE_PULL_S if pulls else IDLE_S
        self._retry = Retry(_FIRST_WAIT_S, _LONGEST_WAIT_S, air.random)
        self._hung_up = 0

    async def run(self) -> None:
        """Publish whenever there is media, for ever."""
        while True:
            if not self._air.outbox.has_something:
                await self._air.has_media.wait()
            try:
                publish = await open_publish(self._air.spec.publish_url, timeout_s=_OPEN_TIMEOUT_S)
            except RtmpError as error:
                self._air.throw_outs = ()
                self._fail(f"cannot publish: {self._reason(error)}")
                await asyncio.sleep(self._retry.next_s())
                continue
            begun, wait_s = time.monotonic(), _APART_S
            self._hung_up = 0
            if self._air.throw_outs and self._air.publish_error is not None:
                self._air.outbox.forget()  # it may hold what the server ended the publish for
            if self._air.publish_error is not None:
                self._air.say("info", "published again")
            self._air.outbox.connect(self._air.program.prelude())
            self._air.publishing(None)
            try:
                await self._send(publish)
                self._air.outbox.forget()
                self._air.say("info", f"nothing to send for {self._idle_s:g} s: the stream is idle")
            except RtmpError as error:
                self._note_throw_out(time.monotonic(), begun)
                self._fail(f"the publish ended: {error}")
                wait_s = max(wait_s, self._retry.next_s())
            finally:
                self._air.outbox.disconnect()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                        await publish.close()
            await asyncio.sleep(wait_s)

    def _reason(self, error: RtmpError) -> str:
        self._hung_up = self._hung_up + 1 if error.unanswered == "publish" else 0
        return _BUSY if self._hung_up >= _BUSY_AFTER else str(error)

    def _note_throw_out(self, now: float, begun: float) -> None:
        if now - begun >= _STEADY_S:
            self._retry.reset()
        lately = [at for at in self._air.throw_outs if now - at < _LATELY_S]
        self._air.throw_outs = (*lately, now)

    def _fail(self, error: str) -> None:
        self._air.outbox.disconnect()
        if self._air.publish_error != error:
            self._air.say("error", error)
        self._air.publishing(error)

    async def _send(self, publish: Publish) -> None:
        """Send until there is nothing to send any more.

        Raises:
            RtmpError: the server ended it, or takes nothing.
        """
        air = self._air
        while True:
            air.has_media.clear()
            for tag in air.outbox.take():
                await publish.send(tag)
                self.sent_bytes += len(tag.body)
                if air.outbox.is_stuck:
                    raise RtmpError("the server takes less than it is sent")
            if air.outbox.has_something:
                continue
            left_s = air.put_at + self._idle_s - time.monotonic()
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _LOOK_S)):
                    await air.has_media.wait()

    async def drained(self) -> None:
        """Wait until everything was sent, for a moment at most."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + _LOOK_S
        while self._air.outbox.has_something and loop.time() < ends:  # noqa: ASYNC110 - once
            await asyncio.sleep(_LOOK_AGAIN_S)
