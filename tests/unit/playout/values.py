"""Tags for tests: the headers, pictures and sound of an encoder, and the header of a slate.

The headers are those that x264 wrote for pictures of 160x120, the second with `sps-id=30`.
"""

from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag

ENCODER_SPS = bytes.fromhex("6742c00ada0a11f970110000030001000003001e8f1226a0")
ENCODER_PPS = bytes.fromhex("68ce0fc8")
SLATE_SPS = bytes.fromhex("6742c00a0fda0a11f970110000030001000003001e0f1226a0")
SLATE_PPS = bytes.fromhex("680f87ce0fc8")
PREFIX = bytes.fromhex("1700000000")
PICTURE = bytes.fromhex("1701000000")

HEVC_10_BITS = (
    "01022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff02200000030090000003"
    "0000030078959409210001002d420101022000000300900000030000030078a003c0801107cad965654a4c2f"
    "016808000003000800000300c84022000100064401c073c189"
)


def header(sps: bytes, pps: bytes) -> Tag:
    record = b"\1" + sps[1:4] + b"\xff\xe1" + len(sps).to_bytes(2) + sps
    return Tag(VIDEO, 0, PREFIX + record + b"\1" + len(pps).to_bytes(2) + pps)


ENCODER, SLATE = header(ENCODER_SPS, ENCODER_PPS), header(SLATE_SPS, SLATE_PPS)
SOUND_HEADER = Tag(AUDIO, 0, b"\xaf\0\x12\x10")
METADATA = Tag(DATA, 0, b"\x02\x00\x0aonMetaData\x05")


def unit(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def picture(*units: bytes) -> Tag:
    """Return a keyframe of NAL units."""
    return Tag(VIDEO, 7, PICTURE + b"".join(map(unit, units)))


# As short as tags may be that nobody takes apart.
KEY, INTER, SOUND = b"\x17\1\0\0\0k", b"\x27\1\0\0\0i", b"\xaf\1s"


def video(at: int, body: bytes = INTER) -> Tag:
    return Tag(VIDEO, at, body)


def audio(at: int) -> Tag:
    return Tag(AUDIO, at, SOUND)
