"""What shall exist, as values: the configuration with every default and reference filled in.

`streamd.desire` fills them in.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from streamd.callbacks.events import Action
from streamd.certificates.spec import CertificateSpec
from streamd.config.models import Daemon
from streamd.playout.spec import PlayoutInput
from streamd.schedule import DailyWindow

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

EngineName = Literal["srs", "nginx-rtmp"]


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One media server. Ports that are None are not opened; durations in seconds."""

    name: str
    engine: EngineName
    binary: str
    host: str
    rtmp: int | None
    http: int | None
    srt: int | None
    webrtc: int | None
    api: int
    hls_fragment_s: float
    hls_window_s: float
    webrtc_candidate: str | None
    hooks: str  # HOST:PORT that the server asks about publishers
    apps: tuple[str, ...]  # for an engine that has to declare them; () for one that need not
    waiting_apps: tuple[str, ...] = ()  # of these, whose players wait for a publisher to come
    https: int | None = None
    certificate: tuple[str, str] | None = None  # paths of the chain and the key; with `https`

    @property
    def loopback_rtmp(self) -> str:
        """Where this machine's own processes publish and play, without the app."""
        return f"rtmp://127.0.0.1:{self.rtmp}"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A publishing key, known by its SHA-256 alone."""

    name: str
    sha256: str = field(repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Tell whether `now` lies in the key's window [not_before, not_after)."""
        return (self.not_before is None or self.not_before <= now) and (
            self.not_after is None or now < self.not_after
        )


@dataclass(frozen=True, slots=True)
class StreamRule:
    """Who may publish what matches `pattern` (full: `app/stream`). `keys` None: anybody.

    Attributes:
        pattern: full.
        keys: names of keys; None: anybody may publish.
        key_in_name: the secret may stand behind the name.
        internal: streamd alone publishes it.
        ingest: of an internal one, where people publish instead; None: nowhere.
        ingest_of: what is published here is shown as that stream, and goes nowhere by itself.
    """

    pattern: str
    keys: frozenset[str] | None
    key_in_name: bool = False
    internal: bool = False
    ingest: str | None = None
    ingest_of: str | None = None


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """A place to send streams to. `urls` are the first and the backup address, with keys.

    They may hold `{app}` and `{stream}`. `many` tells that each stream gets an entry of its own.
    """

    name: str
    streams: tuple[str, ...]
    many: bool
    platform: str
    urls: tuple[str, ...] = field(repr=False)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class OverlaySpec:
    """A picture over the video, `margin` pixels from a corner; `width` None: as it is."""

    file: str
    position: Literal["top-left", "top-right", "bottom-left", "bottom-right"]
    margin: int
    width: int | None


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """How video is encoded. What is None is as it comes.

    `bitrate` is in bits per second, `keyframe_interval_s` in seconds. With the codecs `copy` and
    `none` nothing else counts.
    """

    codec: Literal["h264", "h264_nvenc", "h264_vaapi", "h264_qsv", "copy", "none"]
    width: int | None = None
    height: int | None = None
    bitrate: int = 0
    fps: float | None = None
    keyframe_interval_s: float = 2.0
    preset: str | None = None
    profile: Literal["baseline", "main", "high"] | None = None
    overlay: OverlaySpec | None = None


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """How sound is encoded. What is None is as it comes; `bitrate` is in bits per second."""

    codec: Literal["aac", "copy", "none"]
    bitrate: int = 128_000
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class TranscodeSpec:
    """One stream (`app/stream`) that is made `to` another."""

    name: str
    stream: str
    to: str
    video: VideoSpec
    audio: AudioSpec


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A stream that streamd publishes itself: from a source, with a slate, or from both.

    Attributes:
        stream: `app/stream`.
        server: name of the media server that it is published on.
        inputs: what it is made of, the preferred first.
        on_demand: only while somebody watches or something needs it.
        window: when it is published; None: always.
    """

    stream: str
    server: str
    inputs: tuple[PlayoutInput, ...]
    on_demand: bool = False
    window: DailyWindow | None = None


@dataclass(frozen=True, slots=True)
class CallbackSpec:
    """Somebody's server that is told what happens.

    Attributes:
        name: of the callback.
        url: where to post; may hold a secret.
        events: actions that it is told.
        opaque: sent along.
        timeout_s: how long one answer may take, seconds.
        on_error: what becomes of a publisher when it does not answer.
        sign: the secret that requests are signed with; None: they are not.
    """

    name: str
    url: str = field(repr=False)
    events: frozenset[Action]
    opaque: str = field(default="", repr=False)
    timeout_s: float = 5.0
    on_error: Literal["refuse", "allow"] = "refuse"
    sign: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """A place elsewhere that recordings are uploaded to; some of the options are secrets."""

    name: str
    url: str
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RecordingSpec:
    """A rule of what is recorded.

    Attributes:
        name: of the rule.
        streams: full patterns.
        directory, path: where each recording lies, and its own path below that, with tokens.
        format: what a finished one is.
        split_s: the longest one recording, seconds; None: none is too long.
        resume_s: a publisher back within this time continues the same recording.
        keep_for_s: recordings are deleted so long after their end; None: never.
        keep_bytes: the oldest are deleted while all of the rule take more; None: no limit.
        free_share, free_bytes: so much of the disk is to stay free, the greater of the two.
        storage: name of the storage that they are uploaded to; None: they stay here.
        upload_when: each recording once it is finished, or each segment as it comes too.
        keep_local: they stay here after they were uploaded.
        served_by: the server that serves finished ones; None: none.
        url_base: what their addresses begin with; "" where they have none here.
    """

    name: str
    streams: tuple[str, ...]
    directory: str
    path: str
    format: Literal["mp4", "hls", "both"] = "mp4"
    split_s: float | None = None
    resume_s: float = 30.0
    keep_for_s: float | None = None
    keep_bytes: int | None = None
    free_share: float = 0.0
    free_bytes: int = 0
    storage: str | None = None
    upload_when: Literal["segment", "finished"] = "finished"
    keep_local: bool = True
    served_by: str | None = None
    url_base: str = ""


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that shall exist, each kind keyed by name (rules by pattern, sources by stream).

    `transcodes` holds the enabled ones only.
    """

    ffmpeg: str
    daemon: Daemon
    servers: Mapping[str, ServerSpec]
    keys: Mapping[str, KeySpec]
    rules: Mapping[str, StreamRule]
    targets: Mapping[str, TargetSpec]
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    transcodes: Mapping[str, TranscodeSpec] = field(default_factory=dict)
    recordings: Mapping[str, RecordingSpec] = field(default_factory=dict)
    storages: Mapping[str, StorageSpec] = field(default_factory=dict)
    callbacks: Mapping[str, CallbackSpec] = field(default_factory=dict)
    certificates: Mapping[str, CertificateSpec] = field(default_factory=dict)


def identity(value: "DataclassInstance") -> str:
    """Return a short digest of a frozen dataclass, equal for equal values only.

    What runs carries the identity of what it was started from, so that a daemon that comes back
    can tell what it may keep. It digests meaning and not an argv, so that a release of streamd
    that builds an argv differently leaves what is on air alone. A field that has its default is
    left out: a release that adds one, with a default that means what was before, changes no
    identity either. Both holds for the dataclasses within it too.
    """
    return _digest([_named_meaning(value)])


def _meaning(
    value: "DataclassInstance", skipped: frozenset[str] = frozenset()
) -> Iterator[tuple[str, object]]:
    for each in fields(value):
        found = getattr(value, each.name)
        if each.name not in skipped and found != each.default:
            yield each.name, found


def _named_meaning(value: "DataclassInstance") -> tuple[str, dict[str, object]]:
    return type(value).__name__, dict(_meaning(value))


def _digest(parts: Iterable[tuple[str, object]]) -> str:
    text = json.dumps(sorted(parts), sort_keys=True, default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _as_json(value: object) -> object:
    # A `repr` would leave out what is secret, and that differs first.
    if is_dataclass(value) and not isinstance(value, type):
        return _named_meaning(value)
    return str(value)


RELOADABLE_FIELDS: Mapping[EngineName, frozenset[str]] = {
    # SRS takes these on a reload with the publisher kept and HLS numbering continued (measured).
    "srs": frozenset({"hls_fragment_s", "hls_window_s", "webrtc_candidate"}),
    # A reload of nginx strands live streams in the old configuration, so it restarts instead.
    "nginx-rtmp": frozenset(),
}
"""What a running server of each engine takes without a restart."""

UNSEEN_FIELDS = frozenset({"host"})
"""What a server does not know of at all: it is only printed in URLs."""


def restart_identity(server: ServerSpec) -> str:
    """Digest what a running server cannot take without a restart."""
    skipped = RELOADABLE_FIELDS[server.engine] | UNSEEN_FIELDS
    return _digest(_meaning(server, skipped))


def reload_identity(server: ServerSpec) -> str:
    """Digest what a running server takes by a reload."""
    return _digest((name, getattr(server, name)) for name in RELOADABLE_FIELDS[server.engine])
