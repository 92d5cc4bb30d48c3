import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.engines.quoting import quoted, quoted_url
from streamd.errors import EngineError


@pytest.mark.parametrize("text", ["/var/lib/streamd", "/home/a b/ü", "http://127.0.0.1:1/x", "*"])
def test_ordinary_values_are_put_in_quotes(text: str) -> None:
    assert quoted(text, "it") == f'"{text}"'


@pytest.mark.parametrize("character", [*"\"'\\$#;{}[]\n\r\t\x00\x7f"])
def test_what_a_configuration_could_trip_over_is_refused_by_name(character: str) -> None:
    with pytest.raises(EngineError, match="the state directory"):
        quoted(f"/a{character}b", "the state directory")


def test_nothing_is_refused() -> None:
    with pytest.raises(EngineError):
        quoted("", "the hook path")


def test_only_the_host_of_a_url_may_be_in_brackets() -> None:
    assert quoted_url("http://[::1]:2023/x", "it") == '"http://[::1]:2023/x"'
    for url in ("http://[app]:2023/x", "http://[::1]:2023/[app]", "http://[::1]/[::1]", "[::1]"):
        with pytest.raises(EngineError, match="it"):
            quoted_url(url, "it")


@given(st.text())
def test_a_value_stays_one_word_or_is_refused(text: str) -> None:
    try:
        word = quoted(text, "it")
    except EngineError:
        return
    assert word == f'"{text}"'
    assert not set(text) & set("\"'\\$#;{}\n\r")
