"""The endpoint that media servers ask: may this client publish, and who has left.

A server posts to `/UNGUESSABLE/SERVER`; whatever else is asked for is not found. The answer is
sent before anybody is told of it, so that the server makes the stream available while targets
are being started for it.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import structlog
from aiohttp import web

from streamd.auth.admission import Admission
from streamd.auth.decide import Refused
from streamd.auth.room import Server
from streamd.config.addresses import is_loopback
from streamd.engines.base import HookAnswer, HookRequest, OpenPort
from streamd.engines.ports import refusal
from streamd.observed import Publisher

log = structlog.get_logger()

BODY_BYTES = 256 * 1024
BODY_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 1.0

HELD_BACK = 256
"""At most so many refusals are held back at once; further ones are sent at once."""

_SERVER_HEADER = {"Server": "streamd"}  # otherwise the versions of Python and aiohttp


class HookEngine(Server, Protocol):
    """What the endpoint needs of a `streamd.engines.base.MediaEngine`."""

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        """Read a hook of this engine. Raises ValueError on anything else."""

    def answer(self, *, allow: bool) -> HookAnswer:
        """Word a yes or no the way this engine takes it."""

    async def discard(self, request: HookRequest) -> None:
        """Undo what the server did already for a publisher that is about to be refused."""


class HookServer:
    """Answers the hooks of every media server, at one loopback address.

    Args:
        hook_path: the unguessable part of the address, shared with the servers.
        engines: the engine of each server, by name; looked up at each hook.
        admission: whether a client may publish.
        on_admitted: told of each publisher that was let in, after the answer was sent.
        on_gone: told of the server and client id of each publisher that left, likewise.
    """

    def __init__(
        self,
        hook_path: str,
        *,
        engines: Mapping[str, HookEngine],
        admission: Admission,
        on_admitted: Callable[[Publisher], None],
        on_gone: Callable[[str, str], None],
    ) -> None:
        self._hook_path = hook_path
        self._engines = engines
        self._admission = admission
        self._on_admitted = on_admitted
        self._on_gone = on_gone
        self._held_back = 0
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._address: tuple[str, int] | None = None

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
        return server if is_path and is_post and is_loopback(request.remote or "") else None

    async def _handle_publish(
        self, request: web.Request, server: str, engine: HookEngine, hook: HookRequest
    ) -> web.StreamResponse:
        decision, consent = await self._admission.ask(server, engine, hook)
        if isinstance(decision, Refused):
            consent.finish(False)
            await engine.discard(hook)
            await self._hold_back(self._admission.turned_away(server, hook, decision))
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

    async def _hold_back(self, delay_s: float) -> None:
        """Wait for as long as an answer is to be held back."""
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
