"""Refuse a save that would stop too much of what is live."""

from collections.abc import Iterable

from streamd.changes.change import Change
from streamd.errors import PlanRefusedError

SMALLEST_GUARDED = 4
"""With fewer live objects, half of them is an ordinary edit."""


def guard(changes: Iterable[Change], live: int, max_stop: float) -> None:
    """Let a set of changes pass, or say why not.

    Args:
        changes: what a save would change.
        live: how many publishers and targets are live now.
        max_stop: the greatest share of them that may be stopped, 0 to 1.

    Raises:
        PlanRefusedError: more would be stopped. A target, transcode or source that restarts comes
            back by itself and does not count; a server that restarts drops everybody on it, and
            does.
    """
    removed = [change for change in changes if _stops(change)]
    stopped = len(
        frozenset().union(
            *(change.touches.publishers | change.touches.processes for change in removed)
        )
    )
    if live < SMALLEST_GUARDED or stopped <= max_stop * live:
        return
    named = ", ".join(f"{change.kind} {change.name}" for change in removed[:5])
    more = f" and {len(removed) - 5} more" if len(removed) > 5 else ""
    raise PlanRefusedError(
        f"this save would stop {stopped} of {live} that are live ({named}{more}), more than "
        f"daemon.max_stop ({max_stop:.0%}); if you mean it, run `streamd reload --force`"
    )


def _stops(change: Change) -> bool:
    if change.kind == "stream" and change.action == "restart":
        return False  # its playout comes back by itself
    if change.kind in ("key", "stream"):
        return bool(change.touches.publishers)
    if change.kind == "server":
        return change.action in ("remove", "restart")
    return change.action == "remove" or "enabled" in change.fields
