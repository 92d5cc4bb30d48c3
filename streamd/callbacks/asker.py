"""Asks callbacks whether a publisher may come: all at once, within their timeouts."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

import structlog

from streamd.auth.decide import Allowed, Refused
from streamd.auth.gate import Consent
from streamd.callbacks import events
from streamd.callbacks.events import Event
from streamd.callbacks.post import Poster, Reply
from streamd.callbacks.sender import Sender
from streamd.callbacks.veto import Said, verdict
from streamd.desired import CallbackSpec
from streamd.engines.base import HookRequest

log = structlog.get_logger()

AT_ONCE = 64
"""So many questions are under way to one callback at a time; further ones wait their turn."""

ORDER_LIMIT_S = 1.0
"""So long, and half its timeout at most, a question waits for what happened before it."""

PARAM_CHARACTERS = 4096
"""Of what a publisher put behind the stream's name, so much is passed on."""

Described = Callable[[str, HookRequest, Allowed], "Newcomer"]


class Newcomer:
    """Somebody who wants to publish, as callbacks are told of it.

    Args:
        stream: `app/stream` as the file names it.
        pattern: of the rule that decided.
        client: the fields that tell of it.
        param: what it put behind the stream's name.
    """

    def __init__(
        self, stream: str, pattern: str | None, client: Mapping[str, object], param: str
    ) -> None:
        self.stream = stream
        self.pattern = pattern
        self.client = client
        self.param = param if param.startswith("?") or not param else f"?{param}"


class Asker:
    """Fills the `Gate` of the hooks with callbacks.

    Args:
        sender: sends what needs no answer; counts what is asked.
        poster: posts.
        node: what this machine is called.
        describe: tells who wants to publish what.
        up_to_date: waits until what happened before is in the outbox.
        tell: tells callbacks of something later.
    """

    def __init__(
        self,
        sender: Sender,
        poster: Poster,
        node: str,
        *,
        describe: Described,
        up_to_date: Callable[[], Awaitable[None]],
        tell: Callable[[Event], None],
    ) -> None:
        self._sender = sender
        self._poster = poster
        self._node = node
        self._describe = describe
        self._up_to_date = up_to_date
        self._tell = tell
        self._specs: tuple[CallbackSpec, ...] = ()
        self._turns: dict[str, asyncio.Semaphore] = {}

    def desire(self, specs: Mapping[str, CallbackSpec]) -> None:
        """Take the callbacks that there are from now on."""
        self._specs = tuple(spec for spec in specs.values() if "on_publish" in spec.events)
        self._turns = {
            spec.name: self._turns.get(spec.name, asyncio.Semaphore(AT_ONCE))
            for spec in self._specs
        }

    @property
    def asks(self) -> bool:
        """See `Gate`."""
        return bool(self._specs)

    async def ask(self, server: str, hook: HookRequest, allowed: Allowed) -> Consent:
        """See `Gate`."""
        newcomer = self._describe(server, hook, allowed)
        event = events.on_publish(
            str(uuid.uuid4()),
            newcomer.stream,
            time.time(),
            param=newcomer.param[:PARAM_CHARACTERS],
            client=newcomer.client,
        )
        began = time.monotonic()
        answers = await asyncio.gather(*(self._ask_one(spec, event) for spec in self._specs))
        found = verdict(answers)
        log.info(
            "publisher.asked_for",
            stream=newcomer.stream,
            client=hook.client_id,
            answers={each.callback.name: each.text for each in answers},
            duration_s=round(time.monotonic() - began, 3),
        )
        refused = None
        if found.kind is not None:
            refused = Refused(found.kind, found.reason, newcomer.stream, newcomer.pattern)

        def finish(let_in: bool) -> None:
            if let_in and found.late:
                self._tell(_only(event, found.late))
            elif not let_in and found.misled:
                gone = events.on_unpublish(
                    str(uuid.uuid4()),
                    newcomer.stream,
                    time.time(),
                    seconds=0.0,
                    client=newcomer.client,
                )
                self._tell(_only(gone, found.misled))

        return Consent(refused, finish)

    async def _ask_one(self, spec: CallbackSpec, event: Event) -> Said:
        began = time.monotonic()
        reply = Reply("none", f"no answer within {spec.timeout_s:.3g} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(spec.timeout_s):
                await self._in_order(spec, event.stream)
                async with self._turns[spec.name]:
                    left_s = spec.timeout_s - (time.monotonic() - began)
                    told = events.body(event, opaque=spec.opaque, node=self._node)
                    reply = await self._poster.post(spec, told, limit_s=left_s)
        self._sender.note(spec.name, reply)
        return Said(spec, reply.kind, reply.text)

    async def _in_order(self, spec: CallbackSpec, stream: str) -> None:
        """Let what happened before on the stream be sent first, as far as that is soon done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(ORDER_LIMIT_S, spec.timeout_s / 2)):
                await self._up_to_date()
                await self._sender.caught_up(spec.name, stream)


def _only(event: Event, to: tuple[str, ...]) -> Event:
    return Event(event.request_id, event.action, event.stream, event.at, event.fields, to)
