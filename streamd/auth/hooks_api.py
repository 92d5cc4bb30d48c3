"""The endpoint that media servers ask: may this client publish, and who has left.

A server posts to `/UNGUESSABLE/SERVER`; whatever else is asked for is not found. The answer is
sent before anybody is told of it, so that the server makes the stream available while targets
are being started for it.
"""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Set
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Protocol

import structlog
from aiohttp import web

from streamd.auth.decide import Allowed, Decision, Refused
from streamd.auth.gate import Consent, Gate
from streamd.auth.refusal import Refusal
from streamd.auth.room import is_taken, make_room
from streamd.auth.slowdown import Slowdown
from streamd.engines.base import HookAnswer, HookRequest, OpenPort, Streams
from streamd.engines.ports import refusal
from streamd.observed import Publisher

log = structlog.get_logger()

BODY_BYTES = 256 * 1024
BODY_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 1.0

HELD_BACK = 256
"""At most so many refusals are held back at once; further ones are sent at once."""

_NOT_THE_CLIENTS_FAULT = frozenset({"stopping", "busy", "unsuitable", "failed", "unasked"})
_SERVER_HEADER = {"Server": "streamd"}  # otherwise the versions of Python and aiohttp


class HookEngine(Protocol):
    """What the endpoint needs of a `streamd.engines.base.MediaEngine`."""

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        """Read a hook of this engine. Raises ValueError on anything else."""

    def answer(self, *, allow: bool) -> HookAnswer:
        """Word a yes or no the way this engine takes it."""

    async def discard(self, request: HookRequest) -> None:
        """Undo what the server did already for a publisher that is about to be refused."""

    async def streams(self) -> Streams:
        """List what is being published and waited for now."""

    async def kick(self, stream: str, client_id: str) -> None:
        """Disconnect one publisher. One that is gone already is no error."""


class HookServer:
    """Answers the hooks of every media server, at one loopback address.

    Args:
        hook_path: the unguessable part of the address, shared with the servers.
        engines: the engine of each server, by name; looked up at each hook.
        decide: whether a client may publish.
        on_admitted: told of each publisher that was let in, after the answer was sent.
        on_gone: told of the server and client id of each publisher that left, likewise.
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

    def __init__(  # noqa: PLR0913 - each is one thing that it asks or tells
        self,
        hook_path: str,
        *,
        engines: Mapping[str, HookEngine],
        decide: Callable[[HookRequest], Decision],
        on_admitted: Callable[[Publisher], None],
        on_gone: Callable[[str, str], None],
        quiesced: Set[str] = frozenset(),
        present: Callable[[str], Publisher | None] = lambda _: None,
        gate: Gate | None = None,
        on_allowed: Callable[[str, str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._hook_path = hook_path
        self._engines = engines
        self._decide = decide
        self._on_admitted = on_admitted
        self._on_gone = on_gone
        self._quiesced = quiesced
        self._present = present
        self._gate = gate
        self._on_allowed = on_allowed
        self._slowdown = Slowdown()
        self._held_back = 0
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._address: tuple[str, int] | None = None
        self.refusals: dict[str, Refusal] = {}
        self.refused: Counter[str] = Counter()

    async def start(self, host: str, port: int) -> None:
        """Listen at an address; when listening elsewhere already, move there.

        The old address is given up once the new one is held, so a failure changes nothing.

        Raises:
            SettingsError: the address cannot be listened at.
        """
        if self._address == (host, port):
            return
        runner = self._runner or await self._make_runner()
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            if self._runner is None:
                await runner.cleanup()
            raise refusal(error, OpenPort("hooks", port, "http", host)) from error
        before = self._site
        self._runner, self._site, self._address = runner, site, (host, port)
        self._stopping.clear()
        if before is not None:
            await before.stop()

    async def stop(self) -> None:
        """Give the address up. Refusals that are held back are sent now."""
        self._stopping.set()
        runner, self._runner, self._site, self._address = self._runner, None, None, None
        if runner is not None:
            await runner.cleanup()

    async def _make_runner(self) -> web.AppRunner:
        application = web.Application(client_max_size=BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        await runner.setup()
        return runner

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        server = self._addressed_server(request)
        engine = None if server is None else self._engines.get(server)
        if server is None or engine is None:
            return web.Response(status=404, text="not found\n", headers=_SERVER_HEADER)
        hook = await _read_hook(request, server, engine)
        if hook is None:
            return _worded(engine.answer(allow=False))
        if hook.action == "publish":
            return await self._handle_publish(request, server, engine, hook)
        try:
            return await _send(request, engine.answer(allow=True))
        except ConnectionError:  # the server ends with its publishers, and hears no answer
            return _worded(engine.answer(allow=True))
        finally:
            log.info("publisher.left", server=server, client=hook.client_id)
            self._on_gone(server, hook.client_id)

    def _addressed_server(self, request: web.Request) -> str | None:
        """Return the server that a request is for, None when it is for nobody."""
        path, _, server = request.path.removeprefix("/").rpartition("/")
        # Compared in constant time, so that the path cannot be found out letter by letter.
        is_path = hmac.compare_digest(path.encode(errors="replace"), self._hook_path.encode())
        is_post = request.method == "POST"
        return server if is_path and is_post and _is_loopback(request.remote) else None

    async def _handle_publish(
        self, request: web.Request, server: str, engine: HookEngine, hook: HookRequest
    ) -> web.StreamResponse:
        decision, consent = self._decision(server, hook), Consent()
        if isinstance(decision, Allowed):
            if self._on_allowed is not None and hook.protocol == "rtmp":
                await self._on_allowed(server, decision.published_as, hook.client_id)
            decision, consent = await self._ask(server, engine, decision, hook)
        if isinstance(decision, Allowed):
            decision = await self._make_room(decision, hook)
        if isinstance(decision, Refused):
            consent.finish(False)
            await engine.discard(hook)
            await self._note_refusal(server, hook, decision)
            return _worded(engine.answer(allow=False))
        try:
            response = await _send(request, engine.answer(allow=True))
        except BaseException:
            consent.finish(False)
            raise
        consent.finish(True)
        publisher = Publisher(
            server=server,
            stream=decision.stream,
            published_as=decision.published_as,
            client_id=hook.client_id,
            key=decision.key,
            key_sha256=decision.key_sha256,
            protocol=hook.protocol,
            address=hook.address,
            since=datetime.now(UTC),
            internal=decision.internal,
        )
        log.info(
            "publisher.admitted",
            server=server,
            stream=publisher.stream,
            key=publisher.key,
            address=publisher.address,
            protocol=publisher.protocol,
            client=publisher.client_id,
        )
        self._on_admitted(publisher)
        return response

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
        self, server: str, engine: HookEngine, allowed: Allowed, hook: HookRequest
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

    async def _note_refusal(self, server: str, hook: HookRequest, refused: Refused) -> None:
        """Log and count a refusal, and wait for as long as its answer is to be held back."""
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
        if delay_s == 0 or self._held_back >= HELD_BACK:
            return
        self._held_back += 1
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            pass
        finally:
            self._held_back -= 1


async def _read_hook(request: web.Request, server: str, engine: HookEngine) -> HookRequest | None:
    """Read a server's hook; None, which is logged, when it is none."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
        return engine.parse_hook(body, request.content_type)
    except web.HTTPRequestEntityTooLarge:
        log.warning("hook.malformed", server=server, error=f"longer than {BODY_BYTES} bytes")
    except TimeoutError:
        log.warning("hook.malformed", server=server, error=f"incomplete after {BODY_TIMEOUT_S} s")
    except ValueError as error:
        log.warning("hook.malformed", server=server, error=str(error))
    except Exception:
        log.exception("hook.failed", server=server)
    return None


async def _send(request: web.Request, answer: HookAnswer) -> web.StreamResponse:
    """Send an answer now, and not when the handler returns."""
    response = _worded(answer)
    await response.prepare(request)
    await response.write_eof()
    return response


def _worded(answer: HookAnswer) -> web.Response:
    return web.Response(
        status=answer.status,
        text=answer.body,
        content_type=answer.content_type,
        headers=_SERVER_HEADER,
    )


def _is_loopback(address: str | None) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_loopback
