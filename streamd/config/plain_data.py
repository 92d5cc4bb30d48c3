"""From a YAML tree to plain data: scalars of the YAML 1.2 core schema, merges, references."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamd.config.data_path import DataPath
from streamd.config.references import UnresolvedError
from streamd.config.yaml_tree import CORE, Mapping, Node, Scalar, Sequence

_CONSTANTS: dict[str, bool | float | None] = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
    | dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf)
    | dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf)
    | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
)
_MAY_BE_NUMBER = frozenset("+-.0123456789")
_LONGEST_NUMBER = 100  # beyond it stands no number; reading one takes quadratic time
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SCALAR_TAGS = {f"{CORE}{kind}" for kind in ("int", "float", "bool", "null")}


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with one place of one file, found while reading it.

    `spoils` tells that the value at the path cannot be used, so that no more should be said of it.
    """

    offset: int
    path: DataPath
    message: str
    spoils: bool = True


def plain_data(
    root: Mapping | None, resolve: Callable[[str], str], name_place: Callable[[int], str]
) -> tuple[dict[str, Any], list[Flaw]]:
    """Return dicts, lists, text, numbers, booleans and None, and what is wrong with them.

    A value that a flaw spoils stands in the data too, so that the rest can be looked at.

    Args:
        root: of the tree; None for a text of comments.
        resolve: replaces the references of a text; raises UnresolvedError.
        name_place: writes an offset as `file:line:column`.
    """
    reading = _Reading(resolve, name_place)
    return reading.mapping(root) if root is not None else {}, reading.flaws


class _Reading:
    def __init__(self, resolve: Callable[[str], str], name_place: Callable[[int], str]) -> None:
        self._resolve = resolve
        self._name_place = name_place
        self._path: list[str | int] = []
        self.flaws: list[Flaw] = []

    def value(self, node: Node) -> Any:
        if isinstance(node, Scalar):
            return self._scalar(node)
        if isinstance(node, Mapping):
            return self.mapping(node)
        return self._sequence(node)

    def _flaw(self, node: Node, message: str, *, spoils: bool = True) -> None:
        self.flaws.append(Flaw(node.offset, tuple(self._path), message, spoils))

    def _scalar(self, node: Scalar) -> Any:
        text = node.text
        if "${" in text:
            try:
                return self._resolve(text)
            except UnresolvedError as error:
                self._flaw(node, str(error))
                return text
        if node.tag is None:
            return core_scalar(text) if node.plain else text
        if node.tag in _SCALAR_TAGS:
            return core_scalar(text)
        if node.tag not in ("!", f"{CORE}str"):
            self._flaw(node, "tags (`!...`) are not used here; remove it, or quote the text")
        return text

    def _sequence(self, node: Sequence) -> list[Any]:
        self._check_tag(node, "seq")
        items = []
        for position, item in enumerate(node.items):
            self._path.append(position)
            items.append(self._filled(item, node))
            self._path.pop()
        return items

    def mapping(self, node: Mapping) -> dict[str, Any]:
        self._check_tag(node, "map")
        result: dict[str, Any] = {}
        first_places: dict[str, Scalar] = {}
        merged = []
        for key, child in node.pairs:
            name = key.text
            if name == "<<" and key.plain:
                merged.append(child)
                continue
            self._path.append(name)
            if name in result:
                self._flaw(
                    key,
                    f"is here twice, first at {self._name_place(first_places[name].offset)}; "
                    "remove or rename one",
                    spoils=False,
                )
            else:
                first_places[name] = key
                result[name] = self._filled(child, key)
            self._path.pop()
        for child in merged:
            self._merge(child, result)
        return result

    def _filled(self, node: Node, holder: Node) -> Any:
        """Read a value that has to be there, except for a whole section."""
        found = self.value(node)
        if found is None and len(self._path) > 1:
            # An empty value shows no character of its own; its name does.
            self._flaw(
                holder if isinstance(holder, Scalar) else node,
                "is empty; give it a value, or remove it",
            )
        return found

    def _merge(self, node: Node, result: dict[str, Any]) -> None:
        sources = node.items if isinstance(node, Sequence) else [node]
        for source in sources:
            if not isinstance(source, Mapping):
                self._flaw(source, "`<<` takes a mapping or a list of mappings; write `<<: *NAME`")
                continue
            for name, found in self.mapping(source).items():
                result.setdefault(name, found)

    def _check_tag(self, node: Mapping | Sequence, kind: str) -> None:
        if node.tag not in (None, "!", f"{CORE}{kind}"):
            self._flaw(node, "tags (`!...`) are not used here; remove it")


def core_scalar(text: str) -> str | int | float | bool | None:
    """Return what an unquoted text means in YAML 1.2: `yes` and `010` stay what they look like.

    Source: YAML 1.2.2, 10.3.2, "Tag Resolution" of the core schema.
    """
    if text[:1] in _MAY_BE_NUMBER and len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _BASED_INTEGER.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    return _CONSTANTS.get(text, text)
