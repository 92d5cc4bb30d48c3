"""What the picture and the sound of a segment are, and what can follow in one file. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from streamd.playout.formats import audio_format, video_format
from streamd.playout.tags import AUDIO, VIDEO, Tag

_SPS_KINDS = {"h264": 7, "hevc": 33}
_START_CODE = b"\0\0\1"
_LONGEST_SPS = 4096


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A picture; what is not known is 0."""

    codec: str
    width: int = 0
    height: int = 0
    chroma: int = 0
    bit_depth: int = 0

    def __str__(self) -> str:
        return f"{self.codec} {self.width}x{self.height}" if self.width else self.codec


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A sound; what is not known is 0."""

    codec: str
    sample_rate: int = 0
    channels: int = 0

    def __str__(self) -> str:
        if not self.sample_rate:
            return self.codec
        return f"{self.codec} {self.sample_rate} Hz {self.channels} ch"


@dataclass(frozen=True, slots=True)
class Format:
    """What a segment is made of.

    Attributes:
        declared: codecs that its tables name, in order.
        video, audio: what there really is; None where nothing came.
    """

    declared: tuple[str, ...]
    video: VideoTrack | None = None
    audio: AudioTrack | None = None

    def can_go_on_as(self, other: "Format") -> bool:
        """Tell whether a segment can follow in the same file.

        A track may end. One that begins cannot: the file's header has to know of it.
        """
        return (
            self.declared == other.declared
            and other.video in (self.video, None)
            and other.audio in (self.audio, None)
        )

    def __str__(self) -> str:
        return " with ".join(str(track) for track in (self.video, self.audio) if track) or "nothing"


def video_track(codec: str, begin: bytes) -> VideoTrack:
    """Return what a picture is.

    Args:
        codec: FFmpeg's name.
        begin: the elementary stream from the first picture on, with start codes.
    """
    kind = _SPS_KINDS.get(codec)
    sps = next((unit for unit in _units(begin) if _kind(codec, unit) == kind), None)
    if sps is None or len(sps) < 4:
        return VideoTrack(codec)
    found = video_format(Tag(VIDEO, 0, _sequence_header(codec, sps[:_LONGEST_SPS])))
    if found is None:
        return VideoTrack(codec)
    return VideoTrack(codec, found.width, found.height, found.chroma, found.bit_depth)


def audio_track(codec: str, begin: bytes) -> AudioTrack:
    """Return what a sound is; `begin` as of `video_track`, of AAC with ADTS headers."""
    if codec != "aac" or len(begin) < 7 or begin[0] != 0xFF or begin[1] & 0xF6 != 0xF0:
        return AudioTrack(codec)
    object_type, rate = (begin[2] >> 6) + 1, begin[2] >> 2 & 0xF
    channels = (begin[2] & 1) << 2 | begin[3] >> 6
    config = object_type << 11 | rate << 7 | channels << 3
    found = audio_format(Tag(AUDIO, 0, b"\xaf\0" + config.to_bytes(2)))
    if found is None:
        return AudioTrack(codec)
    return AudioTrack(codec, found.sample_rate, found.channels)


def _units(stream: bytes) -> Iterator[bytes]:
    at = stream.find(_START_CODE)
    while at >= 0:
        at += len(_START_CODE)
        end = stream.find(_START_CODE, at)
        yield stream[at:end].rstrip(b"\0") if end >= 0 else stream[at:]
        at = end


def _kind(codec: str, unit: bytes) -> int | None:
    if not unit:
        return None
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def _sequence_header(codec: str, sps: bytes) -> bytes:
    """Return an SPS as FLV would carry it (ISO/IEC 14496-15)."""
    size = len(sps).to_bytes(2)
    if codec == "h264":
        return b"\x17\0\0\0\0\x01" + sps[1:4] + b"\xff\xe1" + size + sps
    return b"\x90hvc1\x01" + bytes(18 + 2 + 1) + b"\x01\x21\0\x01" + size + sps
