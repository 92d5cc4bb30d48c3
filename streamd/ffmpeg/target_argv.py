"""How FFmpeg is told to send a live stream to a target: its job becomes a process. Pure."""

from urllib.parse import unquote

from streamd.errors import FFmpegError
from streamd.ffmpeg.ends import (
    FIRST_PRESET_FD,
    End,
    live_input,
    name_secrets,
    output_end,
    reporting,
    rtmp_output,
    secret_inputs,
)
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.rtmp_address import parameters
from streamd.jobs import TargetJob
from streamd.redact import address_secrets
from streamd.supervision.process import ProcessSpec

# A track that ends holds up the other for this long, 10 s by default, in which nothing is sent.
_INTERLEAVE_US = 1_000_000


def target_process(
    job: TargetJob, binary: FFmpegBinary, log_path: str, *, identity: str
) -> ProcessSpec:
    """Return the process that does a job.

    The stream key stays out of its argv where the binary can do without; a user name and password
    in front of the host cannot.

    Args:
        job: what to send where.
        binary: the FFmpeg to send with.
        log_path: where its log goes.
        identity: kept with the process.

    Raises:
        FFmpegError: the binary lacks the protocol, or the address cannot be given to it.
    """
    scheme = job.output_url.partition("://")[0]
    if scheme not in binary.protocols:
        raise FFmpegError(
            f"{job.process}: {binary.path} ({binary.version}) cannot send over "
            f"{scheme if scheme.isalnum() else 'this protocol'}; install an FFmpeg that can, or "
            "name one in `ffmpeg:`"
        )
    try:
        source = live_input(job.input_url, binary, secret=job.input_secret)
        send = _srt_output if scheme == "srt" else rtmp_output
        destination = send(job.output_url, binary)
    except ValueError as error:
        raise FFmpegError(f"{job.process}: its address {error}") from None
    return ProcessSpec(
        name=job.process,
        argv=(
            *reporting(binary, job.progress),
            *source.arguments,
            *("-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"),
            *("-max_interleave_delta", str(_INTERLEAVE_US)),
            *destination.arguments,
        ),
        identity=identity,
        log_path=log_path,
        publisher=job.publisher,
        secret_inputs=secret_inputs((source, destination)),
        redact=secrets_of_job(job),
    )


def _srt_output(url: str, binary: FFmpegBinary) -> End:
    place, _, query = url.partition("?")
    shown, secrets = [], {}
    for name, value in parameters(query):
        # `streamid` alone is an option of the ffmpeg program, about something else.
        option = "srt_streamid" if name == "streamid" else name
        if option in ("srt_streamid", "passphrase"):
            secrets[option] = unquote(value)
        else:
            shown.append(f"{name}={value}")
    shown_url = f"{place}?{'&'.join(shown)}" if shown else place
    fd = FIRST_PRESET_FD if binary.hides_output_key else None
    return output_end(("-f", "mpegts", shown_url), {"pkt_size": "1316"}, secrets, fd)


def secrets_of_job(job: TargetJob) -> tuple[str, ...]:
    """Return every text of a job that must be masked where it is shown, longest first."""
    found = set(address_secrets(job.output_url))
    if job.input_secret:
        found.update(name_secrets(job.input_url))
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))
