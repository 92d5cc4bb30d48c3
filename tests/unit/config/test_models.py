"""The whole file as a type."""

from streamd.config import models
from streamd.config.models import Config


def test_the_smallest_file_is_one_server_on_the_usual_ports() -> None:
    config = Config.model_validate({"version": 1})
    assert list(config.servers) == ["main"]
    assert config.servers["main"].listen is None


def test_named_sections_are_all_that_hold_objects_by_name() -> None:
    schema = Config.model_json_schema()["properties"]
    by_name = [name for name, field in schema.items() if "additionalProperties" in field]
    assert tuple(by_name) == models.NAMED_SECTIONS


def test_secrets_are_not_shown() -> None:
    config = Config.model_validate(
        {
            "version": 1,
            "keys": {"a": {"secret": "0123456789abcdef"}},
            "targets": {"t": {"key": "kk-kk"}},
        }
    )
    assert "0123456789abcdef" not in repr(config)
    assert "kk-kk" not in str(config)
