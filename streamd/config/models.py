"""The file as types: every field, its default and its meaning.

These models are the one source of the configuration reference. They hold what can be said of one
field alone; what concerns two places at once is in `streamd.config.check`.
"""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from streamd.config.fields import (
    AbsolutePath,
    Address,
    Duration,
    Host,
    Name,
    Percentage,
    Platform,
    Port,
    PublishKeys,
    Secret,
    SecretAddress,
    Sha256,
    StreamName,
    StreamPattern,
    Timestamp,
)


class Model(BaseModel):
    """Values: frozen, compared whole, and closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Daemon(Model):
    """streamd itself."""

    status: Address = Field(
        "127.0.0.1:2022", description="Where the read-only status endpoint listens."
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


class Listen(Model):
    """The ports of one media server. A port that is not named is not opened, except `api`."""

    rtmp: Port | None = Field(None, description="RTMP: publish and play.")
    http: Port | None = Field(None, description="HLS; on SRS also HTTP-FLV, WHIP and WHEP.")
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


class Stream(Model):
    """A stream, or a pattern of streams, that may be published."""

    keys: PublishKeys = Field(
        description="Names of the keys that may publish it, or `any` for no authentication."
    )
    key_in_name: bool = Field(
        False,
        description="Also accept the secret behind the name (`NAME-SECRET` or `NAMESECRET`), for "
        "devices that cannot send `?secret=`. The play URL then holds the secret too.",
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
    enabled: bool = Field(True, description="`false` keeps the target but does not run it.")


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


NAMED_SECTIONS = ("servers", "keys", "streams", "targets")
"""The sections whose objects have names, so that several files can share them."""
