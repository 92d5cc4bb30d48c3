"""The types of single fields."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from streamd.config import models
from streamd.config.models import Config, write_duration, write_percentage


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (models.Duration, "500ms", timedelta(milliseconds=500)),
        (models.Duration, "1.5h", timedelta(minutes=90)),
        (models.Duration, "7d", timedelta(days=7)),
        (models.Duration, "0s", timedelta(0)),
        (models.Percentage, "50%", 0.5),
        (models.Percentage, "0.5 %", 0.005),
        (models.Percentage, "100%", 1.0),
        (models.Address, "127.0.0.1:2022", "127.0.0.1:2022"),
        (models.Address, "[::1]:65535", "[::1]:65535"),
        (models.Port, 1935, 1935),
        (models.Port, "1935", 1935),
        (models.Name, "a-b_0", "a-b_0"),
        (models.Host, "live.example.com", "live.example.com"),
        (models.Host, "2001:db8::1", "2001:db8::1"),
        (models.AbsolutePath, "/usr/bin/ffmpeg", Path("/usr/bin/ffmpeg")),
        (models.StreamPattern, "rooms/*", "rooms/*"),
        (models.Timestamp, "2026-12-01T02:00:00+02:00", datetime(2026, 12, 1, tzinfo=UTC)),
        (models.Timestamp, "2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        (models.PublishKeys, "any", "any"),
        (models.PublishKeys, ["any", "studio"], ("any", "studio")),
        (bool, "true", True),  # as a reference gives it
    ],
)
def test_a_value_is_taken(kind: Any, written: object, value: object) -> None:
    assert TypeAdapter(kind).validate_python(written) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (models.Duration, "5"),
        (models.Duration, 5),
        (models.Duration, "-1s"),
        (models.Duration, "1 s"),
        (models.Duration, "1m30s"),
        (models.Duration, "٣s"),
        (models.Duration, "9" * 400 + "d"),
        (models.Percentage, "101%"),
        (models.Percentage, 0.5),
        (models.Percentage, "0.5"),
        (models.Address, "127.0.0.1"),
        (models.Address, ":2022"),
        (models.Address, "::1:2022"),
        (models.Address, "h:0"),
        (models.Address, "h:65536"),
        (models.Address, "h:22\n"),
        (models.Port, 0),
        (models.Port, 65536),
        (models.Port, True),
        (models.Port, 1935.0),
        (models.Port, "1e3"),
        (models.Name, ""),
        (models.Name, "A"),
        (models.Name, "-a"),
        (models.Name, "a.b"),
        (models.Name, "a\n"),
        (models.Name, "a" * 65),
        (models.Host, "h/x"),
        (models.Host, "h:80"),
        (models.AbsolutePath, "ffmpeg"),
        (models.AbsolutePath, ""),
        (models.AbsolutePath, "/a\0b"),
        (models.StreamPattern, "a//b"),
        (models.StreamName, "rooms/*"),
        (models.Timestamp, "2026-12-01T00:00:00"),
        (models.Timestamp, "tomorrow"),
        (models.Timestamp, 1_800_000_000),
        (models.Timestamp, "0001-01-01T00:00:00+02:00"),
        (models.PublishKeys, "studio"),
        (models.PublishKeys, ["Studio"]),
    ],
)
def test_a_value_is_refused(kind: Any, written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(written)


def test_values_that_are_typed_already_stay() -> None:
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    key = models.Key(secret_sha256="0" * 64, not_before=moment)
    server = models.Server(binary=Path("/opt/srs"), hls=models.Hls(fragment=timedelta(seconds=3)))
    assert key.not_before == moment
    assert server.binary == Path("/opt/srs")
    assert server.hls.fragment == timedelta(seconds=3)


@given(st.integers(0, 10**9))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert TypeAdapter(models.Duration).validate_python(write_duration(duration)) == duration


def test_a_percentage_is_written_as_in_the_file() -> None:
    assert [write_percentage(share) for share in (0.5, 1.0, 0.005)] == ["50%", "100%", "0.5%"]


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
