"""Plays a stream of SRS for as long as it takes to know that it can be played."""

import asyncio

import aiohttp

from streamd.playout.rtmp import RtmpError, open_play

_HEADER_BYTES = 13
"""Of FLV; SRS sends it without any media."""

_ANSWER_S = 5.0
_AGAIN_S = 0.3


async def until_media(url: str) -> None:
    """Return once media of a stream has come, however long that takes.

    Who asks for a stream that nobody publishes yet waits for it, and joins it when it begins.

    Args:
        url: of the stream, `http://HOST:PORT/app/stream.flv` or `rtmp://HOST:PORT/app/stream`.
    """
    play = _flv_has_media if url.startswith("http:") else _rtmp_has_media
    while True:
        if await play(url):
            return
        await asyncio.sleep(_AGAIN_S)


async def _flv_has_media(url: str) -> bool:
    """Play until media has come, and return True; False where the server ends it before."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_ANSWER_S)
    received = 0
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url) as response,
        ):
            if response.status == 200:
                async for part in response.content.iter_any():
                    received += len(part)
                    if received > _HEADER_BYTES:
                        return True
    except (aiohttp.ClientError, TimeoutError):
        pass
    return False


async def _rtmp_has_media(url: str) -> bool:
    """Do the same by RTMP."""
    try:
        async with await open_play(url, timeout_s=_ANSWER_S) as tags:
            async for _ in tags:
                return True
    except RtmpError:
        pass
    return False
