"""What a new configuration changes, object by object, in the words of the file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Literal, TypeVar

from streamd import names
from streamd.auth.decide import AuthIndex, authorised
from streamd.config.models import Daemon
from streamd.desired import (
    RELOADABLE_FIELDS,
    UNSEEN_FIELDS,
    Desired,
    ServerSpec,
)
from streamd.jobs import TargetJob
from streamd.observed import Observed
from streamd.plan import server_process, wanted_jobs

T = TypeVar("T")

Kind = Literal["daemon", "server", "key", "stream", "target"]
Action = Literal["create", "update", "restart", "remove"]


@dataclass(frozen=True, slots=True)
class Touched:
    """What is live now and is disconnected or restarted by a change.

    `publishers` holds streams, `targets` names of processes, `viewers` a count.
    """

    publishers: frozenset[str] = frozenset()
    viewers: int = 0
    targets: frozenset[str] = frozenset()

    def __str__(self) -> str:
        counts = {
            "publisher": len(self.publishers),
            "viewer": self.viewers,
            "target": len(self.targets),
        }
        return ", ".join(f"{n} live {what}{'s' * (n != 1)}" for what, n in counts.items() if n)


@dataclass(frozen=True, slots=True)
class Change:
    """One object that a save creates, updates in place, restarts or removes.

    `fields` names what differs, as written in the file; it never holds a value.
    """

    kind: Kind
    name: str
    action: Action
    fields: tuple[str, ...]
    touches: Touched

    def __str__(self) -> str:
        sign = {"create": "+", "update": "~", "restart": "!", "remove": "-"}[self.action]
        why = f" ({', '.join(self.fields)})" if self.fields else ""
        effect = str(self.touches) or "touches nothing live"
        return f"{sign} {self.kind} {self.name}: {self.action}{why}; {effect}"


_FIELD_NAMES = {
    "urls": "url or key",
    "sha256": "secret",
    "hls_fragment_s": "hls.fragment",
    "hls_window_s": "hls.window",
    "rtmp": "listen.rtmp",
    "http": "listen.http",
    "srt": "listen.srt",
    "webrtc": "listen.webrtc",
    "api": "listen.api",
    "apps": "apps of its streams",
    "hooks": "daemon.hooks",
}


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
    return (
        *_daemon_changes(old, new, observed),
        *_server_changes(old, new, observed, viewers),
        *_rule_changes(old, new, observed, clock),
        *_target_changes(old, new, observed, clock),
    )


def _differing(old: object, new: object) -> tuple[str, ...]:
    return tuple(
        field.name
        for field in fields(new)  # type: ignore[arg-type] # both are of one dataclass
        if getattr(old, field.name) != getattr(new, field.name)
    )


def _named(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_FIELD_NAMES.get(name, name) for name in names)


def _pairs(old: Mapping[str, T], new: Mapping[str, T]) -> list[tuple[str, T | None, T | None]]:
    names = sorted(old.keys() | new.keys())
    pairs = [(name, old.get(name), new.get(name)) for name in names]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _live_targets(observed: Observed) -> frozenset[str]:
    """Return the names of the processes that send to targets now."""
    return frozenset(
        name
        for name, process in observed.processes.items()
        if name.startswith("target.") and process.state == "running"
    )


def _fed_by(observed: Observed, streams: Collection[str]) -> frozenset[str]:
    """Return the live targets' processes that end with the publishers of some streams."""
    clients = {observed.publishers[stream].client_id for stream in streams}
    return frozenset(
        name for name in _live_targets(observed) if observed.processes[name].publisher in clients
    )


def _daemon_changes(old: Desired, new: Desired, observed: Observed) -> list[Change]:
    found = []
    differing = tuple(
        name
        for name in Daemon.model_fields
        if getattr(old.daemon, name) != getattr(new.daemon, name)
    )
    if differing:
        moves = "hooks" in differing
        touched = Touched(targets=_live_targets(observed)) if moves else Touched()
        action: Action = "restart" if moves else "update"
        found.append(Change("daemon", "streamd", action, differing, touched))
    if old.ffmpeg != new.ffmpeg:
        touched = Touched(targets=_live_targets(observed))
        found.append(Change("daemon", "ffmpeg", "restart", ("ffmpeg",), touched))
    return found


def _server_changes(
    old: Desired, new: Desired, observed: Observed, viewers: Mapping[str, int]
) -> list[Change]:
    found = []
    for name, before, after in _pairs(old.servers, new.servers):
        streams = frozenset(s for s, p in observed.publishers.items() if p.server == name)
        dropped = Touched(streams, viewers.get(name, 0), _fed_by(observed, streams))
        if before is None or after is None:
            action: Action = "create" if before is None else "remove"
            running = server_process(name) in observed.processes
            found.append(Change("server", name, action, (), dropped if running else Touched()))
            continue
        differing = _differing(before, after)
        action = "restart" if _restarts(after, differing) else "update"
        touched = dropped if action == "restart" else Touched()
        found.append(Change("server", name, action, _named(differing), touched))
    return found


def _restarts(server: ServerSpec, differing: Sequence[str]) -> bool:
    return bool(set(differing) - RELOADABLE_FIELDS[server.engine] - UNSEEN_FIELDS)


def _rule_changes(old: Desired, new: Desired, observed: Observed, clock: datetime) -> list[Change]:
    """Return the changes of keys and streams, each with the publishers that it puts off."""
    index = AuthIndex(new)
    put_off = [p for p in observed.publishers.values() if authorised(p, index, clock) is not None]

    def touched(streams: frozenset[str]) -> Touched:
        return Touched(streams, targets=_fed_by(observed, streams))

    found = []
    for name, key_before, key_after in _pairs(old.keys, new.keys):
        kicked = frozenset(publisher.stream for publisher in put_off if publisher.key == name)
        found.append(_change("key", name, key_before, key_after, touched(kicked)))
    for pattern, rule_before, rule_after in _pairs(old.rules, new.rules):
        kicked = frozenset(p.stream for p in put_off if names.matches(pattern, p.stream))
        found.append(_change("stream", pattern, rule_before, rule_after, touched(kicked)))
    return found


def _target_changes(
    old: Desired, new: Desired, observed: Observed, clock: datetime
) -> list[Change]:
    ended = _ended_jobs(old, new, observed, clock)
    found = []
    for name, before, after in _pairs(old.targets, new.targets):
        touched = Touched(targets=ended.get(name, frozenset()))
        change = _change("target", name, before, after, touched)
        if change.action == "update" and touched.targets:
            change = replace(change, action="restart")
        found.append(change)
    return found


def _ended_jobs(
    old: Desired, new: Desired, observed: Observed, clock: datetime
) -> dict[str, frozenset[str]]:
    """Return, by target, its live processes whose job is another one or none with `new`.

    What every target shares (FFmpeg, the address of progress) is left out: it has a change of
    its own.
    """
    new = replace(new, ffmpeg=old.ffmpeg, daemon=old.daemon)
    before, _ = wanted_jobs(old, observed, _same_input, 0.0, clock)
    after, _ = wanted_jobs(new, observed, _same_input, 0.0, clock)
    ended: dict[str, frozenset[str]] = {}
    for process in _live_targets(observed):
        job = before.get(process)
        if isinstance(job, TargetJob) and after.get(process) != job:
            ended[job.target] = ended.get(job.target, frozenset()) | {process}
    return ended


def _same_input(server: str, stream: str) -> str:
    return f"{server}/{stream}"


def _change(kind: Kind, name: str, before: object, after: object, touches: Touched) -> Change:
    if before is None or after is None:
        return Change(kind, name, "create" if before is None else "remove", (), touches)
    return Change(kind, name, "update", _named(_differing(before, after)), touches)
