"""Waiting for a condition, with a generous limit and never with a fixed sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

_INTERVAL_S = 0.02

T = TypeVar("T")


@overload
async def wait_until(
    condition: Callable[[], Awaitable[T]],
    timeout: float = ...,  # noqa: ASYNC109 - as below
    what: str = ...,
) -> T: ...
@overload
async def wait_until(
    condition: Callable[[], T],
    timeout: float = ...,  # noqa: ASYNC109 - as below
    what: str = ...,
) -> T: ...
async def wait_until(
    condition: Callable[[], T | Awaitable[T]],
    timeout: float = 30,  # noqa: ASYNC109 - says what was waited for, which a cancellation cannot
    what: str = "",
) -> T:
    """Call `condition` until what it returns (or awaits) is true, and return that.

    Raises:
        TimeoutError: it was not within `timeout` seconds; says what it returned last.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        value = cast("T", await answer if inspect.isawaitable(answer) else answer)
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what or condition}; last: {value!r}")
        await asyncio.sleep(_INTERVAL_S)


def wait_until_sync(condition: Callable[[], T], timeout: float = 30, what: str = "") -> T:
    """Do the same where no event loop runs."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what or condition}; last: {value!r}")
        time.sleep(_INTERVAL_S)
    return value
