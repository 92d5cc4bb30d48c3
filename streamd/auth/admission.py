"""Whether somebody who wants to publish is let in, beyond what the file alone says of it."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Set
from datetime import UTC, datetime

import structlog

from streamd.auth.decide import Allowed, Decision, Refused
from streamd.auth.gate import Consent, Gate
from streamd.auth.refusal import Refusal
from streamd.auth.room import Server, is_taken, make_room
from streamd.auth.slowdown import Slowdown
from streamd.engines.base import HookRequest
from streamd.observed import Publisher

log = structlog.get_logger()

_NOT_THE_CLIENTS_FAULT = frozenset({"stopping", "busy", "unsuitable", "failed", "unasked"})


class Admission:
    """Decides about every publisher of every media server, and remembers whom it turned away.

    Args:
        decide: whether the file lets a client publish.
        engines: the engine of each server, by name; looked up at each question.
        quiesced: servers on which every publish is refused, because they are being stopped.
        present: who publishes a stream now. A second one is refused where the server would not
            do so itself: on another server, or under another name of the same stream. A process
            of streamd's own gives way to it: it is disconnected before the second is let in.
        gate: who else may turn a publisher away; None: nobody.
        on_allowed: told of the server, the stream as it is published there and the client id of
            each RTMP publisher who may come, before others are asked and it is let in.

    Attributes:
        refusals: the last refusal by the pattern of the rule that decided.
        refused: how many were refused since the start, by reason in one word.
    """

    def __init__(
        self,
        decide: Callable[[HookRequest], Decision],
        engines: Mapping[str, Server],
        *,
        quiesced: Set[str] = frozenset(),
        present: Callable[[str], Publisher | None] = lambda _: None,
        gate: Gate | None = None,
        on_allowed: Callable[[str, str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._decide = decide
        self._engines = engines
        self._quiesced = quiesced
        self._present = present
        self._gate = gate
        self._on_allowed = on_allowed
        self._slowdown = Slowdown()
        self.refusals: dict[str, Refusal] = {}
        self.refused: Counter[str] = Counter()

    async def ask(self, server: str, engine: Server, hook: HookRequest) -> tuple[Decision, Consent]:
        """Decide about one who wants to publish, and make room for one who may.

        Whoever was asked about it is waiting for the `Consent` to be finished.
        """
        decision, consent = self._decision(server, hook), Consent()
        if isinstance(decision, Allowed):
            if self._on_allowed is not None and hook.protocol == "rtmp":
                await self._on_allowed(server, decision.published_as, hook.client_id)
            decision, consent = await self._ask(server, engine, decision, hook)
        if isinstance(decision, Allowed):
            decision = await self._make_room(decision, hook)
        return decision, consent

    def forget(self, patterns: Collection[str]) -> None:
        """Forget who was turned away from streams that are other ones now."""
        for pattern in patterns:
            self.refusals.pop(pattern, None)

    def turned_away(self, server: str, hook: HookRequest, refused: Refused) -> float:
        """Log and count a refusal, and return for how long its answer is to be held back, seconds.

        Who fails again and again is answered ever later; nobody else is.
        """
        self.refused[refused.kind] += 1
        if refused.pattern is not None:
            self.refusals[refused.pattern] = Refusal(datetime.now(UTC), refused.reason)
        delay_s = 0.0
        if refused.kind not in _NOT_THE_CLIENTS_FAULT:
            delay_s = self._slowdown.failed(hook.address, time.monotonic())
        log.warning(
            "publisher.refused",
            server=server,
            stream=refused.shown,
            address=hook.address,
            protocol=hook.protocol,
            client=hook.client_id,
            reason=refused.reason,
            delay_s=delay_s,
        )
        return delay_s

    def _decision(self, server: str, hook: HookRequest) -> Decision:
        try:
            decision = self._decide(hook)
        except Exception:
            log.exception("hook.failed", server=server)
            return Refused("failed", "an error in streamd, logged right before this", "***")
        if isinstance(decision, Refused):
            return decision
        if server in self._quiesced:
            return Refused("stopping", "the server is being stopped", decision.stream)
        if hook.objection is not None:
            return Refused("unsuitable", hook.objection, decision.stream)
        other = self._present(decision.stream)
        if (
            other is not None
            and not other.internal
            and (other.server, other.published_as) != (server, decision.published_as)
        ):
            reason = f"it is being published already, on server {other.server}"
            return Refused("busy", reason, decision.stream)
        return decision

    async def _ask(
        self, server: str, engine: Server, allowed: Allowed, hook: HookRequest
    ) -> tuple[Decision, Consent]:
        """Ask others about a publisher who may come as far as streamd is concerned."""
        if self._gate is None or not self._gate.asks or allowed.internal:
            return allowed, Consent()
        other = self._present(allowed.stream)
        if (
            other is not None
            and not other.internal
            and await is_taken(engine, allowed.published_as, hook.client_id)
        ):
            # The server would find that out after others were told that it comes.
            return Refused("busy", "it is being published already", allowed.stream), Consent()
        try:
            consent = await self._gate.ask(server, hook, allowed)
        except Exception:
            log.exception("hook.failed", server=server)
            reason = "an error in streamd, logged right before this"
            return Refused("failed", reason, allowed.stream), Consent()
        if consent.refused is not None:
            return consent.refused, consent
        return self._decision(server, hook), consent  # much may have changed meanwhile

    async def _make_room(self, allowed: Allowed, hook: HookRequest) -> Decision:
        """Let streamd's own publisher of a stream, and nobody else, give way."""
        own = self._present(allowed.stream)
        if own is None or not own.internal or own.client_id == hook.client_id:
            return allowed
        return await make_room(allowed, own, self._engines.get(own.server))
