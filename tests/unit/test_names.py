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
        ("live/a\0", False),
        ("live/a\\..\\b", False),
        ("live/%2e%2e", False),
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


SEGMENTS = st.text("ab*", min_size=1, max_size=4)
PATTERNS = st.lists(SEGMENTS, min_size=2, max_size=3).map("/".join)
STREAMS = st.lists(st.text("ab", min_size=1, max_size=6), min_size=2, max_size=3).map("/".join)


@given(PATTERNS, PATTERNS, STREAMS)
def test_patterns_that_match_one_stream_overlap(one: str, other: str, stream: str) -> None:
    if names.matches(one, stream) and names.matches(other, stream):
        assert names.overlap(one, other)


@given(PATTERNS, PATTERNS)
def test_overlap_asks_no_order(one: str, other: str) -> None:
    assert names.overlap(one, other) == names.overlap(other, one)


@given(PATTERNS, PATTERNS)
def test_patterns_that_overlap_have_a_stream_in_common(one: str, other: str) -> None:
    if names.overlap(one, other):
        assert any(
            names.matches(one, stream) and names.matches(other, stream)
            for stream in common_streams(one, other)
        )


def common_streams(one: str, other: str) -> list[str]:
    """Return what two patterns could both match: everything of each between the longer ends."""
    if "*/*" in (one, other):
        only = other if one == "*/*" else one
        return [only.replace("*", "a")]
    made: list[list[str]] = [[""]]
    for first, second in zip(one.split("/"), other.split("/"), strict=True):
        heads = (first.partition("*")[0], second.partition("*")[0])
        tails = (first.rpartition("*")[2], second.rpartition("*")[2])
        head, tail = max(heads, key=len), max(tails, key=len)
        middle = first.replace("*", "") + second.replace("*", "")
        choices = [first, second, head + middle + tail]
        made = [[*before, choice] for before in made for choice in choices if "*" not in choice]
    return ["/".join(parts[1:]) for parts in made]


@pytest.mark.parametrize(
    ("stream", "ingest"),
    [
        ("live/x", "in/x"),
        ("lot/x", "in/lot/x"),
        ("in/x", "in/in/x"),
        ("live/a/b", "in/live/a/b"),
        ("lives/x", "in/lives/x"),
    ],
)
def test_a_stream_with_a_fallback_is_published_under_an_app_of_its_own(
    stream: str, ingest: str
) -> None:
    assert names.ingest_name(stream) == ingest
    assert stream in names.behind_ingest(ingest)


@pytest.mark.parametrize("name", ["live/x", "inn/x", "live/in/x"])
def test_a_name_of_another_app_is_no_ingest(name: str) -> None:
    assert names.behind_ingest(name) == ()


PUBLISHED = st.lists(st.sampled_from(["live", "in", "a", "b"]), min_size=2, max_size=4).map(
    "/".join
)


@given(PUBLISHED, PUBLISHED)
def test_no_two_streams_are_published_under_one_name(one: str, other: str) -> None:
    assert (names.ingest_name(one) == names.ingest_name(other)) == (one == other)


@given(PUBLISHED)
def test_what_it_is_published_under_is_a_name_too_and_another(stream: str) -> None:
    ingest = names.ingest_name(stream)
    assert names.is_published_name(ingest)
    assert ingest != stream
    assert names.split(ingest)[1] == names.split(stream)[1]
