import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.playout.amf import AmfError, AmfValue, decode, encode

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
values: st.SearchStrategy[AmfValue] = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def test_a_command_as_the_specification_writes_it() -> None:
    command = encode("connect", 1, {"app": "live", "fpad": False}, None)

    assert command == bytes.fromhex(
        "020007636f6e6e656374"  # a string of 7 bytes
        "003ff0000000000000"  # the number 1.0
        "03 0003617070 0200046c697665 000466706164 0100 000009"  # an object, and its end
        "05"
    )


def test_an_array_of_names_is_a_dict_whatever_length_it_tells() -> None:
    told = bytes.fromhex("08 ffffffff 0005776964746800 4094000000000000 000009")
    assert decode(told) == [{"width": 1280.0}]


def test_an_object_with_a_class_is_a_dict() -> None:
    assert decode(bytes.fromhex("10 0003466f6f 000161 05 000009")) == [{"a": None}]


def test_what_has_no_value_is_none() -> None:
    assert decode(bytes.fromhex("05 06 0d")) == [None, None, None]


def test_a_date_is_its_milliseconds() -> None:
    assert decode(bytes.fromhex("0b 408f400000000000 0000")) == [1000.0]


@pytest.mark.parametrize("marker", ["0c", "0f"])
def test_a_long_string_is_a_string(marker: str) -> None:
    assert decode(bytes.fromhex(f"{marker} 00000002 6869")) == ["hi"]


def test_a_name_may_be_empty_within_an_object() -> None:
    assert decode(bytes.fromhex("03 0000 0101 000009")) == [{"": True}]


def test_text_that_is_no_utf_8_goes_out_as_it_came() -> None:
    latin = bytes.fromhex("02 0001 e9")
    assert encode(*decode(latin)) == latin


def test_a_string_longer_than_its_usual_form_is_written_too() -> None:
    text = "x" * 70_000
    assert decode(encode(text)) == [text]


@given(st.lists(values, max_size=4))
def test_what_was_written_is_read(written: list[AmfValue]) -> None:
    assert decode(encode(*written)) == written


@given(values, st.data())
def test_a_value_that_is_cut_off_is_refused(value: AmfValue, data: st.DataObject) -> None:
    whole = encode(value)
    cut = data.draw(st.integers(1, len(whole) - 1)) if len(whole) > 1 else 0
    if cut:
        with pytest.raises(AmfError):
            decode(whole[:cut])


@given(st.binary(max_size=64))
def test_any_bytes_are_values_or_refused(data: bytes) -> None:
    with contextlib.suppress(AmfError):
        decode(data)


def test_a_nest_without_an_end_is_refused() -> None:
    with pytest.raises(AmfError, match="deeper than 32"):
        decode(bytes.fromhex("0a00000001") * 1000)


def test_an_array_that_tells_more_than_there_is_is_refused() -> None:
    with pytest.raises(AmfError, match="middle"):
        decode(bytes.fromhex("0a ffffffff 05"))


def test_what_nobody_sends_in_amf0_is_refused() -> None:
    with pytest.raises(AmfError, match="marker 17 at byte 1"):
        decode(bytes.fromhex("05 11"))


@pytest.mark.parametrize("value", [{"": 1}, {"x" * 70_000: 1}])
def test_a_name_without_a_form_is_refused(value: AmfValue) -> None:
    with pytest.raises(AmfError, match="name of"):
        encode(value)


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(AmfError, match="bytes has no form"):
        encode(b"bytes")  # type: ignore[arg-type] # what the types forbid
