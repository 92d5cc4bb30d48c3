"""Media as FLV and RTMP carry it: one tag is one coded picture, one piece of sound, or data.

Adobe's Video File Format Specification 10.1, annex E, and the enhanced RTMP of Veovera.
"""

from dataclasses import dataclass, field

AUDIO, VIDEO, DATA = 8, 9, 18
"""The kinds of tags, which are also the message types of RTMP."""

_AAC, _AVC = 10, 7
_EX_HEADER = 0x80
_KEYFRAME = 1
_SEQUENCE_END = 2


@dataclass(frozen=True, slots=True)
class Tag:
    """One message.

    Attributes:
        kind: AUDIO, VIDEO or DATA.
        timestamp_ms: decoding time, milliseconds.
        body: the payload, as it stands in FLV and in RTMP.
    """

    kind: int
    timestamp_ms: int
    body: bytes = field(repr=False)

    @property
    def is_header(self) -> bool:
        """Tell whether it tells a decoder how to begin (AVC and AAC sequence headers)."""
        if len(self.body) < 2:
            return False
        if self.kind == AUDIO:
            return self.body[0] >> 4 == _AAC and self.body[1] == 0
        if self.kind != VIDEO:
            return False
        if self.body[0] & _EX_HEADER:
            return self.body[0] & 0x0F == 0  # PacketTypeSequenceStart
        return self.body[0] & 0x0F == _AVC and self.body[1] == 0

    @property
    def is_sequence_end(self) -> bool:
        """Tell whether it says that no more pictures come: what an encoder sends when it stops."""
        if self.kind != VIDEO or len(self.body) < 2:
            return False
        if self.body[0] & _EX_HEADER:
            return self.body[0] & 0x0F == _SEQUENCE_END
        return self.body[0] & 0x0F == _AVC and self.body[1] == _SEQUENCE_END

    @property
    def is_keyframe(self) -> bool:
        """Tell whether it is a picture that a decoder can begin at."""
        return (
            self.kind == VIDEO
            and bool(self.body)
            and (self.body[0] & 0x7F) >> 4 == _KEYFRAME
            and not self.is_header
            and not self.is_sequence_end
        )
