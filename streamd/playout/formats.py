"""What a stream is, as its decoder headers say it. Pure.

ISO/IEC 14496-15 (records), 14496-10 (H.264), 23008-2 (H.265) and 14496-3 (AAC); FourCC headers as
in the enhanced RTMP of Veovera.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from streamd.playout.bits import BitReader, BitsError
from streamd.playout.tags import AUDIO, VIDEO, Tag

_EX_HEADER = 0x80
_AVC_RECORD_AT, _EX_RECORD_AT, _AAC_CONFIG_AT = 5, 5, 2

_X264_PROFILES = {66: "baseline", 77: "main", 100: "high", 110: "high10", 122: "high422"}
_WITH_CHROMA = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_SUBSAMPLING = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # width and height by chroma_format_idc
_NAMED_ASPECT_END = 255
_LONGEST_CYCLE = 255
_LARGEST = 16_384
_SLOWEST_FPS, _FASTEST_FPS = 1.0, 240.0

_HEVC_SPS = 33
_HEVC_LAYERS = 8

_SAMPLE_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000),
    *(24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
_CHANNELS = {**{number: number for number in range(1, 7)}, 7: 8, 11: 7, 12: 8, 14: 8}
_ESCAPE, _EXPLICIT_RATE = 31, 15
_SBR, _PS = 5, 29

_D = TypeVar("_D")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What a decoder of the picture has to be ready for.

    Attributes:
        width, height: pixels that are shown, cropping applied.
        profile: `profile_idc`: 66 baseline, 77 main, 100 high; 1 main and 2 main 10 of H.265.
        level: `level_idc`: 31 is level 3.1; of H.265 93 is 3.1.
        fps: frames a second that the header promises, 1 to 240; None where it promises none.
        interlaced: frames may be of two fields.
        chroma: `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
        bit_depth: of luma.
        codec: h264, or hevc.
    """

    width: int
    height: int
    profile: int
    level: int
    fps: float | None = None
    interlaced: bool = False
    chroma: int = 1
    bit_depth: int = 8
    codec: Literal["h264", "hevc"] = "h264"

    @property
    def x264_profile(self) -> str | None:
        """What FFmpeg's libx264 calls the profile; None for one that it has not."""
        return _X264_PROFILES.get(self.profile) if self.codec == "h264" else None


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What a decoder of the sound has to be ready for.

    Attributes:
        sample_rate: Hz, as it is heard (with SBR twice what is coded).
        channels: as they are heard (with parametric stereo 2).
        object_type: 2 is AAC LC, 5 HE-AAC, 29 HE-AAC v2.
    """

    sample_rate: int
    channels: int
    object_type: int = 2


def video_format(header: Tag) -> VideoFormat | None:
    """Return what a sequence header of AVC or HEVC says; None for anything else, and malformed."""
    if header.kind != VIDEO or not header.is_header:
        return None
    if not header.body[0] & _EX_HEADER:
        return _or_none(_avc, header.body[_AVC_RECORD_AT:])
    if header.body[1:_EX_RECORD_AT] == b"avc1":
        return _or_none(_avc, header.body[_EX_RECORD_AT:])
    if header.body[1:_EX_RECORD_AT] == b"hvc1":
        return _or_none(_hevc, header.body[_EX_RECORD_AT:])
    return None


def audio_format(header: Tag) -> AudioFormat | None:
    """Return what a sequence header of AAC says; None for anything else, and malformed.

    None as well where the channels are laid out by hand (channel configuration 0).
    """
    if header.kind != AUDIO or not header.is_header:
        return None
    return _or_none(_aac, header.body[_AAC_CONFIG_AT:])


def _or_none(parse: Callable[[_D], _T | None], data: _D) -> _T | None:
    try:
        return parse(data)
    except BitsError:
        return None


def _avc(record: bytes) -> VideoFormat | None:
    reader = BitReader(record)
    if reader.bits(8) != 1:
        return None
    reader.skip(8 + 8 + 8 + 8 + 3)  # profile, compatibility and level, which the SPS repeats
    if not reader.bits(5):
        return None
    return _avc_sps(_without_prevention(reader.octets(reader.bits(16))))


def _without_prevention(unit: bytes) -> bytes:
    return unit.replace(b"\0\0\3", b"\0\0")


def _avc_sps(unit: bytes) -> VideoFormat | None:
    reader = BitReader(unit)
    reader.skip(8)
    profile, _, level = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.unsigned()
    chroma, bit_depth = _avc_samples(reader) if profile in _WITH_CHROMA else (1, 8)
    _skip_avc_order(reader)
    width = 16 * (reader.unsigned() + 1)
    height = 16 * (reader.unsigned() + 1)
    interlaced = not reader.flag()
    if interlaced:
        height *= 2
        reader.skip(1)
    reader.skip(1)
    if reader.flag():
        across, down = _SUBSAMPLING[chroma]
        width, height = _cropped(reader, width, height, across, down * (1 + interlaced))
    if not _is_sane(width, height):
        return None
    fps = _or_none(_avc_fps, reader) if reader.flag() else None  # some cameras cut it off
    return VideoFormat(width, height, profile, level, fps, interlaced, chroma, bit_depth)


def _avc_samples(reader: BitReader) -> tuple[int, int]:
    """Return chroma_format_idc and the bit depth of luma."""
    chroma = reader.unsigned()
    if chroma not in _SUBSAMPLING:
        raise BitsError(f"chroma_format_idc {chroma}")
    if chroma == 3:
        reader.skip(1)
    bit_depth = reader.unsigned() + 8
    reader.unsigned()
    reader.skip(1)
    if reader.flag():
        for index in range(8 if chroma != 3 else 12):
            if reader.flag():
                _skip_scaling_list(reader, 16 if index < 6 else 64)
    return chroma, bit_depth


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last = 8
    for _ in range(size):
        last = (last + reader.signed()) % 256
        if not last:  # the rest repeats what came before
            return


def _skip_avc_order(reader: BitReader) -> None:
    """Pass over what orders frames, up to the size."""
    reader.unsigned()
    order = reader.unsigned()
    if order == 0:
        reader.unsigned()
    elif order == 1:
        reader.skip(1)
        reader.signed()
        reader.signed()
        frames = reader.unsigned()
        if frames > _LONGEST_CYCLE:
            raise BitsError(f"an order of {frames} frames")
        for _ in range(frames):
            reader.signed()
    reader.unsigned()
    reader.skip(1)


def _cropped(reader: BitReader, width: int, height: int, across: int, down: int) -> tuple[int, int]:
    left, right, top, bottom = (reader.unsigned() for _ in range(4))
    return width - across * (left + right), height - down * (top + bottom)


def _is_sane(width: int, height: int) -> bool:
    return 0 < width <= _LARGEST and 0 < height <= _LARGEST


def _avc_fps(reader: BitReader) -> float | None:
    """Return the rate in the VUI (H.264 E.1.1), where two fields make a frame."""
    if reader.flag() and reader.bits(8) == _NAMED_ASPECT_END:
        reader.skip(32)
    if reader.flag():
        reader.skip(1)
    if reader.flag():
        reader.skip(4)
        if reader.flag():
            reader.skip(24)
    if reader.flag():
        reader.unsigned()
        reader.unsigned()
    if not reader.flag():
        return None
    ticks, scale = reader.bits(32), reader.bits(32)
    return _sane_fps(scale / (2 * ticks)) if ticks else None


def _sane_fps(fps: float) -> float | None:
    return fps if _SLOWEST_FPS <= fps <= _FASTEST_FPS else None


def _hevc(record: bytes) -> VideoFormat | None:
    reader = BitReader(record)
    if reader.bits(8) != 1:
        return None
    reader.skip(8 * 18)
    fps = _sane_fps(reader.bits(16) / 256)
    reader.skip(8)
    for _ in range(reader.bits(8)):
        kind = reader.bits(8) & 0x3F
        for _ in range(reader.bits(16)):
            unit = reader.octets(reader.bits(16))
            if kind == _HEVC_SPS:
                return _hevc_sps(_without_prevention(unit), fps)
    return None


def _hevc_sps(unit: bytes, fps: float | None) -> VideoFormat | None:
    reader = BitReader(unit)
    reader.skip(16 + 4)
    layers = reader.bits(3)
    reader.skip(1 + 3)
    profile = reader.bits(5)
    reader.skip(32)
    progressive, fields = reader.flag(), reader.flag()
    reader.skip(46)
    level = reader.bits(8)
    _skip_hevc_layers(reader, layers)
    reader.unsigned()
    chroma = reader.unsigned()
    if chroma not in _SUBSAMPLING:
        return None
    if chroma == 3:
        reader.skip(1)
    width, height = reader.unsigned(), reader.unsigned()
    if reader.flag():
        width, height = _cropped(reader, width, height, *_SUBSAMPLING[chroma])
    if not _is_sane(width, height):
        return None
    bit_depth = reader.unsigned() + 8
    interlaced = fields and not progressive
    return VideoFormat(width, height, profile, level, fps, interlaced, chroma, bit_depth, "hevc")


def _skip_hevc_layers(reader: BitReader, layers: int) -> None:
    has = [(reader.flag(), reader.flag()) for _ in range(layers)]
    if layers:
        reader.skip(2 * (_HEVC_LAYERS - layers))
    for has_profile, has_level in has:
        reader.skip(88 * has_profile + 8 * has_level)


def _aac(config: bytes) -> AudioFormat | None:
    reader = BitReader(config)
    object_type, rate = _object_type(reader), _sample_rate(reader)
    channels = _CHANNELS.get(reader.bits(4))
    if object_type in (_SBR, _PS):
        rate = _sample_rate(reader)
    if not object_type or not rate or channels is None:
        return None
    return AudioFormat(rate, 2 if object_type == _PS else channels, object_type)


def _object_type(reader: BitReader) -> int:
    short = reader.bits(5)
    return 32 + reader.bits(6) if short == _ESCAPE else short


def _sample_rate(reader: BitReader) -> int:
    """Return Hz; 0 for a number that stands for no rate."""
    index = reader.bits(4)
    if index == _EXPLICIT_RATE:
        return reader.bits(24)
    return _SAMPLE_RATES[index] if index < len(_SAMPLE_RATES) else 0
