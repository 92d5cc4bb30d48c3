"""One decoder configuration for a stream whose pictures come from two encoders. Pure.

A decoder header that changes in mid-stream is allowed, but costs viewers: HLS has to mark a
discontinuity, and some receivers look at the first header alone. H.264 names its parameter sets by
numbers, so one header can hold those of an encoder and those of a slate that was given other
numbers (ISO/IEC 14496-15, 5.3.3.1). Receivers that keep only some of a header's sets find them
again in front of each keyframe.
"""

from dataclasses import dataclass

from streamd.playout.bits import BitReader, BitsError
from streamd.playout.formats import audio_format, video_format
from streamd.playout.tags import AUDIO, VIDEO, Tag

_AVC_KEYFRAME, _AVC_NALU = 0x17, 1
_TAG_PREFIX = 5  # frame type and codec, packet type, composition time
_RECORD_FIXED = 5
_SPS, _PPS, _DELIMITER = 7, 8, 9
_MOST_SETS = 8

# What FFmpeg's encoder writes behind the configuration of AAC LC: "there is no SBR".
_NO_SBR = b"\x56\xe5\x00"


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """What a decoder has to know before the first picture: the NAL units of SPS and PPS.

    Attributes:
        profile: the bytes profile_idc, compatibility and level_idc.
        length_size: bytes of the length in front of each NAL unit.
        sps, pps: NAL units.
        extension: what follows them in the record.
    """

    profile: bytes
    length_size: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    extension: bytes = b""

    @property
    def units(self) -> tuple[bytes, ...]:
        """All of them, in the order in which they are sent."""
        return (*self.sps, *self.pps)


def parameter_sets(header: Tag) -> ParameterSets | None:
    """Return what an AVC sequence header holds; None for anything else, and malformed."""
    if header.kind != VIDEO or not header.is_header or header.body[:1] != bytes((_AVC_KEYFRAME,)):
        return None
    reader = BitReader(header.body[_TAG_PREFIX:])
    try:
        version, profile = reader.bits(8), reader.octets(3)
        length_size = (reader.bits(8) & 3) + 1
        sps = tuple(reader.octets(reader.bits(16)) for _ in range(reader.bits(8) & 31))
        pps = tuple(reader.octets(reader.bits(16)) for _ in range(reader.bits(8)))
    except BitsError:
        return None
    if version != 1 or not sps or not pps:
        return None
    read = _TAG_PREFIX + _RECORD_FIXED + 2 + sum(2 + len(unit) for unit in (*sps, *pps))
    return ParameterSets(profile, length_size, sps, pps, header.body[read:])


def covers(header: Tag, other: Tag) -> bool:
    """Tell whether a decoder that was given `header` needs nothing of `other`."""
    if header.kind != other.kind:
        return False
    if header.body == other.body:
        return True
    if header.kind == AUDIO:
        return _same_sound(header, other)
    held, needed = parameter_sets(header), parameter_sets(other)
    return (
        held is not None
        and needed is not None
        and held.length_size == needed.length_size
        and set(needed.units) <= set(held.units)
    )


def _same_sound(one: Tag, other: Tag) -> bool:
    if audio_format(one) is None:
        return False
    return one.body.removesuffix(_NO_SBR) == other.body.removesuffix(_NO_SBR)


def joined(header: Tag, other: Tag) -> Tag | None:
    """Return one header for the pictures of both; None where there is none.

    Both have to be of the same size and profile, and number their sets differently.
    """
    one, two = parameter_sets(header), parameter_sets(other)
    if one is None or two is None or not _alike(header, other):
        return None
    sps, pps = (*one.sps, *two.sps), (*one.pps, *two.pps)
    numbers = [_number(unit) for unit in sps], [_number(unit) for unit in pps]
    if any(None in each or len(set(each)) < len(each) for each in numbers):
        return None
    if max(map(len, numbers)) > _MOST_SETS or one.length_size != two.length_size:
        return None
    level = max(one.profile[2], two.profile[2])
    record = b"".join(
        (
            bytes((1, *one.profile[:2], level, 0xFC | one.length_size - 1, 0xE0 | len(sps))),
            *map(_with_length, sps),
            bytes((len(pps),)),
            *map(_with_length, pps),
            one.extension,
        )
    )
    return Tag(VIDEO, header.timestamp_ms, header.body[:_TAG_PREFIX] + record)


def _alike(header: Tag, other: Tag) -> bool:
    one, two = video_format(header), video_format(other)
    return (
        one is not None
        and two is not None
        and (one.width, one.height, one.profile) == (two.width, two.height, two.profile)
        and (one.chroma, one.bit_depth) == (two.chroma, two.bit_depth)
    )


def _number(unit: bytes) -> int | None:
    """Return what an SPS or PPS calls itself."""
    reader = BitReader(unit)
    try:
        reader.skip(32 if unit[0] & 31 == _SPS else 8)
        return reader.unsigned()
    except (BitsError, IndexError):
        return None


def _with_length(unit: bytes, size: int = 2) -> bytes:
    return len(unit).to_bytes(size) + unit


def with_sets(picture: Tag, sets: ParameterSets) -> Tag:
    """Return a keyframe with the parameter sets in front, unless it holds some or is malformed."""
    body, size = picture.body, sets.length_size
    if body[:2] != bytes((_AVC_KEYFRAME, _AVC_NALU)):
        return picture
    at = insert_at = _TAG_PREFIX
    while at + size < len(body):
        kind = body[at + size] & 31
        if kind == _SPS:
            return picture
        at += size + int.from_bytes(body[at : at + size])
        if kind == _DELIMITER:
            insert_at = at
    if at != len(body):
        return picture
    units = b"".join(_with_length(unit, size) for unit in sets.units)
    return Tag(VIDEO, picture.timestamp_ms, body[:insert_at] + units + body[insert_at:])
