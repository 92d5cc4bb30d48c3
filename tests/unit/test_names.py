"""Names and patterns of streams."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd import names


def by_definition(pattern: str, stream: str) -> bool:
    """Match with a backtracking expression: obviously right, and slow for some names."""
    return re.fullmatch("[^/]*".join(map(re.escape, pattern.split("*"))), stream) is not None


@given(st.text("ab/*", max_size=9), st.text("ab/", max_size=9))
def test_a_wildcard_stands_for_any_part_of_a_segment(pattern: str, stream: str) -> None:
    if pattern != "*/*":
        assert names.matches(pattern, stream) == by_definition(pattern, stream)


@pytest.mark.parametrize("stream", ["live/a", "a/b/c"])
def test_the_lone_star_is_every_stream_of_every_app(stream: str) -> None:
    assert names.matches(names.full_name("*"), stream)


@pytest.mark.parametrize("tail", ["", "/x"])
def test_a_name_made_to_match_slowly_is_matched_all_the_same(tail: str) -> None:
    # Trying every way to share the letters out would outlast the test run.
    stream = "live/" + "a" * 190 + tail
    assert not names.matches("live/*a*a*a*a*a*a*a*a*b", stream)


@pytest.mark.parametrize(
    ("stream", "legal"),
    [
        ("live/a", True),
        ("live/room.7~x=+@,:-", True),
        ("a/b/c", True),
        ("a", False),
        ("live/", False),
        ("/a", False),
        ("live/..", False),
        ("live/../a", False),
        ("live/.a", False),
        ("live/-a", False),
        ("live/a b", False),
        ("live/a\n", False),
        ("live/ä", False),
        ("live/*", False),
        ("live/" + "a" * 195, True),
        ("live/" + "a" * 196, False),
    ],
)
def test_only_plain_names_are_let_onto_a_server(stream: str, legal: bool) -> None:
    assert names.is_published_name(stream) == legal


def test_the_greatest_pattern_decides() -> None:
    ordered = ["*/*", "*/room", "live/*", "live/ro*", "live/ro*m", "live/room"]
    assert sorted(sorted(ordered), key=names.specificity) == ordered
