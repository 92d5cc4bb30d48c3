"""Plain data from YAML: the core schema, merges, duplicates."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.plain_data import Flaw, core_scalar, plain_data
from streamd.config.references import UnresolvedError
from streamd.config.yaml_tree import Mapping, parse


def read(text: str) -> tuple[Any, list[Flaw]]:
    root = parse(text)
    assert root is None or isinstance(root, Mapping)

    def resolve(value: str) -> str:
        if "bad" in value:
            raise UnresolvedError("is not there; put it there")
        return value.replace("${x}", "resolved")

    return plain_data(root, resolve, lambda offset: f"@{offset}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("nULL", "nULL"),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("1", 1),
        ("-0", 0),
        ("+7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1e3", -1000.0),
        ("1e", "1e"),
        (".", "."),
        ("-", "-"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12:30", "12:30"),
        ("2026-12-01", "2026-12-01"),
        ("٣", "٣"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_unquoted_text_means_what_yaml_1_2_says(text: str, value: object) -> None:
    found = core_scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    found = core_scalar(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_quotes_and_tags_decide_before_looks() -> None:
    data, flaws = read("{a: '1', b: \"true\", c: !!str 1, d: ! 1, e: !!int '1', f: !!null ''}")
    assert data == {"a": "1", "b": "true", "c": "1", "d": "1", "e": 1, "f": None}
    assert not flaws


def test_names_are_text_whatever_they_look_like() -> None:
    assert read("{1: a, true: b, null: c, 1.0: d}")[0] == {
        "1": "a",
        "true": "b",
        "null": "c",
        "1.0": "d",
    }


def test_what_a_merge_brings_gives_way() -> None:
    data, flaws = read(
        "one: &one {a: 1, b: 1}\n"
        "two: &two {b: 2, c: 2}\n"
        "both: {<<: [*one, *two], c: 3}\n"
        "later: {c: 3, <<: *one}\n"
    )
    assert not flaws
    assert data["both"] == {"a": 1, "b": 1, "c": 3}
    assert data["later"] == {"a": 1, "b": 1, "c": 3}


def test_a_quoted_merge_sign_is_a_name() -> None:
    assert read('{"<<": 1}')[0] == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            Flaw(10, ("a",), "is here twice, first at @0; remove or rename one", spoils=False),
        ),
        (
            "s: [{k: 1, 'k': 2}]\n",
            Flaw(11, ("s", 0, "k"), "is here twice, first at @5; remove or rename one", False),
        ),
        ("s: {k: }\n", Flaw(4, ("s", "k"), "is empty; give it a value, or remove it")),
        ("s:\n  k:\n", Flaw(5, ("s", "k"), "is empty; give it a value, or remove it")),
        ("s: [a, ~]\n", Flaw(7, ("s", 1), "is empty; give it a value, or remove it")),
        (
            "a: {<<: 1}\n",
            Flaw(8, ("a",), "`<<` takes a mapping or a list of mappings; write `<<: *NAME`"),
        ),
        (
            "a: !secret x\n",
            Flaw(3, ("a",), "tags (`!...`) are not used here; remove it, or quote the text"),
        ),
        ("a: !!set {b: 1}\n", Flaw(3, ("a",), "tags (`!...`) are not used here; remove it")),
        ("a: !!seq {b: 1}\n", Flaw(3, ("a",), "tags (`!...`) are not used here; remove it")),
        ("a: ['x ${bad}']\n", Flaw(4, ("a", 0), "is not there; put it there")),
    ],
)
def test_a_flaw_is_told_with_its_place(text: str, flaw: Flaw) -> None:
    assert read(text)[1] == [flaw]


def test_an_empty_section_is_no_flaw() -> None:
    assert read("streams:\n") == ({"streams": None}, [])


def test_references_are_resolved_in_values_only() -> None:
    assert read("{'${x}': 'a ${x}', b: ['${x}']}") == (
        {"${x}": "a resolved", "b": ["resolved"]},
        [],
    )


PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8"), min_size=1),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text("abc$*&:{ ", max_size=5), below, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text("abc", max_size=3), PLAIN))
def test_what_a_yaml_writer_wrote_is_read_back(data: dict[str, Any]) -> None:
    # References are none of this module's business, and `<<` is a merge.
    text = yaml.safe_dump(data, allow_unicode=True, default_style='"')
    root = parse(text)
    assert root is None or isinstance(root, Mapping)
    assert plain_data(root, lambda value: value, str) == (data, [])
