"""What is said of a stream: who publishes it, or what streamd makes it of. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from streamd import names
from streamd.auth.refusal import Refusal
from streamd.desired import SourceSpec, StreamRule
from streamd.engines.base import LiveStream
from streamd.ffmpeg.track import Playing
from streamd.observed import JobHistory, Publisher
from streamd.playout.spec import PlayoutInput, PullInput, SlateInput, kind_of
from streamd.process_names import playout_process_name
from streamd.redact import redact_text, redact_url
from streamd.status.snapshot import Snapshot

StreamState = Literal["live", "idle", "fallback", "refused", "finished", "scheduled"]

REFUSED_FOR_S = 60.0
"""A refused publisher is shown for so long after its last attempt."""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What streamd makes a stream of, and the process that does so.

    Attributes:
        kinds: of its inputs, the preferred first.
        on_air: the kind of the one that is played now; None for none.
        place: which one that is, from 0.
        playing: the file or, without its secrets, the address on air.
        mode: `copy` or `transcode`, and why.
        skipped: files that are passed over, and why.
        pid: 0 when it does not run.
        restarts: starts after the first, since streamd runs.
        retry_at: when it is tried again; None when it is not waiting for that.
        last_error: redacted; None when nothing is wrong.
    """

    kinds: tuple[str, ...]
    on_air: str | None
    place: int | None
    playing: str | None
    mode: str | None
    skipped: tuple[str, ...]
    pid: int
    restarts: int
    retry_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream: a name in the file, or a live stream of a pattern.

    Attributes:
        state: `live` is published; `fallback` its slate is; `idle` nothing is, or the server takes
            nothing from streamd's own process; `refused` a
            publisher was turned away lately; `finished` its files are over; `scheduled` it is
            not its time.
        since: when it came into this state, as far as that was seen.
        publisher: the address of who publishes it.
        key: name of the key that let the publisher in.
        last_error: why the last publisher was turned away, or what is wrong with its source.
        source: what streamd makes it of; None where only others publish it.
    """

    state: StreamState
    since: datetime | None
    server: str | None = None
    publisher: str | None = None
    protocol: str | None = None
    video: str | None = None
    audio: str | None = None
    kbps: int = 0
    viewers: int = 0
    key: str | None = None
    last_error: str | None = None
    source: SourceStatus | None = None


def stream_statuses(snapshot: Snapshot) -> dict[str, StreamStatus]:
    """Return every stream by `app/stream`, sorted by name. An ingest is told with its stream."""
    # A name on a server may hold a secret: it serves to find, and is not shown.
    seen = {(server, each.name): each for server in snapshot.live for each in snapshot.live[server]}
    rules = snapshot.desired.rules if snapshot.desired else {}
    found: dict[str, StreamStatus] = {}
    for stream, who in snapshot.observed.publishers.items():
        if not _is_ingest(rules.get(stream)) and _is_taken(snapshot, stream):
            found[stream] = _live(snapshot, stream, who, seen.get((who.server, who.published_as)))
    for pattern, rule in rules.items():
        if pattern not in found and not _is_ingest(rule):
            status = _absent(snapshot, rule)
            if status is not None:
                found[pattern] = status
    return dict(sorted(found.items()))


def _is_ingest(rule: StreamRule | None) -> bool:
    return rule is not None and rule.ingest_of is not None


def _is_taken(snapshot: Snapshot, stream: str) -> bool:
    """Tell whether the server takes what is published, as far as streamd does that itself.

    Who was let in counts as a publisher, whatever the server did then.
    """
    playing = _playing(snapshot, stream)
    return playing is None or playing.publishes


def _live(snapshot: Snapshot, stream: str, who: Publisher, seen: LiveStream | None) -> StreamStatus:
    source = _source(snapshot, stream)
    state: StreamState = "fallback" if source and source.on_air == "slate" else "live"
    behind = _ingest_publisher(snapshot, stream) if source else who
    rule = snapshot.desired.rules.get(stream) if snapshot.desired else None
    # Who is turned away while the slate is on air is the encoder that everybody waits for.
    refusal = _refusal(snapshot, rule) if rule and rule.ingest and state == "fallback" else None
    error = redact_text(refusal.reason) if refusal else source.last_error if source else None
    since = behind.since if behind is not None and state == "live" else None
    return StreamStatus(
        state=state,
        since=since or snapshot.since(f"stream:{stream}", state),
        server=who.server,
        publisher=(behind.address or None) if behind else None,
        protocol=behind.protocol if behind else None,
        video=seen.video if seen else None,
        audio=seen.audio if seen else None,
        kbps=seen.kbps if seen else 0,
        viewers=seen.viewers if seen else 0,
        key=behind.key if behind else None,
        last_error=error,
        source=source,
    )


def _refusal(snapshot: Snapshot, rule: StreamRule) -> Refusal | None:
    """Return who was turned away lately, at the stream's own name or where it is published."""
    refusals = map(snapshot.refusals.get, {rule.pattern, rule.ingest or rule.pattern})
    newest = max(filter(None, refusals), key=lambda refusal: refusal.at, default=None)
    if newest is None or (snapshot.now - newest.at).total_seconds() >= REFUSED_FOR_S:
        return None
    return newest


def _ingest_publisher(snapshot: Snapshot, stream: str) -> Publisher | None:
    rule = snapshot.desired.rules.get(stream) if snapshot.desired else None
    if rule is None or rule.ingest is None:
        return None
    return snapshot.observed.publishers.get(rule.ingest)


def _absent(snapshot: Snapshot, rule: StreamRule) -> StreamStatus | None:
    """Return the status of what nobody publishes; None for a pattern with nothing to tell."""
    source = _source(snapshot, rule.pattern)
    refusal = _refusal(snapshot, rule)
    if refusal is not None:
        reason = redact_text(refusal.reason)
        return StreamStatus("refused", refusal.at, last_error=reason, source=source)
    if names.has_wildcard(rule.pattern):
        return None
    state = _state_of_absent(snapshot, rule.pattern)
    since = snapshot.since(f"stream:{rule.pattern}", state)
    error = source.last_error if source and state == "idle" else None
    return StreamStatus(state, since, last_error=error, source=source)


def _state_of_absent(snapshot: Snapshot, stream: str) -> StreamState:
    spec = snapshot.desired.sources.get(stream) if snapshot.desired else None
    if spec is None:
        return "idle"
    if spec.window is not None and not spec.window.is_open(snapshot.now):
        return "scheduled"
    process = snapshot.observed.processes.get(playout_process_name(stream))
    ended = process is not None and process.state == "exited" and process.exit_status == 0
    return "finished" if ended else "idle"


def _source(snapshot: Snapshot, stream: str) -> SourceStatus | None:
    spec = snapshot.desired.sources.get(stream) if snapshot.desired else None
    if spec is None:
        return None
    name = playout_process_name(stream)
    process = snapshot.observed.processes.get(name)
    history = snapshot.observed.histories.get(name, JobHistory())
    playing = _playing(snapshot, stream) or Playing()
    on_air = spec.inputs[playing.input] if 0 <= playing.input < len(spec.inputs) else None
    error = playing.error or history.last_error
    waits = history.retry_at > snapshot.monotonic and not (process and process.pid)
    return SourceStatus(
        kinds=tuple(map(kind_of, spec.inputs)),
        on_air=kind_of(on_air) if on_air is not None else None,
        place=playing.input if on_air is not None else None,
        playing=playing.item or _shown(on_air),
        mode=playing.mode,
        skipped=playing.skipped,
        pid=process.pid if process else 0,
        restarts=history.restarts,
        retry_at=snapshot.wall(history.retry_at) if waits else None,
        last_error=redact_text(error, *_addresses(spec)) if error else None,
    )


def _playing(snapshot: Snapshot, stream: str) -> Playing | None:
    """Return what the playout of a stream said last; None where it has not, or there is none."""
    process = snapshot.observed.processes.get(playout_process_name(stream))
    track = snapshot.tracks.get(process.pid) if process and process.pid else None
    return track.playing if track is not None else None


def _shown(on_air: PlayoutInput | None) -> str | None:
    if isinstance(on_air, PullInput):
        return redact_url(on_air.url)
    return on_air.file if isinstance(on_air, SlateInput) else None


def _addresses(spec: SourceSpec) -> list[str]:
    return [each.url for each in spec.inputs if isinstance(each, PullInput)]
