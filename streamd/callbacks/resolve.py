"""Looks names up in threads of its own.

The event loop's own threads are few and serve everything that blocks; a name server that hangs
would take them all.
"""

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

MAX_THREADS = 16
"""With so many lookups under way, a further one fails at once."""

_Infos = list[tuple[Any, ...]]


class Resolver(AbstractResolver):
    """Resolves for one aiohttp connector, which asks for each host once at a time."""

    def __init__(self) -> None:
        self._running = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError."""
        if self._running >= MAX_THREADS:
            raise OSError(0, "too many names are being looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Infos] = loop.create_future()

        def tell(found: _Infos | OSError) -> None:
            self._running -= 1
            if answer.done():  # it was given up
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def ask() -> None:
            found: _Infos | OSError
            try:
                found = list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
            except UnicodeError:
                found = socket.gaierror(socket.EAI_NONAME, "not a host name")
            except OSError as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, found)

        self._running += 1
        threading.Thread(target=ask, name="callback-resolve", daemon=True).start()
        return [_result(host, info) for info in await answer]

    async def close(self) -> None:
        """Do nothing: a lookup that is under way ends by itself."""


def _result(host: str, info: tuple[Any, ...]) -> ResolveResult:
    family, _, proto, _, address = info
    return ResolveResult(
        hostname=host,
        host=address[0],
        port=address[1],
        family=family,
        proto=proto,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
