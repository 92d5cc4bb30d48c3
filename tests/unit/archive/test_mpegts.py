"""What is found in segments: their times and formats, and nothing in what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.mpegts import CLOCK_HZ, PACKET_BYTES, look, ticks_between
from streamd.archive.tracks import AudioTrack, Format, VideoTrack, audio_track, video_track

VIDEO_PID, AUDIO_PID, TABLE_PID = 0x100, 0x101, 0x1000
H264, HEVC, AAC, MP3 = 0x1B, 0x24, 0x0F, 0x03

# As libx264, libx265 and FFmpeg's AAC encoder wrote them.
AVC_SPS = bytes.fromhex("6742c028da01e0089f97011000003e90000ea600f1832a")
HEVC_SPS = bytes.fromhex(
    "420101022000000300900000030000030078a003c0801107cad965654a4c2f016808000003000800000300c840"
)
ADTS = bytes.fromhex("fff1504002bffc")
KEYFRAME = b"\0\0\0\1" + AVC_SPS + b"\0\0\0\1\x68\xce\x0f\xc8\0\0\1\x65" + bytes(range(4, 200))


def packet(pid: int, payload: bytes, *, begins: bool) -> bytes:
    """Return one packet, filled up by an adaptation field."""
    room = PACKET_BYTES - 4
    assert len(payload) <= room
    header = bytes((0x47, (0x40 if begins else 0) | pid >> 8, pid & 0xFF))
    if len(payload) == room:
        return header + b"\x10" + payload
    stuffing = room - len(payload) - 1
    field = bytes((stuffing,)) + (b"\0" + b"\xff" * (stuffing - 1) if stuffing else b"")
    return header + b"\x30" + field + payload


def tables(*streams: tuple[int, int]) -> bytes:
    """Return PAT and PMT of streams, each a type and a pid."""
    pat = b"\0\xb0\x0d\0\1\xc1\0\0\0\1" + (0xE000 | TABLE_PID).to_bytes(2) + bytes(4)
    entries = b"".join(
        bytes((kind,)) + (0xE000 | pid).to_bytes(2) + b"\xf0\0" for kind, pid in streams
    )
    section = b"\0\1\xc1\0\0\xe1\0\xf0\0" + entries + bytes(4)
    pmt = b"\x02" + (0xB000 | len(section)).to_bytes(2) + section
    return packet(0, b"\0" + pat, begins=True) + packet(TABLE_PID, b"\0" + pmt, begins=True)


def pes(pid: int, ticks: int, data: bytes = b"") -> bytes:
    """Return one PES packet that has a time."""
    time = ticks % 2**33
    stamp = bytes(
        (
            0x21 | time >> 29 & 0x0E,
            time >> 22 & 0xFF,
            1 | time >> 14 & 0xFE,
            time >> 7 & 0xFF,
            1 | time << 1 & 0xFE,
        )
    )
    stream_id = b"\xe0" if pid == VIDEO_PID else b"\xc0"
    whole = b"\0\0\1" + stream_id + b"\0\0\x80\x80\x05" + stamp + data
    parts = [whole[at : at + 184] for at in range(0, len(whole), 184)]
    return b"".join(packet(pid, part, begins=not at) for at, part in enumerate(parts))


def film(*, first: int = CLOCK_HZ, pictures: int = 25, sound: bool = True) -> bytes:
    """Return a second of pictures, 25 a second, and sound that begins 20 ms before."""
    data = tables((H264, VIDEO_PID), *([(AAC, AUDIO_PID)] if sound else []))
    for number in range(pictures):
        at = first + number * 3600
        if sound:
            data += pes(AUDIO_PID, at - 1800, ADTS + bytes(50))
        data += pes(VIDEO_PID, at, KEYFRAME if not number else b"\0\0\1\x41" + bytes(100))
    return data


def test_a_segment_is_known_by_its_beginning_and_its_end() -> None:
    media = look(film())
    assert media is not None
    assert media.start == CLOCK_HZ - 1800
    assert media.ticks == CLOCK_HZ + 1800
    assert media.format == Format(
        ("h264", "aac"), VideoTrack("h264", 1920, 1080, 1, 8), AudioTrack("aac", 44_100, 1)
    )


def test_what_is_between_need_not_be_read() -> None:
    data = film(pictures=50)
    edge = 20 * PACKET_BYTES
    assert look(data[:edge], data[-edge:]) == look(data)


def test_times_that_pass_their_33_bits_go_on() -> None:
    media = look(film(first=2**33 - 10 * 3600))
    assert media is not None
    assert (media.start, media.ticks) == (2**33 - 10 * 3600 - 1800, CLOCK_HZ + 1800)


def test_a_track_that_is_declared_and_never_comes_is_told() -> None:
    data = tables((H264, VIDEO_PID), (AAC, AUDIO_PID)) + pes(AUDIO_PID, 9000, ADTS + bytes(20))
    media = look(data)
    assert media is not None
    assert media.format == Format(("h264", "aac"), None, AudioTrack("aac", 44_100, 1))


@pytest.mark.parametrize("data", [b"", bytes(1000), tables((H264, VIDEO_PID)), b"\x47" * 1880])
def test_what_holds_no_media_is_none(data: bytes) -> None:
    assert look(data) is None


def test_a_segment_that_was_cut_off_anywhere_is_read_as_far_as_it_goes() -> None:
    data = film()
    for cut in range(0, len(data), 61):
        media = look(data[:cut])
        assert media is None or 0 <= media.ticks <= CLOCK_HZ + 1800


@given(st.binary(max_size=1000), st.binary(max_size=1000))
def test_anything_is_looked_at_without_trouble(head: bytes, tail: bytes) -> None:
    look(head, tail)
    look(tables((H264, VIDEO_PID), (AAC, AUDIO_PID)) + head, tail)


@given(st.integers(0, 2**33 - 1), st.integers(-(2**32) + 1, 2**32 - 1))
def test_a_distance_is_the_shorter_way_round(start: int, apart: int) -> None:
    assert ticks_between(start, (start + apart) % 2**33) == apart


def test_pictures_and_sounds_are_told_by_their_headers() -> None:
    assert video_track("h264", b"\0\0\0\1" + AVC_SPS) == VideoTrack("h264", 1920, 1080, 1, 8)
    assert video_track("hevc", b"\0\0\1" + HEVC_SPS) == VideoTrack("hevc", 1920, 1080, 1, 10)
    assert audio_track("aac", ADTS) == AudioTrack("aac", 44_100, 1)
    assert str(Format(("mp3",), None, AudioTrack("mp3"))) == "mp3"
    assert str(Format(())) == "nothing"


@given(st.binary(max_size=200))
def test_headers_that_are_none_tell_the_codec_alone(begin: bytes) -> None:
    assert video_track("h264", begin).codec == "h264"
    assert video_track("hevc", begin).codec == "hevc"
    assert audio_track("aac", begin).codec == "aac"
    assert audio_track("mp3", begin) == AudioTrack("mp3")
