"""What one playout plays: the value that streamd hands to it, as JSON through a pipe.

A playout publishes one stream for as long as it runs and takes what it sends from the first of
its inputs that has media. Stdlib only, as everything that a playout process loads: there is one
process for each such stream.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

AudioMode = Literal["keep", "silent", "none", "transcode"]
Transport = Literal["tcp", "udp"]

SPEC_FD = 3
"""The descriptor that a playout reads its spec from."""


@dataclass(frozen=True, slots=True)
class IngestInput:
    """What an encoder publishes under the ingest name, played from the media server.

    Attributes:
        url: rtmp:// address of the ingest on the media server, on loopback.
    """

    url: str


@dataclass(frozen=True, slots=True)
class PullInput:
    """What an FFmpeg pulls from elsewhere: a camera, another server, a playlist of HLS.

    Attributes:
        url: rtsp(s), rtmp(s), srt or http(s); may hold a password.
        transport: what RTSP media travels over.
        audio: `keep` copies what RTMP can carry and transcodes the rest, `silent` puts silence
            in its place, `none` leaves it out, `transcode` always makes AAC.
    """

    url: str = field(repr=False)
    transport: Transport = "tcp"
    audio: AudioMode = "keep"


@dataclass(frozen=True, slots=True)
class FilesInput:
    """Files in order, in real time.

    Attributes:
        files: absolute paths.
        loop: begin anew after the last; otherwise the playout ends with status 0 after it.
        shuffle: in another order each time.
        picture: shown with files that have sound alone; None: black.
        directories: a file is played only where it lies below one of these, links followed.
    """

    files: tuple[str, ...]
    loop: bool = True
    shuffle: bool = False
    picture: str | None = None
    directories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlateInput:
    """A file that is shown, again and again, while nothing else has media.

    It is fitted to what was on air before it (size, rate, sound), once, and kept for the next
    time. `directories` as of `FilesInput`.
    """

    file: str
    directories: tuple[str, ...] = ()


PlayoutInput = IngestInput | PullInput | FilesInput | SlateInput


@dataclass(frozen=True, slots=True)
class PlayoutSpec:
    """One playout.

    Attributes:
        stream: `app/stream` that it publishes.
        publish_url: rtmp:// address to publish to on loopback, with streamd's own secret.
        inputs: the one that is preferred first.
        ffmpeg, ffprobe: paths of the binaries.
        cache_directory: where fitted slates are kept.
        progress: HOST:PORT that it reports to (UDP).
        ca_file: certificates to trust for rtmps and https; None: FFmpeg's own.
    """

    stream: str
    publish_url: str = field(repr=False)
    inputs: tuple[PlayoutInput, ...]
    ffmpeg: str
    ffprobe: str
    cache_directory: str
    progress: str
    ca_file: str | None = None


_KINDS: dict[str, type[Any]] = {
    "ingest": IngestInput,
    "pull": PullInput,
    "files": FilesInput,
    "slate": SlateInput,
}


def kind_of(each: PlayoutInput) -> str:
    """Return an input's kind in one word: ingest, pull, files or slate."""
    return next(kind for kind, its_type in _KINDS.items() if isinstance(each, its_type))


def to_json(spec: PlayoutSpec) -> str:
    """Return a spec as JSON. It holds secrets."""
    inputs = [{"kind": kind_of(each), **asdict(each)} for each in spec.inputs]
    return json.dumps({**asdict(spec), "inputs": inputs})


def from_json(text: str) -> PlayoutSpec:
    """Return the spec that `to_json` wrote.

    Raises:
        ValueError: the text is none.
    """
    try:
        data = json.loads(text)
        inputs = tuple(_input(each) for each in data.pop("inputs"))
        return PlayoutSpec(**data, inputs=inputs)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a playout's spec: {type(error).__name__}") from error


def _input(data: dict[str, Any]) -> PlayoutInput:
    kind = _KINDS[data.pop("kind")]
    made: PlayoutInput = kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    )
    return made
