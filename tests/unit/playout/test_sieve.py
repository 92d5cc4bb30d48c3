"""What is refused here is what SRS 6 was seen to end a publisher for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.sieve import Sieve
from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag
from tests.unit.playout.values import (
    ENCODER,
    ENCODER_PPS,
    ENCODER_SPS,
    HEVC_10_BITS,
    SLATE,
    header,
    unit,
)

KEY, INTER = b"\x17\1\0\0\0", b"\x27\1\0\0\0"
IDR, SLICE = b"\x65\x88\x84\0", b"\x41\x9a\x21\x6c"
HEVC = Tag(VIDEO, 0, b"\x90hvc1" + bytes.fromhex(HEVC_10_BITS))
HEVC_KEY, HEVC_INTER = b"\x91hvc1\0\0\0", b"\xa3hvc1"
HEVC_SLICE = b"\x02\x01\xd0"
SOUND_HEADER = b"\xaf\0\x11\x90"

units = st.lists(st.sampled_from([b"", b"\x09\xf0", SLICE, IDR, b"\x06\5\1"]), max_size=6)


def video(body: bytes) -> Tag:
    return Tag(VIDEO, 0, body)


def picture(*held: bytes, prefix: bytes = KEY) -> Tag:
    return video(prefix + b"".join(map(unit, held)))


def begun(first: Tag = ENCODER) -> Sieve:
    sieve = Sieve()
    assert sieve.passes(first)
    return sieve


@given(units)
def test_whole_pictures_pass(held: list[bytes]) -> None:
    sieve = begun()
    assert sieve.passes(picture(*held))
    assert sieve.faults == 0


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (KEY[:4], "a picture of 4 bytes"),
        (KEY + b"\0\0", "a picture whose lengths do not add up"),
        (KEY + unit(IDR)[:-1], "a picture whose lengths do not add up"),
        (KEY + unit(IDR) + b"\0", "a picture whose lengths do not add up"),
        (KEY + b"\x91\xff\xff\xff" + IDR, "a picture whose lengths do not add up"),
        (KEY + unit(b"\xe5\x88\x84\0"), "a picture with a unit of no kind"),
        (KEY + unit(b"\x65"), "a picture with a slice of no kind"),
        (KEY + unit(b"\x65\0\0\0\0\x80"), "a picture with a slice of no kind"),
        (KEY + unit(b"\x65\x82"), "a picture with a slice of no kind"),
        (KEY + 257 * unit(b"\x0c"), "a picture of 257 units"),
        (b"\x91avc", "a picture of 4 bytes"),
    ],
)
def test_a_malformed_picture_is_left_out_with_those_that_need_it(body: bytes, fault: str) -> None:
    sieve = begun()
    assert not sieve.passes(video(body))
    assert (sieve.faults, sieve.fault) == (1, fault)
    assert not sieve.passes(picture(SLICE, prefix=INTER))
    assert sieve.passes(Tag(AUDIO, 0, b"\xaf\1s"))
    assert sieve.passes(picture(IDR))
    assert sieve.passes(picture(SLICE, prefix=INTER))
    assert sieve.faults == 1


@pytest.mark.parametrize("first", [b"\x41\x9a", b"\x01\x05\x9f", b"\x41\x89"])
def test_a_slice_begins_with_its_place_and_type(first: bytes) -> None:
    assert begun().passes(picture(first))


@pytest.mark.parametrize(
    ("tag", "fault"),
    [
        (video(ENCODER.body[:9]), "a decoder header that is cut off"),
        (video(ENCODER.body[:-1]), "a decoder header that is cut off"),
        (video(ENCODER.body.replace(b"\xff\xe1", b"\xfe\xe1")), "lengths of 3 bytes"),
        (video(ENCODER.body.replace(b"\xff\xe1", b"\xff\xe0")), "without parameter sets"),
        (header(b"\x27" + ENCODER_SPS[1:], b""), "without parameter sets"),
        (header(b"\x07" + ENCODER_SPS[1:], ENCODER_PPS), "a parameter set that is none"),
        (header(ENCODER_SPS[:3] + bytes(9), ENCODER_PPS), "that cannot be read"),
        (video(HEVC.body[:20]), "a decoder header that is none"),
        (video(HEVC.body[:-1]), "a decoder header that is cut off"),
    ],
)
def test_nothing_is_shown_behind_a_malformed_header(tag: Tag, fault: str) -> None:
    sieve = Sieve()
    assert not sieve.passes(tag)
    assert fault in sieve.fault
    assert not sieve.passes(picture(IDR))
    assert (sieve.faults, sieve.fault) == (2, "its decoder header cannot be read")
    assert sieve.passes(SLATE)
    assert sieve.passes(picture(IDR))


def test_a_picture_before_any_header_is_of_no_use() -> None:
    sieve = Sieve()
    assert not sieve.passes(picture(IDR))
    assert sieve.faults == 0


def test_hevc_is_looked_at_as_well() -> None:
    sieve = begun(HEVC)
    assert sieve.passes(picture(HEVC_SLICE, prefix=HEVC_KEY))
    assert sieve.passes(picture(HEVC_SLICE, prefix=HEVC_INTER))
    assert not sieve.passes(video(HEVC_INTER + b"\0\0\1\0" + HEVC_SLICE))
    assert not sieve.passes(picture(HEVC_SLICE, prefix=HEVC_INTER))
    assert sieve.passes(picture(HEVC_SLICE, prefix=HEVC_KEY))


@pytest.mark.parametrize(
    "body", [b"\xaf", b"\xaf\0", b"\xaf\0\x11", b"\xaf\0\0\x90", b"\xaf\1" * 5000]
)
def test_malformed_sound_is_left_out_alone(body: bytes) -> None:
    sieve = begun()
    assert not sieve.passes(Tag(AUDIO, 0, body))
    assert sieve.faults == 1
    assert sieve.passes(picture(SLICE, prefix=INTER))


@pytest.mark.parametrize(
    "tag",
    [
        Tag(AUDIO, 0, SOUND_HEADER),
        Tag(AUDIO, 0, b"\x2f\xff"),
        Tag(DATA, 0, b"\x02\x00\x0aonMetaData"),
        video(b"\x22h263"),
        video(b"\x57\0"),
        video(b"\x92hvc1"),
        video(b"\x91av01\0"),
        video(b"\x17\2\0\0\0"),
    ],
)
def test_what_is_not_looked_into_passes(tag: Tag) -> None:
    assert Sieve().passes(tag)


def test_an_empty_tag_is_left_out_and_no_fault() -> None:
    sieve = Sieve()
    assert not sieve.passes(video(b""))
    assert sieve.faults == 0


@given(
    st.sampled_from([ENCODER, HEVC]),
    st.lists(
        st.builds(
            Tag,
            st.sampled_from([VIDEO, AUDIO, DATA]),
            st.just(0),
            st.builds(
                bytes.__add__,
                st.sampled_from([b"", KEY, INTER, b"\x17\0\0\0\0", HEVC_KEY, HEVC_INTER, b"\xaf"]),
                st.binary(max_size=40),
            ),
        )
    ),
)
def test_any_bytes_pass_or_do_not(first: Tag, tags: list[Tag]) -> None:
    sieve = begun(first)
    for tag in tags:
        before = sieve.faults
        assert not (sieve.passes(tag) and sieve.faults > before)


@given(units.filter(any), st.data())
def test_a_length_that_is_wrong_is_never_passed(held: list[bytes], data: st.DataObject) -> None:
    body = bytearray(picture(*held).body)
    starts = [len(KEY)]
    for each in held[:-1]:
        starts.append(starts[-1] + 4 + len(each))
    at = data.draw(st.sampled_from(starts))
    body[at] = data.draw(st.integers(1, 255))
    assert not begun().passes(video(bytes(body)))
