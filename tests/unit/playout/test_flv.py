import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.flv import FlvError, FlvReader, tag_at, unwrapped
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from tests.support.flv import write_header, write_tag

tags = st.builds(
    Tag,
    kind=st.sampled_from([AUDIO, VIDEO, DATA]),
    timestamp_ms=st.integers(0, 2**31 - 1) | st.sampled_from([0xFFFFFF, 0x1000000]),
    body=st.binary(max_size=300),
)
TAG = Tag(VIDEO, 0x01020304, b"\x17\x00")


def read(*pieces: bytes) -> list[Tag]:
    reader = FlvReader()
    return [tag for piece in pieces for tag in reader.feed(piece)]


@given(st.lists(tags, max_size=5), st.lists(st.integers(0), max_size=8))
def test_tags_are_read_as_they_were_written_however_they_are_split(
    written: list[Tag], cuts: list[int]
) -> None:
    data = write_header() + b"".join(map(write_tag, written))
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]

    found = read(*(data[begin:end] for begin, end in pairwise(edges)))

    assert found == written


@given(st.lists(tags, min_size=1, max_size=3), st.data())
def test_a_tag_that_is_cut_off_is_waited_for(written: list[Tag], data: st.DataObject) -> None:
    whole = write_header() + b"".join(map(write_tag, written))
    cut = data.draw(st.integers(1, 14 + len(written[-1].body)))

    assert read(whole[:-cut]) == written[:-1]


@given(st.binary(max_size=100))
def test_any_bytes_are_tags_or_refused(data: bytes) -> None:
    for begin in (b"", write_header()):
        with contextlib.suppress(FlvError):
            read(begin + data)


def test_a_file_is_written_as_the_specification_says() -> None:
    assert write_header() + write_tag(TAG) == bytes.fromhex(
        "464c56 01 05 00000009 00000000"
        "09 000002 020304 01 000000 1700 0000000d"  # the time's highest byte comes last
    )


def test_a_longer_header_is_passed_over() -> None:
    header = b"FLV\x01\x05" + (12).to_bytes(4) + bytes(3) + bytes(4)
    assert read(header + write_tag(TAG)) == [TAG]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\0\0\0\x20ftyp", "no FLV"),
        (b"FLX", "no FLV"),
        (b"FLV\x02", "no FLV"),
        (b"FLV\x01\x05\0\0\0\x08", "header of 8 bytes"),
        (b"FLV\x01\x05\xff\0\0\0", "header of 4278190080 bytes"),
        (write_header() + b"\x0a", "unknown kind 10"),
        (write_header() + b"\x29", "unknown kind 41"),  # encrypted
        (write_header() + b"\x09\xff\xff\xff" + bytes(7), "longer than"),
        (write_header() + b"\x09" + bytes(9) + b"\x01", "stream 1"),
        (write_header() + write_tag(TAG)[:-1] + b"\0", "ends with the size 0"),
    ],
)
def test_what_is_no_flv_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(FlvError, match=expected):
        read(data)


def test_times_go_on_past_32_bits() -> None:
    times = [0, 2**31 - 1, 2**32 - 40, 2**32, 2**32 + 40, 2**33 + 2**30]
    steps = [2**30 * part for part in range(9)]
    every = sorted({*times, *steps})
    data = write_header() + b"".join(write_tag(Tag(AUDIO, time, b"x")) for time in every)

    assert [tag.timestamp_ms for tag in read(data)] == every


@given(st.integers(0, 2**40), st.integers(-(2**31), 2**31 - 1))
def test_a_time_is_the_nearest_with_its_bits(near: int, ahead: int) -> None:
    assert unwrapped((near + ahead) % 2**32, near) == near + ahead


def test_a_tag_is_found_at_its_place() -> None:
    assert tag_at(b"xyz" + write_tag(TAG), 3) == TAG
