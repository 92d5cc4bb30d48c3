"""The words for what a save changes. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

from streamd.observed import Observed
from streamd.process_names import kind_of

T = TypeVar("T")

Kind = Literal[
    "daemon",
    "server",
    "key",
    "stream",
    "target",
    "transcode",
    "recording",
    "storage",
    "certificate",
    "callback",
]
_CONSUMERS = frozenset({"target", "transcode", "record"})

Action = Literal["create", "update", "restart", "remove"]


@dataclass(frozen=True, slots=True)
class Touched:
    """What is live now and is disconnected or restarted by a change.

    `publishers` holds streams, `processes` names of those that send, transcode or record, `viewers`
    is a count.
    """

    publishers: frozenset[str] = frozenset()
    viewers: int = 0
    processes: frozenset[str] = frozenset()

    def __str__(self) -> str:
        kinds = Counter(map(kind_of, self.processes))
        counts = {
            "publisher": len(self.publishers),
            "viewer": self.viewers,
            "target": kinds["target"],
            "transcode": kinds["transcode"],
            "recording": kinds["record"],
        }
        return ", ".join(f"{n} live {what}{'s' * (n != 1)}" for what, n in counts.items() if n)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a save would do.

    Attributes:
        changes: what differs.
        refused: why it would be refused, for all that it stops; None: it would not.
    """

    changes: "tuple[Change, ...]"
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One object that a save creates, updates in place, restarts or removes.

    Attributes:
        kind, name: the object.
        action: what becomes of it.
        fields: what differs, as written in the file; never a value.
        touches: what is live and is disturbed.
        notes: what else there is to know, a line each.
    """

    kind: Kind
    name: str
    action: Action
    fields: tuple[str, ...]
    touches: Touched
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        sign = {"create": "+", "update": "~", "restart": "!", "remove": "-"}[self.action]
        why = f" ({', '.join(self.fields)})" if self.fields else ""
        effect = str(self.touches) or "touches nothing live"
        notes = "".join(f"\n    {note}" for note in self.notes)
        return f"{sign} {self.kind} {self.name}: {self.action}{why}; {effect}{notes}"


_FIELD_NAMES = {
    "urls": "url or key",
    "sha256": "secret",
    "hls_fragment_s": "hls.fragment",
    "hls_window_s": "hls.window",
    "rtmp": "listen.rtmp",
    "http": "listen.http",
    "https": "listen.https",
    "key_kind": "kind of its key",
    "srt": "listen.srt",
    "webrtc": "listen.webrtc",
    "api": "listen.api",
    "apps": "apps of its streams",
    "waiting_apps": "source.on_demand or fallback of its streams",
    "hooks": "daemon.hooks",
    "window": "source.start or source.end",
    "on_demand": "source.on_demand",
    "timeout_s": "timeout",
}


def differing(old: object, new: object) -> tuple[str, ...]:
    """Return the names of the fields that differ between two values of one dataclass."""
    return tuple(
        field.name
        for field in fields(new)  # type: ignore[arg-type] # both are of one dataclass
        if getattr(old, field.name) != getattr(new, field.name)
    )


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Return fields by their names in the file."""
    return tuple(_FIELD_NAMES.get(name, name) for name in names)


def pairs(old: Mapping[str, T], new: Mapping[str, T]) -> list[tuple[str, T | None, T | None]]:
    """Return what differs between two mappings, by name: the name, what was, and what will be."""
    names = sorted(old.keys() | new.keys())
    both = [(name, old.get(name), new.get(name)) for name in names]
    return [pair for pair in both if pair[1] != pair[2]]


def change_of(kind: Kind, name: str, before: object, after: object, touches: Touched) -> Change:
    """Return the change of one object from `before` to `after`; None stands for none."""
    if before is None or after is None:
        return Change(kind, name, "create" if before is None else "remove", (), touches)
    return Change(kind, name, "update", named(differing(before, after)), touches)


def live_consumers(observed: Observed) -> frozenset[str]:
    """Return the names of the processes that send, transcode or record something now."""
    return frozenset(
        name
        for name, process in observed.processes.items()
        if kind_of(name) in _CONSUMERS and process.state == "running"
    )


def own_streams(observed: Observed) -> frozenset[str]:
    """Return the streams that streamd's own processes publish now."""
    return frozenset(s for s, publisher in observed.publishers.items() if publisher.internal)


def processes_fed_by(observed: Observed, streams: Collection[str]) -> frozenset[str]:
    """Return the live processes that end with the publishers of some streams."""
    clients = {observed.publishers[stream].client_id for stream in streams}
    return frozenset(
        name for name in live_consumers(observed) if observed.processes[name].publisher in clients
    )


def with_consumers(observed: Observed, streams: frozenset[str]) -> Touched:
    """Return what is touched when some streams lose their publishers."""
    return Touched(streams, processes=processes_fed_by(observed, streams))
