"""Post to a callback's server: bounded in time and length, and nothing of it is ever trusted."""

import asyncio
import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Literal

import aiohttp

from streamd.callbacks.resolve import Resolver
from streamd.callbacks.wire import ANSWER_BYTES, headers, judge
from streamd.desired import CallbackSpec
from streamd.version import __version__

_CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request.

    Attributes:
        kind: `yes`; `no`, in so many words; `fault`: an answer that is neither; `none`: no answer.
        text: for people; holds nothing of what was sent or answered but a code.
    """

    kind: Literal["yes", "no", "fault", "none"]
    text: str


class Poster:
    """Posts to callbacks' servers. Certificates are verified, redirects not followed.

    Each request has a connection of its own: one that was kept may be closed by the other side
    just when a publisher waits for the answer.

    Args:
        tls: what certificates are trusted; None: those of the system.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def post(self, spec: CallbackSpec, body: bytes, *, limit_s: float | None = None) -> Reply:
        """Send a body, and judge the answer. Takes the callback's timeout at most. Never raises.

        Args:
            spec: the callback.
            body: JSON.
            limit_s: a shorter limit than its timeout.
        """
        limit_s = spec.timeout_s if limit_s is None else min(limit_s, spec.timeout_s)
        try:
            async with asyncio.timeout(limit_s):
                return await self._post(spec, body)
        except TimeoutError:
            return Reply("none", f"no answer within {limit_s:.3g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Reply("none", reason_of(error))
        except ValueError:  # an address that yarl understands in another way than urllib
            return Reply("none", "its address is not understood")

    async def _post(self, spec: CallbackSpec, body: bytes) -> Reply:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    force_close=True,
                    resolver=Resolver(),
                    ssl=self._tls if self._tls is not None else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        async with self._session.post(
            spec.url,
            data=body,
            headers=headers(spec.sign, body, time.time(), __version__),
            allow_redirects=False,
        ) as response:
            answered = b"" if response.status != 200 else await _bounded(response)
            if answered is None:
                return Reply("fault", f"HTTP 200 with more than {ANSWER_BYTES // 1024} kB")
            found = judge(response.status, answered)
            return Reply(found.kind, found.text)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    chunks: list[bytes] = []
    length = 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        length += len(chunk)
        if length > ANSWER_BYTES:
            response.close()
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def reason_of(error: aiohttp.ClientError | OSError) -> str:
    """Say why there was no answer, without the address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
        told = getattr(inner, "verify_message", None) or str(inner)
        return f"its certificate is not good: {told}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not found"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"TLS fails: {(getattr(error.os_error, 'reason', '') or 'no handshake').lower()}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, socket.gaierror):
        return "its name is not found"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return {
        aiohttp.ClientResponseError: "what it answers is no HTTP",
        aiohttp.ClientPayloadError: "its answer broke off",
    }.get(type(error), f"no answer ({type(error).__name__})")
