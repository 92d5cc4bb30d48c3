"""What streamd and the plugin inside supervisord have to agree on.

supervisord outlives upgrades of streamd, so a release may meet the plugin of an older one. Change
`PROTOCOL` only when the two cannot work together; fields may be added without that. Imports
next to nothing: this is loaded inside supervisord and in each archive and playout, where memory
counts.
"""

import time

PROTOCOL = 1
"""Version of the `streamd` RPC namespace."""

MARKER = "STREAMD_SUPERVISED"
"""Environment variable of every supervised process; its value is the runtime directory."""

PID_ADDRESS = "{pid_address}"
"""Stands in an argv for a loopback address that holds the pid, put in between fork and exec.

FFmpeg binds the socket of its progress reports to it, so the sender's address of a report names
the process, without a table and across restarts of streamd (`pid_address`).
"""

SPAWNED = "{spawned}"
"""Stands in an argv for when the process started and its pid, as `spawned` writes them.

It is put in between fork and exec, so that a process that is started again, from the same spec,
writes over nothing that it has written before.
"""

PID_NETWORK = 127 << 24 | 64 << 16
"""127.64.0.0, the network of 22 bits whose addresses stand for pids."""


def pid_address(pid: int) -> str:
    """Return the loopback address that stands for a pid: `PID_NETWORK` + pid."""
    number = PID_NETWORK + pid
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def spawned(pid: int, now_ns: int) -> str:
    """Return what stands for a start: `20261123T013000.123456Z-4242`, UTC.

    Args:
        pid: of what was started.
        now_ns: Unix time, nanoseconds.
    """
    seconds, rest_ns = divmod(now_ns, 1_000_000_000)
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{moment}.{rest_ns // 1000:06d}Z-{pid}"
