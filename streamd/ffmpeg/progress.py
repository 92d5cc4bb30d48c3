"""What FFmpegs report of themselves: a datagram a second each, read in one go on a tick.

A report is one datagram from a loopback address that holds the process's pid
(`streamd.supervision.process.PID_ADDRESS`), so it needs no name and no connection, and a new
streamd hears the processes of the one before it.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from streamd.errors import FFmpegError

PID_BASE = int(ipaddress.IPv4Address("127.64.0.0"))
_PID_END = PID_BASE + (1 << 22)  # the kernel's own limit of a pid

_DATAGRAM_BYTES = 2048
# 200 bytes a report, and the kernel counts about 800: this holds 5 s of 1000 processes.
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024

_RATE_S = 5.0


@dataclass(frozen=True, slots=True)
class Playing:
    """What a playout says of itself beyond what FFmpeg says.

    Attributes:
        input: which of its inputs is on air, by its place in the spec; -1 for none.
        item: the file on air.
        mode: `copy` or `transcode`, and why.
        skipped: files that cannot be played, and why.
        error: what is wrong with an input or with publishing; None for nothing.
    """

    input: int = -1
    item: str | None = None
    mode: str | None = None
    skipped: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One report. None stands for what is not known yet; `playing` is a playout's."""

    out_time_us: int | None
    total_bytes: int | None
    playing: Playing | None = None


@dataclass(frozen=True, slots=True)
class Track:
    """What one FFmpeg has reported so far. Times are on the caller's monotonic clock, seconds.

    Attributes:
        out_time_us: the time stamp that its output has come to, microseconds.
        bytes: what it has sent since it started.
        reported_at: when it was heard last.
        advanced_at: when `out_time_us` advanced last; None when it never did.
        kbps: what it sent lately (over the past 5 s or so), kilobits per second; None while that
            is not known.
        rate_from: time and bytes that `kbps` is counted from.
        playing: what a playout said of itself last; None for an FFmpeg.
    """

    out_time_us: int | None = None
    bytes: int = 0
    reported_at: float = 0.0
    advanced_at: float | None = None
    kbps: float | None = None
    rate_from: tuple[tuple[float, int], ...] = ()
    playing: Playing | None = None


def parse_report(datagram: bytes) -> Report:
    """Read one `-progress` report of FFmpeg's. What is missing or no number is None."""
    return Report(
        _number(datagram, b"out_time_us="),
        _number(datagram, b"total_size="),
        _playing(datagram) if b"\ninput=" in datagram else None,
    )


def _playing(datagram: bytes) -> Playing:
    lines = [line.partition("=") for line in datagram.decode(errors="replace").splitlines()]
    said = {name: value for name, _, value in lines if value}
    return Playing(
        input=int(said["input"]) if said.get("input", "").isdecimal() else -1,
        item=said.get("item"),
        mode=said.get("mode"),
        skipped=tuple(value for name, _, value in lines if name == "skipped" and value),
        error=said.get("error"),
    )


def _number(datagram: bytes, name: bytes) -> int | None:
    start = datagram.find(name)
    if start < 0:
        return None
    start += len(name)
    try:
        return int(datagram[start : datagram.find(b"\n", start)])
    except ValueError:
        return None


def advance(track: Track, report: Report, now: float) -> Track:
    """Return a track after one more report.

    Only a greater `out_time_us` than ever counts as an advance: some releases of FFmpeg go on
    reporting with a frozen one when their output is stuck.
    """
    before = track.out_time_us if track.out_time_us is not None else 0
    advanced = report.out_time_us is not None and report.out_time_us > before
    sent = max(track.bytes, report.total_bytes or 0)
    samples = (*track.rate_from, (now, sent))
    while len(samples) > 2 and now - samples[1][0] >= _RATE_S:
        samples = samples[1:]
    since, sent_then = samples[0]
    return Track(
        out_time_us=report.out_time_us if advanced else track.out_time_us,
        bytes=sent,
        reported_at=now,
        advanced_at=now if advanced else track.advanced_at,
        kbps=(sent - sent_then) * 8 / 1000 / (now - since) if now > since else track.kbps,
        rate_from=samples,
        playing=report.playing,
    )


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
        """Take the port (UDP). Raises FFmpegError when it cannot be had."""
        host, port = self._address
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            receiver.bind(self._address)
        except OSError as error:
            receiver.close()
            raise FFmpegError(
                f"FFmpeg cannot report its progress to {host}:{port} (UDP): {error.strerror}; "
                "choose another address for `daemon.hooks`"
            ) from error
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
    return number - PID_BASE if PID_BASE < number < _PID_END else None
