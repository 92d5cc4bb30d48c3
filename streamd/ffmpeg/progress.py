"""What FFmpegs report of themselves: a datagram a second each, read in one go on a tick.

A report is one datagram from a loopback address that holds the process's pid
(`streamd.supervision.protocol.PID_ADDRESS`), so it needs no name and no connection, and a new
streamd hears the processes of the one before it.
"""

import socket
from collections.abc import Mapping
from types import MappingProxyType

from streamd.engines.base import OpenPort
from streamd.engines.ports import refusal
from streamd.ffmpeg.track import Track, advance, parse_report
from streamd.supervision.protocol import PID_NETWORK

_PID_END = PID_NETWORK + (1 << 22)  # the kernel's own limit of a pid

_DATAGRAM_BYTES = 2048
# 200 bytes a report, and the kernel counts about 800: this holds 5 s of 1000 processes.
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024


class ProgressReceiver:
    """Hears the reports of the processes that were registered, and keeps their tracks."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._tracks: dict[int, Track] = {}
        self._registered: set[int] = set()

    @property
    def tracks(self) -> Mapping[int, Track]:
        """The tracks of registered processes that have reported, by pid."""
        return MappingProxyType(self._tracks)

    def open(self) -> None:
        """Take the port (UDP). Raises PortError when it cannot be had."""
        host, port = self._address
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            receiver.bind(self._address)
        except OSError as error:
            receiver.close()
            raise refusal(error, OpenPort("hooks", port, "udp", host)) from error
        self._socket = receiver

    def close(self) -> None:
        """Give the port back. The tracks stay. More than once is harmless."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def register(self, pid: int) -> None:
        """Keep what this process reports from now on."""
        self._registered.add(pid)

    def forget(self, pid: int) -> None:
        """Drop a process and its track. One that is not known is no error."""
        self._registered.discard(pid)
        self._tracks.pop(pid, None)

    def drain(self, now: float) -> None:
        """Read every report that waits; `now` is what they are dated."""
        if self._socket is None:
            return
        while True:
            try:
                datagram, (sender, _) = self._socket.recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            pid = pid_of(sender)
            if pid in self._registered:
                track = self._tracks.get(pid, _NOT_HEARD)
                self._tracks[pid] = advance(track, parse_report(datagram), now)


_NOT_HEARD = Track()


def pid_of(address: str) -> int | None:
    """Return the pid that a sender's address holds; None when it holds none."""
    number = int.from_bytes(socket.inet_aton(address))
    return number - PID_NETWORK if PID_NETWORK < number < _PID_END else None
