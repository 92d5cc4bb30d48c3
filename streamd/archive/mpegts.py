"""What a segment of MPEG-TS holds, found out from its beginning and its end alone. Pure.

ISO/IEC 13818-1: packets, tables and the headers of PES. Only what FFmpeg's muxer writes has to be
understood: one programme, and packets of 188 bytes from the first byte on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from streamd.archive.tracks import Format, audio_track, video_track

PACKET_BYTES = 188
CLOCK_HZ = 90_000
"""Times are in ticks of this clock, and of 33 bits, which are full after 26.5 hours."""

_WRAP = 1 << 33
_SYNC = 0x47
_BEGINS = 0x40  # payload_unit_start_indicator
_NO_PID = -1
_VIDEO_CODECS = {0x01: "mpeg1video", 0x02: "mpeg2video", 0x10: "mpeg4", 0x1B: "h264", 0x24: "hevc"}
_AUDIO_CODECS = {0x03: "mp3", 0x04: "mp3", 0x0F: "aac", 0x11: "aac_latm", 0x81: "ac3"}
_LONGEST_STEP = 2 * CLOCK_HZ
_STEPS = 8


@dataclass(frozen=True, slots=True)
class Media:
    """What a segment holds.

    Attributes:
        start: the earliest time in it.
        ticks: how long it is.
        format: what it is made of.
    """

    start: int
    ticks: int
    format: Format


@dataclass(slots=True)
class _Stream:
    """An elementary stream: its codec, every time that was seen, and its first bytes."""

    codec: str
    is_video: bool
    times: list[int] = field(default_factory=list)
    begin: bytes = b""


@dataclass(frozen=True, slots=True)
class _Packet:
    pid: int
    begins: bool
    payload: bytes


def look(head: bytes, tail: bytes = b"") -> Media | None:
    """Return what a segment holds; None where there is no media in it.

    Args:
        head: its first bytes, up to beyond the first picture.
        tail: its last bytes, from the beginning of a packet on; empty where `head` is all of it.
    """
    streams = _declared(head)
    for part in (head, tail):
        _hear(part, streams)
    seen = [stream for stream in streams.values() if stream.times]
    if not seen:
        return None
    reference = seen[0].times[0]
    start = min(ticks_between(reference, stream.times[0]) for stream in seen)
    # Sound is in packets of many frames; where there is a picture, that tells the end better.
    exact = [stream for stream in seen if stream.is_video] or seen
    end = max(_end(stream.times, reference, is_exact=stream in exact) for stream in seen)
    return Media((reference + start) % _WRAP, max(0, end - start), _format([*streams.values()]))


def ticks_between(start: int, later: int) -> int:
    """Return how far a time is ahead of another; negative where it is behind."""
    return (later - start + _WRAP // 2) % _WRAP - _WRAP // 2


def _format(streams: list[_Stream]) -> Format:
    video = next((each for each in streams if each.is_video and each.times), None)
    audio = next((each for each in streams if not each.is_video and each.times), None)
    return Format(
        declared=tuple(stream.codec for stream in streams),
        video=None if video is None else video_track(video.codec, video.begin),
        audio=None if audio is None else audio_track(audio.codec, audio.begin),
    )


def _end(times: list[int], reference: int, *, is_exact: bool) -> int:
    """Return when a stream ends: its last time, and what usually lies between two."""
    order = sorted({ticks_between(reference, time) for time in times})
    last = order[-_STEPS - 1 :]
    steps = sorted(later - time for time, later in pairwise(last))
    return order[-1] + (min(steps[len(steps) // 2], _LONGEST_STEP) if steps and is_exact else 0)


def _hear(part: bytes, streams: dict[int, _Stream]) -> None:
    """Take down the times in a part, and each stream's first bytes."""
    gathering: set[int] = set()
    for packet in _packets(part):
        stream = streams.get(packet.pid)
        if stream is None:
            continue
        if not packet.begins:
            if packet.pid in gathering:
                stream.begin += packet.payload
            continue
        gathering.discard(packet.pid)
        found = _pes(packet.payload)
        if found is None:
            continue
        if not stream.times:
            gathering.add(packet.pid)
            stream.begin = found[1]
        stream.times.append(found[0])


def _pes(payload: bytes) -> tuple[int, bytes] | None:
    """Return the time of a PES packet and what follows its header; None for one without time."""
    if len(payload) < 14 or payload[:3] != b"\0\0\1" or not payload[7] & 0x80:
        return None
    stamp = payload[9:14]
    time = (stamp[0] >> 1 & 7) << 30 | stamp[1] << 22 | stamp[2] >> 1 << 15
    return time | stamp[3] << 7 | stamp[4] >> 1, payload[9 + payload[8] :]


def _declared(head: bytes) -> dict[int, _Stream]:
    """Return the streams of the programme by pid, in order."""
    table = _NO_PID
    for packet in _packets(head):
        if not packet.begins or packet.pid not in (0, table):
            continue
        section = packet.payload[1 + packet.payload[0] :] if packet.payload else b""
        if packet.pid == table:
            streams = _programme(section)
            if streams:
                return streams
        elif len(section) >= 12:
            table = int.from_bytes(section[10:12]) & 0x1FFF
    return {}


def _programme(section: bytes) -> dict[int, _Stream]:
    streams: dict[int, _Stream] = {}
    if len(section) < 12:
        return streams
    end = min(len(section), 3 + (int.from_bytes(section[1:3]) & 0xFFF) - 4)
    at = 12 + (int.from_bytes(section[10:12]) & 0xFFF)
    while at + 5 <= end:
        kind, pid = section[at], int.from_bytes(section[at + 1 : at + 3]) & 0x1FFF
        codec = _VIDEO_CODECS.get(kind) or _AUDIO_CODECS.get(kind) or f"type {kind:#x}"
        streams[pid] = _Stream(codec, is_video=kind in _VIDEO_CODECS)
        at += 5 + (int.from_bytes(section[at + 3 : at + 5]) & 0xFFF)
    return streams


def _packets(part: bytes) -> Iterator[_Packet]:
    """Yield the packets that are whole and have a payload."""
    for at in range(0, len(part) - PACKET_BYTES + 1, PACKET_BYTES):
        if part[at] != _SYNC or not part[at + 3] & 0x10:
            continue
        begin = at + 4
        if part[at + 3] & 0x20:
            begin += 1 + part[begin]
        pid = int.from_bytes(part[at + 1 : at + 3]) & 0x1FFF
        yield _Packet(pid, bool(part[at + 1] & _BEGINS), part[begin : at + PACKET_BYTES])
