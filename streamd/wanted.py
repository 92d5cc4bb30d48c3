"""Which jobs shall run now: what is desired, for whoever publishes. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from streamd.archive.layout import spool_of
from streamd.auth.decide import AuthIndex, authorised
from streamd.config.addresses import fill
from streamd.desired import Desired, RecordingSpec, SourceSpec, TargetSpec, TranscodeSpec
from streamd.ffmpeg.transcode_argv import sharing_a_process
from streamd.jobs import (
    ArchiveJob,
    Job,
    PlayoutJob,
    RecordJob,
    ServerJob,
    TargetJob,
    TranscodeJob,
    job_identity,
)
from streamd.observed import JobHistory, Observed, Publisher
from streamd.process_names import (
    archive_process_name,
    playout_process_name,
    record_process_name,
    server_process_name,
    target_process_name,
    transcode_process_name,
)
from streamd.stream_index import StreamIndex

BACKUP_AFTER_FAILURES = 3
"""A target's backup address is taken after so many failures of the first in a row."""

BACKUP_GIVEN_UP_AFTER_S = 5.0
"""The backup goes on beside the first address until media has arrived there for so long."""

InputUrl = Callable[[str, str], str]
"""Gives the address at which a server (by name) serves a stream to FFmpeg."""


class PlanIndex:
    """What a plan looks up, made once for each configuration."""

    def __init__(self, desired: Desired) -> None:
        self.auth = AuthIndex(desired)
        self.targets = StreamIndex(each for each in desired.targets.values() if each.enabled)
        self.recordings = StreamIndex(desired.recordings.values())
        self.transcodes: defaultdict[str, list[TranscodeSpec]] = defaultdict(list)
        for transcode in desired.transcodes.values():
            self.transcodes[transcode.stream].append(transcode)
        self._windows = {source.window for source in desired.sources.values() if source.window}

    def is_ingest(self, stream: str) -> bool:
        """Tell whether `app/stream` goes nowhere by itself, because a playout takes it."""
        rule = self.auth.rule_for(stream)
        return rule is not None and rule.ingest_of is not None

    def next_change(self, now: datetime) -> datetime | None:
        """Return when a key or the time of a source next begins or ends, None when none does."""
        moments = [window.next_change(now) for window in self._windows]
        key = self.auth.next_change(now)
        return min(moments if key is None else [key, *moments], default=None)


def wanted_jobs(
    desired: Desired,
    observed: Observed,
    input_url: InputUrl,
    now: float,
    clock: datetime,
    index: PlanIndex | None = None,
) -> tuple[dict[str, Job], float | None]:
    """Return every job that shall run now, by process name, and when that may change by itself.

    Args:
        desired: what shall exist.
        observed: who publishes, and what happened to jobs.
        input_url: where each stream is read.
        now: monotonic time.
        clock: the time of day (aware).
        index: spares building the `PlanIndex` of `desired` anew.
    """
    index = index or PlanIndex(desired)
    jobs: dict[str, Job] = {job.process: job for job in _own_jobs(desired, observed, index, clock)}
    for name, archive in observed.leaving.items():
        jobs.setdefault(name, archive)
    wake_at: float | None = None
    for publisher in observed.publishers.values():
        if not _is_sent_on(publisher, desired, index, clock):
            continue
        jobs |= {
            job.process: job
            for job in _reading_jobs(desired, observed, publisher, input_url, index)
        }
        for target in index.targets.of(publisher.stream).values():
            first = _target_job(desired, target, publisher, input_url, backup=False)
            jobs[first.process] = first
            if len(target.urls) < 2:
                continue
            wanted, changes_at = _wants_backup(history_of(first, observed), now)
            if wanted:
                backup = _target_job(desired, target, publisher, input_url, backup=True)
                jobs[backup.process] = backup
                wake_at = earliest(wake_at, changes_at)
    return jobs, wake_at


def _own_jobs(
    desired: Desired, observed: Observed, index: PlanIndex, clock: datetime
) -> Iterator[Job]:
    """Yield the jobs that need nobody who publishes."""
    for name, server in desired.servers.items():
        yield ServerJob(server_process_name(name), server)
    for source in desired.sources.values():
        if _is_wanted(source, observed, index, clock):
            yield _playout_job(desired, source)
    yield from archive_jobs(desired).values()


def _reading_jobs(
    desired: Desired,
    observed: Observed,
    publisher: Publisher,
    input_url: InputUrl,
    index: PlanIndex,
) -> Iterator[Job]:
    """Yield the jobs that make something of a stream on this machine."""
    for transcodes in sharing_a_process(index.transcodes.get(publisher.stream, ())):
        yield _transcode_job(desired, transcodes, publisher, input_url)
    for rule in index.recordings.of(publisher.stream).values():
        recorder = _record_job(desired, rule, publisher, input_url)
        if observed.spools.get(rule.name) == recorder.spool:
            yield recorder


def _is_sent_on(publisher: Publisher, desired: Desired, index: PlanIndex, clock: datetime) -> bool:
    if publisher.server not in desired.servers or index.is_ingest(publisher.stream):
        return False
    # Whoever may not be there is being disconnected.
    return authorised(publisher, index.auth, clock) is None


def is_on_call(desired: Desired, jobs: Mapping[str, Job], clock: datetime) -> bool:
    """Tell whether a stream would be published as soon as somebody asks for it.

    Args:
        desired: what shall exist.
        jobs: what is wanted now (`wanted_jobs`).
        clock: the time of day (aware).
    """
    return any(
        source.on_demand
        and _is_due(source, clock)
        and playout_process_name(source.stream) not in jobs
        for source in desired.sources.values()
    )


def _is_due(source: SourceSpec, clock: datetime) -> bool:
    return source.window is None or source.window.is_open(clock)


def _is_wanted(source: SourceSpec, observed: Observed, index: PlanIndex, clock: datetime) -> bool:
    if not _is_due(source, clock):
        return False
    if not source.on_demand or source.stream in observed.demanded:
        return True
    return (
        bool(index.targets.of(source.stream))
        or source.stream in index.transcodes
        or index.recordings.names(source.stream)  # a pattern records what is there
    )


def _playout_job(desired: Desired, source: SourceSpec) -> PlayoutJob:
    return PlayoutJob(
        process=playout_process_name(source.stream),
        stream=source.stream,
        publish_url=f"{desired.servers[source.server].loopback_rtmp}/{source.stream}",
        inputs=source.inputs,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
    )


def _transcode_job(
    desired: Desired,
    transcodes: Sequence[TranscodeSpec],
    publisher: Publisher,
    input_url: InputUrl,
) -> TranscodeJob:
    return TranscodeJob(
        process=transcode_process_name(transcodes[0]),
        stream=publisher.stream,
        input_url=input_url(publisher.server, publisher.published_as),
        publish_url=desired.servers[publisher.server].loopback_rtmp,
        transcodes=tuple(sorted(transcodes, key=lambda each: each.name)),
        publisher=publisher.client_id,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
        input_secret=publisher.published_as != publisher.stream,
    )


def _record_job(
    desired: Desired, rule: RecordingSpec, publisher: Publisher, input_url: InputUrl
) -> RecordJob:
    return RecordJob(
        process=record_process_name(rule.name, publisher.stream),
        rule=rule.name,
        stream=publisher.stream,
        input_url=input_url(publisher.server, publisher.published_as),
        spool=spool_of(rule.directory, rule.name),
        publisher=publisher.client_id,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
        input_secret=publisher.published_as != publisher.stream,
    )


def archive_jobs(desired: Desired) -> dict[str, ArchiveJob]:
    """Return the archives that shall run, by process."""
    jobs = (_archive_job(desired, rule) for rule in desired.recordings.values())
    return {job.process: job for job in jobs}


def _archive_job(desired: Desired, rule: RecordingSpec) -> ArchiveJob:
    # What the archive is not told does not restart it: the streams that are recorded.
    return ArchiveJob(
        process=archive_process_name(rule),
        recording=replace(rule, streams=()),
        storage=desired.storages[rule.storage] if rule.storage is not None else None,
        ffmpeg=desired.ffmpeg,
    )


def _target_job(
    desired: Desired,
    target: TargetSpec,
    publisher: Publisher,
    input_url: InputUrl,
    *,
    backup: bool,
) -> TargetJob:
    return TargetJob(
        process=target_process_name(target, publisher.stream, backup=backup),
        target=target.name,
        stream=publisher.stream,
        input_url=input_url(publisher.server, publisher.published_as),
        output_url=fill(target.urls[1 if backup else 0], publisher.stream),
        publisher=publisher.client_id,
        ffmpeg=desired.ffmpeg,
        progress=desired.daemon.hooks,
        input_secret=publisher.published_as != publisher.stream,
    )


def _wants_backup(history: JobHistory | None, now: float) -> tuple[bool, float | None]:
    if history is None or history.failures < BACKUP_AFTER_FAILURES:
        return False, None
    if history.healthy_since is None:
        return True, None
    healed_at = history.healthy_since + BACKUP_GIVEN_UP_AFTER_S
    return now < healed_at, healed_at


def earliest(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two moments, of which None never comes."""
    return min((moment for moment in (one, other) if moment is not None), default=None)


def history_of(job: Job, observed: Observed) -> JobHistory | None:
    """Return what happened to a job, None when its name stood for another job before."""
    history = observed.histories.get(job.process)
    return history if history is not None and history.job == job_identity(job) else None
