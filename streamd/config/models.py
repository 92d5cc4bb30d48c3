"""The file as types: every field, its default and its meaning.

These models are the one source of the configuration reference. They hold what can be said of one
field alone; what concerns two places at once is in `streamd.config.check`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from streamd.callbacks.events import Action
from streamd.config.certificate_models import Certificate
from streamd.config.fields import (
    AbsolutePath,
    Address,
    BitRate,
    Duration,
    Flag,
    Host,
    Name,
    OneStreamName,
    Percentage,
    Platform,
    Port,
    PublishKeys,
    Secret,
    SecretAddress,
    Sha256,
    StreamName,
    StreamPattern,
    TimeOfDay,
    Timestamp,
    TimeZone,
)
from streamd.config.model import Model
from streamd.config.recording_models import Recording, Storage


class Daemon(Model):
    """streamd itself."""

    status: Address = Field(
        "127.0.0.1:2022", description="Where the read-only status endpoint listens."
    )
    status_certificate: Name | None = Field(
        None, description="Serve the status endpoint over HTTPS, with this certificate."
    )
    status_token: Secret | None = Field(
        None,
        description="Bearer token for the status endpoint; required when `status` is not loopback.",
        min_length=16,
    )
    hooks: Address = Field(
        "127.0.0.1:2023",
        description="Where the media servers ask about publishers (TCP) and FFmpeg reports "
        "progress (UDP). Loopback only.",
    )
    apply: Literal["auto", "manual"] = Field(
        "auto", description="`manual` keeps a saved change pending until `streamd reload`."
    )
    max_stop: Percentage = Field(
        0.5,
        description="Refuse a save that would stop more than this share of what is live, when "
        "four or more are live; `streamd reload --force` overrides.",
    )
    source_directories: tuple[AbsolutePath, ...] = Field(
        (Path("/srv"),),
        description="Files that are played as sources, slates or overlays lie below these or "
        "below the state directory, links followed.",
    )


class Listen(Model):
    """The ports of one media server. A port that is not named is not opened, except `api`."""

    rtmp: Port | None = Field(None, description="RTMP: publish and play.")
    http: Port | None = Field(None, description="HLS; on SRS also HTTP-FLV, WHIP and WHEP.")
    https: Port | None = Field(
        None,
        description="The same as `http`, over HTTPS; needs `http` and the server's `certificate`.",
    )
    srt: Port | None = Field(None, description="SRT (UDP): publish and play. SRS only.")
    webrtc: Port | None = Field(None, description="WebRTC media (UDP). SRS only, needs `http`.")
    api: Port = Field(1985, description="The server's own API, on loopback, for streamd alone.")


class Hls(Model):
    """How HLS is cut."""

    fragment: Duration = Field(timedelta(seconds=2), description="Length of one segment.")
    window: Duration = Field(timedelta(seconds=20), description="Length of the playlist.")


class Server(Model):
    """One media server."""

    engine: Literal["auto", "srs", "nginx-rtmp"] = Field(
        "auto", description="`auto` takes SRS when its binary is found, otherwise nginx-rtmp."
    )
    binary: AbsolutePath | None = Field(
        None,
        description="The media server's binary; by default from PATH, for SRS also "
        "/usr/local/srs/objs/srs.",
    )
    host: Host = Field(
        "localhost", description="The name put in the URLs that `streamd urls` prints."
    )
    listen: Listen | None = Field(
        None,
        description="Its ports. Absent: every port the engine has, at its usual number.",
    )
    certificate: Name | None = Field(
        None, description="The certificate that `listen.https` is served with."
    )
    webrtc_candidate: Host | None = Field(
        None, description="The address that WebRTC peers reach this machine at."
    )
    hls: Hls = Field(default_factory=Hls, description="How HLS is cut.")


class Key(Model):
    """A publishing key. Exactly one of `secret` and `secret_sha256`."""

    secret: Secret | None = Field(
        None, min_length=8, description="The secret itself, 8 characters or more."
    )
    secret_sha256: Sha256 | None = Field(
        None, description="SHA-256 of the secret, in hex, for a file that must not hold it."
    )
    not_before: Timestamp | None = Field(None, description="The key is refused before this time.")
    not_after: Timestamp | None = Field(None, description="The key is refused from this time on.")


class StreamSource(Model):
    """What streamd itself publishes a stream from: `files`, or an address to pull, `url`."""

    files: tuple[AbsolutePath, ...] | None = Field(
        None,
        description="Files to play in order, in real time. What RTMP and its players can take is "
        "copied, the rest transcoded.",
    )
    loop: Flag = Field(
        True, description="Begin anew after the last file; `false` ends the stream as `finished`."
    )
    shuffle: Flag = Field(False, description="Play the files in another order each time.")
    picture: AbsolutePath | None = Field(
        None, description="What is shown with files that have sound alone; absent: black."
    )
    start: TimeOfDay | None = Field(
        None, description="Play from this time of day on; needs `end`. Absent: always."
    )
    end: TimeOfDay | None = Field(
        None, description="Play until this time of day, on the next day when it is before `start`."
    )
    timezone: TimeZone = Field("UTC", description="What `start` and `end` are meant in.")
    url: SecretAddress | None = Field(
        None,
        description="What to pull: rtsp://, rtsps://, rtmp://, rtmps://, srt://, http:// or "
        "https:// (HLS, FLV).",
    )
    backup_url: SecretAddress | None = Field(
        None, description="Pulled while the first gives nothing, and left when that is back."
    )
    transport: Literal["tcp", "udp"] = Field(
        "tcp", description="What the media of an RTSP camera travels over."
    )
    audio: Literal["keep", "silent", "none", "transcode"] = Field(
        "keep",
        description="Sound of what is pulled: as it is (what RTMP cannot carry becomes AAC), "
        "silence in its place, none, or always new AAC.",
    )
    on_demand: Flag = Field(
        False,
        description="Pull only while somebody on another machine watches or waits (RTMP, HTTP-FLV, "
        "WebRTC), and 20 s longer, or a target or transcode needs it, or a recording names it. A "
        "viewer of HLS is not seen: it neither starts nor keeps the stream.",
    )


class Stream(Model):
    """A stream, or a pattern of streams: who may publish it, or what streamd makes it of."""

    keys: PublishKeys | None = Field(
        None,
        description="Names of the keys that may publish it, or `any` for no authentication. "
        "Required without `source`.",
    )
    key_in_name: Flag = Field(
        False,
        description="Also accept the secret behind the name (`NAME-SECRET` or `NAMESECRET`), for "
        "devices that cannot send `?secret=`. The play URL then holds the secret too.",
    )
    source: StreamSource | None = Field(
        None, description="streamd publishes the stream itself, from files or an address."
    )
    fallback: AbsolutePath | None = Field(
        None,
        description="A video or a picture that is shown while nothing else is there. The stream "
        "is then published under the app `in`: `rtmp://HOST/in/NAME?secret=...`.",
    )
    server: Name | None = Field(
        None,
        description="The server that a stream with `source` or `fallback` is on; by default the "
        "first of the file.",
    )


class Target(Model):
    """A place that a stream is sent on to, by one FFmpeg while the stream is live."""

    stream: StreamName | None = Field(None, description="The stream to send.")
    streams: tuple[StreamPattern, ...] | None = Field(
        None, description="Several streams or patterns: one FFmpeg for each that is live."
    )
    platform: Platform = Field(
        "custom", description="A preset that knows the platform's server address."
    )
    url: SecretAddress | None = Field(
        None,
        description="Where to send: rtmp://, rtmps:// or srt://. The whole address with its key, "
        "or the server only with the key in `key`. `{app}` and `{stream}` stand for the stream's.",
    )
    key: Secret | None = Field(None, min_length=1, description="The platform's stream key.")
    backup_url: SecretAddress | None = Field(
        None, description="Taken after repeated failure of the first, given up when that heals."
    )
    enabled: Flag = Field(True, description="`false` keeps the target but does not run it.")


class Overlay(Model):
    """A picture that is laid over the video, such as a logo."""

    file: AbsolutePath = Field(description="The picture; PNG with transparency works.")
    position: Literal["top-left", "top-right", "bottom-left", "bottom-right"] = Field(
        "top-right", description="The corner that it stands in."
    )
    margin: int = Field(20, ge=0, le=4096, description="Distance to the edges, pixels.")
    width: int | None = Field(
        None, ge=2, le=8192, description="Its width, pixels; absent: as the file has it."
    )


NOT_ENCODED = ("copy", "none")
"""The codecs of a transcode that need no encoder."""


class TranscodeVideo(Model):
    """The video of a transcode. A hardware encoder needs an FFmpeg and a machine that have it."""

    codec: Literal["h264", "h264_nvenc", "h264_vaapi", "h264_qsv", "copy", "none"] = Field(
        "h264", description="The encoder; `copy` leaves the video as it is, `none` drops it."
    )
    width: int | None = Field(None, ge=16, le=8192, description="Pixels; absent: by the aspect.")
    height: int | None = Field(None, ge=16, le=8192, description="Pixels; absent: by the aspect.")
    bitrate: BitRate | None = Field(
        None, description="Bits per second; required unless the codec is `copy` or `none`."
    )
    fps: float | None = Field(
        None, gt=0, le=240, description="Pictures per second; absent: as they come."
    )
    keyframe_interval: Duration = Field(
        timedelta(seconds=2), description="Time from keyframe to keyframe."
    )
    preset: str | None = Field(
        None,
        pattern=r"^[a-z0-9]+$",
        description="The encoder's own preset; by default `veryfast` for h264.",
    )
    profile: Literal["baseline", "main", "high"] | None = Field(
        None, description="H.264 profile; absent: the encoder's choice."
    )
    overlay: Overlay | None = Field(None, description="A picture over the video.")


class TranscodeAudio(Model):
    """The sound of a transcode."""

    codec: Literal["aac", "copy", "none"] = Field(
        "copy", description="`copy` leaves the sound as it is, `none` drops it."
    )
    bitrate: BitRate | None = Field(None, description="Bits per second of AAC; absent: 128k.")
    sample_rate: Literal[22050, 24000, 32000, 44100, 48000] | None = Field(
        None, description="Hertz; absent: as it comes."
    )
    channels: Literal[1, 2] | None = Field(None, description="Absent: as they come.")


class Transcode(Model):
    """One stream made into another. Those of one stream share one FFmpeg and one decode."""

    stream: OneStreamName = Field(description="The stream that is transcoded while it is live.")
    to: OneStreamName = Field(description="The stream that it becomes; nobody else publishes it.")
    video: TranscodeVideo = Field(
        default_factory=lambda: TranscodeVideo(codec="copy"), description="The video."
    )
    audio: TranscodeAudio = Field(default_factory=TranscodeAudio, description="The sound.")
    enabled: Flag = Field(True, description="`false` keeps the transcode but does not run it.")


class Callback(Model):
    """A server of yours that is told by HTTP POST what happens, and may refuse publishers."""

    url: SecretAddress = Field(
        description="Where to post: http:// or https://. Redirects are not followed."
    )
    events: tuple[Action, ...] = Field(
        description="What it is told. With `on_publish` it is asked before a publisher is let in."
    )
    opaque: Secret | None = Field(
        None, description="A token that is sent along as `opaque`, for it to know streamd by."
    )
    timeout: Duration = Field(
        timedelta(seconds=5),
        description="How long it may take to answer; a publisher waits no longer either.",
    )
    on_error: Literal["refuse", "allow"] = Field(
        "refuse",
        description="What becomes of a publisher when it gives no answer to `on_publish`.",
    )
    sign: Secret | None = Field(
        None,
        min_length=16,
        description="Signs each request with this secret (HMAC-SHA256), 16 characters or more.",
    )


class Config(Model):
    """The whole file."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    include: tuple[str, ...] = Field(
        (), description="Further files or patterns of files, relative to this file."
    )
    ffmpeg: AbsolutePath | None = Field(
        None, description="The FFmpeg to use; by default from PATH."
    )
    daemon: Daemon = Field(default_factory=Daemon, description="streamd itself.")
    servers: dict[Name, Server] = Field(
        default_factory=lambda: {"main": Server()},
        description="Media servers. Absent: one, `main`, on the usual ports.",
    )
    keys: dict[Name, Key] = Field(default_factory=dict, description="Publishing keys.")
    streams: dict[StreamPattern, Stream] = Field(
        default_factory=dict,
        description="Streams that may be published: NAME (in app `live`), APP/NAME, or a pattern.",
    )
    targets: dict[Name, Target] = Field(
        default_factory=dict, description="Places that streams are sent on to."
    )
    transcodes: dict[Name, Transcode] = Field(
        default_factory=dict, description="Streams made of other streams."
    )
    recordings: dict[Name, Recording] = Field(
        default_factory=dict, description="What is recorded, where, and what becomes of it."
    )
    storages: dict[Name, Storage] = Field(
        default_factory=dict, description="Places elsewhere that recordings are uploaded to."
    )
    certificates: dict[Name, Certificate] = Field(
        default_factory=dict, description="Certificates for HTTPS, obtained or of your own."
    )
    callbacks: dict[Name, Callback] = Field(
        default_factory=dict, description="Servers of yours that are told what happens."
    )


NAMED_SECTIONS = (
    "servers",
    "keys",
    "streams",
    "targets",
    "transcodes",
    "recordings",
    "storages",
    "certificates",
    "callbacks",
)
"""The sections whose objects have names, so that several files can share them."""
