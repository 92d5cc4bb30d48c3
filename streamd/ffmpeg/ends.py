"""The two sides of an FFmpeg at a live stream: where it reads, and where it sends to. Pure.

Options, presets and the concat format are FFmpeg's own: https://ffmpeg.org/ffmpeg-all.html.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from streamd.config.addresses import progress_address
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.options import arguments, concat_list, printable
from streamd.ffmpeg.rtmp_address import split_rtmp
from streamd.supervision.protocol import PID_ADDRESS

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

FIRST_PRESET_FD = 3
"""The lowest descriptor that an output reads its key from; 0 is the input's."""

_PRESET_LINE_BYTES = 990  # FFmpeg reads lines of 999 and takes the rest for another line
_RTMP_APP_BYTES = 127  # APP_MAX_LENGTH in libavformat/rtmpproto.c


@dataclass(frozen=True, slots=True)
class End:
    """One side of an FFmpeg.

    Attributes:
        arguments: may be seen by everybody; those of an output have none that says what it holds.
        fd: the descriptor that FFmpeg reads `secret_text` from.
        secret_text: empty where there is none to read.
    """

    arguments: tuple[str, ...]
    fd: int = 0
    secret_text: str = field(default="", repr=False)


def secret_inputs(ends: Iterable[End]) -> dict[int, str]:
    """Return what several ends read, by descriptor, as `ProcessSpec` takes it."""
    return {end.fd: end.secret_text for end in ends if end.secret_text}


def reporting(binary: FFmpegBinary, hooks: str) -> tuple[str, ...]:
    """Return how an argv begins: quiet, and with a report of its progress every second.

    Args:
        binary: the FFmpeg.
        hooks: HOST:PORT of the hooks, beside which progress is heard.
    """
    return (
        binary.path,
        *("-hide_banner", "-nostdin", "-loglevel", "level+warning"),
        *("-nostats", "-stats_period", "1"),
        *("-progress", f"udp://{progress_address(hooks)}?localaddr={PID_ADDRESS}"),
    )


def live_input(url: str, binary: FFmpegBinary, *, secret: bool) -> End:
    """Return how a live stream is read from a media server of this machine.

    Args:
        url: rtmp:// or http://.
        binary: the FFmpeg.
        secret: the address holds one, so it is kept out of sight where the binary can do that.

    Raises:
        ValueError: the address cannot be given to FFmpeg.
    """
    scheme = url.partition("://")[0]
    options = {"rw_timeout": str(_INPUT_TIMEOUT_US)}
    if scheme == "rtmp":
        url, app, name = split_rtmp(url)
        options |= _rtmp_names(app, name)
        options["tcp_nodelay"] = "1"  # the handshake waits on delayed acknowledgements otherwise
    analyze = {"analyzeduration": str(_ANALYZE_US[scheme]), "fpsprobesize": "0"}
    if not (secret and binary.hides_input_key):
        return End((*arguments(options | analyze), "-i", url))
    return End(
        (
            *arguments(analyze),
            *("-f", "concat", "-safe", "0", "-protocol_whitelist", f"pipe,{scheme},tcp"),
            *("-i", "pipe:0"),
        ),
        secret_text=concat_list(url, options | analyze),
    )


def rtmp_output(url: str, binary: FFmpegBinary, fd: int = FIRST_PRESET_FD) -> End:
    """Return how FLV is published to an RTMP address.

    Args:
        url: rtmp:// or rtmps://, with its key, which is kept out of sight where the binary can.
        binary: the FFmpeg.
        fd: where it is to read the key from; another one for each output.

    Raises:
        ValueError: the address cannot be given to FFmpeg.
    """
    server, app, playpath = split_rtmp(url)
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
    secrets = _rtmp_names(app, playpath)
    return output_end(
        ("-f", "flv", server), options, secrets, fd if binary.hides_output_key else None
    )


def _rtmp_names(app: str, stream: str) -> dict[str, str]:
    """Name app and stream apart: in an address FFmpeg takes them apart in ways of its own."""
    if len(app.encode()) > _RTMP_APP_BYTES:
        raise ValueError(f"has an app of more than {_RTMP_APP_BYTES} bytes; shorten it")
    return {"rtmp_app": app, "rtmp_playpath": stream}


def output_end(
    ending: tuple[str, ...], options: dict[str, str], secrets: dict[str, str], preset_fd: int | None
) -> End:
    """Return an output some of whose options are secrets.

    Args:
        ending: what stands last: format and address.
        options: that may be seen.
        secrets: options that are kept out of sight; those that are empty are left out.
        preset_fd: where FFmpeg reads them from; None where it cannot.

    Raises:
        ValueError: a secret cannot be given to FFmpeg.
    """
    secrets = {name: printable(value) for name, value in secrets.items() if value}
    if preset_fd is None or not secrets:
        return End((*arguments(options), *arguments(secrets), *ending))
    lines = [f"{name}={value}\n" for name, value in secrets.items()]
    if any(len(line.encode()) > _PRESET_LINE_BYTES for line in lines):
        raise ValueError(f"has a key of more than {_PRESET_LINE_BYTES - 50} bytes; shorten it")
    return End(
        (*arguments(options), "-fpre", f"/dev/fd/{preset_fd}", *ending),
        fd=preset_fd,
        secret_text="".join(lines),
    )


def name_secrets(input_url: str) -> tuple[str, ...]:
    """Return what must be masked of an address whose stream has a secret in its name."""
    name = input_url.partition("?")[0].rpartition("/")[2]
    plain = name.removesuffix(".flv")
    return tuple(dict.fromkeys((name, plain, unquote(name), unquote(plain))))
