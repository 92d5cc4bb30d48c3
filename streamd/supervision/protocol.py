"""What streamd and the plugin inside supervisord have to agree on.

supervisord outlives upgrades of streamd, so a release may meet the plugin of an older one. Change
`PROTOCOL` only when the two cannot work together; fields may be added without that. Imports
nothing: this is loaded inside supervisord, where memory counts.
"""

PROTOCOL = 1
"""Version of the `streamd` RPC namespace."""

MARKER = "STREAMD_SUPERVISED"
"""Environment variable of every supervised process; its value is the runtime directory."""

PID_ADDRESS = "{pid_address}"
"""The token of `streamd.supervision.process`, repeated here because that module is heavy."""

_PID_NETWORK = 127 << 24 | 64 << 16


def pid_address(pid: int) -> str:
    """Return the loopback address that stands for a pid: 127.64.0.0 + pid (22 bits)."""
    number = _PID_NETWORK + pid
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
