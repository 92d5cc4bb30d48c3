"""What the models say of a place in the file: its fields, and its type in an operator's words."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from streamd.config.data_path import DataPath
from streamd.config.fields import InWords
from streamd.config.model import Model, written_fields
from streamd.config.models import Config

_WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number"}


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the data.

    Attributes:
        path: of names and positions in lists.
        at_name: the last name itself is meant, not what stands under it.
        annotation: the type of what is meant; None where the models know nothing.
    """

    path: DataPath
    at_name: bool
    annotation: Any


@cache
def hints(model: type[Model]) -> dict[str, Any]:
    """Return the annotation of each field by its written name, with all that is `Annotated`."""
    known = get_type_hints(model, include_extras=True)
    return {name: known[attribute] for name, attribute, _ in written_fields(model)}


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation allows, without None; named types stay whole."""
    origin = get_origin(annotation)
    if origin is Annotated and not any(
        isinstance(part, InWords) for part in annotation.__metadata__
    ):
        yield from alternatives(annotation.__origin__)
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from alternatives(part)
    elif annotation is not type(None):
        yield annotation


def model_of(annotation: Any) -> type[Model] | None:
    """Return the model that an annotation allows, if any."""
    for found in alternatives(annotation):
        if isinstance(found, type) and issubclass(found, Model):
            return found
    return None


def container_arguments(annotation: Any, kind: type) -> tuple[Any, ...] | None:
    """Return the arguments of the `dict` or `tuple` that an annotation allows, if any."""
    for found in alternatives(annotation):
        if get_origin(found) is kind:
            return get_args(found)
    return None


def spot(location: tuple[str | int, ...]) -> Spot:
    """Follow a location as pydantic gives it, which has tags of unions among its names."""
    path: DataPath = ()
    annotation: Any = Config
    holder: Any = None
    for step in location:
        if step == "[key]":
            arguments = container_arguments(holder, dict)
            return Spot(path, True, arguments[0] if arguments else None)
        known, below = _below(annotation, step)
        if known:
            path, holder, annotation = (*path, step), annotation, below
    return Spot(path, False, annotation)


def _below(annotation: Any, step: str | int) -> tuple[bool, Any]:
    """Go one step down; False where the step is only the tag of a union."""
    if isinstance(step, int):
        arguments = container_arguments(annotation, tuple)
        return True, arguments[0] if arguments else None
    arguments = container_arguments(annotation, dict)
    if arguments is not None:
        return True, arguments[1]
    model = model_of(annotation)
    if model is None or step.startswith("("):
        return False, annotation
    return True, hints(model).get(step)


def fields_at(path: DataPath) -> tuple[str, ...]:
    """Return the names of the fields that may stand at a path."""
    model = model_of(spot(path).annotation)
    return tuple(hints(model)) if model is not None else ()


def description_of(path: DataPath) -> str:
    """Return what the reference says of the field at a path."""
    model = model_of(spot(path[:-1]).annotation)
    if model is None:
        return ""
    known = {name: field for name, _, field in written_fields(model)}
    field = known.get(str(path[-1]))
    return (field.description or "") if field is not None else ""


def is_private(annotation: Any) -> bool:
    """Tell whether a value of this type may be, or may be mistaken for, a secret."""
    return any(
        isinstance(part, InWords) and part.private
        for found in alternatives(annotation)
        if get_origin(found) is Annotated
        for part in found.__metadata__
    )


def in_words(annotation: Any) -> str:
    """Write a type for an operator: `port`, `true or false`, `list of names`."""
    return " or ".join(dict.fromkeys(map(_word, alternatives(annotation))))


def _word(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return next(part.text for part in annotation.__metadata__ if isinstance(part, InWords))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"list of {in_words(arguments[0])}"
    if origin is dict and model_of(arguments[1]) is None:
        return f"mapping of {in_words(arguments[0])} to {in_words(arguments[1])}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, Model)):
        return "mapping"
    return _WORDS[annotation]
