"""What is said of a transcode: from what its FFmpeg reports. Pure."""

from dataclasses import dataclass
from datetime import datetime

from streamd.desired import TranscodeSpec
from streamd.observed import JobHistory
from streamd.process_names import transcode_process_name
from streamd.redact import redact_text
from streamd.status.job_state import TargetState, job_state
from streamd.status.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class TranscodeStatus:
    """One transcode. Those of one stream share a process, so they come and go together.

    Attributes:
        state: as of a target.
        since: when it came into this state, as far as that was seen.
        stream: `app/stream` that it reads.
        to: `app/stream` that it makes.
        pid: of the FFmpeg; 0 when none runs.
        restarts: starts after the first, since streamd runs.
        speed: of the encoding, 1 is real time; None while that is not known.
        retry_at: when it is tried again; None when it is not waiting for that.
        last_error: redacted; None after a minute of health.
    """

    state: TargetState
    since: datetime | None
    stream: str
    to: str
    pid: int
    restarts: int
    speed: float | None
    retry_at: datetime | None
    last_error: str | None


def transcode_statuses(snapshot: Snapshot) -> dict[str, TranscodeStatus]:
    """Return every enabled transcode by name."""
    transcodes = snapshot.desired.transcodes if snapshot.desired else {}
    return {name: _status(snapshot, transcodes[name]) for name in sorted(transcodes)}


def _status(snapshot: Snapshot, transcode: TranscodeSpec) -> TranscodeStatus:
    name = transcode_process_name(transcode)
    process = snapshot.observed.processes.get(name)
    history = snapshot.observed.histories.get(name, JobHistory())
    track = snapshot.tracks.get(process.pid) if process and process.pid else None
    state = job_state(snapshot, process, track, history, transcode.stream)
    if state == "live" and transcode.to not in snapshot.observed.publishers:
        state = "connecting"  # the process that runs is one that does not make it, or not yet
    waits = state in {"backoff", "blocked"} and history.retry_at > snapshot.monotonic
    speed = track.speed if track is not None else None
    error = redact_text(history.last_error) if history.last_error else None
    if error is None and speed is not None and name in snapshot.behind:
        error = (
            f"encoding falls behind at {speed:.2f} times real time; lower the size, the bit rate "
            "or the number of its renditions, choose a faster preset, or use a hardware encoder"
        )
    return TranscodeStatus(
        state=state,
        since=snapshot.since(f"transcode:{transcode.name}", state),
        stream=transcode.stream,
        to=transcode.to,
        pid=process.pid if process else 0,
        restarts=history.restarts,
        speed=None if speed is None else round(speed, 2),
        retry_at=snapshot.wall(history.retry_at) if waits else None,
        last_error=error,
    )
