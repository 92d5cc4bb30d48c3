"""Silence that keeps to the time of a picture. Pure.

Made here and not by FFmpeg, whose silence has a clock of its own: it drifts from a camera's, and
goes on while the camera is frozen.
"""

from streamd.playout.tags import AUDIO, Tag

_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000)
_AAC_LC = 2
_SAMPLES = 1024
_TAG = b"\xaf"  # AAC, and three fields that AAC gives no meaning

# One raw_data_block of nothing (ISO/IEC 14496-3, 4.4.2.1), the same at every rate.
_FRAMES = {1: bytes.fromhex("01182007"), 2: bytes.fromhex("211004608c1c")}

_LONGEST_GAP_MS = 1000


class Silence:
    """AAC LC of nothing, as far as a picture has come.

    Args:
        sample_rate: Hz, one of those that AAC has from 12 kHz on.
        channels: 1 or 2.
    """

    def __init__(self, sample_rate: int = 48_000, channels: int = 2) -> None:
        self._rate = sample_rate
        self._frame = _TAG + b"\1" + _FRAMES[channels]
        config = _AAC_LC << 11 | _RATES.index(sample_rate) << 7 | channels << 3
        self._header = _TAG + b"\0" + config.to_bytes(2)
        self._begin_ms: int | None = None
        self._sent = 0

    def until(self, timestamp_ms: int) -> list[Tag]:
        """Return the sound that belongs before a picture, at first with its header.

        There is none where the picture goes back in time; where it leaps more than a second ahead,
        silence begins anew there.
        """
        tags: list[Tag] = []
        if self._begin_ms is None:
            tags.append(Tag(AUDIO, timestamp_ms, self._header))
        if self._begin_ms is None or timestamp_ms - self._next_ms(self._begin_ms) > _LONGEST_GAP_MS:
            self._begin_ms, self._sent = timestamp_ms, 0
        while (at_ms := self._next_ms(self._begin_ms)) <= timestamp_ms:
            tags.append(Tag(AUDIO, at_ms, self._frame))
            self._sent += 1
        return tags

    def _next_ms(self, begin_ms: int) -> int:
        return begin_ms + self._sent * _SAMPLES * 1000 // self._rate
