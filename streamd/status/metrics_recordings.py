"""Recordings and storages as Prometheus metrics."""

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamd.recordings.report import ActiveState, StorageState
from streamd.status.report import Status


def recording_metrics(status: Status) -> Iterator[Metric]:
    """Yield the metrics of recordings, disks and storages."""
    yield from _recordings(status)
    yield from _archives(status)
    yield from _storages(status)


def _recordings(status: Status) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "streamd_recording_state",
        "1 for the state that the recording is in, 0 for every other.",
        labels=("recording", "state"),
    )
    seconds = GaugeMetricFamily(
        "streamd_recording_seconds", "Length of the present recording.", labels=("recording",)
    )
    restarts = CounterMetricFamily(
        "streamd_recording_restarts", "Starts of its FFmpeg after the first.", labels=("recording",)
    )
    for name, recording in status.recordings.items():
        for each in get_args(ActiveState):
            state.add_metric((name, each), recording.state == each)
        seconds.add_metric((name,), recording.seconds)
        restarts.add_metric((name,), recording.restarts)
    yield from (state, seconds, restarts)


def _archives(status: Status) -> Iterator[Metric]:
    kept = GaugeMetricFamily(
        "streamd_recordings_kept", "Finished recordings of the rule here.", labels=("rule",)
    )
    kept_bytes = GaugeMetricFamily(
        "streamd_recordings_kept_bytes", "What they take.", labels=("rule",)
    )
    free = GaugeMetricFamily(
        "streamd_recordings_free_bytes",
        "Free on the file system that the rule records to.",
        labels=("rule",),
    )
    for name, archive in status.archives.items():
        kept.add_metric((name,), archive.kept)
        kept_bytes.add_metric((name,), archive.kept_bytes)
        if archive.free_bytes is not None:
            free.add_metric((name,), archive.free_bytes)
    yield from (kept, kept_bytes, free)


def _storages(status: Status) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "streamd_storage_state",
        "1 for the state that the storage is in, 0 for every other.",
        labels=("storage", "state"),
    )
    pending = GaugeMetricFamily(
        "streamd_storage_pending_bytes", "What is still to be uploaded.", labels=("storage",)
    )
    sent = CounterMetricFamily(
        "streamd_storage_sent_bytes",
        "What was uploaded since the archives run.",
        labels=("storage",),
    )
    for name, storage in status.storages.items():
        for each in get_args(StorageState):
            state.add_metric((name, each), storage.state == each)
        pending.add_metric((name,), storage.pending_bytes)
        sent.add_metric((name,), storage.sent_bytes)
    yield from (state, pending, sent)
