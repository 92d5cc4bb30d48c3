"""The index finds what trying every pattern would find."""

from hypothesis import given
from hypothesis import strategies as st

from streamd import names
from streamd.config.pattern_index import PatternIndex

TEXT = st.text("ab*", min_size=1, max_size=4)
PATTERNS = st.lists(TEXT, min_size=2, max_size=3).map("/".join).filter(names.is_pattern)
STREAMS = PATTERNS.map(lambda text: text.replace("*", "a"))


@given(st.lists(PATTERNS, max_size=12), STREAMS)
def test_matching_is_what_matches(patterns: list[str], stream: str) -> None:
    found = list(PatternIndex(patterns).matching(stream))
    assert len(found) == len(set(found))
    assert set(found) == {pattern for pattern in patterns if names.matches(pattern, stream)}


@given(st.lists(PATTERNS, max_size=12), PATTERNS)
def test_overlapping_is_what_overlaps(patterns: list[str], pattern: str) -> None:
    found = list(PatternIndex(patterns).overlapping(pattern))
    assert len(found) == len(set(found))
    assert set(found) == {other for other in patterns if names.overlap(pattern, other)}


@given(st.lists(PATTERNS, max_size=12))
def test_adding_twice_is_adding_once(patterns: list[str]) -> None:
    index = PatternIndex(patterns + patterns)
    for pattern in patterns:
        assert list(index.overlapping(pattern)).count(pattern) == 1


def test_a_name_comes_before_patterns() -> None:
    assert next(PatternIndex(["*/*", "live/*", "live/a"]).matching("live/a")) == "live/a"
