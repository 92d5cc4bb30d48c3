"""What a playout reports of itself, as FFmpegs do: datagrams of `key=value` lines.

They are sent from a loopback address that holds the pid (`streamd.ffmpeg.progress`).
"""

import asyncio
import os
import socket
from collections.abc import Mapping

from streamd.playout.air import Air, State
from streamd.playout.publisher import Publisher
from streamd.supervision.protocol import pid_address

_EVERY_S = 1.0
_LOOK_S = 0.25
_LONGEST_BYTES = 1900
_LONGEST_TEXT = 300


def datagram(
    *,
    out_ms: int,
    sent_bytes: int,
    at: int,
    state: State,
    error: str | None,
    publishes: bool = True,
) -> bytes:
    """Return a report, which fits into one datagram whatever it holds.

    Args:
        out_ms: how far the stream has come.
        sent_bytes: of it.
        at: the input on air, -1 for none.
        state: of that input.
        error: what is wrong; None for nothing.
        publishes: False while the media server takes nothing.
    """
    lines = [f"out_time_us={out_ms * 1000}", f"total_size={sent_bytes}", f"input={at}"]
    lines += [f"{name}={_line(text)}" for name, text in _texts(state, error).items() if text]
    lines += [] if publishes else ["publishes=no"]
    end = "progress=continue"
    left = _LONGEST_BYTES - len("\n".join([*lines, end, ""]).encode())
    for why in state.skipped.values():
        line = f"skipped={_line(why)}"
        left -= len(line.encode()) + 1
        if left < 0:
            break
        lines.append(line)
    return "\n".join([*lines, end, ""]).encode()


def _texts(state: State, error: str | None) -> Mapping[str, str | None]:
    return {"item": state.item, "mode": state.mode, "error": error}


def _line(text: str) -> str:
    """Return a text in one line, without what no text can hold."""
    cut = text.encode(errors="replace")[:_LONGEST_TEXT].decode(errors="ignore")
    return "".join(each if each.isprintable() else " " for each in cut)


async def report(air: Air, publisher: Publisher) -> None:
    """Report for ever: every second, and soon after something else is on air or wrong.

    Args:
        air: what is on air.
        publisher: what was sent.
    """
    host, _, port = air.spec.progress.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        sender.bind((pid_address(os.getpid()), 0))
        told: tuple[object, ...] = ()
        silent_s = _EVERY_S
        while True:
            at, state, error = _now(air)
            news = (at, state.item, state.mode, len(state.skipped), error, air.publish_error)
            if news != told or silent_s >= _EVERY_S:
                told, silent_s = news, 0.0
                _tell(
                    sender,
                    (host, int(port)),
                    datagram(
                        out_ms=air.program.end_ms,
                        sent_bytes=publisher.sent_bytes,
                        at=at,
                        state=state,
                        error=error,
                        publishes=air.publish_error is None,
                    ),
                )
            await asyncio.sleep(_LOOK_S)
            silent_s += _LOOK_S


def _tell(sender: socket.socket, address: tuple[str, int], message: bytes) -> None:
    try:
        sender.sendto(message, address)
    except OSError:  # nobody listens now, as while streamd restarts
        return


def _now(air: Air) -> tuple[int, State, str | None]:
    """Return the input on air, its state, and what is wrong with publishing or any input.

    With nothing on air the state of the first input that says anything is told.
    """
    on_air = air.on_air
    states = [port.state for port in air.ports]
    faults = [air.publish_error, *(state.error for state in states)]
    error = next((fault for fault in faults if fault), None)
    if on_air is not None:
        return on_air, states[on_air], error
    return -1, next((state for state in states if state.skipped), State()), error
