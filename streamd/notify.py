"""Tell systemd how the daemon is: the notification protocol of sd_notify(3).

The protocol is one datagram of `NAME=value` lines; the packages that offer it on PyPI are
unmaintained, so its few lines are here. Without `NOTIFY_SOCKET` nothing is sent.
"""

import os
import socket
import time
from collections.abc import Mapping

_STATUS_LENGTH = 500  # it is one line of `systemctl status`, and a datagram has a limit


class Notifier:
    """Sends the daemon's state to the service manager. Nothing here raises or blocks.

    Args:
        environment: where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._watchdog_s = _watchdog_s(environment)
        self._socket: socket.socket | None = None

    @property
    def watchdog_interval_s(self) -> float | None:
        """How often to call `watchdog`: twice in the time that is allowed; None for never."""
        return self._watchdog_s

    def ready(self, status: str = "") -> bool:
        """Say that the daemon works, after its start or a reload."""
        return self._send("READY=1", *((_status(status),) if status else ()))

    def reloading(self) -> bool:
        """Say that a reload began; `ready` ends it (Type=notify-reload)."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> bool:
        """Show one line in `systemctl status`. The caller has masked secrets."""
        return self._send(_status(text))

    def watchdog(self) -> bool:
        """Say that the daemon is alive."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        """Say that the daemon is about to end."""
        return self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *assignments: str) -> bool:
        """Send assignments in one datagram; False when nobody listens or takes them."""
        if self._address is None:
            return False
        message = "\n".join(assignments).encode("utf-8", "replace")
        try:
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                )
            self._socket.sendto(message, self._address)
        except OSError:
            return False  # systemd restarts a daemon that it does not hear from
        return True


def _address(text: str) -> str | None:
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_STATUS_LENGTH]}"


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    try:
        allowed_us = int(environment.get("WATCHDOG_USEC", "0"))
        pid = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return allowed_us / 2_000_000 if allowed_us > 0 and pid == os.getpid() else None
