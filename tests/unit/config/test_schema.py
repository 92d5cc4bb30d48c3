"""The schema for editors."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from streamd.config.models import Config
from streamd.config.schema import json_schema


def field(model: str, name: str) -> Any:
    return json_schema()["$defs"][model]["properties"][name]


def test_it_is_json_and_closed_to_unknown_fields() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["required"] == ["version"]


@pytest.mark.parametrize(
    ("model", "name", "default"),
    [("Hls", "fragment", "2s"), ("Daemon", "max_stop", "50%"), ("Target", "enabled", True)],
)
def test_defaults_are_written_as_in_the_file(model: str, name: str, default: object) -> None:
    assert field(model, name)["default"] == default


@pytest.mark.parametrize(
    ("model", "name"),
    [("Hls", "fragment"), ("Listen", "rtmp"), ("Target", "enabled"), ("Server", "engine")],
)
def test_a_reference_may_stand_for_a_value(model: str, name: str) -> None:
    assert {"type": "string", "pattern": r"\$\{"} in _alternatives(field(model, name))


def test_it_has_what_pydantic_says_of_every_field() -> None:
    plain = TypeAdapter(Config).json_schema()
    assert json_schema()["$defs"].keys() == plain["$defs"].keys()
    assert field("Target", "url")["description"].startswith("Where to send")


def _alternatives(schema: Any) -> list[Any]:
    found = [schema]
    for part in schema.get("anyOf", ()):
        found += _alternatives(part)
    return found
