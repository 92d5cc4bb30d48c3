"""The name that was probably meant."""

import pytest

from streamd.config.suggestions import Suggestions


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("kyes", ["keys", "key", "streams"], "; did you mean keys?"),
        ("keys", ["streams", "targets"], ""),
        ("", ["a"], ""),
        ("a", [], ""),
        ("notafter", ["not_before", "not_after"], "; did you mean not_after?"),
    ],
)
def test_the_nearest_name_is_told(word: str, known: list[str], hint: str) -> None:
    assert Suggestions().nearest(word, known) == hint


def test_ten_thousand_wrong_names_do_not_take_minutes() -> None:
    suggestions = Suggestions(comparisons=3)
    known = ["aaaa", "bbbb", "cccc", "dddd"]
    assert suggestions.nearest("bbbx", known) == "; did you mean bbbb?"
    assert suggestions.nearest("bbbx", known) == ""
