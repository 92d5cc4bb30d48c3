"""From what pydantic says of the data to what an operator reads."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streamd.config import shape
from streamd.config.data_path import DataPath
from streamd.config.shape import Spot
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.errors import Problem

_LONGEST_ECHO = 60

# Of these pydantic says more than the operator needs, in the words of Python.
_MESSAGES = {
    "string_too_short": "is too short; write {min_length} characters or more",
    "too_short": "is too short; write {min_length} characters or more",
    "string_too_long": "is too long; write {max_length} characters or fewer",
    "too_long": "is too long; write {max_length} characters or fewer",
    "string_pattern_mismatch": "has a character that none has; write lower-case letters and digits",
    "greater_than": "is too small; write more than {gt}",
    "greater_than_equal": "is too small; write {ge} or more",
    "less_than": "is too large; write less than {lt}",
    "less_than_equal": "is too large; write {le} or less",
}


def schema_problems(error: ValidationError, source: Source, flawed: Set[DataPath]) -> list[Problem]:
    """Translate pydantic's errors.

    Args:
        error: from validating `Config`.
        source: where the data stands.
        flawed: paths of values of which something wrong is known already; no more is said of them.
    """
    suggestions = Suggestions()
    return [
        _problem(details, spot, source, suggestions)
        for details in error.errors(include_url=False)
        for spot in [shape.spot(details["loc"])]
        if not any(spot.path[:length] in flawed for length in range(len(spot.path) + 1))
    ]


def what_is_wrong(error: ValidationError, data: Mapping[str, Any]) -> frozenset[DataPath]:
    """Return the paths that pydantic's errors would go with, if they were left out of the data.

    Of an unknown name, the known one that it probably means is among them, where that is missing.
    """
    wrong: set[DataPath] = set()
    meant: dict[tuple[str, tuple[str, ...]], str] = {}
    suggestions = Suggestions()
    for details in error.errors(include_url=False):
        path = shape.spot(details["loc"]).path
        if details["type"] == "missing":
            wrong.add(path[:-1] or path)
            continue
        wrong.add(path)
        if details["type"] == "extra_forbidden":
            name, known = str(path[-1]), shape.fields_at(path[:-1])
            if (name, known) not in meant:
                meant[name, known] = suggestions.nearest_name(name, known)
            likely = (*path[:-1], meant[name, known])
            if likely[-1] and not _is_there(likely, data):
                wrong.add(likely)
    return frozenset(wrong)


def _is_there(path: DataPath, data: Any) -> bool:
    for step in path:
        if not isinstance(data, Mapping) or step not in data:
            return False
        data = data[step]
    return True


def _problem(
    details: ErrorDetails, spot: Spot, source: Source, suggestions: Suggestions
) -> Problem:
    path = spot.path
    if details["type"] == "missing":
        meaning = shape.description_of(path)
        return source.error(path[:-1], f"`{path[-1]}` is missing; add it. {meaning}", at_name=True)
    if details["type"] == "extra_forbidden":
        return source.error(
            path,
            unknown_field(str(path[-1]), shape.fields_at(path[:-1]), suggestions),
            at_name=True,
        )
    if spot.at_name:
        return source.error(path, _message(details, spot.annotation), at_name=True)
    message = _message(details, spot.annotation)
    if details["type"] == "literal_error":
        choices = _choices(spot.annotation)
        message += suggestions.nearest(source.written(path) or "", choices)
    return source.error(path, _subject(spot, source) + message)


def unknown_field(name: str, known: Iterable[str], suggestions: Suggestions) -> str:
    """Say that a field is unknown, with the nearest known name or all of them."""
    known = tuple(known)
    return "is not a field here; " + (
        suggestions.nearest(name, known).removeprefix("; ") or f"there are {', '.join(known)}"
    )


def _subject(spot: Spot, source: Source) -> str:
    """Quote a value as it is written, where it is short and cannot be a secret."""
    written = source.written(spot.path)
    types = list(shape.alternatives(spot.annotation))
    if (
        not written
        or len(written) > _LONGEST_ECHO
        or not types
        or ("://" in written and "@" in written)
        or shape.is_private(spot.annotation)
        or shape.model_of(spot.annotation) is not None
        or any(get_origin(found) in (dict, tuple) for found in types)
    ):
        return ""
    return f"{written!r} "


def _message(details: ErrorDetails, annotation: Any) -> str:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    if details["type"] in _MESSAGES:
        return _MESSAGES[details["type"]].format(**context)
    if details["type"] == "literal_error":
        *others, last = _choices(annotation)
        listed = f"{', '.join(others)} or {last}" if others else last
        return f"is not known here; write {listed}"
    return _type_message(details["input"], annotation)


def _type_message(value: Any, annotation: Any) -> str:
    """Say which kind of thing is expected, and what is there instead."""
    if shape.model_of(annotation) or shape.container_arguments(annotation, dict):
        return f"is {_kind(value)}; write a mapping, as indented lines of `name: value`"
    if shape.container_arguments(annotation, tuple):
        return f"is {_kind(value)}; write a list, as [a, b] or as lines that begin with `- `"
    words = shape.in_words(annotation)
    if isinstance(value, (bool, int, float)) and words != "true or false":
        return f"is {_kind(value)}, and text is needed; put it in quotes"
    return f"is {_kind(value)}; write {words}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else "empty"


def _choices(annotation: Any) -> list[str]:
    return [
        str(value)
        for found in shape.alternatives(annotation)
        if get_origin(found) is Literal
        for value in get_args(found)
    ]
