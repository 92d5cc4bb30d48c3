"""The JSON Schema of the file, for editors that complete and check YAML while it is written."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from streamd.config.models import Config

_REFERENCE = {"type": "string", "pattern": r"\$\{"}

# Keywords that make a schema refuse `${env:X}` where the value that it stands for would do.
_NARROWING = frozenset({"pattern", "format", "enum", "const", "minLength"})
_NARROW_TYPES = frozenset({"integer", "number", "boolean"})


def json_schema() -> dict[str, Any]:
    """Return the schema, which takes a reference wherever a single value stands.

    It knows single fields only; what concerns two places of the file is for `streamd check`.
    """
    schema = Config.model_json_schema(schema_generator=_Generator)
    opened: dict[str, Any] = _opened(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **opened,
        "title": "streamd",
    }


class _Generator(GenerateJsonSchema):
    """Writes defaults as they stand in the file: `2s`, and not PT2S."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        serialization = schema["schema"].get("serialization")
        if "default" in found and serialization and serialization["type"] == "function-plain":
            found["default"] = serialization["function"](schema["default"])
        return found


def _opened(schema: Any) -> Any:
    """Let every narrow value be a reference too. Names of fields and choices stay as they are."""
    if isinstance(schema, list):
        return [_opened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in _NARROW_TYPES or not _NARROWING.isdisjoint(schema):
        described = {
            key: schema[key] for key in ("description", "default", "title") if key in schema
        }
        return {"anyOf": [schema, _REFERENCE], **described}
    return {
        key: {name: _opened(part) for name, part in found.items()}
        if key in ("properties", "$defs")
        else _opened(found)
        if key in ("items", "anyOf", "oneOf", "additionalProperties")
        else found
        for key, found in schema.items()
    }
