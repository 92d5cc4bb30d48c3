"""Snapshots of a machine that publishes streams itself."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from streamd.desired import AudioSpec, SourceSpec, StreamRule, TranscodeSpec, VideoSpec
from streamd.engines.base import LiveStream
from streamd.ffmpeg.track import Playing, Track
from streamd.observed import ObservedProcess, Publisher
from streamd.playout.spec import FilesInput, IngestInput, PullInput, SlateInput
from streamd.schedule import DailyWindow
from streamd.status.snapshot import Snapshot
from tests.support.snapshots import DESIRED, MONOTONIC, NOW, running, snapshot

SLATE = SlateInput("/srv/slate.mp4", ("/srv",))
SHOWN = SourceSpec("live/shown", "main", (IngestInput("rtmp://127.0.0.1/in/shown"), SLATE))
LOBBY = SourceSpec("live/lobby", "main", (FilesInput(("/srv/a.mp4", "/srv/b.mp4")),))
DOOR = SourceSpec(
    "live/door",
    "main",
    (PullInput("rtsp://user:hunter2hunter2@10.0.0.9/h264"), PullInput("rtsp://10.0.0.8/b"), SLATE),
)
OPEN = DailyWindow(time(11), time(13), "UTC")
CLOSED = DailyWindow(time(13), time(11), "UTC")


def rendition(name: str) -> TranscodeSpec:
    video = VideoSpec("h264", height=720, bitrate=2_000_000)
    return TranscodeSpec(name, "live/shown", f"live/shown-{name}", video, AudioSpec("copy"))


def internal(pattern: str, ingest: str | None = None) -> StreamRule:
    return StreamRule(pattern, frozenset(), internal=True, ingest=ingest)


OWN = replace(
    DESIRED,
    rules={
        **DESIRED.rules,
        "live/shown": internal("live/shown", "in/shown"),
        "in/shown": StreamRule("in/shown", frozenset({"studio"}), ingest_of="live/shown"),
        "live/lobby": internal("live/lobby"),
        "live/door": internal("live/door"),
        "live/shown-720": internal("live/shown-720"),
        "live/shown-360": internal("live/shown-360"),
    },
    sources={each.stream: each for each in (SHOWN, LOBBY, DOOR)},
    transcodes={name: rendition(name) for name in ("720", "360")},
    targets={},
)


def by_streamd(stream: str) -> Publisher:
    """Return streamd's own publisher of a stream."""
    return Publisher(
        server="main",
        stream=stream,
        published_as=stream,
        client_id=f"own {stream}",
        address="127.0.0.1",
        since=NOW - timedelta(hours=1),
        internal=True,
    )


STUDIO = Publisher(
    server="main",
    stream="in/shown",
    published_as="in/shown",
    client_id="c7",
    key="studio",
    protocol="srt",
    address="198.51.100.7",
    since=NOW - timedelta(minutes=5),
)


def playout(stream: str, pid: int) -> ObservedProcess:
    return running(f"playout.{stream}", pid)


def said(playing: Playing, **changes: Any) -> Track:
    """Return what a playout reported a moment ago."""
    track = Track(60_000_000, 9_000_000, MONOTONIC - 0.4, MONOTONIC - 0.4, playing=playing)
    return replace(track, **changes)


def listed(stream: str) -> Mapping[str, list[LiveStream]]:
    """Return what the server lists of one stream."""
    seen = LiveStream(stream, f"own {stream}", 1, 2000, 3, "H264 High 1280x720", "AAC LC 44100")
    return {"main": [seen]}


def own_snapshot(
    *processes: ObservedProcess, publishers: tuple[Publisher, ...] = (), **more: Any
) -> Snapshot:
    return snapshot(*processes, publishers=publishers, **{"desired": OWN, **more})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
