"""Limits, clock and kernel of the machine: what is right about them. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamd.desired import EngineName
from streamd.doctor.finding import Finding, error, ok, warning
from streamd.engines import nginx_rtmp_config, srs_config
from streamd.ffmpeg.ends import SEND_BUFFER_BYTES

FEW_CONNECTIONS = 4000
"""A server that takes fewer connections than this is turned deaf by one busy evening."""

_LEAST_BUFFER_BYTES = 128 * 1024
_ROUND_TRIP_S = 0.1
_BUFFERS_PER_ROUND_TRIP = 1.3  # measured

_SUPERVISOR_DESCRIPTORS = 64
_DESCRIPTORS_PER_PROCESS = 2
_RAISE = (
    "raise it and restart: LimitNOFILE=1048576 in the units, or `ulimit -n` before `streamd run`"
)


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """A process's limits on open files."""

    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Clock:
    """The kernel's clock: whether something keeps it right, and its greatest error, seconds."""

    synchronised: bool
    error_s: float


def judge_server_limit(
    server: str, engine: EngineName, told: OpenFiles, given: OpenFiles, whose: str
) -> Finding:
    """Judge how many connections a server can take.

    Args:
        server: its name.
        engine: SRS raises its soft limit to the hard one, nginx stays within the soft one.
        told: the limits of streamd, which the server's configuration is made from.
        given: the limits of supervisord, which the server inherits.
        whose: who `told` them: streamd or, when it does not run, the shell.
    """
    where = f"servers.{server}"
    if engine == "srs":
        limit, connections = told.hard, srs_config.connections(told.hard)
        needed = connections + srs_config.RESERVED_DESCRIPTORS
        if connections < 1:
            return error(where, f"{limit} open files are too few for SRS to start", _RAISE)
        if given.hard < needed:
            return error(
                where,
                f"SRS does not start: streamd may open {limit} files, supervisord {given.hard}",
                "give streamd-supervisord.service the greater LimitNOFILE=, and restart it",
            )
    else:
        limit = min(told.soft, given.soft)
        connections = nginx_rtmp_config.connections(limit)
    found = f"{whose} may open {limit} files: {connections} connections at most"
    return warning(where, found, _RAISE) if connections < FEW_CONNECTIONS else ok(where, found)


def judge_supervisor_limit(given: OpenFiles, processes: int, whose: str) -> Finding:
    """Judge whether supervisord (or who `whose` says) can run so many processes at once."""
    most = (given.hard - _SUPERVISOR_DESCRIPTORS) // _DESCRIPTORS_PER_PROCESS
    told = (
        f"{whose} may open {given.hard} files: {max(most, 0)} processes at most, {processes} in "
        "the file"
    )
    return ok("processes", told) if processes <= most else error("processes", told, _RAISE)


def judge_clock(clock: Clock, windows: Sequence[str]) -> Finding:
    """Judge the clock; `windows` are the names of the keys that begin or end at a time."""
    if clock.synchronised:
        return ok("clock", f"is kept right, to {clock.error_s * 1000:.0f} ms at worst")
    keys = f": keys {', '.join(windows)} begin or end by it" if windows else ""
    return warning(
        "clock",
        f"nothing keeps it right{keys}",
        "run chrony or systemd-timesyncd (`timedatectl set-ntp true`); in a container, on its host",
    )


def judge_kernel(wmem_max: int) -> Iterator[Finding]:
    """Judge the kernel's settings that a target's bit rate depends on."""
    buffer = min(wmem_max, SEND_BUFFER_BYTES)
    rate = _BUFFERS_PER_ROUND_TRIP * 8 * buffer / _ROUND_TRIP_S / 1e6
    told = f"{wmem_max}: a target that is 100 ms away gets {rate:.0f} Mb/s at most"
    if buffer < _LEAST_BUFFER_BYTES:
        advice = f"sysctl -w net.core.wmem_max={SEND_BUFFER_BYTES}, and write it to /etc/sysctl.d"
        yield warning("net.core.wmem_max", told, advice)
    else:
        yield ok("net.core.wmem_max", told)
