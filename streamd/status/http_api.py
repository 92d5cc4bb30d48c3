"""The read-only status endpoint: `/`, `/status`, `/healthz`, `/readyz` and `/metrics` over HTTP."""

import asyncio
import base64
import binascii
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import TypeVar

import structlog
from aiohttp import web

from streamd.config.addresses import split_address
from streamd.engines.base import OpenPort
from streamd.engines.ports import refusal
from streamd.errors import SettingsError
from streamd.status import metrics
from streamd.status.page import content_security_policy, page
from streamd.status.report import as_json, reasons, status_of
from streamd.status.snapshot import Snapshot
from streamd.status.tls import ServedTls, served_tls

log = structlog.get_logger()

# aiohttp logs a traceback for each malformed request. That is a client's fault and no news; what
# fails in an answer is logged here.
_unheard = logging.getLogger("streamd.status.http_api.malformed")
_unheard.setLevel(logging.CRITICAL + 1)

T = TypeVar("T")
U = TypeVar("U")

CONNECTION_LIMIT_S = 20.0
"""A connection serves one request, and is closed after so long whatever its client does."""

MAX_CONNECTIONS = 128
"""With one more than that, the oldest is closed."""

MAX_HEADER_BYTES = 8190
MAX_HEADERS = 64

_METHODS = ("GET", "HEAD")
_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "streamd",
    "X-Content-Type-Options": "nosniff",
}
# Basic as well, with the token as its password, because a browser cannot send a bearer token.
_CHALLENGES = ('Bearer realm="streamd"', 'Basic realm="streamd", charset="UTF-8"')


class StatusServer:
    """Serves the status. Nothing can be changed through it.

    Args:
        snapshot: called for each request, in the event loop.
    """

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._address = ""
        self._token: str | None = None
        self._tls: ServedTls | None = None
        self._connections: _Connections | None = None
        self._listener: asyncio.Server | None = None
        self._rendering = asyncio.Lock()
        self._routes: Mapping[str, Callable[[web.BaseRequest], Awaitable[web.Response]]] = {
            "/": self._page,
            "/status": self._status,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }

    @property
    def port(self) -> int:
        """The port that it listens on; 0 while it does not."""
        if self._listener is None or not self._listener.sockets:
            return 0
        port = self._listener.sockets[0].getsockname()[1]
        assert isinstance(port, int)  # noqa: S101 - for mypy
        return port

    async def start(
        self, address: str, token: str | None, certificate: tuple[str, str] | None = None
    ) -> None:
        """Listen there, and no more where it listened before.

        Args:
            address: HOST:PORT, an IPv6 host in brackets; port 0 takes a free one.
            token: what a client has to present as bearer token (or as password of Basic
                authentication), except to `/healthz`; None lets everybody read.
            certificate: paths of a chain and its key, to serve it over HTTPS; None: over HTTP.

        Raises:
            SettingsError: the address cannot be used; it goes on as before.
        """
        if self._connections is None:
            self._connections = _Connections(self._answer)
        tls = self._tls
        if certificate != (tls.certificate if tls is not None else None):
            tls = await asyncio.to_thread(served_tls, certificate)
        if self._listener is None or address != self._address or tls is not self._tls:
            self._listener = await self._moved(address, self._connections, tls)
            scheme = "http" if tls is None else "https"
            log.info("status.listening", address=address, port=self.port, scheme=scheme)
        self._tls = tls
        self._address, self._token = address, token

    async def renew_certificate(self) -> None:
        """Serve whoever comes from now on with the certificate as it is now."""
        if self._tls is not None:
            await asyncio.to_thread(self._tls.renew)

    async def _moved(
        self, address: str, connections: "_Connections", tls: ServedTls | None
    ) -> asyncio.Server:
        # The old address may include the new one, as 0.0.0.0:2022 does 127.0.0.1:2022.
        overlaps = self._listener is not None and split_address(address)[1] == self.port
        if overlaps:
            self._stop_listening()
        try:
            listener = await _listen(address, connections, tls)
        except SettingsError:
            if overlaps:
                self._listener = await _listen(self._address, connections, self._tls)
            raise
        self._stop_listening()
        return listener

    async def stop(self) -> None:
        """Stop listening, and close every connection."""
        self._stop_listening()
        if self._connections is not None:
            self._connections.abort_all()
            await self._connections.shutdown(0)
            self._connections = None

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        response = await self._respond(request)
        for name, value in _SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.force_close()
        return response

    async def _respond(self, request: web.BaseRequest) -> web.Response:
        handler = self._routes.get(request.path)
        if request.path != "/healthz" and not self._is_authorised(request):
            response = _error(HTTPStatus.UNAUTHORIZED, "the status token is required")
            for challenge in _CHALLENGES:
                response.headers.add("WWW-Authenticate", challenge)
            return response
        if handler is None:
            return _error(HTTPStatus.NOT_FOUND, f"not here; there are {', '.join(self._routes)}")
        if request.method not in _METHODS:
            response = _error(HTTPStatus.METHOD_NOT_ALLOWED, "the status can only be read")
            response.headers["Allow"] = ", ".join(_METHODS)
            return response
        try:
            return await handler(request)
        except Exception:  # a bug in a report must not look like a lost daemon
            log.exception("status.failed", path=request.path)
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "the status could not be told; see log")

    def _is_authorised(self, request: web.BaseRequest) -> bool:
        if self._token is None:
            return True
        presented = _presented(request.headers.get("Authorization", ""))
        return hmac.compare_digest(presented, self._token.encode())

    async def _page(self, _request: web.BaseRequest) -> web.Response:
        text, policy = await self._rendered(
            status_of, lambda status: (page(status), content_security_policy(status))
        )
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _status(self, request: web.BaseRequest) -> web.Response:
        indent = 2 if "pretty" in request.query else None
        text = await self._rendered(status_of, lambda status: _as_text(as_json(status), indent))
        return web.Response(text=text, content_type="application/json")

    async def _healthz(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.BaseRequest) -> web.Response:
        status = status_of(self._snapshot())
        found = reasons(status)
        text = "".join(f"{line}\n" for line in (*found, *status.warnings))
        if not found:
            return web.Response(text=f"converged\n{text}")
        return web.Response(text=text, status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def _metrics(self, _request: web.BaseRequest) -> web.Response:
        body = await self._rendered(metrics.sample, metrics.exposition)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _rendered(self, take: Callable[[Snapshot], T], render: Callable[[T], U]) -> U:
        """Render one at a time and off the loop, so that no crowd of clients holds the daemon."""
        async with self._rendering:
            return await asyncio.to_thread(render, take(self._snapshot()))


class _Connections(web.Server):
    """Bounds every connection in time, and all of them in number."""

    def __init__(self, handler: Callable[[web.BaseRequest], object]) -> None:
        super().__init__(
            handler,  # type: ignore[arg-type] # it wants the type of an Application's handler
            access_log=None,
            logger=_unheard,
            keepalive_timeout=CONNECTION_LIMIT_S,
            lingering_time=0,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._open: dict[web.RequestHandler, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._open) >= MAX_CONNECTIONS:
            oldest, _ = next(iter(self._open.values()))
            oldest.abort()
        limit = asyncio.get_running_loop().call_later(CONNECTION_LIMIT_S, transport.abort)
        self._open[handler] = (transport, limit)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        super().connection_lost(handler, exc)
        _, limit = self._open.pop(handler, (None, None))
        if limit is not None:
            limit.cancel()

    def abort_all(self) -> None:
        """Close every connection without its client's consent."""
        for transport, _ in list(self._open.values()):
            transport.abort()


def _error(status: HTTPStatus, message: str) -> web.Response:
    text = _as_text({"error": message}, None)
    return web.Response(text=text, status=status, content_type="application/json")


def _as_text(value: Mapping[str, object], indent: int | None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False) + "\n"


def _presented(authorization: str) -> bytes:
    """Return the token that a client presents, b"" for none (RFC 6750; RFC 7617)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip().encode(errors="surrogateescape")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


async def _listen(address: str, connections: _Connections, tls: ServedTls | None) -> asyncio.Server:
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(
            connections, host, port, reuse_address=True, ssl=None if tls is None else tls.context
        )
    except OSError as error:
        raise refusal(error, OpenPort("status", port, "http", host)) from error
