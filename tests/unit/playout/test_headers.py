from streamd.playout.formats import video_format
from streamd.playout.headers import covers, joined, parameter_sets, with_sets
from streamd.playout.tags import AUDIO, VIDEO, Tag
from tests.unit.playout.values import (
    ENCODER,
    ENCODER_PPS,
    ENCODER_SPS,
    PICTURE,
    SLATE,
    SLATE_PPS,
    SLATE_SPS,
    header,
    picture,
    unit,
)


def both() -> Tag:
    found = joined(ENCODER, SLATE)
    assert found is not None
    return found


def test_a_header_is_taken_apart() -> None:
    sets = parameter_sets(ENCODER)
    assert sets is not None
    assert (sets.sps, sets.pps, sets.length_size) == ((ENCODER_SPS,), (ENCODER_PPS,), 4)


def test_one_header_holds_the_sets_of_both() -> None:
    sets = parameter_sets(both())
    assert sets is not None
    assert sets.units == (ENCODER_SPS, SLATE_SPS, ENCODER_PPS, SLATE_PPS)
    assert video_format(both()) == video_format(ENCODER)


def test_it_covers_both_and_neither_covers_it() -> None:
    assert covers(both(), ENCODER)
    assert covers(both(), SLATE)
    assert not covers(ENCODER, both())
    assert not covers(ENCODER, SLATE)


def test_sets_of_the_same_number_are_not_joined() -> None:
    assert joined(ENCODER, header(ENCODER_SPS[:-1] + b"\xa8", ENCODER_PPS)) is None
    assert joined(ENCODER, header(SLATE_SPS, ENCODER_PPS)) is None


def test_pictures_of_other_sizes_are_not_joined() -> None:
    other = SLATE_SPS[:5] + bytes((SLATE_SPS[5] ^ 0x10,)) + SLATE_SPS[6:]
    assert video_format(header(other, SLATE_PPS)) != video_format(SLATE)
    assert joined(ENCODER, header(other, SLATE_PPS)) is None


def test_what_is_no_header_of_avc_is_left_alone() -> None:
    hevc = Tag(VIDEO, 0, bytes.fromhex("9068766331") + bytes(30))
    cut = Tag(VIDEO, 0, ENCODER.body[:20])
    assert parameter_sets(hevc) is None
    assert parameter_sets(cut) is None
    assert joined(ENCODER, hevc) is None
    assert covers(hevc, hevc)


def test_a_keyframe_gets_its_sets_in_front() -> None:
    sets = parameter_sets(SLATE)
    assert sets is not None
    assert with_sets(picture(b"\x65abc"), sets) == picture(SLATE_SPS, SLATE_PPS, b"\x65abc")


def test_an_access_unit_delimiter_stays_first() -> None:
    sets = parameter_sets(SLATE)
    assert sets is not None
    delimited = picture(b"\x09\xf0", b"\x65abc")
    assert with_sets(delimited, sets) == picture(b"\x09\xf0", SLATE_SPS, SLATE_PPS, b"\x65abc")


def test_a_keyframe_that_has_sets_or_is_malformed_stays_as_it_is() -> None:
    sets = parameter_sets(SLATE)
    assert sets is not None
    for tag in (
        picture(SLATE_SPS, SLATE_PPS, b"\x65abc"),
        Tag(VIDEO, 0, PICTURE + b"\0\0\0\xff\x65abc"),
        Tag(VIDEO, 0, bytes.fromhex("2701000000") + unit(b"\x41abc")),
    ):
        assert with_sets(tag, sets) == tag


def test_sound_is_the_same_with_and_without_the_mark_that_it_has_no_sbr() -> None:
    plain, marked = Tag(AUDIO, 0, b"\xaf\0\x12\x10"), Tag(AUDIO, 0, b"\xaf\0\x12\x10\x56\xe5\0")
    with_sbr = Tag(AUDIO, 0, b"\xaf\0\x12\x10\x56\xe5\x80")
    mono = Tag(AUDIO, 0, b"\xaf\0\x12\x08")
    assert covers(plain, marked)
    assert covers(marked, plain)
    assert not covers(plain, with_sbr)
    assert not covers(plain, mono)
