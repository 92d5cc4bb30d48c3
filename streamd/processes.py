"""From a job to the process that does it. Pure."""

import sys
from dataclasses import dataclass, field

from streamd.config.addresses import progress_address
from streamd.ffmpeg.argv import FFmpegBinary, target_process
from streamd.ffmpeg.pull import pull_secrets
from streamd.ffmpeg.transcode_argv import transcode_process
from streamd.jobs import PlayoutJob, TargetJob, TranscodeJob, job_identity
from streamd.playout.spec import SPEC_FD, PlayoutSpec, PullInput, to_json
from streamd.supervision.process import ProcessSpec

PLAYOUT_MODULE = "streamd.playout"
PLAYOUT_STOP_S = 3.0


@dataclass(frozen=True, slots=True)
class Workshop:
    """What processes are made with.

    Attributes:
        ffmpeg: the FFmpeg in use.
        ffprobe: path of the ffprobe in use.
        own_secret: what streamd's own processes publish with.
        cache_directory: where playouts keep fitted slates.
        python: the interpreter that runs playouts.
    """

    ffmpeg: FFmpegBinary
    ffprobe: str
    own_secret: str = field(repr=False)
    cache_directory: str
    python: str = sys.executable


def process_of(
    job: TargetJob | PlayoutJob | TranscodeJob, workshop: Workshop, log_path: str
) -> ProcessSpec:
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
    return _playout(job, workshop, log_path, identity=identity)


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
