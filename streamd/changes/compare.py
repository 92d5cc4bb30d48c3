"""What a new configuration changes, object by object, in the words of the file. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from streamd.auth.decide import AuthIndex, authorised
from streamd.changes.change import (
    Action,
    Change,
    Touched,
    change_of,
    differing,
    live_consumers,
    named,
    own_streams,
    pairs,
    processes_fed_by,
)
from streamd.changes.recordings import recording_changes, storage_changes
from streamd.changes.streams import (
    Jobs,
    both_jobs,
    lost,
    stream_changes,
    target_changes,
    transcode_changes,
)
from streamd.config.models import Daemon
from streamd.desired import RELOADABLE_FIELDS, UNSEEN_FIELDS, Desired, ServerSpec
from streamd.observed import Observed
from streamd.process_names import server_process_name


def changes(
    old: Desired | None,
    new: Desired,
    observed: Observed,
    viewers: Mapping[str, int],
    clock: datetime,
) -> tuple[Change, ...]:
    """Return what `new` changes over `old`, servers first, each kind by name.

    Args:
        old: what is applied; None when nothing is.
        new: what a save would apply.
        observed: what is live, to count what each change touches.
        viewers: players by server.
        clock: the time of day (aware), for key windows.
    """
    old = old or Desired(new.ffmpeg, new.daemon, {}, {}, {}, {})
    put_off = _put_off(new, observed, clock)
    jobs = both_jobs(old, new, observed, clock)
    return (
        *_daemon_changes(old, new, observed),
        *_server_changes(old, new, observed, viewers),
        *_key_changes(old, new, observed, put_off, jobs),
        *stream_changes(old, new, observed, put_off, jobs),
        *target_changes(old, new, observed, jobs),
        *transcode_changes(old, new, observed, jobs),
        *recording_changes(old, new, observed, jobs),
        *storage_changes(old, new),
        *_certificate_changes(old, new),
        *_callback_changes(old, new),
    )


def with_notes(found: Iterable[Change], notes: Mapping[str, tuple[str, ...]]) -> tuple[Change, ...]:
    """Return changes, those of streams with what is to be known of their files (by stream)."""
    return tuple(
        replace(change, notes=notes.get(change.name, ()))
        if change.kind == "stream" and change.action != "remove"
        else change
        for change in found
    )


def _everything(observed: Observed) -> Touched:
    """Return all that streamd's own FFmpegs and playouts do."""
    return Touched(own_streams(observed), processes=live_consumers(observed))


def _daemon_changes(old: Desired, new: Desired, observed: Observed) -> list[Change]:
    found = []
    fields = tuple(
        name
        for name in Daemon.model_fields
        if getattr(old.daemon, name) != getattr(new.daemon, name)
    )
    if fields:
        moves = "hooks" in fields
        touched = _everything(observed) if moves else Touched()
        action: Action = "restart" if moves else "update"
        found.append(Change("daemon", "streamd", action, fields, touched))
    if old.ffmpeg != new.ffmpeg:
        touched = _everything(observed)
        found.append(Change("daemon", "ffmpeg", "restart", ("ffmpeg",), touched))
    return found


def _server_changes(
    old: Desired, new: Desired, observed: Observed, viewers: Mapping[str, int]
) -> list[Change]:
    found = []
    for name, before, after in pairs(old.servers, new.servers):
        streams = frozenset(s for s, p in observed.publishers.items() if p.server == name)
        dropped = Touched(streams, viewers.get(name, 0), processes_fed_by(observed, streams))
        if before is None or after is None:
            action: Action = "create" if before is None else "remove"
            running = server_process_name(name) in observed.processes
            found.append(Change("server", name, action, (), dropped if running else Touched()))
            continue
        fields = differing(before, after)
        action = "restart" if _restarts(after, fields) else "update"
        touched = dropped if action == "restart" else Touched()
        found.append(Change("server", name, action, named(fields), touched))
    return found


def _restarts(server: ServerSpec, fields: Sequence[str]) -> bool:
    return bool(set(fields) - RELOADABLE_FIELDS[server.engine] - UNSEEN_FIELDS)


def _key_changes(
    old: Desired,
    new: Desired,
    observed: Observed,
    put_off: Mapping[str, str | None],
    jobs: Jobs,
) -> list[Change]:
    """Return the changes of keys, each with the publishers that it puts off."""
    found = []
    for name, before, after in pairs(old.keys, new.keys):
        kicked = frozenset(stream for stream, key in put_off.items() if key == name)
        found.append(change_of("key", name, before, after, lost(observed, kicked, jobs)))
    return found


def _certificate_changes(old: Desired, new: Desired) -> list[Change]:
    """Return the changes of certificates, which touch nobody: servers read them for each client."""
    return [
        change_of("certificate", name, before, after, Touched())
        for name, before, after in pairs(old.certificates, new.certificates)
    ]


def _callback_changes(old: Desired, new: Desired) -> list[Change]:
    return [
        change_of("callback", name, before, after, Touched())
        for name, before, after in pairs(old.callbacks, new.callbacks)
    ]


def _put_off(new: Desired, observed: Observed, clock: datetime) -> dict[str, str | None]:
    """Return the streams whose publishers may not go on, with their keys."""
    index = AuthIndex(new)
    return {
        publisher.stream: publisher.key
        for publisher in observed.publishers.values()
        if authorised(publisher, index, clock) is not None
    }
