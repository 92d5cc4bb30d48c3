"""From a job to the process that does it. Pure."""

import sys
from dataclasses import dataclass, field

from streamd.archive.spec import SPEC_FD as ARCHIVE_SPEC_FD
from streamd.archive.spec import ArchiveSpec, UploadSpec
from streamd.archive.spec import to_json as archive_to_json
from streamd.archive.storage_address import SHOWN_OPTIONS
from streamd.config.addresses import progress_address
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.pull import pull_secrets
from streamd.ffmpeg.record_argv import record_process
from streamd.ffmpeg.target_argv import target_process
from streamd.ffmpeg.transcode_argv import transcode_process
from streamd.jobs import (
    ArchiveJob,
    PlayoutJob,
    ProcessJob,
    RecordJob,
    TargetJob,
    TranscodeJob,
    job_identity,
)
from streamd.playout.spec import SPEC_FD, PlayoutSpec, PullInput, to_json
from streamd.recordings.places import archive_status_path, served_directory
from streamd.supervision.process import ProcessSpec

PLAYOUT_MODULE = "streamd.playout"
PLAYOUT_STOP_S = 3.0

ARCHIVE_MODULE = "streamd.archive"
ARCHIVE_STOP_S = 3.0


@dataclass(frozen=True, slots=True)
class Workshop:
    """What processes are made with.

    Attributes:
        ffmpeg: the FFmpeg in use.
        ffprobe: path of the ffprobe in use.
        own_secret: what streamd's own processes publish with.
        cache_directory: where playouts keep fitted slates.
        outbox: where archives drop events for callbacks.
        archives_directory: where archives say how they are.
        servers_directory: below which servers serve finished recordings.
        python: the interpreter that runs playouts.
    """

    ffmpeg: FFmpegBinary
    ffprobe: str
    own_secret: str = field(repr=False)
    cache_directory: str
    outbox: str = ""
    archives_directory: str = ""
    servers_directory: str = ""
    python: str = sys.executable


def process_of(job: ProcessJob, workshop: Workshop, log_path: str) -> ProcessSpec:
    """Return the process that does a job.

    Args:
        job: what to do.
        workshop: what to do it with.
        log_path: where its log goes.

    Raises:
        FFmpegError: this FFmpeg cannot do it, or an address cannot be given to it.
    """
    identity = job_identity(job)
    if isinstance(job, TargetJob):
        return target_process(job, workshop.ffmpeg, log_path, identity=identity)
    if isinstance(job, TranscodeJob):
        return transcode_process(
            job, workshop.ffmpeg, log_path, identity=identity, secret=workshop.own_secret
        )
    if isinstance(job, RecordJob):
        return record_process(job, workshop.ffmpeg, log_path, identity=identity)
    if isinstance(job, ArchiveJob):
        return _archive(job, workshop, log_path, identity=identity)
    return _playout(job, workshop, log_path, identity=identity)


def _archive(job: ArchiveJob, workshop: Workshop, log_path: str, *, identity: str) -> ProcessSpec:
    options = job.storage.options if job.storage is not None else ()
    return ProcessSpec(
        name=job.process,
        argv=(workshop.python, "-m", ARCHIVE_MODULE, job.recording.name),
        identity=identity,
        log_path=log_path,
        secret_inputs={ARCHIVE_SPEC_FD: archive_to_json(archive_spec(job, workshop))},
        redact=tuple(text for name, text in options if name not in SHOWN_OPTIONS),
        stop_timeout_s=ARCHIVE_STOP_S,
    )


def archive_spec(job: ArchiveJob, workshop: Workshop) -> ArchiveSpec:
    """Return what the archive of a rule is handed."""
    rule, storage = job.recording, job.storage
    served = ""
    if rule.served_by is not None:
        served = served_directory(workshop.servers_directory, rule.served_by, rule.name)
    return ArchiveSpec(
        rule=rule.name,
        directory=rule.directory,
        name=rule.path,
        format=rule.format,
        split_s=rule.split_s,
        resume_s=rule.resume_s,
        keep_for_s=rule.keep_for_s,
        keep_bytes=rule.keep_bytes,
        free_share=rule.free_share,
        free_bytes=rule.free_bytes,
        ffmpeg=workshop.ffmpeg.path,
        ffprobe=workshop.ffprobe,
        outbox=workshop.outbox,
        status=archive_status_path(workshop.archives_directory, job.process),
        served=served,
        url_base=rule.url_base,
        upload=None
        if storage is None
        else UploadSpec(
            storage.name, storage.url, dict(storage.options), rule.upload_when, rule.keep_local
        ),
    )


def _playout(job: PlayoutJob, workshop: Workshop, log_path: str, *, identity: str) -> ProcessSpec:
    spec = PlayoutSpec(
        stream=job.stream,
        publish_url=f"{job.publish_url}?secret={workshop.own_secret}",
        inputs=job.inputs,
        ffmpeg=workshop.ffmpeg.path,
        ffprobe=workshop.ffprobe,
        cache_directory=workshop.cache_directory,
        progress=progress_address(job.progress),
        ca_file=workshop.ffmpeg.ca_file,
    )
    passwords = [
        text
        for each in job.inputs
        if isinstance(each, PullInput)
        for text in pull_secrets(each.url)
    ]
    return ProcessSpec(
        name=job.process,
        argv=(workshop.python, "-m", PLAYOUT_MODULE, job.stream),
        identity=identity,
        log_path=log_path,
        secret_inputs={SPEC_FD: to_json(spec)},
        redact=(workshop.own_secret, *passwords),
        stop_timeout_s=PLAYOUT_STOP_S,
    )
