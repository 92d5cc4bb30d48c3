"""What is known of a certificate, written and read, and read again when it is damaged."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.certificates.attempts import Attempts, Outcome, Try
from streamd.certificates.lifetime import Window
from streamd.certificates.record import Installed, Record, Source, from_json, to_json

MOMENTS = st.floats(0, 1e11)
WORDS = st.text(max_size=20)
NAMES = st.lists(WORDS, max_size=3).map(tuple)
TRIES = st.builds(Try, MOMENTS, NAMES, WORDS, st.booleans(), st.sampled_from(get_args(Outcome)))
RECORDS = st.builds(
    Record,
    st.none()
    | st.builds(
        Installed,
        st.sampled_from(get_args(Source)),
        WORDS,
        WORDS,
        WORDS,
        NAMES,
        MOMENTS,
        MOMENTS,
        st.none() | WORDS,
    ),
    st.builds(Attempts, st.integers(0, 99), MOMENTS, st.lists(TRIES).map(tuple), st.none() | WORDS),
    st.none() | st.builds(Window, MOMENTS, MOMENTS),
    MOMENTS,
    WORDS,
    WORDS,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert from_json(to_json(record)) == record


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += _places(value, (*path, key))
    return found


@given(RECORDS, JSON, st.data())
def test_whatever_stands_in_it_is_a_record_that_can_be_written_or_is_refused(
    record: Record, other: Any, data: st.DataObject
) -> None:
    known = json.loads(to_json(record))
    *path, last = data.draw(st.sampled_from(_places(known)))
    inside = known
    for key in path:
        inside = inside[key]
    inside[last] = other
    try:
        found = from_json(json.dumps(known))
    except ValueError:
        return
    assert from_json(to_json(found)) == found


@given(RECORDS, st.data())
def test_half_a_file_is_refused(record: Record, data: st.DataObject) -> None:
    text = to_json(record).rstrip()
    with pytest.raises(ValueError, match=r".+"):
        from_json(text[: data.draw(st.integers(0, len(text) - 1))])


@pytest.mark.parametrize("text", ["[" * 100_000, '"\\ud800"', "null", "NaN"])
def test_what_is_no_record_at_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(text)
