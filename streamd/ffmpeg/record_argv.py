"""How FFmpeg is told to record: a recorder's job becomes an argv. Pure.

It copies a live stream into segments of MPEG-TS and does nothing else, so that it costs next to
nothing and a kill at any moment loses next to nothing: each packet is on its way to the disk as
soon as it has come. What becomes of the segments is decided elsewhere (`streamd.archive`).
"""

from streamd.archive.layout import segment_pattern
from streamd.errors import FFmpegError
from streamd.ffmpeg.ends import live_input, name_secrets, reporting, secret_inputs
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.jobs import RecordJob
from streamd.supervision.process import ProcessSpec

SEGMENT_S = 6
"""A segment is cut at the first keyframe after this time."""

STOP_TIMEOUT_S = 10.0
"""A disk that is slow gets this long to take the end of a recording."""

# A track that ends would otherwise hold the other back in memory for 10 s, where a kill loses it.
_INTERLEAVE_US = 1_000_000

# Sound is gathered into packets of up to this long: what a kill loses of it. The default is 0.7.
_GATHER_S = "0.2"


def record_process(
    job: RecordJob, binary: FFmpegBinary, log_path: str, *, identity: str
) -> ProcessSpec:
    """Return the process that does a job.

    Times in segments go on from one to the next, and so does the numbering of their packets:
    segments of one run that are put one behind the other are one whole stream.

    Args:
        job: what to record where.
        binary: the FFmpeg to record with.
        log_path: where its log goes.
        identity: kept with the process.

    Raises:
        FFmpegError: the address cannot be given to FFmpeg, or the stream's name to a file.
    """
    try:
        source = live_input(job.input_url, binary, secret=job.input_secret)
    except ValueError as error:
        raise FFmpegError(f"{job.process}: its address {error}") from None
    try:
        segments = segment_pattern(job.spool, job.stream)
    except ValueError as error:
        raise FFmpegError(f"{job.process}: {error}; publish it under another name") from None
    return ProcessSpec(
        name=job.process,
        argv=(
            *reporting(binary, job.progress),
            *source.arguments,
            *("-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"),
            *("-max_interleave_delta", str(_INTERLEAVE_US), "-muxdelay", _GATHER_S),
            *("-f", "segment", "-segment_time", str(SEGMENT_S)),
            *("-segment_format", "mpegts", "-segment_format_options", "flush_packets=1"),
            *("-individual_header_trailer", "0"),
            f"file:{segments}",
        ),
        identity=identity,
        log_path=log_path,
        publisher=job.publisher,
        secret_inputs=secret_inputs((source,)),
        redact=name_secrets(job.input_url) if job.input_secret else (),
        stop_timeout_s=STOP_TIMEOUT_S,
    )
