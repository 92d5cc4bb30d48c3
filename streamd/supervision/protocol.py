"""What streamd and the plugin inside supervisord have to agree on.

supervisord outlives upgrades of streamd, so a release may meet the plugin of an older one. Change
`PROTOCOL` only when the two cannot work together; fields may be added without that. Imports
next to nothing: this is loaded inside supervisord, where memory counts.
"""

import time

PROTOCOL = 1
"""Version of the `streamd` RPC namespace."""

MARKER = "STREAMD_SUPERVISED"
"""Environment variable of every supervised process; its value is the runtime directory."""

PID_ADDRESS = "{pid_address}"
"""The token of `streamd.supervision.process`, repeated here because that module is heavy."""

SPAWNED = "{spawned}"
"""Likewise."""

PID_NETWORK = 127 << 24 | 64 << 16
"""127.64.0.0, the network of 22 bits whose addresses stand for pids."""


def pid_address(pid: int) -> str:
    """Return the loopback address that stands for a pid: `PID_NETWORK` + pid."""
    number = PID_NETWORK + pid
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def spawned(pid: int, now_ns: int) -> str:
    """Return what stands for a start: `20261123T013000.123456Z-4242`.

    Args:
        pid: of what was started.
        now_ns: Unix time, nanoseconds.
    """
    seconds, rest_ns = divmod(now_ns, 1_000_000_000)
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
    return f"{moment}.{rest_ns // 1000:06d}Z-{pid}"
