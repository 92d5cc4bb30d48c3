"""The state of what is sent on, to a target or as a rendition. Pure."""

from typing import Literal

from streamd.ffmpeg.track import Track
from streamd.flow import STALL_S
from streamd.observed import JobHistory, ObservedProcess
from streamd.status.snapshot import Snapshot

TargetState = Literal["live", "waiting", "connecting", "stalled", "backoff", "blocked", "disabled"]

AS_WANTED = frozenset({"live", "waiting", "disabled"})
"""The states of a target for which there is nothing to do."""


def job_state(
    snapshot: Snapshot,
    process: ObservedProcess | None,
    track: Track | None,
    history: JobHistory,
    stream: str,
) -> TargetState:
    """Return the state of a job that sends `app/stream` on, from what is known of its process."""
    if process is not None and process.state == "running":
        if track is not None and track.advanced_at is not None and track.bytes > 0:
            still = snapshot.monotonic - track.advanced_at >= STALL_S
            return "stalled" if still or process.name in snapshot.observed.stalled else "live"
        return "blocked" if history.blocked else "connecting"
    if stream not in snapshot.observed.publishers:
        return "waiting"
    if history.blocked:
        return "blocked"
    if history.failures and history.retry_at > snapshot.monotonic:
        return "backoff"
    return "connecting"
