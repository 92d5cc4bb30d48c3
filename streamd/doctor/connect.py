"""Reaches hosts as far as that can be done without sending anything that means something there."""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from streamd.doctor.hosts import TLS_SCHEMES, Endpoint, Reached, Stage

REACH_TIMEOUT_S = 5.0
"""For one host: name, connection and TLS together."""

AT_ONCE = 10
"""Hosts that are reached at a time."""

_ADDRESSES = 4  # of one host; more would only be more of the same

_Address = tuple[socket.AddressFamily, tuple[Any, ...]]


async def reach_all(
    endpoints: Collection[Endpoint], tls: ssl.SSLContext
) -> Mapping[Endpoint, Reached]:
    """Reach several endpoints, some at a time, 5 s each at most. Raises nothing.

    Args:
        endpoints: where to.
        tls: what certificates are trusted.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(endpoint: Endpoint) -> Reached:
        async with gate:
            return await reach(endpoint, tls)

    found = await asyncio.gather(*map(one, endpoints))
    return dict(zip(endpoints, found, strict=True))


async def reach(endpoint: Endpoint, tls: ssl.SSLContext) -> Reached:
    """Look its name up, connect (not over UDP), and shake hands where it speaks TLS."""
    stage: Stage = "name"
    addresses: tuple[str, ...] = ()
    try:
        async with asyncio.timeout(REACH_TIMEOUT_S):
            found = await _resolve(endpoint)
            addresses = tuple(str(address[0]) for _, address in found)
            if endpoint.scheme == "srt":
                return Reached("name", addresses)
            stage = "connection"
            with await _connect(found) as connection:
                if endpoint.scheme in TLS_SCHEMES:
                    stage = "tls"
                    await _shake_hands(connection, tls, endpoint.host)
    except TimeoutError:
        return Reached(stage, addresses, f"no answer within {REACH_TIMEOUT_S:g} s")
    except OSError as error:
        return Reached(stage, addresses, _reason(error))
    return Reached(stage, addresses)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if not isinstance(error, socket.gaierror) and error.errno:
        return os.strerror(error.errno).lower()  # asyncio puts the address into its own
    return (error.strerror or str(error) or type(error).__name__).lower()


async def _resolve(endpoint: Endpoint) -> Sequence[_Address]:
    """Look a host's addresses up. Raises OSError.

    In a thread of its own: a resolver that hangs would keep one of the loop's own, and with it
    the end of the program, for as long as it likes.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[_Address]] = loop.create_future()
    kind = socket.SOCK_DGRAM if endpoint.scheme == "srt" else socket.SOCK_STREAM

    def tell(found: Sequence[_Address] | OSError) -> None:
        if answer.done():  # it was given up
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        found: Sequence[_Address] | OSError
        try:
            entries = socket.getaddrinfo(endpoint.host, endpoint.port, type=kind)
            found = [(family, address) for family, _, _, _, address in entries[:_ADDRESSES]]
        except UnicodeError:
            found = OSError(0, "not a host name")
        except OSError as error:
            found = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name="doctor-resolve", daemon=True).start()
    return await answer


async def _connect(addresses: Sequence[_Address]) -> socket.socket:
    """Connect to the first of several addresses that answers. Raises OSError: none did."""
    attempts = [asyncio.create_task(_connect_to(*each)) for each in addresses]
    winner: socket.socket | None = None
    failure = OSError("has no address")
    try:
        for done in asyncio.as_completed(attempts):
            try:
                winner = await done
            except OSError as error:
                failure = error
            else:
                return winner
        raise failure
    finally:
        for attempt in attempts:
            attempt.cancel()
        for each in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(each, socket.socket) and each is not winner:
                each.close()


async def _connect_to(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _shake_hands(connection: socket.socket, tls: ssl.SSLContext, host: str) -> None:
    _, writer = await asyncio.open_connection(sock=connection, ssl=tls, server_hostname=host)
    writer.transport.abort()
