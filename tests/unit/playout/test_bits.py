import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.bits import BitReader, BitsError


def reader(bits: str) -> BitReader:
    """Return a reader of bits written as 0 and 1, filled up to whole bytes."""
    padded = bits + "0" * (-len(bits) % 8)
    return BitReader(int(padded or "0", 2).to_bytes(len(padded) // 8))


def golomb(number: int) -> str:
    return "0" * ((number + 1).bit_length() - 1) + f"{number + 1:b}"


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(0)), max_size=8))
def test_bits_are_read_in_order(fields: list[tuple[int, int]]) -> None:
    written = [(count, number % (1 << count)) for count, number in fields]
    bits = reader("".join(f"{number:0{count}b}" if count else "" for count, number in written))
    assert [bits.bits(count) for count, _ in written] == [number for _, number in written]


@given(st.lists(st.integers(0, 2**32 - 2)))
def test_codes_are_read(numbers: list[int]) -> None:
    codes = reader("".join(map(golomb, numbers)))
    assert [codes.unsigned() for _ in numbers] == numbers


def test_signed_codes_take_turns() -> None:
    codes = reader("".join(map(golomb, range(5))))
    assert [codes.signed() for _ in range(5)] == [0, 1, -1, 2, -2]


def test_bytes_may_begin_anywhere() -> None:
    bits = reader("1" + f"{0xABCD:016b}")
    assert (bits.flag(), bits.octets(2)) == (True, b"\xab\xcd")


def test_what_is_not_there_is_not_read() -> None:
    bits = reader("1" * 8)
    bits.skip(3)
    with pytest.raises(BitsError, match="5 bits are left of 6"):
        bits.bits(6)


def test_a_code_without_an_end_is_refused() -> None:
    with pytest.raises(BitsError, match="more than 32 zeros"):
        BitReader(bytes(100)).unsigned()
