"""The file as types: every field, its default and its meaning.

These models are the one source of the configuration reference. They hold what can be said of one
field alone; what concerns two places at once is in `streamd.config.check`.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from streamd.names import is_pattern

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a duration needs its unit; write for example 500ms, 2s, 1m, 1h or 7d")
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write for example 500ms, 2s, 1m, 1h or 7d")
    return timedelta(seconds=float(match[1]) * _DURATION_S[match[2]])


def _percentage(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{value!r} is not a percentage; write for example 50%")
    return float(match[1]) / 100


def _address(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})", value)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError(
            f"{value!r} is not an address; write HOST:PORT, for example 127.0.0.1:2022"
        )
    return value


def _pattern(value: str) -> str:
    if not is_pattern(value):
        raise ValueError(
            f"{value!r} is not a stream name; use letters, digits and _.~=+@,:- in each part, "
            "as NAME or APP/NAME, and * for any part of a name"
        )
    return value


def _timestamp(value: object) -> object:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{value!r} is not a time; write for example 2026-12-01T00:00:00Z"
            ) from None
    else:
        raise ValueError("a time is text; write for example 2026-12-01T00:00:00Z")
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone; end it in Z for UTC, or in an offset as +02:00")
    return moment.astimezone(UTC)


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Percentage = Annotated[float, BeforeValidator(_percentage)]
Address = Annotated[str, AfterValidator(_address)]
StreamPattern = Annotated[str, AfterValidator(_pattern)]
Timestamp = Annotated[datetime, BeforeValidator(_timestamp)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Platform = Literal["youtube", "twitch", "facebook", "bilibili", "kuaishou", "wx", "custom"]


class Model(BaseModel):
    """Values: frozen, compared whole, and closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Daemon(Model):
    """streamd itself."""

    status: Address = Field(
        "127.0.0.1:2022", description="Where the read-only status endpoint listens."
    )
    status_token: SecretStr | None = Field(
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
        validate_default=False,
        json_schema_extra={"example": "50%"},
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
    binary: Path | None = Field(
        None,
        description="The media server's binary; by default from PATH, for SRS also "
        "/usr/local/srs/objs/srs.",
    )
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:\[\]-]+$")] = Field(
        "localhost", description="The name put in the URLs that `streamd urls` prints."
    )
    listen: Listen | None = Field(
        None,
        description="Its ports. Absent: every port the engine has, at its usual number.",
    )
    webrtc_candidate: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]+$")] | None = (
        Field(None, description="The address that WebRTC peers reach this machine at.")
    )
    hls: Hls = Field(default_factory=Hls, description="How HLS is cut.")


class Key(Model):
    """A publishing key. Exactly one of `secret` and `secret_sha256`."""

    secret: SecretStr | None = Field(
        None, min_length=8, description="The secret itself, 8 characters or more."
    )
    secret_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="SHA-256 of the secret, in hex, for a file that must not hold it."
    )
    not_before: Timestamp | None = Field(None, description="The key is refused before this time.")
    not_after: Timestamp | None = Field(None, description="The key is refused from this time on.")


class Stream(Model):
    """A stream, or a pattern of streams, that may be published."""

    keys: Literal["any"] | tuple[Name, ...] = Field(
        description="Names of the keys that may publish it, or `any` for no authentication."
    )
    key_in_name: bool = Field(
        False,
        description="Also accept the secret behind the name (`NAME-SECRET` or `NAMESECRET`), for "
        "devices that cannot send `?secret=`. The play URL then holds the secret too.",
    )


class Target(Model):
    """A place that a stream is sent on to, by one FFmpeg while the stream is live."""

    stream: StreamPattern | None = Field(None, description="The stream to send.")
    streams: tuple[StreamPattern, ...] | None = Field(
        None, description="Several streams or patterns: one FFmpeg for each that is live."
    )
    platform: Platform = Field(
        "custom", description="A preset that knows the platform's server address."
    )
    url: SecretStr | None = Field(
        None,
        description="Where to send: rtmp://, rtmps:// or srt://. The whole address with its key, "
        "or the server only with the key in `key`. `{app}` and `{stream}` stand for the stream's.",
    )
    key: SecretStr | None = Field(None, min_length=1, description="The platform's stream key.")
    backup_url: SecretStr | None = Field(
        None, description="Taken after repeated failure of the first, given up when that heals."
    )
    enabled: bool = Field(True, description="`false` keeps the target but does not run it.")


class Config(Model):
    """The whole file."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    include: tuple[str, ...] = Field(
        (), description="Further files, relative to this one; `*` as in a shell."
    )
    ffmpeg: Path | None = Field(None, description="The FFmpeg to use; by default from PATH.")
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
