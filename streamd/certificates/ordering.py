"""Runs one order as a process of its own, and reads what came of it."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass

from streamd.certificates.attempts import Failure
from streamd.certificates.lifetime import Window
from streamd.certificates.spec import OrderSpec, order_to_json, wait_s
from streamd.supervision.session import end_session
from streamd.supervision.spawn import die_with_parent

TIMEOUT_S = 300.0
"""An order gives itself less, beside its wait for the DNS; one that takes longer hangs."""

_MOST_SAID = 300


@dataclass(frozen=True, slots=True)
class Ordered:
    """What came of an order.

    Attributes:
        error: why there is no certificate, for an operator; None: there is one.
        failure: why there is none, as it counts (`attempts.Failure`).
        retry_after_s: how long it asked to wait, seconds.
        serial: of what was issued.
        window: when it wants the present one renewed, where it was asked for that.
        ask_again_s: after how long to ask it again, seconds.
        set_aside: files that were damaged and renamed, and what was wrong with each.
    """

    error: str | None = None
    failure: Failure = "unknown"
    retry_after_s: float | None = None
    serial: str = ""
    window: Window | None = None
    ask_again_s: float | None = None
    set_aside: tuple[tuple[str, str], ...] = ()


async def carry_out(order: OrderSpec) -> Ordered:
    """Carry an order out. It ends with us, and when the caller is cancelled. Raises nothing."""
    parent = os.getpid()
    timeout_s = TIMEOUT_S + wait_s(order.certificate)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "streamd.certificates.order", order.certificate.name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=lambda: die_with_parent(parent),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, said = await process.communicate(order_to_json(order).encode())
    except TimeoutError:
        return Ordered(f"the order did not end within {timeout_s:.0f} s")
    finally:
        await end_session(process)
    return _read(output, said, process.returncode or 0)


def _read(output: bytes, said: bytes, status: int) -> Ordered:
    try:
        data = json.loads(output)
        window = data.get("window")
        return Ordered(
            error=data.get("error"),
            failure=data.get("failure", "unknown"),
            retry_after_s=data.get("retry_after_s"),
            serial=str(data.get("serial", "")),
            window=None if window is None else Window(**window),
            ask_again_s=data.get("ask_again_s"),
            set_aside=tuple((str(path), str(why)) for path, why in data.get("set_aside", ())),
        )
    except (ValueError, TypeError, AttributeError):
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        words = said.decode(errors="replace").strip().splitlines()
        last = f": {words[-1][:_MOST_SAID]}" if words else ""
        return Ordered(f"the order {ended}{last}")
