"""Where things stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.data_path import DataPath, render
from streamd.config.source import Document, Source
from streamd.errors import Problem

TEXT = """\
servers:
  main:
    listen: {rtmp: 1935}
targets:
  one: &one
    streams:
      - a
      - b
  two:
    <<: *one
    url: x
"""
OTHER = "targets:\n  three: {url: y}\nkeys: {}\n"

SOURCE = Source((Document("config.yaml", TEXT), Document("conf.d/x.yaml", OTHER)))


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        # A value points at itself, a block of lines at its name.
        (("servers", "main", "listen", "rtmp"), "config.yaml:3:20", "config.yaml:3:14"),
        (("servers", "main", "listen"), "config.yaml:3:13", "config.yaml:3:5"),
        (("servers", "main"), "config.yaml:2:3", "config.yaml:2:3"),
        (("targets",), "config.yaml:4:1", "config.yaml:4:1"),
        (("targets", "one", "streams", 1), "config.yaml:8:9", "config.yaml:8:9"),
        # What an anchor gave stands at the anchor.
        (("targets", "two", "streams", 0), "config.yaml:7:9", "config.yaml:7:9"),
        (("targets", "two", "url"), "config.yaml:11:10", "config.yaml:11:5"),
        # What other files hold is found there.
        (("targets", "three", "url"), "conf.d/x.yaml:2:16", "conf.d/x.yaml:2:11"),
        (("keys",), "conf.d/x.yaml:3:7", "conf.d/x.yaml:3:1"),
        # What the files do not say is at the nearest thing that they do.
        (("servers", "main", "listen", "api"), "config.yaml:3:5", "config.yaml:3:5"),
        (("servers", "other"), "config.yaml:1:1", "config.yaml:1:1"),
        (("targets", "one", "streams", 7), "config.yaml:6:5", "config.yaml:6:5"),
        (("daemon", "status"), "config.yaml:1:1", "config.yaml:1:1"),
        ((), "config.yaml:1:1", "config.yaml:1:1"),
    ],
)
def test_a_path_is_found(path: DataPath, value: str, name: str) -> None:
    def at(problem: Problem) -> str:
        return f"{problem.file}:{problem.line}:{problem.column}"

    assert at(SOURCE.error(path, "x")) == value
    assert at(SOURCE.error(path, "x", at_name=True)) == name
    assert SOURCE.place(path) == name
    assert SOURCE.released().error(path, "x") == SOURCE.error(path, "x")


def test_a_value_is_told_as_it_is_written() -> None:
    assert SOURCE.written(("servers", "main", "listen", "rtmp")) == "1935"
    assert SOURCE.written(("servers", "main", "listen")) is None
    assert SOURCE.written(("servers", "main", "listen", "api")) is None


def test_names_are_told_over_all_files() -> None:
    assert SOURCE.declared("targets") == ["one", "two", "three"]
    assert SOURCE.declared("streams") == []


def test_a_warning_says_that_it_is_one() -> None:
    warning = SOURCE.warning(("targets", "one"), "odd; mend it")
    assert str(warning) == "config.yaml:5:3: targets.one: warning: odd; mend it"
    assert warning.warning


def test_values_of_references_are_shown_as_written() -> None:
    source = Source((Document("c", "a: 1"),), {"s3cret": "${env:S}", "s3cret-long": "${env:L}"})
    problem = source.error((), "at s3cret-long and s3cret.")
    assert problem.message == "at ${env:L} and ${env:S}."


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("targets", "t", "streams", 0), "targets.t.streams[0]"),
        (("streams", "rooms/*", "keys"), "streams.rooms/*.keys"),
        (("a", 0, 1, "b"), "a[0][1].b"),
    ],
)
def test_a_path_is_written_as_in_json_tools(path: DataPath, text: str) -> None:
    assert render(path) == text


@given(st.text("ab\r\n é😀"), st.integers(0, 30))
def test_a_position_lies_in_the_text(text: str, offset: int) -> None:
    line, column = Document("f", text).position(offset)
    lines = text.split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@given(st.text("ab\n é😀", min_size=1))
def test_a_position_leads_back_to_its_character(text: str) -> None:
    document = Document("f", text)
    for offset in range(len(text.rstrip("\r\n"))):
        line, column = document.position(offset)
        assert (text.split("\n")[line - 1] + "\n")[column - 1] == text[offset]
