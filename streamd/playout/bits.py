"""Reads the bit strings that H.264, H.265 and AAC describe themselves with. Pure."""

_LONGEST_CODE = 32


class BitsError(ValueError):
    """The bits end too early, or are no code of the kind that was asked for."""


class BitReader:
    """Reads from the highest bit of the first byte on.

    Every method raises `BitsError` where that cannot be.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def bits(self, count: int) -> int:
        """Return the next bits as a number."""
        end = self._at + count
        if end > 8 * len(self._data):
            raise BitsError(f"{8 * len(self._data) - self._at} bits are left of {count}")
        covering = int.from_bytes(self._data[self._at // 8 : (end + 7) // 8])
        self._at = end
        return covering >> -end % 8 & (1 << count) - 1

    def flag(self) -> bool:
        """Return the next bit."""
        return self.bits(1) == 1

    def skip(self, count: int) -> None:
        """Pass over bits."""
        self.bits(count)

    def octets(self, count: int) -> bytes:
        """Return as many bytes, wherever they begin."""
        return self.bits(8 * count).to_bytes(count)

    def unsigned(self) -> int:
        """Return the next Exp-Golomb code, `ue(v)` of H.264 9.1."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise BitsError(f"a code that begins with more than {_LONGEST_CODE} zeros")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """Return the next signed Exp-Golomb code, `se(v)` of H.264 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
