"""What the name of a process says: it is `KIND.NAME`, and its kind tells what to expect of it.

Names are known where jobs are not yet, as of a process that an earlier streamd left. Pure.
"""

SERVER = "server"

REPORTING = frozenset({"target"})
"""The kinds that are FFmpegs: each reports its progress, and its start takes much of a core."""


def server_of(process: str) -> str | None:
    """Return the name of the media server that a process runs; None for another kind."""
    kind, _, name = process.partition(".")
    return name if kind == SERVER else None


def reports_progress(process: str) -> bool:
    """Tell whether a process is an FFmpeg that reports its progress."""
    return process.partition(".")[0] in REPORTING
