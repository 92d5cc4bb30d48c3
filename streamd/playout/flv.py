"""FLV: bytes to tags, as they come, and tags to bytes. Pure.

Adobe's Video File Format Specification 10.1, annex E.
"""

from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag

LONGEST_BODY = 8 << 20
"""Bytes. Longer is no picture that anybody sends, but a file that is broken."""

_SIGNATURE = b"FLV\x01"
_HEADER_SIZE = 9
_LONGEST_HEADER = 1024
_TAG_HEADER_SIZE = 11
_SIZE_SIZE = 4
_KINDS = (AUDIO, VIDEO, DATA)
_ALL_TIME = 1 << 32


class FlvError(ValueError):
    """The bytes are no FLV."""


def unwrapped(timestamp_ms: int, near_ms: int) -> int:
    """Return the time whose low 32 bits are `timestamp_ms` and that is nearest to another.

    RTMP and FLV count milliseconds in 32 bits, which are full after 49.7 days.
    """
    ahead = (timestamp_ms - near_ms + _ALL_TIME // 2) % _ALL_TIME - _ALL_TIME // 2
    return near_ms + ahead


class FlvReader:
    """Takes FLV apart as it comes, however it is split."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._begun = False
        self._last_ms = 0

    def feed(self, data: bytes) -> list[Tag]:
        """Return the tags that end in `data`. Times go on past 32 bits.

        Raises:
            FlvError: this is no FLV, or a tag is longer than `LONGEST_BODY`; the reader cannot
                go on.
        """
        self._buffer += data
        position = 0
        if not self._begun:
            position = self._header_end()
            self._begun = position > 0
        tags: list[Tag] = []
        while self._begun:
            tag = tag_at(self._buffer, position)
            if tag is None:
                break
            size = _TAG_HEADER_SIZE + len(tag.body)
            end = position + size
            written = int.from_bytes(self._buffer[end : end + _SIZE_SIZE])
            if len(self._buffer) < end + _SIZE_SIZE:
                break
            if written != size:
                raise FlvError(f"a tag of {size} bytes ends with the size {written}")
            self._last_ms = unwrapped(tag.timestamp_ms, self._last_ms)
            tags.append(Tag(tag.kind, self._last_ms, tag.body))
            position = end + _SIZE_SIZE
        del self._buffer[:position]
        return tags

    def _header_end(self) -> int:
        """Return where the first tag begins; 0 where that is not known yet."""
        begun = self._buffer[: len(_SIGNATURE)]
        if not _SIGNATURE.startswith(begun):
            raise FlvError(f"begins with {bytes(begun)!r}, which is no FLV")
        if len(self._buffer) < _HEADER_SIZE:
            return 0
        size = int.from_bytes(self._buffer[5:_HEADER_SIZE])
        if not _HEADER_SIZE <= size <= _LONGEST_HEADER:
            raise FlvError(f"has a header of {size} bytes")
        end = size + _SIZE_SIZE
        return end if len(self._buffer) >= end else 0


def tag_at(data: bytes | bytearray, at: int) -> Tag | None:
    """Return the tag that begins at a position, its time in 32 bits; None where it is cut off.

    Raises:
        FlvError: no tag begins there.
    """
    header = data[at : at + _TAG_HEADER_SIZE]
    if header and header[0] not in _KINDS:
        raise FlvError(f"a tag of the unknown kind {header[0]}")
    if len(header) < _TAG_HEADER_SIZE:
        return None
    size = int.from_bytes(header[1:4])
    if size > LONGEST_BODY:
        raise FlvError(f"a tag of {size} bytes is longer than {LONGEST_BODY}")
    if header[8:11] != b"\0\0\0":
        raise FlvError(f"a tag of the stream {int.from_bytes(header[8:11])}; FLV has only 0")
    begin = at + _TAG_HEADER_SIZE
    body = bytes(data[begin : begin + size])
    if len(body) < size:
        return None
    return Tag(header[0], header[7] << 24 | int.from_bytes(header[4:7]), body)
