"""How far an FFmpeg or a playout has come, by what it reports of itself. Pure.

A report is a text of `name=value` lines, as FFmpeg's `-progress` writes them
(https://ffmpeg.org/ffmpeg.html, "-progress").
"""

from dataclasses import dataclass

_RATE_S = 5.0
_SPEED_KNOWN_S = 4.0

SLOW_SPEED = 0.97
"""Slower than so many times real time, a live stream falls further behind with every second."""


@dataclass(frozen=True, slots=True)
class Playing:
    """What a playout says of itself beyond what FFmpeg says.

    Attributes:
        input: which of its inputs is on air, by its place in the spec; -1 for none.
        item: the file on air.
        mode: `copy` or `transcode`, and why.
        skipped: files that cannot be played, and why.
        error: what is wrong with an input or with publishing; None for nothing.
        publishes: False while the media server takes nothing from it.
    """

    input: int = -1
    item: str | None = None
    mode: str | None = None
    skipped: tuple[str, ...] = ()
    error: str | None = None
    publishes: bool = True


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
        rate_from: time, bytes and `out_time_us` that `kbps` and `speed` are counted from.
        playing: what a playout said of itself last; None for an FFmpeg.
        speed: how much faster than real time the output advanced lately (over the past 5 s or so),
            1 for just as fast; None until that is known. FFmpeg's own figure is the mean since its
            start, which hides for an hour that it became slow.
        slow_since: from when on `speed` has been below `SLOW_SPEED`; None while it is not.
    """

    out_time_us: int | None = None
    bytes: int = 0
    reported_at: float = 0.0
    advanced_at: float | None = None
    kbps: float | None = None
    rate_from: tuple[tuple[float, int, int], ...] = ()
    playing: Playing | None = None
    speed: float | None = None
    slow_since: float | None = None


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
        publishes=said.get("publishes") != "no",
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
    come_to = report.out_time_us if advanced else track.out_time_us
    sent = max(track.bytes, report.total_bytes or 0)
    samples = (*track.rate_from, (now, sent, come_to or 0))
    while len(samples) > 2 and now - samples[1][0] >= _RATE_S:
        samples = samples[1:]
    since, sent_then, _ = samples[0]
    speed = _speed(samples)
    slow = speed is not None and speed < SLOW_SPEED
    return Track(
        out_time_us=come_to,
        bytes=sent,
        reported_at=now,
        advanced_at=now if advanced else track.advanced_at,
        kbps=(sent - sent_then) * 8 / 1000 / (now - since) if now > since else track.kbps,
        rate_from=samples,
        playing=report.playing,
        speed=speed,
        slow_since=(track.slow_since if track.slow_since is not None else now) if slow else None,
    )


def _speed(samples: tuple[tuple[float, int, int], ...]) -> float | None:
    """Return how fast the output advanced, counted from the first sample that has media."""
    until, _, come_to = samples[-1]
    for since, _, come_from in samples:
        if come_from:
            known = until - since >= _SPEED_KNOWN_S
            return (come_to - come_from) / 1e6 / (until - since) if known else None
    return None
