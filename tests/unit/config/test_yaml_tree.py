"""YAML that is not, and where it says so; and YAML that is made to hurt."""

import pytest
import yaml

from streamd.config import yaml_tree
from streamd.config.yaml_errors import YamlFault
from streamd.config.yaml_tree import MAX_DEPTH, Mapping, Scalar, Sequence, parse


@pytest.fixture(params=["libyaml", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = yaml.CSafeLoader if request.param == "libyaml" else yaml.SafeLoader
    monkeypatch.setattr(yaml_tree, "_LOADER", loader)


def test_the_parser_in_c_is_in_use() -> None:
    assert yaml_tree._LOADER is yaml.CSafeLoader


FAULTS = {
    "a: [1,\nb: 2\n": (3, "the `[` that opens here"),
    "a: {b: 1\nc: 2\n": (3, "the `{` that opens here"),
    "a: {b: ${env:X}}": (3, 'as "${env:NAME}"'),
    "a: [": (3, "the `[` that opens here"),
    'a: "abc\nb: 1\n': (3, "the quote that opens here"),
    "a: 'it''s\nb: 2": (3, "the quote that opens here"),
    "a:\n\tb: 1": (3, "a tab cannot indent"),
    "a:\n  b: 1\n\tc: 2": (10, "a tab cannot indent"),
    "a: @b": (3, "a value that begins with `@` needs quotes"),
    "a: %x": (3, "a value that begins with `%` needs quotes"),
    "a: b: c": (4, "a `:` does not belong here"),
    "a:\n  b: 1\n c: 2": (11, "does not fit what stands before it"),
    "a: 1\n  b: 2": (8, "a `:` does not belong here"),
    "a: 1\nb\nc: 2": (5, "neither `name: value` nor part of a list"),
    "a: 1\n- b": (5, "does not fit what stands before it"),
    'a: "b" c': (7, "does not fit what stands before it"),
    "a: ]": (3, "a value is expected here"),
    "streams: *": (9, "a value that begins with `*` needs quotes"),
    "streams: [*]": (10, "a value that begins with `*` needs quotes"),
    "streams: {*: 1}": (10, "a value that begins with `*` needs quotes"),
    "a: &": (3, "a value that begins with `&` needs quotes"),
    "a: !x!y z": (3, "a value that begins with `!` needs quotes"),
    "a: |5x\n": (5, "only `|`"),
    "a: \x01": (3, "the control character U+0001"),
    "%YAML 3.0\n---\na: 1": (0, "a `%` directive is not needed"),
    "a: 1\n---\nb: 1": (5, "a second document begins here"),
    "a: *b": (3, "`*b` has no anchor before it"),
    "a: &b [*b]": (7, "`*b` would contain itself"),
    "? [a]\n: 1": (2, "a list or mapping cannot be a name"),
}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_placed_and_explained(text: str) -> None:
    offset, message = FAULTS[text]
    with pytest.raises(YamlFault) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.offset == offset


@pytest.mark.usefixtures("parser")
def test_an_unknown_escape_is_explained() -> None:
    with pytest.raises(YamlFault, match="a backslash in double quotes"):
        parse('a: "\\q"')


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "text",
    [
        "a: {b: 2026-12-01T00:00:00Z, c: rtmp://host/app}",
        "%YAML 1.2\n---\na: 1\n...\n",
        "a: {rooms/*: 1}\n",
        '{"a": [1, 2]}',
        "a: 1\r\nb: 2\r\n",
        "é: 😀\n",
    ],
)
def test_what_is_legal_is_taken(text: str) -> None:
    assert isinstance(parse(text), Mapping)


@pytest.mark.parametrize("text", ["", "# nothing\n", "\n\n"])
def test_no_document_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "? "])
def test_nesting_without_end_is_refused_at_once(bracket: str) -> None:
    with pytest.raises(YamlFault, match=r"nests deeper|cannot be a name"):
        parse(bracket * 100_000)


def test_nesting_through_aliases_is_refused() -> None:
    half = MAX_DEPTH * 2 // 3
    with pytest.raises(YamlFault, match="nests deeper"):
        parse(f"a: &a {'[' * half}{']' * half}\nb: {'[' * half}*a{']' * half}")


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for number in range(1, 10):
        again = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"a{number}: &a{number} [{again}]")
    with pytest.raises(YamlFault, match="aliases of this file repeat too much"):
        parse("\n".join(lines))


def test_an_alias_stands_for_the_anchored_node() -> None:
    root = parse("a: &x [1]\nb: *x\n")
    assert isinstance(root, Mapping)
    assert root.pairs[0][1] is root.pairs[1][1]


def test_offsets_count_characters() -> None:
    root = parse("é😀: [ü, 'x']\n")
    assert isinstance(root, Mapping)
    items = root.pairs[0][1]
    assert isinstance(items, Sequence)
    assert [(item.offset, item.text) for item in items.items if isinstance(item, Scalar)] == [
        (5, "ü"),
        (8, "x"),
    ]


def test_the_index_takes_the_first_of_two_and_merges_last() -> None:
    root = parse("base: &b {k: 1, m: 2}\nuse: {<<: *b, k: 3, k: 4}\n")
    assert isinstance(root, Mapping)
    use = root.index()["use"][1]
    assert isinstance(use, Mapping)
    values = {name: node for name, (_, node) in use.index().items()}
    assert {name: node.text for name, node in values.items() if isinstance(node, Scalar)} == {
        "k": "3",
        "m": "2",
    }
