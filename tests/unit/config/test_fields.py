"""The types of single fields."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from streamd.config import fields
from streamd.config.fields import write_bit_rate, write_duration, write_percentage, write_size
from streamd.config.models import Hls, Key, Server


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (fields.Duration, "500ms", timedelta(milliseconds=500)),
        (fields.Duration, "1.5h", timedelta(minutes=90)),
        (fields.Duration, "7d", timedelta(days=7)),
        (fields.Duration, "0s", timedelta(0)),
        (fields.Percentage, "50%", 0.5),
        (fields.Percentage, "0.5 %", 0.005),
        (fields.Percentage, "100%", 1.0),
        (fields.Address, "127.0.0.1:2022", "127.0.0.1:2022"),
        (fields.Address, "[::1]:65535", "[::1]:65535"),
        (fields.Port, 1935, 1935),
        (fields.Port, "1935", 1935),
        (fields.Name, "a-b_0", "a-b_0"),
        (fields.Host, "live.example.com", "live.example.com"),
        (fields.Host, "2001:db8::1", "2001:db8::1"),
        (fields.AbsolutePath, "/usr/bin/ffmpeg", Path("/usr/bin/ffmpeg")),
        (fields.StreamPattern, "rooms/*", "rooms/*"),
        (fields.Timestamp, "2026-12-01T02:00:00+02:00", datetime(2026, 12, 1, tzinfo=UTC)),
        (fields.Timestamp, "2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        (fields.PublishKeys, "any", "any"),
        (fields.PublishKeys, ["any", "studio"], ("any", "studio")),
        (bool, "true", True),  # as a reference gives it
        (fields.BitRate, "8k", 8_000),
        (fields.BitRate, "2500k", 2_500_000),
        (fields.BitRate, "2.5M", 2_500_000),
        (fields.BitRate, "200M", 200_000_000),
        (fields.BitRate, " 128k ", 128_000),
        (fields.Size, "200MB", 200_000_000),
        (fields.Size, "1.5GB", 1_500_000_000),
        (fields.Size, "200GiB", 200 * 2**30),
        (fields.Size, "0.1TB", 100_000_000_000),
        (fields.TimeOfDay, "18:00", time(18)),
        (fields.TimeOfDay, "7:05", time(7, 5)),
        (fields.TimeOfDay, "23:59:59", time(23, 59, 59)),
        (fields.TimeOfDay, "00:00", time(0)),
        (fields.TimeZone, "UTC", "UTC"),
        (fields.TimeZone, "Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_a_value_is_taken(kind: Any, written: object, value: object) -> None:
    assert TypeAdapter(kind).validate_python(written) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (fields.Duration, "5"),
        (fields.Duration, 5),
        (fields.Duration, "-1s"),
        (fields.Duration, "1 s"),
        (fields.Duration, "1m30s"),
        (fields.Duration, "٣s"),
        (fields.Duration, "9" * 400 + "d"),
        (fields.Size, "200"),
        (fields.Size, 200),
        (fields.Size, "200 MB"),
        (fields.Size, "200mb"),
        (fields.Size, "-1GB"),
        (fields.Percentage, "101%"),
        (fields.Percentage, 0.5),
        (fields.Percentage, "0.5"),
        (fields.Address, "127.0.0.1"),
        (fields.Address, ":2022"),
        (fields.Address, "::1:2022"),
        (fields.Address, "h:0"),
        (fields.Address, "h:65536"),
        (fields.Address, "h:22\n"),
        (fields.Port, 0),
        (fields.Port, 65536),
        (fields.Port, True),
        (fields.Port, 1935.0),
        (fields.Port, "1e3"),
        (fields.Name, ""),
        (fields.Name, "A"),
        (fields.Name, "-a"),
        (fields.Name, "a.b"),
        (fields.Name, "a\n"),
        (fields.Name, "a" * 65),
        (fields.Host, "h/x"),
        (fields.Host, "h:80"),
        (fields.AbsolutePath, "ffmpeg"),
        (fields.AbsolutePath, ""),
        (fields.AbsolutePath, "/a\0b"),
        (fields.StreamPattern, "a//b"),
        (fields.StreamName, "rooms/*"),
        (fields.Timestamp, "2026-12-01T00:00:00"),
        (fields.Timestamp, "tomorrow"),
        (fields.Timestamp, 1_800_000_000),
        (fields.Timestamp, "0001-01-01T00:00:00+02:00"),
        (fields.PublishKeys, "studio"),
        (fields.PublishKeys, ["Studio"]),
        (fields.BitRate, 2_500_000),
        (fields.BitRate, "2500"),
        (fields.BitRate, "2500K"),
        (fields.BitRate, "2,5M"),
        (fields.BitRate, "-1M"),
        (fields.BitRate, "7.999k"),
        (fields.BitRate, "200.1M"),
        (fields.BitRate, "9999999M"),
        (fields.BitRate, "٣M"),
        (fields.TimeOfDay, "24:00"),
        (fields.TimeOfDay, "18:60"),
        (fields.TimeOfDay, "18:00:60"),
        (fields.TimeOfDay, "18"),
        (fields.TimeOfDay, "6pm"),
        (fields.TimeOfDay, "18:0"),
        (fields.TimeOfDay, "18:00Z"),
        (fields.TimeOfDay, "18:3٢"),
        (fields.TimeOfDay, 1080),
        (fields.TimeZone, ""),
        (fields.TimeZone, "Europe"),
        (fields.TimeZone, "Europe/Atlantis"),
        (fields.TimeZone, "../etc/passwd"),
        (fields.TimeZone, "/etc/localtime"),
        (fields.TimeZone, "a\0b"),
        (fields.TimeZone, 2),
    ],
)
def test_a_value_is_refused(kind: Any, written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(written)


def test_values_that_are_typed_already_stay() -> None:
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    key = Key(secret_sha256="0" * 64, not_before=moment)
    server = Server(binary=Path("/opt/srs"), hls=Hls(fragment=timedelta(seconds=3)))
    assert key.not_before == moment
    assert server.binary == Path("/opt/srs")
    assert server.hls.fragment == timedelta(seconds=3)


@given(st.integers(0, 10**9))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert TypeAdapter(fields.Duration).validate_python(write_duration(duration)) == duration


def test_a_percentage_is_written_as_in_the_file() -> None:
    assert [write_percentage(share) for share in (0.5, 1.0, 0.005)] == ["50%", "100%", "0.5%"]


@given(st.integers(8_000, 200_000_000))
def test_a_bit_rate_is_written_as_it_is_read(bits: int) -> None:
    assert TypeAdapter(fields.BitRate).validate_python(write_bit_rate(bits)) == bits


def test_a_bit_rate_is_written_in_thousands() -> None:
    assert [write_bit_rate(bits) for bits in (8_000, 2_500_000, 200_000_000)] == [
        *("8k", "2500k", "200000k"),
    ]


@given(st.integers(0, 10**15))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    whole = size - size % 1000
    assert TypeAdapter(fields.Size).validate_python(write_size(whole)) == whole


def test_a_size_is_written_in_the_largest_unit_that_divides_it() -> None:
    assert [write_size(size) for size in (200 * 2**30, 1_500_000_000, 10**12, 0)] == [
        *("200GiB", "1500MB", "1TB", "0TiB"),
    ]


@given(st.times().map(lambda each: each.replace(microsecond=0)))
def test_a_time_of_day_is_written_as_it_is_read(moment: time) -> None:
    kind = TypeAdapter[time](fields.TimeOfDay)
    assert kind.validate_python(kind.dump_python(moment, mode="json")) == moment


@pytest.mark.parametrize(
    ("kind", "written", "message"),
    [
        (fields.BitRate, "fast", "is not a bit rate; write for example 128k or 2.5M"),
        (fields.BitRate, "1k", "is out of range; write a bit rate from 8k to 200M"),
        (fields.TimeOfDay, "noon", "is not a time of day; write for example 18:00 or 18:00:30"),
        (fields.TimeOfDay, "25:00", "is not a time of day; write one from 00:00 to 23:59:59"),
        (
            fields.TimeZone,
            "Berlin",
            "is not a time zone that this machine knows; write a name such as Europe/Berlin",
        ),
    ],
)
def test_a_refusal_says_what_to_write(kind: Any, written: str, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(kind).validate_python(written)
    assert message in str(error.value)
