"""How FFmpeg is told to pull a stream from elsewhere and to write it as FLV to stdout. Pure.

FFmpeg has to be told beforehand what it copies and what it encodes, and which codecs there are is
known only when it is connected. Looking first would cost a second connection, and cameras allow
few. So the first attempt supposes what is most usual, and its bitstream filters refuse at once
what FLV should not hold; what they say leads to the next attempt (`next_attempt`):

- video is supposed to be H.264;
- sound over RTSP is made AAC at once, whatever it is: most cameras have G.711, encoding it costs
  next to nothing, and so one attempt serves for G.711, AAC and none;
- sound from elsewhere is supposed to be AAC.

Nothing reconnects inside FFmpeg, and a source that says nothing for 5 s ends it: what is frozen or
gone shows at once, and the playout starts anew.

Certificates of rtmps and https are verified. FFmpeg 5.1 cannot do that for rtsps, nor for the
segments of an HLS playlist.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import unquote

from streamd.ffmpeg.fitting import audio_encoder, live_video_encoder
from streamd.ffmpeg.flv_argv import FLV, QUIET
from streamd.ffmpeg.media import SILENT_CHANNELS, SILENT_RATE, AudioFacts
from streamd.ffmpeg.options import arguments, concat_list
from streamd.ffmpeg.rtmp_address import split_rtmp
from streamd.playout.spec import PullInput
from streamd.redact import address_secrets

_SILENT_SOURCE_US = "5000000"

# What is not found of a stream when this much has passed, is never sent; with all found, or when
# the source names its tracks beforehand, it goes on at once. It spans a GOP of 10 s.
_ANALYZE = {"analyzeduration": "10000000", "fpsprobesize": "0"}

# A track that ends holds up the other for this long.
_INTERLEAVE_US = "300000"

_HLS_TRIES = "10"

# By scheme: the protocols that its media may come over, and the demuxers that read it.
_PROTOCOLS = {
    "rtsp": "tcp",
    "rtsps": "tls,tcp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "srt": "srt",
    "http": "http,https,tls,tcp,crypto",
    "https": "https,tls,tcp,crypto",
}
_UDP = ",udp,rtp"
_HTTP_FORMATS = "hls,flv,mpegts,mov,matroska,aac,mp3,ac3,eac3"
_FORMATS = {
    **dict.fromkeys(("rtsp", "rtsps"), "rtsp"),
    **dict.fromkeys(("rtmp", "rtmps"), "flv"),
    "srt": "mpegts",
    **dict.fromkeys(("http", "https"), _HTTP_FORMATS),
}

_VIDEO_REFUSED = re.compile(
    r"not supported by the bitstream filter 'h264_mp4toannexb'|Video codec \S+ not compatible"
)
_AUDIO_REFUSED = re.compile(
    r"not supported by the bitstream filter 'aac_adtstoasc'|Audio codec \S+ not compatible"
    r"|FLV does not support sample rate|Malformed AAC bitstream"
)
_AUDIO_UNKNOWN = re.compile(r"Decoder \(codec \S+\) not found for input stream")
# The first picture that comes over RTSP has no time, which FLV refuses where there are B-frames.
_TIMED = r"setts=pts=if(eq(PTS\,NOPTS)\,DTS\,PTS)"
_VIDEO_GUARD = ("-bsf:v", f"h264_mp4toannexb,{_TIMED}")
_AUDIO_GUARD = ("-bsf:a", "aac_adtstoasc")


@dataclass(frozen=True, slots=True)
class PullAttempt:
    """What is supposed of a source.

    Attributes:
        video: `copy` for H.264.
        audio: `copy` for AAC; `none` where it is not wanted.
    """

    video: Literal["copy", "transcode"] = "copy"
    audio: Literal["copy", "transcode", "none"] = "copy"


@dataclass(frozen=True, slots=True)
class PullCommand:
    """A process that pulls.

    Attributes:
        argv: holds nothing of the address that could be a secret.
        stdin: text that it reads, with the address; empty: nothing.
    """

    argv: tuple[str, ...]
    stdin: str = field(repr=False)


def first_attempt(pull: PullInput) -> PullAttempt:
    """Return what is supposed of a source that nothing is known of."""
    if pull.audio in ("none", "silent"):
        return PullAttempt(audio="none")
    transcodes = pull.audio == "transcode" or _scheme(pull.url) in ("rtsp", "rtsps")
    return PullAttempt(audio="transcode" if transcodes else "copy")


def next_attempt(attempt: PullAttempt, log: Sequence[str]) -> PullAttempt:
    """Return what is to be tried after an attempt: the same, unless its log says why it cannot be.

    An attempt that differs can be made at once; the same again has to wait a little.

    Args:
        attempt: that has ended.
        log: lines of its FFmpeg.
    """
    text = "\n".join(log)
    if attempt.video == "copy" and _VIDEO_REFUSED.search(text):
        return replace(attempt, video="transcode")
    if attempt.audio == "copy" and _AUDIO_REFUSED.search(text):
        return replace(attempt, audio="transcode")
    if attempt.audio == "transcode" and _AUDIO_UNKNOWN.search(text):
        return replace(attempt, audio="none")
    return attempt


def pull_command(
    ffmpeg: str, pull: PullInput, attempt: PullAttempt, ca_file: str | None = None
) -> PullCommand:
    """Return the process that makes an attempt.

    Where `pull.audio` is `silent` it writes no sound: silence has to keep to the picture's time,
    and to stop with it, so it is made of what is read here (`streamd.playout.silence`).

    Args:
        ffmpeg: the binary.
        pull: what to pull.
        attempt: of it.
        ca_file: certificates to trust; None: FFmpeg's own.

    Raises:
        ValueError: the address cannot be given to FFmpeg; does not show it.
    """
    scheme, url = _scheme(pull.url), pull.url
    options = dict(_reading(pull, attempt, ca_file))
    if scheme in ("rtmp", "rtmps"):
        url, app, name = split_rtmp(url)
        options |= {"rtmp_app": app, "rtmp_playpath": name}
    source, stdin = _seen(url, options) if _may_be_seen(url) else _unseen(url, options)
    return PullCommand(
        argv=(
            *(ffmpeg, *QUIET, *(("-re",) if _comes_in_bursts(url) else ()), *source),
            *("-sn", "-dn", *_video(attempt), *_audio(attempt)),
            *("-max_interleave_delta", _INTERLEAVE_US, "-flush_packets", "1", *FLV, "pipe:1"),
        ),
        stdin=stdin,
    )


def _seen(url: str, options: dict[str, str]) -> tuple[tuple[str, ...], str]:
    return (*arguments(options | _ANALYZE), "-i", url), ""


def _unseen(url: str, options: dict[str, str]) -> tuple[tuple[str, ...], str]:
    """Return an input that FFmpeg reads the address of from stdin, and what stands there."""
    around = _ANALYZE | {
        "f": "concat",
        "safe": "0",
        "protocol_whitelist": f"pipe,{options['protocol_whitelist']}",
        "format_whitelist": f"concat,{options['format_whitelist']}",
    }
    return (*arguments(around), "-i", "pipe:0"), concat_list(url, options | _ANALYZE)


def pull_secrets(url: str) -> tuple[str, ...]:
    """Return every text of an address that is masked where its FFmpeg's log is shown.

    Beside its secrets that is the app of an RTMP address without a stream: what lets streamd in at
    somebody else's server may stand there.
    """
    found = address_secrets(url)
    app = url.partition("?")[0].partition("://")[2].partition("/")[2]
    if _scheme(url) not in ("rtmp", "rtmps") or not app or "/" in app:
        return found
    return (*found, app, unquote(app))


def _scheme(url: str) -> str:
    return url.partition("://")[0]


def _is_hls(url: str) -> bool:
    return _scheme(url) in ("http", "https") and _path(url).endswith(".m3u8")


def _may_be_seen(url: str) -> bool:
    """Tell whether an address is given in argv: a playlist of HLS without any secret.

    Read by way of a list, every rendition that it names would be downloaded.
    """
    return _is_hls(url) and "?" not in url and "@" not in url.partition("://")[2].partition("/")[0]


def _path(url: str) -> str:
    return url.partition("?")[0].lower()


def _comes_in_bursts(url: str) -> bool:
    """Tell whether what an address gives has to be slowed down to real time.

    Segments of HLS come whole, and files; live FLV over HTTP ends with `.flv` by custom, and would
    fall behind for ever where its clock is faster than this machine's.
    """
    return _scheme(url) in ("http", "https") and not _path(url).endswith(".flv")


def _reading(
    pull: PullInput, attempt: PullAttempt, ca_file: str | None
) -> Iterator[tuple[str, str]]:
    scheme = _scheme(pull.url)
    protocols = _PROTOCOLS[scheme]
    yield "format_whitelist", _FORMATS[scheme]
    if scheme in ("rtsp", "rtsps"):
        yield "protocol_whitelist", protocols + (_UDP if pull.transport == "udp" else "")
        yield "timeout", _SILENT_SOURCE_US
        yield "rtsp_transport", pull.transport
        # Cameras offer metadata as well, which nobody takes.
        yield "allowed_media_types", "video" if attempt.audio == "none" else "video+audio"
        return
    yield "protocol_whitelist", protocols
    yield "fflags", "+discardcorrupt"  # a piece of MPEG-TS ends everything otherwise
    yield "rw_timeout", _SILENT_SOURCE_US
    if scheme in ("rtmp", "rtmps"):
        yield "tcp_nodelay", "1"  # the handshake waits on delayed acknowledgements otherwise
    if _is_hls(pull.url):
        # A playlist that stays the same is a frozen source, which is waited for for ever otherwise.
        yield "m3u8_hold_counters", _HLS_TRIES
        yield "max_reload", _HLS_TRIES
    if scheme in ("rtmps", "https"):
        yield "tls_verify", "1"
        if ca_file is not None:
            yield "ca_file", ca_file


def _video(attempt: PullAttempt) -> tuple[str, ...]:
    if attempt.video == "copy":
        return ("-c:v", "copy", *_VIDEO_GUARD)
    return live_video_encoder()


def _audio(attempt: PullAttempt) -> tuple[str, ...]:
    if attempt.audio == "none":
        return ("-an",)
    if attempt.audio == "copy":
        return ("-c:a", "copy", *_AUDIO_GUARD)
    sound = AudioFacts("aac", SILENT_RATE, SILENT_CHANNELS)
    return ("-af", "aresample=async=1000:first_pts=0", *audio_encoder(sound))
