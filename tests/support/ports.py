"""Free ports on this machine, without collisions among test processes that run at once.

Each process takes a block of ports below the ephemeral range and holds its lock file until it
exits; a port is handed out once, and only if nothing listens on it.
"""

import errno
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FIRST, _END, _BLOCK = 20_000, 32_000, 50


def _take_block() -> Iterator[int]:
    directory = Path(tempfile.gettempdir()) / f"streamd-test-ports-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    blocks = list(range(_FIRST, _END, _BLOCK))
    random.SystemRandom().shuffle(blocks)
    for block in blocks:
        lock = os.open(directory / str(block), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        yield from range(block, block + _BLOCK)  # the lock stays open: the block is ours


_ports = _take_block()


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
    return True


def free_port() -> int:
    """Return a port that is free for TCP and UDP and is given to nobody else."""
    for port in _ports:
        if _is_free(port):
            return port
    raise RuntimeError(f"no free port is left between {_FIRST} and {_END}")


def free_ports(count: int) -> tuple[int, ...]:
    """Return several such ports."""
    return tuple(free_port() for _ in range(count))


def own_address() -> str | None:
    """Return an address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address
