"""Decoder headers as libx264, libx265 and FFmpeg's AAC encoder wrote them.

SRS drops a publisher of what cannot be one.
"""

from streamd.playout.tags import AUDIO, VIDEO, Tag

VIDEO_HEADER = Tag(
    VIDEO,
    0,
    b"\x17\0\0\0\0"
    + bytes.fromhex("0142c028ffe100176742c028da01e0089f97011000003e90000ea600f1832a")
    + bytes.fromhex("01000468ce0fc8"),
)
HEVC_HEADER = Tag(
    VIDEO,
    0,
    b"\x90hvc1"
    + bytes.fromhex("01022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff02")
    + bytes.fromhex("2000000300900000030000030078959409210001002d42010102200000030090000003")
    + bytes.fromhex("0000030078a003c0801107cad965654a4c2f016808000003000800000300c840220001")
    + bytes.fromhex("00064401c073c189"),
)
AUDIO_HEADER = Tag(AUDIO, 0, bytes.fromhex("af001190"))
