"""Snapshots of a small machine, to be varied by keyword."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from streamd.config.models import Daemon
from streamd.config_state import ConfigState
from streamd.desired import Desired, KeySpec, ServerSpec, StreamRule, TargetSpec
from streamd.ffmpeg.track import Track
from streamd.observed import JobHistory, Observed, ObservedProcess, Publisher
from streamd.status.snapshot import ServerFacts, Snapshot

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
MONOTONIC = 5000.0

SERVER = ServerSpec(
    name="main",
    engine="srs",
    binary="/usr/bin/srs",
    host="live.example.com",
    rtmp=1935,
    http=8080,
    srt=10080,
    webrtc=8000,
    api=1985,
    hls_fragment_s=2.0,
    hls_window_s=20.0,
    webrtc_candidate=None,
    hooks="127.0.0.1:2023",
    apps=(),
)
YOUTUBE = TargetSpec(
    name="youtube",
    streams=("live/show",),
    many=False,
    platform="youtube",
    urls=("rtmp://a.example.com/live2/YTKEY-1234",),
)
PARTNER = replace(
    YOUTUBE,
    name="partner",
    urls=("rtmp://one.example.com/app/PKEY-1", "rtmp://two.example.com/app/PKEY-2"),
)
ROOMS = TargetSpec(
    name="rooms",
    streams=("rooms/*",),
    many=True,
    platform="custom",
    urls=("rtmp://cdn.example.com/{app}/{stream}",),
)
DESIRED = Desired(
    ffmpeg="/usr/bin/ffmpeg",
    daemon=Daemon(),
    servers={"main": SERVER},
    keys={"studio": KeySpec("studio", "0" * 64)},
    rules={
        "live/show": StreamRule("live/show", frozenset({"studio"})),
        "rooms/*": StreamRule("rooms/*", None),
    },
    targets={"youtube": YOUTUBE, "partner": PARTNER, "rooms": ROOMS},
)
SHOW = Publisher(
    server="main",
    stream="live/show",
    published_as="live/show",
    client_id="c1",
    key="studio",
    address="198.51.100.7",
    since=NOW - timedelta(minutes=5),
)


def reported(**changes: Any) -> Track:
    """Return what an FFmpeg reported that does well, with changes by field."""
    track = Track(out_time_us=60_000_000, bytes=9_000_000, advanced_at=MONOTONIC - 0.4, kbps=2500.4)
    return replace(track, **changes)


def running(name: str, pid: int) -> ObservedProcess:
    """Return a process that was started a minute ago."""
    return ObservedProcess(name, "running", pid, "id", started_at=NOW.timestamp() - 60)


def history(failures: int, retry_at: float, error: str, **more: Any) -> JobHistory:
    """Return what a job that failed leaves behind."""
    return JobHistory(failures=failures, retry_at=retry_at, last_error=error, **more)


SERVING = running("server.main", 1)
SERVES = {"main": ServerFacts("6.0.157", {"rtmp": True, "http": True})}
"""A server that runs as it should, as its process and as what is known of it beyond that."""


def snapshot(
    *processes: ObservedProcess,
    publishers: tuple[Publisher, ...] = (SHOW,),
    histories: Mapping[str, JobHistory] | None = None,
    stalled: frozenset[str] = frozenset(),
    **changes: Any,
) -> Snapshot:
    """Return a machine with these processes on which `live/show` is published."""
    observed = Observed(
        processes={process.name: process for process in processes},
        publishers={publisher.stream: publisher for publisher in publishers},
        histories=histories or {},
        stalled=stalled,
    )
    base = Snapshot(
        version="1.2.3",
        node="edge-1",
        desired=DESIRED,
        observed=observed,
        config=ConfigState("applied", "/etc/streamd/config.yaml", "abc", NOW),
        converged=True,
        now=NOW,
        monotonic=MONOTONIC,
    )
    return replace(base, **changes)
