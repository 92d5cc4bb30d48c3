"""Ports that are listened at: whether they are free, who has them, and whether they are served."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from streamd.engines.base import OpenPort
from streamd.errors import PortError, PortTakenError

PROBE_TIMEOUT_S = 2.0

_RTMP_HELLO = b"\x03" + bytes(1536)
"""C0 and C1 of the RTMP handshake (Adobe's RTMP specification 1.0, 5.2); the answer begins S0."""

_HTTP_HELLO = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

_LISTENING = "0A"  # the state of a listening TCP socket in /proc/net/tcp; UDP sockets have 07


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port: its name and pid."""

    name: str
    pid: int


def check_free(ports: Sequence[OpenPort], except_for: Collection[int] = ()) -> None:
    """Make sure that a server could listen at these ports.

    SRS shares its ports with another SRS without a word, so this has to be asked before.

    Raises:
        PortTakenError: others have some of them.
        PortError: likewise, but that they are free is not all that it takes.
    """
    errors = [
        (port, error)
        for port in ports
        if port.number not in except_for and (error := bind_error(port)) is not None
    ]
    if not errors:
        return
    reasons = [(("listen", port.field), explained(error, port)) for port, error in errors]
    if any(error.errno != errno.EADDRINUSE for _, error in errors):
        raise PortError(reasons)
    raise PortTakenError(reasons, lambda: all(bind_error(port) is None for port, _ in errors))


def refusal(error: OSError, port: OpenPort) -> PortError:
    """Return what to raise of an address of the daemon that cannot be listened at."""
    reasons = [(("daemon", port.field), explained(error, port))]
    if error.errno != errno.EADDRINUSE:
        return PortError(reasons)
    return PortTakenError(reasons, lambda: bind_error(port) is None)


def bind_error(port: OpenPort) -> OSError | None:
    """Return why nobody could listen at a port now, None where one could.

    EADDRINUSE: somebody has it; EACCES: this user may not.
    """
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    kind = socket.SOCK_DGRAM if port.speaks == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # as asyncio listens, beside one at the same IPv4 port
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((port.host, port.number))
    except OSError as error:
        return error
    return None


def explained(error: OSError, port: OpenPort) -> str:
    """Say for an operator why nobody can listen at a port, and what to do.

    Args:
        error: what listening there ended with.
        port: where.
    """
    if isinstance(error, socket.gaierror):
        return f"{port.host!r} is not a known host; use an IP address"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{port.host} is not an address of this machine; use one, or 127.0.0.1"
    protocol = "UDP" if port.speaks == "udp" else "TCP"
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        taken = f" by {holder.name} (pid {holder.pid})" if holder else ""
        return f"{protocol} port {port.number} is taken{taken}; stop that or choose another port"
    if error.errno == errno.EACCES:
        return (
            f"{protocol} port {port.number} is not allowed to this user; choose one above 1023, "
            "or grant CAP_NET_BIND_SERVICE"
        )
    return (
        f"{protocol} port {port.number} cannot be used: {error.strerror or error}; choose another"
    )


def is_bound_udp(number: int) -> bool:
    """Tell whether any process of this machine has a UDP port."""
    return bool(_inodes("udp", number))


def _inodes(protocol: Literal["tcp", "udp"], number: int) -> set[str]:
    """Return the inodes of the sockets that listen at a port, from the kernel's tables."""
    found = set()
    for table in (protocol, f"{protocol}6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # no IPv6
            continue
        for fields in map(str.split, lines):
            local, state, inode = fields[1], fields[3], fields[9]
            if int(local.rpartition(":")[2], 16) != number:
                continue
            if protocol == "udp" or state == _LISTENING:
                found.add(f"socket:[{inode}]")
    return found


def holder_of(port: OpenPort) -> Holder | None:
    """Return the process that has a port, None if it cannot be seen. Reads all of /proc."""
    inodes = _inodes("udp" if port.speaks == "udp" else "tcp", port.number)
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _has_one(process, inodes):
            try:
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                return None
            return Holder(name, int(process.name))
    return None


def _has_one(process: Path, inodes: set[str]) -> bool:
    try:
        return any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir())
    except OSError:  # another user's, or gone meanwhile
        return False


@cache
def _unverified() -> ssl.SSLContext:
    """Return a context that takes every certificate: what is asked is whether it is served."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def is_served(port: OpenPort) -> bool:
    """Tell whether somebody answers at a port of this machine within 2 s."""
    if port.speaks == "udp":
        return await asyncio.to_thread(is_bound_udp, port.number)
    hello, answer = (_RTMP_HELLO, b"\x03") if port.speaks == "rtmp" else (_HTTP_HELLO, b"HTTP/")
    tls = _unverified() if port.speaks == "https" else None
    host = "127.0.0.1" if port.host == "0.0.0.0" else port.host  # noqa: S104 - compared only
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port.number, ssl=tls)
            try:
                writer.write(hello)
                return await reader.readexactly(len(answer)) == answer
            finally:
                writer.close()
    except (OSError, EOFError):
        return False
