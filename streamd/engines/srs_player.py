"""Plays a stream of SRS by HTTP-FLV for as long as it takes to know that it can be played."""

import asyncio

import aiohttp

_HEADER_BYTES = 13
"""Of FLV; SRS sends it without any media."""

_AGAIN_S = 0.3


async def until_media(url: str) -> None:
    """Return once media of a stream has come, however long that takes.

    Who asks for a stream that nobody publishes yet waits for it, and joins it when it begins.

    Args:
        url: of the stream, `http://HOST:PORT/app/stream.flv`.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200 and await _has_media(response):
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(_AGAIN_S)


async def _has_media(response: aiohttp.ClientResponse) -> bool:
    received = 0
    async for part in response.content.iter_any():
        received += len(part)
        if received > _HEADER_BYTES:
            return True
    return False
