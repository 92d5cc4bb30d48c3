"""Finds the tags that no media server may be handed: those whose own lengths do not add up. Pure.

SRS ends a publisher at the first of them, and with it every viewer and target. What is looked at is
what its `SrsFormat` (srs_kernel_codec.cpp) and the parser in front of its WebRTC
(`SrsRtcRtpBuilder::filter`) give up at: ISO/IEC 14496-15 of pictures in AVC and HEVC, the first
fields of a slice (ISO/IEC 14496-10, 7.3.3), and the frame around AAC. Only lengths and first bytes
are read, so the cost does not grow with the bit rate.
"""

from streamd.playout.bits import BitReader, BitsError
from streamd.playout.formats import video_format
from streamd.playout.tags import AUDIO, VIDEO, Tag

_EX_HEADER = 0x80
_AVC, _HEVC, _AAC = 7, 12, 10  # 12 is how some encoders sent HEVC before there was a FourCC
_INFO = 5
_FOURCC = {b"avc1": _AVC, b"hvc1": _HEVC}
_CODED, _CODED_X = 1, 3
_PREFIX = 5

_SPS = 7
_SLICES = (1, 2, 5)
_LAST_SLICE_TYPE = 9
_LONGEST_CODE = 30

_MOST_UNITS = 256
_LONGEST_AAC = 8191 - 7  # ADTS, as HLS has it, says the length in 13 bits
_HEVC_FIXED = 23
_HEVC_LENGTH_AT = 21


class Sieve:
    """Passes what one run of an input sends, but for what is malformed.

    Behind a picture that is left out, pictures are left out up to the next keyframe.

    Attributes:
        faults: how many tags were malformed.
        fault: what was wrong with the last of them; empty before any.
    """

    def __init__(self) -> None:
        self.faults = 0
        self.fault = ""
        self._length_size: int | None = None
        self._has_header = False
        self._awaits_keyframe = False

    def passes(self, tag: Tag) -> bool:
        """Take note of the next tag, and tell whether it may be sent."""
        if not tag.body:
            return False
        try:
            if tag.kind == VIDEO:
                return self._passes_video(tag)
            if tag.kind == AUDIO:
                _check_sound(tag.body)
        except _MalformedError as error:
            self.faults += 1
            self.fault = str(error)
            self._awaits_keyframe = self._awaits_keyframe or tag.kind == VIDEO
            return False
        return True

    def _passes_video(self, tag: Tag) -> bool:
        body = tag.body
        codec, packet, at = _layout(body)
        if codec is None:
            return True
        if packet == 0:
            self._has_header, self._length_size = True, None
            self._length_size = _length_size(tag, codec, at)
            return True
        if packet != _CODED:
            return True
        if self._length_size is None:
            if self._has_header:
                raise _MalformedError("its decoder header cannot be read")
            return False
        _check_units(body, at, self._length_size, is_avc=codec == _AVC)
        if tag.is_keyframe:
            self._awaits_keyframe = False
        return not self._awaits_keyframe


class _MalformedError(Exception):
    """What is wrong with a tag."""


def _layout(body: bytes) -> tuple[int | None, int, int]:
    """Return a tag's codec, what it is (0 a header, 1 a picture), and where that begins.

    The codec is None for one that is not looked into.
    """
    first = body[0]
    if (first & 0x7F) >> 4 == _INFO:
        return None, 0, 0
    if not first & _EX_HEADER:
        codec = first & 0x0F
        if codec not in (_AVC, _HEVC):
            return None, 0, 0
        if len(body) < _PREFIX:
            raise _MalformedError(f"a picture of {len(body)} bytes")
        return codec, body[1], _PREFIX
    if len(body) < _PREFIX:
        raise _MalformedError(f"a picture of {len(body)} bytes")
    packet, ex_codec = first & 0x0F, _FOURCC.get(body[1:_PREFIX])
    if packet == _CODED:
        return ex_codec, _CODED, _PREFIX + 3
    return ex_codec, _CODED if packet == _CODED_X else packet, _PREFIX


def _length_size(tag: Tag, codec: int, at: int) -> int:
    """Return how many bytes the length of a unit has, as a decoder header says."""
    record = tag.body[at:]
    try:
        size = _avc_length_size(record) if codec == _AVC else _hevc_length_size(record)
    except (BitsError, IndexError):
        raise _MalformedError("a decoder header that is cut off") from None
    if size == 3:
        raise _MalformedError("a decoder header with lengths of 3 bytes")
    if codec == _AVC and video_format(tag) is None:
        raise _MalformedError("a decoder header that cannot be read")
    return size


def _avc_length_size(record: bytes) -> int:
    reader = BitReader(record)
    reader.skip(8 * 4)
    size = (reader.bits(8) & 3) + 1
    sps = [reader.octets(reader.bits(16)) for _ in range(reader.bits(8) & 31)]
    pps = [reader.octets(reader.bits(16)) for _ in range(reader.bits(8) & 31)]
    if not any(sps) or not any(pps):
        raise _MalformedError("a decoder header without parameter sets")
    for unit in filter(None, sps):
        if unit[0] & 0x9F != _SPS or not unit[0] & 0x60 or unit[2] & 3:
            raise _MalformedError("a decoder header with a parameter set that is none")
    return size


def _hevc_length_size(record: bytes) -> int:
    if len(record) < _HEVC_FIXED or record[0] != 1:
        raise _MalformedError("a decoder header that is none")
    reader = BitReader(record)
    reader.skip(8 * (_HEVC_FIXED - 1))
    for _ in range(reader.bits(8)):
        reader.skip(8)
        for _ in range(reader.bits(16)):
            reader.octets(reader.bits(16))
    return (record[_HEVC_LENGTH_AT] & 3) + 1


def _check_units(body: bytes, at: int, size: int, *, is_avc: bool) -> None:
    """Raise where the units of a picture do not fill it exactly, or cannot be units."""
    end, units = len(body), 0
    while at < end:
        unit = at + size
        at = unit + int.from_bytes(body[at:unit])
        if unit > end or at > end:
            raise _MalformedError("a picture whose lengths do not add up")
        if at == unit:
            continue
        units += 1
        first = body[unit]
        if first & 0x80:
            raise _MalformedError("a picture with a unit of no kind")
        if is_avc and first & 0x1F in _SLICES and not _is_slice(body, unit + 1, at):
            raise _MalformedError("a picture with a slice of no kind")
    if units > _MOST_UNITS:
        raise _MalformedError(f"a picture of {units} units")


def _is_slice(body: bytes, at: int, end: int) -> bool:
    """Tell whether a slice begins with its place and a type that there is."""
    if at < end and body[at] & 0x80 and body[at] & 0x70:
        return True  # the first slice of a picture, of one of the types 0 to 6
    data = body[at : min(end, at + 16)]
    bits = int.from_bytes(data)
    left = 8 * len(data)
    code = 0
    for _ in range(2):  # first_mb_in_slice, slice_type
        zeros = left - (bits & (1 << left) - 1).bit_length()
        left -= 2 * zeros + 1
        if zeros > _LONGEST_CODE or left < 0:
            return False
        code = (bits >> left & (1 << zeros + 1) - 1) - 1
    return code <= _LAST_SLICE_TYPE


def _check_sound(body: bytes) -> None:
    if body[0] >> 4 != _AAC:
        return
    if len(body) < 2:
        raise _MalformedError("a piece of sound of 1 byte")
    if body[1] == 0 and (len(body) < 4 or not body[2] >> 3):
        raise _MalformedError("a decoder header of sound that is none")
    if len(body) - 2 > _LONGEST_AAC:
        raise _MalformedError(f"a piece of sound of {len(body)} bytes")
