"""How FFmpeg is told to make several streams of one: a transcoding job becomes an argv. Pure.

All renditions of a stream are made by one FFmpeg, which decodes once. Each output has its own
filters: one graph for all of them could not be built for a publisher without video. When one output
fails, FFmpeg ends; none is ever lost while the others go on (5.1 and 9.0 alike).
"""

from collections.abc import Iterable

from streamd.desired import TranscodeSpec
from streamd.errors import FFmpegError
from streamd.ffmpeg.ends import (
    FIRST_PRESET_FD,
    live_input,
    name_secrets,
    reporting,
    rtmp_output,
    secret_inputs,
)
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.transcode_options import audio_arguments, device_arguments, video_arguments
from streamd.jobs import TranscodeJob
from streamd.supervision.process import ProcessSpec

# Encoders look ahead: on many cores libx264 holds back more than a second of video, and sound
# that did not wait for it would come so much too early.
_INTERLEAVE_US = 3_000_000


def transcode_process(
    job: TranscodeJob, binary: FFmpegBinary, log_path: str, *, identity: str, secret: str
) -> ProcessSpec:
    """Return the process that does a job.

    Args:
        job: what to make of what.
        binary: the FFmpeg to do it with.
        log_path: where its log goes.
        identity: kept with the process.
        secret: what streamd's own processes publish with; kept out of argv where the binary can.

    Raises:
        FFmpegError: an address cannot be given to FFmpeg.
    """
    try:
        source = live_input(job.input_url, binary, secret=job.input_secret)
        outputs = [
            rtmp_output(f"{job.publish_url}/{each.to}?secret={secret}", binary, descriptor)
            for descriptor, each in enumerate(job.transcodes, FIRST_PRESET_FD)
        ]
    except ValueError as error:
        raise FFmpegError(f"{job.process}: its address {error}") from None
    codecs = {each.video.codec for each in job.transcodes}
    renditions = (
        (*_rendition(each, follow_source="copy" in codecs), *output.arguments)
        for each, output in zip(job.transcodes, outputs, strict=True)
    )
    return ProcessSpec(
        name=job.process,
        argv=(
            *reporting(binary, job.progress),
            *device_arguments(codecs),
            *source.arguments,
            *(argument for rendition in renditions for argument in rendition),
        ),
        identity=identity,
        log_path=log_path,
        publisher=job.publisher,
        secret_inputs=secret_inputs((source, *outputs)),
        redact=(secret, *(name_secrets(job.input_url) if job.input_secret else ())),
    )


def sharing_a_process(
    transcodes: Iterable[TranscodeSpec],
) -> tuple[tuple[TranscodeSpec, ...], ...]:
    """Part the transcodes of one stream into those that one FFmpeg can make.

    FFmpeg does not start with an output that it finds nothing for. A publisher without sound would
    so have no rendition at all where one is of sound alone, which is why these stand apart.
    """
    transcodes = tuple(transcodes)
    seen = tuple(each for each in transcodes if each.video.codec != "none")
    heard = tuple(each for each in transcodes if each.video.codec == "none")
    return tuple(filter(None, (seen, heard)))


def _rendition(transcode: TranscodeSpec, *, follow_source: bool) -> tuple[str, ...]:
    """Return what an output holds.

    Beside a copy of the video, keyframes follow the publisher's: players change between renditions
    where all have one.
    """
    return (
        *video_arguments(transcode.video, follow_source=follow_source),
        *audio_arguments(transcode.audio),
        *("-max_interleave_delta", str(_INTERLEAVE_US)),
    )
