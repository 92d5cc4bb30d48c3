"""The status as Prometheus metrics. Stateless: each exposition is made from one snapshot."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamd.status.job_state import TargetState
from streamd.status.metrics_certificates import certificate_metrics
from streamd.status.metrics_recordings import recording_metrics
from streamd.status.report import Status, status_of
from streamd.status.snapshot import Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: CPU time in seconds, resident memory in bytes."""

    cpu_s: float
    resident_bytes: int


def usage_of(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """Return what a process uses; None when it is gone (proc(5), `stat`)."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command's name is in parentheses and may hold spaces and parentheses itself.
    fields = text.rpartition(")")[2].split()
    user, system, resident = int(fields[11]), int(fields[12]), int(fields[21])
    return Usage((user + system) / _TICKS_PER_S, resident * _PAGE_BYTES)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the metrics of one moment are made from; shares nothing that changes.

    Attributes:
        status: as on `/status`.
        untouched: processes that the last applied change left alone.
        refused: publishers turned away, by reason.
        pids: of the supervised processes that run, by name.
    """

    status: Status
    untouched: int
    refused: Mapping[str, int]
    pids: Mapping[str, int]


def sample(snapshot: Snapshot) -> Sample:
    """Take from a snapshot what the metrics need."""
    processes = snapshot.observed.processes.values()
    return Sample(
        status_of(snapshot),
        snapshot.config.untouched,
        dict(snapshot.refused),
        {process.name: process.pid for process in processes if process.pid},
    )


def exposition(taken: Sample) -> bytes:
    """Return every metric in the Prometheus text format (`CONTENT_TYPE`).

    Reads CPU time and memory from /proc; may run in a thread of its own.
    """
    registry = CollectorRegistry()
    registry.register(_SampleCollector(taken))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _SampleCollector(Collector):
    def __init__(self, taken: Sample) -> None:
        self._taken = taken

    def describe(self) -> Iterable[Metric]:
        return ()  # the registry would otherwise collect once to learn the names

    def collect(self) -> Iterator[Metric]:
        status = self._taken.status
        yield from _daemon(status, self._taken.untouched)
        yield from _servers(status)
        yield from _streams(status, self._taken.refused)
        yield from _targets(status)
        yield from _transcodes(status)
        yield from recording_metrics(status)
        yield from certificate_metrics(status.certificates)
        yield from _callbacks(status)
        yield from _processes(self._taken.pids)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"streamd_{name}", text, value=value)


def _daemon(status: Status, untouched: int) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "streamd_build_info", "Always 1; the version of streamd.", labels=("version",)
    )
    build.add_metric((status.version,), 1)
    yield build
    yield _gauge(
        "converged",
        "1 when nothing is left to do and all that shall run does.",
        status.converged,
    )
    yield _gauge(
        "config_last_reload_successful",
        "1 when the file on disk is good: applied, or waiting for `streamd reload`.",
        status.config.state in {"applied", "pending"},
    )
    applied_at = status.config.applied_at
    yield _gauge(
        "config_last_reload_success_timestamp_seconds",
        "Unix time at which a configuration was applied last, 0 for never.",
        applied_at.timestamp() if applied_at else 0,
    )
    yield _gauge(
        "reload_untouched_processes",
        "Processes that the last applied change left alone.",
        untouched,
    )


def _servers(status: Status) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "streamd_server_up", "1 when every port of the media server accepts.", labels=("server",)
    )
    clients = GaugeMetricFamily(
        "streamd_server_clients", "Publishers and viewers of the media server.", labels=("server",)
    )
    restarts = CounterMetricFamily(
        "streamd_server_restarts", "Starts of the media server after the first.", labels=("server",)
    )
    for name, server in status.servers.items():
        up.add_metric((name,), server.state == "running")
        clients.add_metric((name,), server.clients)
        restarts.add_metric((name,), server.restarts)
    yield from (up, clients, restarts)


def _streams(status: Status, refusals: Mapping[str, int]) -> Iterator[Metric]:
    live = GaugeMetricFamily(
        "streamd_stream_live", "1 while the stream is published.", labels=("stream",)
    )
    fallback = GaugeMetricFamily(
        "streamd_stream_fallback", "1 while the stream shows its slate.", labels=("stream",)
    )
    viewers = GaugeMetricFamily(
        "streamd_stream_viewers", "Players of the stream on the server.", labels=("stream",)
    )
    kbps = GaugeMetricFamily(
        "streamd_stream_kbps", "Received lately, kilobits per second.", labels=("stream",)
    )
    for name, stream in status.streams.items():
        live.add_metric((name,), stream.state == "live")
        fallback.add_metric((name,), stream.state == "fallback")
        viewers.add_metric((name,), stream.viewers)
        kbps.add_metric((name,), stream.kbps)
    refused = CounterMetricFamily(
        "streamd_publish_refused", "Publishers turned away, by reason.", labels=("reason",)
    )
    for reason, count in sorted(refusals.items()):
        refused.add_metric((reason,), count)
    yield from (live, fallback, viewers, kbps, refused)


def _targets(status: Status) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "streamd_target_state",
        "1 for the state that the target is in, 0 for every other.",
        labels=("target", "state"),
    )
    restarts = CounterMetricFamily(
        "streamd_target_restarts", "Starts of its FFmpeg after the first.", labels=("target",)
    )
    sent = CounterMetricFamily(
        "streamd_target_sent_bytes", "Bytes sent to the target.", labels=("target",)
    )
    for name, target in status.targets.items():
        for each in get_args(TargetState):
            state.add_metric((name, each), target.state == each)
        restarts.add_metric((name,), target.restarts)
        sent.add_metric((name,), target.bytes)
    yield from (state, restarts, sent)


def _transcodes(status: Status) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "streamd_transcode_state",
        "1 for the state that the transcode is in, 0 for every other.",
        labels=("transcode", "state"),
    )
    speed = GaugeMetricFamily(
        "streamd_transcode_speed",
        "Encoding against real time; below 1 it falls behind.",
        labels=("transcode",),
    )
    restarts = CounterMetricFamily(
        "streamd_transcode_restarts", "Starts of its FFmpeg after the first.", labels=("transcode",)
    )
    for name, transcode in status.transcodes.items():
        for each in get_args(TargetState):
            state.add_metric((name, each), transcode.state == each)
        if transcode.speed is not None:
            speed.add_metric((name,), transcode.speed)
        restarts.add_metric((name,), transcode.restarts)
    yield from (state, speed, restarts)


def _callbacks(status: Status) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "streamd_callback_up", "0 while requests to the callback fail.", labels=("callback",)
    )
    pending = GaugeMetricFamily(
        "streamd_callback_pending", "Events that wait to be sent.", labels=("callback",)
    )
    sent = CounterMetricFamily(
        "streamd_callback_sent", "Events that arrived.", labels=("callback",)
    )
    failures = CounterMetricFamily(
        "streamd_callback_failures", "Requests without a yes or a no.", labels=("callback",)
    )
    dropped = CounterMetricFamily(
        "streamd_callback_dropped", "Events that were given up.", labels=("callback",)
    )
    success = GaugeMetricFamily(
        "streamd_callback_last_success_timestamp_seconds",
        "Unix time at which the callback answered last, 0 for never.",
        labels=("callback",),
    )
    for name, callback in status.callbacks.items():
        up.add_metric((name,), callback.state != "failing")
        pending.add_metric((name,), callback.pending)
        sent.add_metric((name,), callback.sent)
        failures.add_metric((name,), callback.failures)
        dropped.add_metric((name,), callback.dropped)
        last = callback.last_success
        success.add_metric((name,), last.timestamp() if last is not None else 0)
    yield from (up, pending, sent, failures, dropped, success)


def _processes(pids: Mapping[str, int]) -> Iterator[Metric]:
    cpu = CounterMetricFamily(
        "streamd_process_cpu_seconds", "CPU time of a supervised process.", labels=("process",)
    )
    memory = GaugeMetricFamily(
        "streamd_process_resident_memory_bytes",
        "Resident memory of a supervised process.",
        labels=("process",),
    )
    for name, pid in sorted(pids.items()):
        usage = usage_of(pid)
        if usage is not None:
            cpu.add_metric((name,), usage.cpu_s)
            memory.add_metric((name,), usage.resident_bytes)
    yield from (cpu, memory)
