"""What callbacks are told of a recording. Pure.

An event's `request_id` follows from the recording, so that one that is told again after a kill is
known as the same.
"""

from urllib.parse import quote
from uuid import UUID, uuid5

from streamd.archive.recording import Recording
from streamd.callbacks.events import Event, on_record_begin, on_record_end, timestamp

FINISHED, FAILED = 0, 1
"""`artifact_code`: the artifact is there; there is none."""

_NAMESPACE = UUID("6f1a2f0e-3c55-4f0e-9a54-0d5f6f8f2a11")


def begin_event(recording: Recording) -> Event:
    """Return that a recording began."""
    return on_record_begin(
        _request_id(recording, "begin"),
        recording.stream,
        recording.started_at,
        uuid=recording.uuid,
        more={"rule": recording.rule, "path": recording.path},
    )


def end_event(recording: Recording, *, url: str, at: float) -> Event:
    """Return that a recording is finished, or never will be.

    Args:
        recording: as it is now.
        url: where its artifact can be fetched; "" for nowhere.
        at: Unix time.
    """
    artifact = recording.artifact
    more = {
        "rule": recording.rule,
        "started_at": timestamp(recording.started_at),
        "ended_at": timestamp(recording.ended_at),
        "seconds": round(artifact.seconds if artifact else recording.seconds, 3),
        "bytes": artifact.bytes if artifact else recording.bytes,
        "sha256": artifact.sha256 if artifact else "",
        "reason": recording.reason,
        "error": recording.error,
        "notes": list(recording.notes),
    }
    return on_record_end(
        _request_id(recording, "end"),
        recording.stream,
        at,
        uuid=recording.uuid,
        artifact_code=FINISHED if artifact else FAILED,
        artifact_path=f"{recording.path}/{artifact.file}" if artifact else recording.path,
        artifact_url=url if artifact else "",
        more=more,
    )


def artifact_url(recording: Recording, *, url_base: str, root: str) -> str:
    """Return where an artifact is served; "" for nowhere.

    Args:
        recording: that has it.
        url_base: what the address begins with, "" for none; the path below the root is added.
        root: of the rule.
    """
    if not url_base or recording.artifact is None:
        return ""
    below = recording.path.removeprefix(root.rstrip("/")).strip("/")
    return f"{url_base}/{quote(f'{below}/{recording.artifact.file}')}"


def _request_id(recording: Recording, what: str) -> str:
    return str(uuid5(_NAMESPACE, f"{recording.uuid} {what}"))
