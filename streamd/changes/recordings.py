"""What a save changes of recordings and storages. Pure."""

from dataclasses import replace

from streamd.changes.change import Action, Change, Touched, change_of, pairs
from streamd.changes.streams import Jobs, differs
from streamd.desired import Desired
from streamd.observed import Observed
from streamd.process_names import is_recorder_of

_FIELD_NAMES = {
    "path": "name",
    "split_s": "split",
    "resume_s": "resume",
    "keep_for_s": "keep.for",
    "keep_bytes": "keep.size",
    "free_share": "keep.free",
    "free_bytes": "keep.free",
    "storage": "upload",
    "upload_when": "upload.when",
    "served_by": "serve",
    "url_base": "url",
}


def recording_changes(old: Desired, new: Desired, observed: Observed, jobs: Jobs) -> list[Change]:
    """Return the changes of recordings, each with the recorders that it ends.

    Args:
        old: what is applied.
        new: what a save would apply.
        observed: what is live.
        jobs: of `streamd.changes.streams.both_jobs`.
    """
    found = []
    for name, before, after in pairs(old.recordings, new.recordings):
        ended = frozenset(
            process
            for process, each in observed.processes.items()
            if is_recorder_of(process, name) and each.state == "running" and differs(process, jobs)
        )
        change = change_of("recording", name, before, after, Touched(processes=ended))
        if change.action == "update":
            fields = dict.fromkeys(_FIELD_NAMES.get(field, field) for field in change.fields)
            action: Action = "restart" if ended else "update"
            change = replace(change, action=action, fields=tuple(fields))
        found.append(change)
    return found


def storage_changes(old: Desired, new: Desired) -> list[Change]:
    """Return the changes of storages: what is uploaded goes on, to where it belongs then."""
    return [
        change_of("storage", name, before, after, Touched())
        for name, before, after in pairs(old.storages, new.storages)
    ]


def archives_touched(change: Change, desired: Desired) -> frozenset[str]:
    """Return the rules whose archive is ended or started anew by a change.

    Args:
        change: what differs.
        desired: what is applied, or what a save would apply.
    """
    if change.kind == "recording" and change.fields != ("streams",):
        return frozenset({change.name})
    if change.kind == "daemon" and change.name == "ffmpeg":
        return frozenset(desired.recordings)
    if change.kind == "storage":
        return frozenset(
            rule.name for rule in desired.recordings.values() if rule.storage == change.name
        )
    return frozenset()
