"""The HLS playlist of a ladder, from which a player chooses among its renditions. Pure.

RFC 8216, section 4.3.4.2. Levels are those of ITU-T H.264, table A-1; names of codecs those of
RFC 6381.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamd.desired import AudioSpec, TranscodeSpec, VideoSpec
from streamd.engines.base import LiveStream

MASTER_NAME = "master"

# What MPEG-TS adds, measured on SRS, which begins a packet with every picture and every piece of
# sound; nginx-rtmp packs sound more tightly.
_TS_FACTOR = 1.03
_PICTURES_IN_TS_BPS = 30_000
_SOUND_IN_TS_BPS = 65_000
# A keyframe opens each segment, and the bit rate is held over a second, not within it.
_PEAK = 1.2

# The rate of a copy is measured, and a playlist must not change with every measurement.
_PICTURE_STEP_BPS = 500_000
_SOUND_STEP_BPS = 32_000

_USUAL_FPS = 30.0
_TO_BEGIN_BPS = 3_500_000

# Level, macroblocks a second, macroblocks a picture, kb/s of the profiles below High.
_LEVELS = (
    (10, 1_485, 99, 64),
    (11, 3_000, 396, 192),
    (12, 6_000, 396, 384),
    (13, 11_880, 396, 768),
    (20, 11_880, 396, 2_000),
    (21, 19_800, 792, 4_000),
    (22, 20_250, 1_620, 4_000),
    (30, 40_500, 1_620, 10_000),
    (31, 108_000, 3_600, 14_000),
    (32, 216_000, 5_120, 20_000),
    (40, 245_760, 8_192, 20_000),
    (41, 245_760, 8_192, 50_000),
    (42, 522_240, 8_704, 50_000),
    (50, 589_824, 22_080, 135_000),
    (51, 983_040, 36_864, 240_000),
    (52, 2_073_600, 36_864, 240_000),
)
_HIGH_RATE = 1.25

_PROFILES = {"Baseline": "42C0", "Main": "4D40", "High": "6400"}
_AAC = {"LC": "mp4a.40.2", "HE": "mp4a.40.5", "HEv2": "mp4a.40.29", "": "mp4a.40.2"}

_VIDEO = re.compile(r"H264(?: (?P<profile>.*))? (?P<width>\d+)x(?P<height>\d+)")
_AUDIO = re.compile(r"AAC(?: (?P<profile>[A-Za-z]\S*))?(?: \d+)?")


@dataclass(frozen=True, slots=True)
class Variant:
    """One rendition, as a player is told of it.

    Attributes:
        stream: `app/stream`.
        bandwidth: of the largest segment, bits per second.
        average_bandwidth: bits per second.
        codecs: by RFC 6381; empty where one is not known.
        size: width and height in pixels; None for sound alone.
        fps: None where it is as the publisher sends it.
    """

    stream: str
    bandwidth: int
    average_bandwidth: int
    codecs: tuple[str, ...]
    size: tuple[int, int] | None = None
    fps: float | None = None


def master_path(stream: str) -> str:
    """Return where the playlist of a ladder is, below the root of a server's HTTP.

    It is in a directory called as the stream is, where nothing else is unless its name is an app.
    """
    return f"{master_stream(stream)}.m3u8"


def master_stream(stream: str) -> str:
    """Return the name (`app/stream`) that may not be published: its playlist would be the same."""
    return f"{stream}/{MASTER_NAME}"


def variant(transcode: TranscodeSpec, live: LiveStream) -> Variant | None:
    """Return a rendition that is on air as players see it; None while too little is known of it.

    Size and profile are those that the media server sees. The level is that of 30 frames a second
    where the rendition has the publisher's frame rate.

    Args:
        transcode: what makes it.
        live: it, as the server lists it.
    """
    picture, sound = _VIDEO.fullmatch(live.video or ""), _AUDIO.fullmatch(live.audio or "")
    if picture is None and sound is None:
        return None
    heard, seen = 0.0, 0.0
    codecs: list[str | None] = []
    size = None
    if picture is not None:
        size = int(picture["width"]), int(picture["height"])
        seen = _bits(transcode.video, live, _PICTURE_STEP_BPS)
        codecs.append(_avc(picture["profile"] or "", size, transcode.video.fps, seen))
    if sound is not None:
        # What is copied beside a picture is a small part, and about as much as is usual.
        alone = picture is None
        heard = _bits(transcode.audio, live, _SOUND_STEP_BPS) if alone else transcode.audio.bitrate
        codecs.append(_AAC.get(sound["profile"] or ""))
    if (picture is not None and not seen) or (sound is not None and not heard):
        return None
    packets = (_PICTURES_IN_TS_BPS if seen else 0) + (_SOUND_IN_TS_BPS if heard else 0)
    return Variant(
        stream=transcode.to,
        bandwidth=round((seen * _PEAK + heard) * _TS_FACTOR) + packets,
        average_bandwidth=round((seen + heard) * _TS_FACTOR) + packets,
        codecs=() if None in codecs else tuple(filter(None, codecs)),
        size=size,
        fps=transcode.video.fps if picture is not None else None,
    )


def _bits(encoding: VideoSpec | AudioSpec, live: LiveStream, step: int) -> int:
    """Return bits per second: those of the file, or those of a copy, rounded up."""
    if encoding.codec != "copy":
        return encoding.bitrate
    return math.ceil(live.kbps * 1000 / step) * step


def _avc(profile: str, size: tuple[int, int], fps: float | None, bits: float) -> str | None:
    known = _PROFILES.get(profile)
    if known is None:
        return None
    width, height = size
    level = h264_level(width, height, fps or _USUAL_FPS, bits, high=profile == "High")
    return f"avc1.{known}{level:02X}"


def h264_level(width: int, height: int, fps: float, bits: float, *, high: bool) -> int:
    """Return the lowest level that allows a picture, as 31 for 3.1.

    Args:
        width: pixels.
        height: pixels.
        fps: frames a second.
        bits: the most in a second.
        high: the profile is High, whose levels allow a quarter more bits.
    """
    blocks = math.ceil(width / 16) * math.ceil(height / 16)
    factor = _HIGH_RATE if high else 1.0
    for level, speed, largest, kbps in _LEVELS:
        if blocks <= largest and blocks * fps <= speed and bits <= kbps * 1000 * factor:
            return level
    return _LEVELS[-1][0]


def masters(transcodes: Iterable[TranscodeSpec], live: Mapping[str, LiveStream]) -> dict[str, str]:
    """Return the text of the playlist of each stream that has renditions on air, by `app/stream`.

    Args:
        transcodes: those of all streams.
        live: what one server lists, by name.
    """
    found: dict[str, list[Variant]] = {}
    for each in transcodes:
        described = variant(each, live[each.to]) if each.to in live else None
        if described is not None:
            found.setdefault(each.stream, []).append(described)
    return {stream: master_playlist(stream, variants) for stream, variants in found.items()}


def master_playlist(stream: str, variants: Iterable[Variant]) -> str:
    """Return the text of a ladder's playlist.

    Args:
        stream: `app/stream` that the ladder is made of; the playlist is at its `master_path`.
        variants: those on air. The best that most connections carry is the first in the text,
            since many players begin with that.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
    for each in sorted(
        variants, key=lambda each: (each.bandwidth > _TO_BEGIN_BPS, -each.bandwidth)
    ):
        lines += (f"#EXT-X-STREAM-INF:{_attributes(each)}", _relative(stream, each.stream))
    return "\n".join((*lines, ""))


def _attributes(each: Variant) -> str:
    attributes = [f"BANDWIDTH={each.bandwidth}", f"AVERAGE-BANDWIDTH={each.average_bandwidth}"]
    if each.size is not None:
        attributes.append("RESOLUTION={}x{}".format(*each.size))
    if each.fps is not None:
        attributes.append(f"FRAME-RATE={each.fps:.3f}")
    if each.codecs:
        attributes.append(f'CODECS="{",".join(each.codecs)}"')
    return ",".join(attributes)


def _relative(stream: str, to: str) -> str:
    """Return the address of another stream's playlist, from the directory called as `stream`.

    Names of streams hold nothing that has to be encoded in an address.
    """
    here, there = stream.split("/"), to.split("/")
    common = 0
    while common < min(len(here), len(there) - 1) and here[common] == there[common]:
        common += 1
    return "../" * (len(here) - common) + "/".join(there[common:]) + ".m3u8"
