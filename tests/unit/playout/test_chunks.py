import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.chunks import (
    ABORT,
    COMMAND,
    LONGEST_MESSAGE,
    SET_CHUNK_SIZE,
    WINDOW_SIZE,
    ChunkError,
    ChunkReader,
    ChunkWriter,
    Message,
)
from streamd.playout.tags import AUDIO, DATA, VIDEO

messages = st.builds(
    Message,
    kind=st.sampled_from([WINDOW_SIZE, AUDIO, VIDEO, DATA, COMMAND]),
    timestamp_ms=st.integers(0, 2**32 - 1)
    | st.sampled_from([0xFFFFFE, 0xFFFFFF, 0x1000000, 2**32 - 1]),
    stream_id=st.integers(0, 2**32 - 1),
    body=st.binary(max_size=600),
)


def read(*chunks: str) -> list[Message]:
    """Feed chunks written in hexadecimal, one at a time."""
    reader = ChunkReader()
    return [message for chunk in chunks for message in reader.feed(bytes.fromhex(chunk))]


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


@given(st.lists(messages, max_size=5), st.integers(1, 400), st.lists(st.integers(0), max_size=8))
def test_messages_are_read_as_they_were_written_however_they_are_split(
    written: list[Message], chunk_size: int, cuts: list[int]
) -> None:
    writer, reader = ChunkWriter(), ChunkReader()
    data = writer.set_chunk_size(chunk_size) + b"".join(map(writer.write, written))

    found = [message for piece in split(data, cuts) for message in reader.feed(piece)]

    assert found == written
    assert reader.received == len(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_refused(data: bytes) -> None:
    with contextlib.suppress(ChunkError):
        ChunkReader().feed(data)


def test_a_message_is_written_as_the_specification_says() -> None:
    message = Message(VIDEO, 1000, 1, bytes(range(130)))
    body = message.body.hex()

    assert ChunkWriter().write(message) == bytes.fromhex(
        f"06 0003e8 000082 09 01000000 {body[:256]} c6 {body[256:]}"
    )


def test_the_long_time_stands_in_every_chunk() -> None:
    message = Message(VIDEO, 0x01020304, 1, bytes(129))
    written = ChunkWriter().write(message)

    assert written.startswith(bytes.fromhex("06 ffffff 000081 09 01000000 01020304"))
    assert written.endswith(bytes.fromhex("c6 01020304 00"))


def test_a_time_beyond_32_bits_starts_again() -> None:
    message = Message(AUDIO, 2**32 + 5, 1, b"x")
    assert ChunkReader().feed(ChunkWriter().write(message)) == [Message(AUDIO, 5, 1, b"x")]


def test_shorter_headers_repeat_what_came_before() -> None:
    assert read(
        "04 0003e8 000001 08 01000000 aa",  # whole: at 1000 ms
        "44 000017 000002 09 bbbb",  # 23 ms later, of another type and length
        "84 000005 cccc",  # 5 ms later
        "c4 dddd",  # 5 ms later again
    ) == [
        Message(AUDIO, 1000, 1, b"\xaa"),
        Message(VIDEO, 1023, 1, b"\xbb\xbb"),
        Message(VIDEO, 1028, 1, b"\xcc\xcc"),
        Message(VIDEO, 1033, 1, b"\xdd\xdd"),
    ]


def test_a_long_difference_is_added() -> None:
    assert read(
        "04 0003e8 000001 08 01000000 aa",
        "84 ffffff 01000000 bb",
        "c4 01000000 cc",
    ) == [
        Message(AUDIO, 1000, 1, b"\xaa"),
        Message(AUDIO, 1000 + 0x1000000, 1, b"\xbb"),
        Message(AUDIO, 1000 + 0x2000000, 1, b"\xcc"),
    ]


def test_a_difference_over_the_end_of_32_bits_starts_again() -> None:
    first, second = read(
        "04 ffffff 000001 08 01000000 fffffff0 aa",
        "84 000020 bb",
    )
    assert (first.timestamp_ms, second.timestamp_ms) == (0xFFFFFFF0, 0x10)


def test_messages_of_several_chunk_streams_may_interleave() -> None:
    long = bytes(range(200))
    found = read(
        f"06 000001 0000c8 09 01000000 {long[:128].hex()}",
        "04 000002 000001 08 01000000 aa",
        f"c6 {long[128:].hex()}",
    )
    assert found == [Message(AUDIO, 2, 1, b"\xaa"), Message(VIDEO, 1, 1, long)]


@pytest.mark.parametrize("number", ["0000", "00ff", "010000", "01ffff"])
def test_numbers_of_chunk_streams_have_three_lengths(number: str) -> None:
    whole = f"{number} 000001 000001 08 01000000 aa"
    repeated = f"{int(number[:2], 16) | 0xC0:02x}{number[2:]} bb"
    assert [message.body for message in read(whole, repeated)] == [b"\xaa", b"\xbb"]


def test_the_peer_may_change_its_chunk_size_between_messages() -> None:
    assert (
        read(
            "02 000000 000004 01 00000000 00000003",
            "04 000001 000004 08 01000000 aabbcc c4 dd",
            "02 000000 000004 01 00000000 000000 c2 80",
            "04 000001 000004 08 01000000 aabbccdd",
        )
        == [Message(AUDIO, 1, 1, b"\xaa\xbb\xcc\xdd")] * 2
    )


def test_a_message_that_the_peer_abandons_is_forgotten() -> None:
    assert read(
        f"06 000001 0000c8 09 01000000 {bytes(128).hex()}",
        f"02 000000 000004 {ABORT:02x} 00000000 00000006",
        "06 000002 000001 09 01000000 aa",
    ) == [Message(VIDEO, 2, 1, b"\xaa")]


def test_a_message_may_be_empty() -> None:
    assert read("04 000001 000000 08 01000000", "c4") == [
        Message(AUDIO, 1, 1, b""),
        Message(AUDIO, 2, 1, b""),
    ]


def test_a_first_header_may_lack_its_stream() -> None:
    assert read("42 000000 000001 04 00") == [Message(4, 0, 0, b"\0")]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (["84 000001"], "begins in the middle"),
        (["c4"], "begins in the middle"),
        ([f"06 000001 0000c8 09 01000000 {bytes(128).hex()}", "86 000000"], "within another"),
        ([f"02 000000 000004 {SET_CHUNK_SIZE:02x} 00000000 80000000"], "a chunk size of 0"),
        ([f"02 000000 000003 {SET_CHUNK_SIZE:02x} 00000000 000001"], "of 3 bytes"),
        (["04 000001 800001 08 01000000"], "longer than"),
    ],
)
def test_what_breaks_the_rules_is_refused(chunks: list[str], expected: str) -> None:
    with pytest.raises(ChunkError, match=expected):
        read(*chunks)


def test_many_messages_that_are_never_finished_cannot_fill_the_memory() -> None:
    reader = ChunkReader()
    size = LONGEST_MESSAGE // 2
    header = bytes(3) + (size + 1).to_bytes(3) + bytes((VIDEO, 1, 0, 0, 0))
    reader.feed(bytes.fromhex("02 000000 000004 01 00000000") + size.to_bytes(4))
    reader.feed(b"\4" + header + bytes(size))

    with pytest.raises(ChunkError, match="longer than"):
        reader.feed(b"\5" + header)
