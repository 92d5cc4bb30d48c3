"""The headers written out below are what libx264, libx265 and FFmpeg's AAC encoder wrote."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.formats import AudioFormat, VideoFormat, audio_format, video_format
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from tests.unit.playout.values import HEVC_10_BITS

MAIN_1080P = "014d4028ffe10018674d4028eca03c0113f2e022000007d20001d4c01e30632c01000568eae3cb20"
BASELINE_1080P = "0142c028ffe100176742c028da01e0089f97011000003e90000ea600f1832a01000468ce0fc8"
HIGH_720P = (
    "01640020ffe1001967640020acd9405005bb0110000003001000000640f183196001000668eae3cb22c0fdf8f800"
)
INTERLACED_576 = (
    "014d401effe1001c674d401ef405a126ffc010000b44000003000400000300c87c50aa8001000468de0fc8"
)
TEN_BITS_422 = (
    "017a001effe10019677a001eb6cb406c1ef37808800000030080000019078b175001000468ce0fc8fefafa00"
)
LOSSLESS_444 = (
    "01f4001effe1001967f4001e919680a02ff89c0440000003004000000c83c58ba801000568ce0f1920fff8f800"
)
EVERYTHING_IN_VUI = (
    "0164000cffe100276764000cacb40a0fd80da808101528000003000800000300f301000927800249f49630"
    "0f142aa001000568ce3c40c0fdf8f800"
)
HEVC_TWO_LAYERS = (
    "0101600000009000000000005af000fcfdf8f800000f03200001001840010c01ffff01600000030090000003"
    "000003005a959409210001002b42010101600000030090000003000003005aa006c201f1cd11965654a4c2f0"
    "168080000003008000000c8422000100064401c073c189"
)


def avc(record: str | bytes) -> Tag:
    data = bytes.fromhex(record) if isinstance(record, str) else record
    return Tag(VIDEO, 0, b"\x17\0\0\0\0" + data)


def hevc(record: str | bytes) -> Tag:
    data = bytes.fromhex(record) if isinstance(record, str) else record
    return Tag(VIDEO, 0, b"\x90hvc1" + data)


def aac(config: str | bytes) -> Tag:
    data = bytes.fromhex(config) if isinstance(config, str) else config
    return Tag(AUDIO, 0, b"\xaf\0" + data)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (avc(MAIN_1080P), VideoFormat(1920, 1080, 77, 40, 30_000 / 1001)),
        (avc(BASELINE_1080P), VideoFormat(1920, 1080, 66, 40, 30_000 / 1001)),
        (avc(HIGH_720P), VideoFormat(1280, 720, 100, 32, 50.0)),
        (avc(INTERLACED_576), VideoFormat(720, 576, 77, 30, 25.0, interlaced=True)),
        (avc(TEN_BITS_422), VideoFormat(854, 480, 122, 30, 25.0, chroma=2, bit_depth=10)),
        (avc(LOSSLESS_444), VideoFormat(640, 360, 244, 30, 25.0, chroma=3)),
        (avc(EVERYTHING_IN_VUI), VideoFormat(320, 240, 100, 12, 15.0)),
        (hevc(HEVC_10_BITS), VideoFormat(1920, 1080, 2, 120, bit_depth=10, codec="hevc")),
        (hevc(HEVC_TWO_LAYERS), VideoFormat(854, 482, 1, 90, codec="hevc")),
    ],
)
def test_what_encoders_write_is_read(header: Tag, expected: VideoFormat) -> None:
    assert video_format(header) == expected


def test_avc_may_stand_behind_a_fourcc() -> None:
    header = Tag(VIDEO, 0, b"\x90avc1" + bytes.fromhex(HIGH_720P))
    assert video_format(header) == video_format(avc(HIGH_720P))


def test_hevc_tells_its_rate_where_the_record_does() -> None:
    record = bytearray.fromhex(HEVC_10_BITS)
    record[19:21] = (25 * 256).to_bytes(2)
    found = video_format(hevc(bytes(record)))
    assert found is not None
    assert found.fps == 25.0


def bits(number: int, count: int) -> str:
    return f"{number:0{count}b}"


def code(number: int) -> str:
    """Return `ue(v)` of H.264."""
    return "0" * ((number + 1).bit_length() - 1) + f"{number + 1:b}"


def signed(number: int) -> str:
    """Return `se(v)` of H.264."""
    return code(2 * number - 1 if number > 0 else -2 * number)


def packed(text: str) -> bytes:
    padded = text + "1" + "0" * (-(len(text) + 1) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8)


@st.composite
def described(draw: st.DrawFn) -> tuple[Tag, VideoFormat]:
    """Return a header of H.264 with any of its options, and what it says."""
    profile = draw(st.sampled_from([66, 77, 88, 100, 110, 122, 244]))
    level = draw(st.sampled_from([10, 30, 31, 40, 51, 62]))
    chroma, depth, samples = draw(_samples()) if profile >= 100 else (1, 8, "")
    interlaced = draw(st.booleans())
    columns, rows = draw(st.integers(1, 500)), draw(st.integers(1, 250))
    across, down = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}[chroma]
    crop = draw(st.none() | st.tuples(*[st.integers(0, 3)] * 4))
    left, right, top, bottom = crop or (0, 0, 0, 0)
    width = 16 * columns - across * (left + right)
    height = (16 * rows - down * (top + bottom)) * (1 + interlaced)
    fps, timing = draw(_timing())
    unit = "".join(
        (
            *(bits(0x67, 8), bits(profile, 8), bits(0, 8), bits(level, 8), code(0), samples),
            *(code(4), draw(_order()), code(3), "0", code(columns - 1), code(rows - 1)),
            *("00" if interlaced else "1", "1", "1" if crop else "0"),
            "".join(map(code, crop or ())),
            timing,
        )
    )
    sps = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", packed(unit))
    record = bytes((1, profile, 0, level, 0xFF, 0xE1)) + len(sps).to_bytes(2) + sps + b"\1\0\0"
    return avc(record), VideoFormat(width, height, profile, level, fps, interlaced, chroma, depth)


@st.composite
def _samples(draw: st.DrawFn) -> tuple[int, int, str]:
    chroma, depth = draw(st.integers(0, 3)), draw(st.integers(8, 14))
    matrix = "0"
    if draw(st.booleans()):
        sizes = [16] * 6 + [64] * (6 if chroma == 3 else 2)
        matrix = "1" + "".join(draw(_scaling_list(size)) for size in sizes)
    separate = "0" if chroma == 3 else ""
    return chroma, depth, code(chroma) + separate + code(depth - 8) * 2 + "0" + matrix


def _scaling_list(size: int) -> st.SearchStrategy[str]:
    absent, rest_repeats = "0", "1" + signed(1) + signed(-9)
    return st.sampled_from([absent, rest_repeats, "1" + signed(1) * size])


@st.composite
def _order(draw: st.DrawFn) -> str:
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return code(0) + code(draw(st.integers(0, 12)))
    if kind == 2:
        return code(2)
    cycle = draw(st.lists(st.integers(-9, 9), max_size=5))
    return code(1) + "0" + signed(-2) + signed(3) + code(len(cycle)) + "".join(map(signed, cycle))


@st.composite
def _timing(draw: st.DrawFn) -> tuple[float | None, str]:
    if draw(st.booleans()):
        return None, "0"
    aspect = draw(st.sampled_from(["0", "1" + bits(1, 8), "1" + bits(255, 8) + bits(64, 32)]))
    overscan = draw(st.sampled_from(["0", "11"]))
    signal = draw(st.sampled_from(["0", "1" + bits(10, 4) + "0", "1" + bits(5, 4) + "1" * 25]))
    place = draw(st.sampled_from(["0", "1" + code(2) * 2]))
    before = "1" + aspect + overscan + signal + place
    if draw(st.booleans()):
        return None, before + "0"
    ticks, scale = draw(st.integers(1, 2000)), draw(st.integers(1, 200_000))
    fps = scale / (2 * ticks)
    return fps if 1 <= fps <= 240 else None, before + "1" + bits(ticks, 32) + bits(scale, 32)


@given(described())
def test_every_option_of_h264_is_read(header: tuple[Tag, VideoFormat]) -> None:
    tag, expected = header
    assert video_format(tag) == expected


def test_a_rate_of_no_time_is_none() -> None:
    record = bytes.fromhex(BASELINE_1080P.replace("3e90000ea60", "00000000000"))
    found = video_format(avc(record))
    assert found is not None
    assert found.fps is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("119056e500", AudioFormat(48_000, 2, 2)),
        ("120856e500", AudioFormat(44_100, 1, 2)),
        ("158856e500", AudioFormat(8_000, 1, 2)),
        ("11b056e500", AudioFormat(48_000, 6, 2)),
        (packed(bits(2, 5) + bits(3, 4) + bits(7, 4)), AudioFormat(48_000, 8, 2)),
        (packed(bits(2, 5) + bits(15, 4) + bits(37_800, 24) + bits(2, 4)), AudioFormat(37_800, 2)),
        (packed(bits(31, 5) + bits(10, 6) + bits(4, 4) + bits(2, 4)), AudioFormat(44_100, 2, 42)),
        (
            packed(bits(5, 5) + bits(6, 4) + bits(2, 4) + bits(3, 4) + bits(2, 5)),
            AudioFormat(48_000, 2, 5),
        ),
        (
            packed(bits(29, 5) + bits(7, 4) + bits(1, 4) + bits(4, 4) + bits(2, 5)),
            AudioFormat(44_100, 2, 29),
        ),
    ],
)
def test_every_form_of_aac_is_read(config: str | bytes, expected: AudioFormat) -> None:
    assert audio_format(aac(config)) == expected


@pytest.mark.parametrize(
    "config",
    [
        "",
        "11",
        packed(bits(2, 5) + bits(13, 4) + bits(2, 4)),  # a rate that is reserved
        packed(bits(2, 5) + bits(15, 4) + bits(0, 24) + bits(2, 4)),
        packed(bits(2, 5) + bits(3, 4) + bits(0, 4)),  # channels laid out by hand
        packed(bits(0, 5) + bits(3, 4) + bits(2, 4)),
    ],
)
def test_aac_that_says_nothing_is_none(config: str | bytes) -> None:
    assert audio_format(aac(config)) is None


@pytest.mark.parametrize(
    "header",
    [
        avc(""),
        avc(b"\2" + bytes.fromhex(HIGH_720P)[1:]),  # another version
        avc(bytes.fromhex(HIGH_720P)[:5] + b"\xe0"),  # no SPS
        avc(bytes.fromhex(HIGH_720P)[:20]),
        hevc(b"\2" + bytes.fromhex(HEVC_10_BITS)[1:]),
        hevc(bytes.fromhex(HEVC_10_BITS)[:22] + b"\0"),
        Tag(VIDEO, 0, b"\x90av01" + bytes.fromhex(HEVC_10_BITS)),
        Tag(VIDEO, 0, b"\x90hv"),
        Tag(VIDEO, 0, b"\x17\1\0\0\0" + bytes.fromhex(HIGH_720P)),  # a picture
        Tag(VIDEO, 0, b""),
        Tag(DATA, 0, b"\x17\0\0\0\0" + bytes.fromhex(HIGH_720P)),
        Tag(AUDIO, 0, b"\xaf\0\x11\x90"),
    ],
)
def test_video_that_says_nothing_is_none(header: Tag) -> None:
    assert video_format(header) is None


@pytest.mark.parametrize("header", [avc(MAIN_1080P), Tag(AUDIO, 0, b"\x2f\0\x11\x90")])
def test_audio_of_another_kind_is_none(header: Tag) -> None:
    assert audio_format(header) is None


@given(
    st.sampled_from([VIDEO, AUDIO, DATA]),
    st.sampled_from([b"", b"\x17\0\0\0\0", b"\x90hvc1", b"\x90avc1", b"\xaf\0"]),
    st.binary(max_size=80),
)
def test_any_bytes_are_a_format_or_none(kind: int, begin: bytes, rest: bytes) -> None:
    tag = Tag(kind, 0, begin + rest)
    assert isinstance(video_format(tag), VideoFormat | None)
    assert isinstance(audio_format(tag), AudioFormat | None)


@given(
    st.sampled_from([avc(EVERYTHING_IN_VUI), avc(TEN_BITS_422), hevc(HEVC_TWO_LAYERS)]),
    st.lists(st.tuples(st.integers(5, 45), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_headers_are_a_format_or_none(header: Tag, damage: list[tuple[int, int]]) -> None:
    body = bytearray(header.body)
    for place, value in damage:
        body[place] = value
    found = video_format(Tag(VIDEO, 0, bytes(body)))
    assert found is None or (0 < found.width <= 16_384 and 0 < found.height <= 16_384)


@pytest.mark.parametrize(
    ("profile", "codec", "expected"),
    [(77, "h264", "main"), (122, "h264", "high422"), (244, "h264", None), (1, "hevc", None)],
)
def test_profiles_have_the_names_of_libx264(profile: int, codec: str, expected: str | None) -> None:
    format_ = VideoFormat(640, 360, profile, 30, codec="hevc" if codec == "hevc" else "h264")
    assert format_.x264_profile == expected
