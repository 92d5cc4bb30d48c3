"""What every mapping of the file is read into."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


class Model(BaseModel):
    """Values: frozen, compared whole, and closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def written_fields(model: type[Model]) -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield each field of a model: as it is written in the file, its attribute, and the field.

    The two differ where the written name is a word of Python's own, as `for`.
    """
    for attribute, field in model.model_fields.items():
        yield field.alias or attribute, attribute, field
