"""How FFmpeg is told to send one stream to one address: a job becomes an argv.

Options, presets and the concat format are FFmpeg's own: https://ffmpeg.org/ffmpeg-all.html.
"""

from dataclasses import dataclass
from urllib.parse import unquote

from streamd.config.addresses import progress_address
from streamd.errors import FFmpegError
from streamd.jobs import TargetJob
from streamd.supervision.process import PID_ADDRESS, ProcessSpec

# A media server drops a silent publisher by itself (SRS after 21.5 s) and a target must outlast a
# short silence; only a server that is frozen as a whole takes longer than this.
_INPUT_TIMEOUT_US = 15_000_000
_OUTPUT_TIMEOUT_US = 5_000_000

# What FFmpeg has not found when this much of the stream has passed, it never sends. RTMP players
# of nginx-rtmp get no video before the next keyframe, so it spans a GOP of 10 s; SRS sends the
# headers of both tracks first. With both tracks found it goes on at once: only a stream that has
# one track alone waits.
_ANALYZE_US = {"rtmp": 10_000_000, "http": 3_000_000}

# Instead of the kernel's own choice of up to 4 MB, in which a slow stream hides for minutes that
# its receiver reads no more. It bounds the bit rate to about 1.3 times itself per round trip:
# 27 Mb/s at 100 ms, or 22 where net.core.wmem_max is as it mostly is (208 KiB).
SEND_BUFFER_BYTES = 256 * 1024

# A track that ends holds up the other for this long, 10 s by default, in which nothing is sent.
_INTERLEAVE_US = 1_000_000

_PRESET_FD = 3
_PRESET_LINE_BYTES = 990  # FFmpeg reads lines of 999 and takes the rest for another line
_RTMP_APP_BYTES = 127  # APP_MAX_LENGTH in libavformat/rtmpproto.c

_SECRET_PARAMETER_LENGTH = 6  # what is shorter is a flag such as `s_bl=1`


@dataclass(frozen=True, slots=True)
class FFmpegBinary:
    """What is known of an FFmpeg, as `streamd.ffmpeg.binary.inspect` finds it.

    Attributes:
        path: absolute.
        version: as it names itself, `5.1.9-0+deb12u1`.
        protocols: that it can send over, as `rtmps`.
        hides_output_key: it takes an output's options from a file (`-fpre`), so that a stream
            key need not stand in its argv, where every user of the machine can read it.
        hides_input_key: its concat lists take options, so that an address with a secret can be
            read from one without starting slowly.
        ca_file: certificates that it trusts for RTMPS; None when the machine has none.
    """

    path: str
    version: str
    protocols: frozenset[str]
    hides_output_key: bool
    hides_input_key: bool
    ca_file: str | None


@dataclass(frozen=True, slots=True)
class _End:
    """One side of an FFmpeg: arguments that may be seen, and a text that it reads from `fd`."""

    arguments: tuple[str, ...]
    fd: int = 0
    secret_text: str = ""


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
        source = _input(job, binary)
        destination = _srt_output(job, binary) if scheme == "srt" else _rtmp_output(job, binary)
    except ValueError as error:
        raise FFmpegError(f"{job.process}: its address {error}") from None
    return ProcessSpec(
        name=job.process,
        argv=(
            binary.path,
            *("-hide_banner", "-nostdin", "-loglevel", "level+warning"),
            *("-nostats", "-stats_period", "1"),
            *("-progress", f"udp://{progress_address(job.progress)}?localaddr={PID_ADDRESS}"),
            *source.arguments,
            *("-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"),
            *("-max_interleave_delta", str(_INTERLEAVE_US)),
            *destination.arguments,
        ),
        identity=identity,
        log_path=log_path,
        publisher=job.publisher,
        secret_inputs={end.fd: end.secret_text for end in (source, destination) if end.secret_text},
        redact=secrets_of(job),
    )


def _input(job: TargetJob, binary: FFmpegBinary) -> _End:
    scheme, url = job.input_url.partition("://")[0], job.input_url
    options = {"rw_timeout": str(_INPUT_TIMEOUT_US)}
    if scheme == "rtmp":
        url, app, name = split_rtmp(url)
        options |= _rtmp_names(app, name)
        options["tcp_nodelay"] = "1"  # the handshake waits on delayed acknowledgements otherwise
    analyze = {"analyzeduration": str(_ANALYZE_US[scheme]), "fpsprobesize": "0"}
    if not (job.input_secret and binary.hides_input_key):
        return _End((*_arguments(options | analyze), "-i", url))
    listing = (
        "ffconcat version 1.0",
        f"file {_concat_quoted(url)}",
        *(f"option {name} {_concat_quoted(text)}" for name, text in (options | analyze).items()),
    )
    return _End(
        (
            *_arguments(analyze),
            *("-f", "concat", "-safe", "0", "-protocol_whitelist", f"pipe,{scheme},tcp"),
            *("-i", "pipe:0"),
        ),
        secret_text="\n".join(listing) + "\n",
    )


def _rtmp_output(job: TargetJob, binary: FFmpegBinary) -> _End:
    server, app, playpath = split_rtmp(job.output_url)
    options = {
        "rw_timeout": str(_OUTPUT_TIMEOUT_US),
        "send_buffer_size": str(SEND_BUFFER_BYTES),
        "tcp_nodelay": "1",
    }
    if server.startswith("rtmps:"):
        options["tls_verify"] = "1"
        if binary.ca_file is not None:
            options["ca_file"] = binary.ca_file
    options["flvflags"] = "no_duration_filesize"
    return _output(("-f", "flv", server), options, _rtmp_names(app, playpath), binary)


def _rtmp_names(app: str, stream: str) -> dict[str, str]:
    """Name app and stream apart: in an address FFmpeg takes them apart in ways of its own."""
    if len(app.encode()) > _RTMP_APP_BYTES:
        raise ValueError(f"has an app of more than {_RTMP_APP_BYTES} bytes; shorten it")
    return {"rtmp_app": app, "rtmp_playpath": stream}


def _srt_output(job: TargetJob, binary: FFmpegBinary) -> _End:
    place, _, query = job.output_url.partition("?")
    shown, secrets = [], {}
    for name, value in _parameters(query):
        # `streamid` alone is an option of the ffmpeg program, about something else.
        option = "srt_streamid" if name == "streamid" else name
        if option in ("srt_streamid", "passphrase"):
            secrets[option] = unquote(value)
        else:
            shown.append(f"{name}={value}")
    url = f"{place}?{'&'.join(shown)}" if shown else place
    return _output(("-f", "mpegts", url), {"pkt_size": "1316"}, secrets, binary)


def _output(
    ending: tuple[str, ...], options: dict[str, str], secrets: dict[str, str], binary: FFmpegBinary
) -> _End:
    secrets = {name: _printable(value) for name, value in secrets.items() if value}
    if not binary.hides_output_key or not secrets:
        return _End((*_arguments(options), *_arguments(secrets), *ending))
    lines = [f"{name}={value}\n" for name, value in secrets.items()]
    if any(len(line.encode()) > _PRESET_LINE_BYTES for line in lines):
        raise ValueError(f"has a key of more than {_PRESET_LINE_BYTES - 50} bytes; shorten it")
    return _End(
        (*_arguments(options), "-fpre", f"/dev/fd/{_PRESET_FD}", *ending),
        fd=_PRESET_FD,
        secret_text="".join(lines),
    )


def _arguments(options: dict[str, str]) -> tuple[str, ...]:
    return tuple(text for name, value in options.items() for text in (f"-{name}", value))


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a control character; paste it again")
    return value


def _concat_quoted(value: str) -> str:
    return "'" + _printable(value).replace("'", "'\\''") + "'"


def split_rtmp(url: str) -> tuple[str, str, str]:
    """Split an RTMP address into what is asked of whom: server, app and stream.

    The stream is what follows the last slash of the path, with the query: `KEY?x=y`, or
    `?streamname=S&key=K` behind `rtmp://host/app/`. A query that belongs to the app
    (`rtmp://host/app?auth=T/KEY`, as encoders build it from server and key) stays with the app.

    Returns:
        The address as far as it may be seen (no query, no stream), the app and the stream.

    Raises:
        ValueError: there is no app.
    """
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    head, mark, query = path.partition("?")
    if not mark:
        head = head.rstrip("/")
    if "/" in head:
        app, _, name = head.rpartition("/")
        stream = f"{name}{mark}{query}"
    else:
        app, slash, stream = f"{head}{mark}{query}".rpartition("/")
        if not slash:
            app, stream = stream, ""
    shown = app.partition("?")[0]
    if not shown:
        raise ValueError("names no app; write for example rtmp://HOST/APP/KEY")
    return f"{scheme}://{authority}/{shown}", app, stream


def secrets_of(job: TargetJob) -> tuple[str, ...]:
    """Return every text of a job that must be masked where it is shown, longest first.

    Raises:
        ValueError: its address is none.
    """
    found = set(_address_secrets(job.output_url))
    if job.input_secret:
        name = job.input_url.partition("?")[0].rpartition("/")[2]
        found |= {name, name.removesuffix(".flv")}
    found |= {unquote(text) for text in found}
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))


def _address_secrets(url: str) -> list[str]:
    place, _, query = url.partition("?")
    credentials = place.partition("://")[2].partition("/")[0].rpartition("@")[0]
    found = [credentials, credentials.partition(":")[2]]
    if not url.startswith("srt:"):
        _, app, stream = split_rtmp(url)
        found += [stream, stream.partition("?")[0]]
        query = f"{app.partition('?')[2]}&{stream.partition('?')[2]}"
    for name, value in _parameters(query):
        if len(value) >= _SECRET_PARAMETER_LENGTH or name in ("passphrase", "streamid"):
            found.append(value)
    return found


def _parameters(query: str) -> list[tuple[str, str]]:
    """Split a query without decoding it: receivers get it as it was given."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in pairs]
