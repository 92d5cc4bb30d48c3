"""The file as types: every field, its default and its meaning.

These models are the one source of the configuration reference. They hold what can be said of one
field alone; what concerns two places at once is in `streamd.config.check`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SecretStr,
    Tag,
    WithJsonSchema,
)

from streamd.names import is_pattern

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")


@dataclass(frozen=True, slots=True)
class InWords:
    """What a type is called in the reference and in messages, for people who write YAML.

    A `private` value is not repeated in messages: people put secrets where it belongs.
    """

    text: str
    private: bool = False


# The messages of these validators begin where the value as written ends ("'5x' is not ..."). The
# value itself is put in by `streamd.config.problems`, which knows whether it is a secret.


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a duration; write for example 500ms, 2s, 1m, 1h or 7d")
    return timedelta(seconds=float(match[1]) * _DURATION_S[match[2]])


def write_duration(value: timedelta) -> str:
    """Write a duration as in the file, in the largest unit that divides it: `90s`, `2h`."""
    milliseconds = round(value / timedelta(milliseconds=1))
    for unit, seconds in reversed(_DURATION_S.items()):
        count, rest = divmod(milliseconds, round(seconds * 1000))
        if rest == 0 and (count or unit == "s"):
            return f"{count}{unit}"
    return f"{milliseconds}ms"


def write_percentage(value: float) -> str:
    """Write a share of 1 as in the file: `50%`."""
    return f"{value * 100:g}%"


def _percentage(value: object) -> float:
    match = _PERCENTAGE.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError("is not a percentage; write for example 50%")
    return float(match[1]) / 100


def _address(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("is not an address; write HOST:PORT, for example 127.0.0.1:2022")
    return value


def _port(value: object) -> int:
    # Text of digits is what `${env:PORT}` gives.
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,5}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65536:
        raise ValueError("is not a port; write a number from 1 to 65535")
    return number


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "is not a name; use up to 64 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("is not a host; write a name or an IP address, without a port")
    return value


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("is not an absolute path; begin it with `/`")
    return Path(value)


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("is not a SHA-256; write its 64 hex digits in lower case")
    return value


def _pattern(value: str) -> str:
    if not is_pattern(value):
        raise ValueError(
            "is not a stream name; write NAME or APP/NAME of letters, digits and _.~=+@,:- "
            "(each part beginning with a letter, a digit or _), and * for any part of a name"
        )
    return value


def _stream_name(value: str) -> str:
    if "*" in _pattern(value):
        raise ValueError("is a pattern; write it in a list under `streams` instead")
    return value


def _timestamp(value: object) -> datetime:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise ValueError("is not a time; write for example 2026-12-01T00:00:00Z")
    if moment.tzinfo is None:
        raise ValueError("needs its zone; end it in Z for UTC, or in an offset as +02:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range; write a year from 2 to 9998") from None


def _kind_of_keys(value: Any) -> str:
    return "any" if value == "any" else "names"


Name = Annotated[str, InWords("name", private=True), AfterValidator(_name)]
Host = Annotated[str, InWords("host name or IP address"), AfterValidator(_host)]
Duration = Annotated[
    timedelta,
    InWords("duration"),
    BeforeValidator(_duration),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^{_DURATION.pattern}$"}),
]
Percentage = Annotated[
    float,
    InWords("percentage"),
    BeforeValidator(_percentage),
    PlainSerializer(write_percentage, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^{_PERCENTAGE.pattern}$"}),
]
Address = Annotated[str, InWords("HOST:PORT"), AfterValidator(_address)]
StreamPattern = Annotated[str, InWords("stream name or pattern"), AfterValidator(_pattern)]
StreamName = Annotated[str, InWords("stream name"), AfterValidator(_stream_name)]
AbsolutePath = Annotated[
    Path,
    InWords("absolute path"),
    BeforeValidator(_path, json_schema_input_type=str),
]
Timestamp = Annotated[datetime, InWords("time"), BeforeValidator(_timestamp)]
Port = Annotated[
    int,
    InWords("port"),
    BeforeValidator(_port),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]
Sha256 = Annotated[str, InWords("64 hex digits", private=True), AfterValidator(_sha256)]
Secret = Annotated[SecretStr, InWords("secret", private=True)]
SecretAddress = Annotated[SecretStr, InWords("address", private=True)]
Platform = Literal["youtube", "twitch", "facebook", "bilibili", "kuaishou", "wx", "custom"]
PublishKeys = Annotated[
    Annotated[Literal["any"], Tag("any")] | Annotated[tuple[Name, ...], Tag("names")],
    Discriminator(_kind_of_keys),
]


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
