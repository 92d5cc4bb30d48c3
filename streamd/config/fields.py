"""The types of single fields: how each is written, read, and called in messages."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    PlainSerializer,
    SecretStr,
    Strict,
    Tag,
    WithJsonSchema,
)

from streamd.config.user_info import misleading
from streamd.names import is_pattern

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BIT_RATE = re.compile(r"(\d{1,7}(?:\.\d{1,6})?)([kM])", re.ASCII)
_BITS = {"k": 1_000, "M": 1_000_000}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(kB|MB|GB|TB|KiB|MiB|GiB|TiB)", re.ASCII)
_BYTES = {
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OPTION = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?", re.IGNORECASE)
_DOMAIN = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}")
_LONGEST_DOMAIN = 253
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?")

STORAGE_SCHEMES = ("s3", "cos", "oss", "obs", "gcs", "azblob", "b2", "webdav", "fs")
"""What the address of a storage can begin with."""


@dataclass(frozen=True, slots=True)
class InWords:
    """What a type is called in the reference and in messages, for people who write YAML.

    A `private` value is not repeated in messages: people put secrets where it belongs.
    """

    text: str
    private: bool = False


# The messages of these validators begin where the value as written ends ("'5x' is not ..."). The
# value itself is put in by `streamd.config.problems`, which knows whether it is a secret.


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a duration; write for example 500ms, 2s, 1m, 1h or 7d")
    return timedelta(seconds=float(match[1]) * _DURATION_S[match[2]])


def write_duration(value: timedelta) -> str:
    """Write a duration as in the file, in the largest unit that divides it: `90s`, `2h`."""
    milliseconds = round(value / timedelta(milliseconds=1))
    for unit, seconds in reversed(_DURATION_S.items()):
        count, rest = divmod(milliseconds, round(seconds * 1000))
        if rest == 0 and (count or unit == "s"):
            return f"{count}{unit}"
    return f"{milliseconds}ms"


def write_percentage(value: float) -> str:
    """Write a share of 1 as in the file: `50%`."""
    return f"{value * 100:g}%"


def _bit_rate(value: object) -> int:
    match = _BIT_RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a bit rate; write for example 128k or 2.5M (bits per second)")
    bits = round(float(match[1]) * _BITS[match[2]])
    if not 8_000 <= bits <= 200_000_000:
        raise ValueError("is out of range; write a bit rate from 8k to 200M")
    return bits


def write_bit_rate(value: int) -> str:
    """Write a bit rate as in the file: `2500k`."""
    return f"{Decimal(value) / 1_000:f}k"


def _size(value: object) -> int:
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a size; write for example 200MB, 1.5GB or 200GiB")
    return int(Decimal(match[1]) * _BYTES[match[2]])


def write_size(value: int) -> str:
    """Write a size as in the file, in the largest unit that divides it: `1500MB`, `200GiB`."""
    fitting = [(count, unit) for unit, size in _BYTES.items() if not value % (count := size)]
    count, unit = max(fitting, default=(1000, "kB"))
    return f"{Decimal(value) / count:f}{unit}"


def _time_of_day(value: object) -> time:
    match = _TIME_OF_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a time of day; write for example 18:00 or 18:00:30")
    try:
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        raise ValueError("is not a time of day; write one from 00:00 to 23:59:59") from None


@cache
def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _time_zone(value: str) -> str:
    if not _zone_exists(value):
        known = available_timezones()
        advice = "write a name such as Europe/Berlin, or UTC"
        if not known:
            advice = "this machine has no time zones; install tzdata"
        raise ValueError(f"is not a time zone that this machine knows; {advice}")
    return value


def _percentage(value: object) -> float:
    match = _PERCENTAGE.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError("is not a percentage; write for example 50%")
    return float(match[1]) / 100


def _address(value: str) -> str:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError("is not an address; write HOST:PORT, for example 127.0.0.1:2022")
    return value


def _port(value: object) -> int:
    # Text of digits is what `${env:PORT}` gives.
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,5}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 65536:
        raise ValueError("is not a port; write a number from 1 to 65535")
    return number


def _flag(value: object) -> object:
    # Text is what `${env:ENABLED}` gives.
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "is not a name; use up to 64 of a-z, 0-9, _ and -, beginning with a letter or digit"
        )
    return value


def _option(value: str) -> str:
    if not _OPTION.fullmatch(value):
        raise ValueError("is not an option; use a-z, 0-9 and _, as in access_key_id")
    return value


def _http_address(value: str) -> str:
    match = re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+(?:/[!-\"$->@-~]*)?", value)
    if match is None:
        raise ValueError("is not a web address; write for example https://HOST/PATH")
    return _leading(value)


def _authority_address(value: str) -> str:
    if not re.fullmatch(r"https://[A-Za-z0-9._:\[\]-]+(?:/[!-~]*)?", value):
        raise ValueError(
            "is no authority; write letsencrypt, letsencrypt-staging, zerossl, or the address of "
            "an ACME directory, as https://HOST/directory"
        )
    return _leading(value)


def _leading(value: str) -> str:
    fault = misleading(value)
    if fault is not None:
        raise ValueError(fault)
    return value


def _dns_name(value: str) -> str:
    if len(value) > _LONGEST_DOMAIN or not _DNS_NAME.fullmatch(value):
        raise ValueError("is not a name in the DNS; use letters, digits, - and dots")
    return value.rstrip(".").lower()


def _domain(value: str) -> str:
    if len(value) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(value):
        advice = "write a whole name, as live.example.com"
        if not value.isascii():
            advice = "write it as the DNS has it, as xn--... (`idn2 NAME`)"
        raise ValueError(f"is not a domain; {advice}")
    if value.rpartition(".")[2].isdecimal():
        raise ValueError("is not a domain but an address; write the name that leads to it")
    return value.lower()


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("is not an e-mail address; write for example ops@example.com")
    return value


def _tsig_secret(value: SecretStr) -> SecretStr:
    try:
        base64.b64decode(value.get_secret_value(), validate=True)
    except ValueError:
        raise ValueError("is not base64; write it as the name server's `secret` has it") from None
    return value


def _binding_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        raise ValueError("is not base64url; write it as the authority's web site shows it")
    return value


def _storage(value: str) -> str:
    scheme, separator, place = value.partition("://")
    if not separator or scheme not in STORAGE_SCHEMES or not place:
        raise ValueError(f"is not a storage; begin it with {'://, '.join(STORAGE_SCHEMES)}://")
    if "@" in place.partition("/")[0] or misleading(value) is not None:
        raise ValueError("has a name or password in it; write them under `options`")
    if scheme == "fs" and not place.startswith("/"):
        raise ValueError("is not an absolute path; write fs:///DIRECTORY")
    if not re.fullmatch(r"[A-Za-z0-9._:/~+=,@-]+", place) or {"..", "."} & set(place.split("/")):
        raise ValueError("cannot be a bucket and a prefix; use letters, digits and -_.~+=,")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("is not a host; write a name or an IP address, without a port")
    return value


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("is not an absolute path; begin it with `/`")
    return Path(value)


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("is not a SHA-256; write its 64 hex digits in lower case")
    return value


def _pattern(value: str) -> str:
    if not is_pattern(value):
        raise ValueError(
            "is not a stream name; write NAME or APP/NAME of letters, digits and _.~=+@,:- "
            "(each part beginning with a letter, a digit or _), and * for any part of a name"
        )
    return value


def _stream_name(value: str) -> str:
    if "*" in _pattern(value):
        raise ValueError("is a pattern; write it in a list under `streams` instead")
    return value


def _one_stream_name(value: str) -> str:
    if "*" in _pattern(value):
        raise ValueError("is a pattern; name one stream, without *")
    return value


def _timestamp(value: object) -> datetime:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise ValueError("is not a time; write for example 2026-12-01T00:00:00Z")
    if moment.tzinfo is None:
        raise ValueError("needs its zone; end it in Z for UTC, or in an offset as +02:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range; write a year from 2 to 9998") from None


def _kind_of_keys(value: Any) -> str:
    return "any" if value == "any" else "names"


Name = Annotated[str, InWords("name", private=True), AfterValidator(_name)]
OptionName = Annotated[str, InWords("option", private=True), AfterValidator(_option)]
OptionValue = Annotated[str | SecretStr, InWords("text", private=True)]
HttpAddress = Annotated[str, InWords("web address"), AfterValidator(_http_address)]
AuthorityAddress = Annotated[str, InWords("web address"), AfterValidator(_authority_address)]
DnsName = Annotated[str, InWords("name in the DNS"), AfterValidator(_dns_name)]
Domain = Annotated[str, InWords("domain"), AfterValidator(_domain)]
Email = Annotated[str, InWords("e-mail address"), AfterValidator(_email)]
Host = Annotated[str, InWords("host name or IP address"), AfterValidator(_host)]
Duration = Annotated[
    timedelta,
    InWords("duration"),
    BeforeValidator(_duration),
    PlainSerializer(write_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^{_DURATION.pattern}$"}),
]
Percentage = Annotated[
    float,
    InWords("percentage"),
    BeforeValidator(_percentage),
    PlainSerializer(write_percentage, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^{_PERCENTAGE.pattern}$"}),
]
BitRate = Annotated[
    int,
    InWords("bit rate"),
    BeforeValidator(_bit_rate),
    PlainSerializer(write_bit_rate, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^{_BIT_RATE.pattern}$"}),
]
Size = Annotated[
    int,
    InWords("size"),
    BeforeValidator(_size),
    PlainSerializer(write_size, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": rf"^{_SIZE.pattern}$"}),
]
TimeOfDay = Annotated[
    time,
    InWords("time of day"),
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": rf"^{_TIME_OF_DAY.pattern}$"}),
]
TimeZone = Annotated[str, InWords("time zone"), AfterValidator(_time_zone)]
Address = Annotated[str, InWords("HOST:PORT"), AfterValidator(_address)]
StreamPattern = Annotated[str, InWords("stream name or pattern"), AfterValidator(_pattern)]
StreamName = Annotated[str, InWords("stream name"), AfterValidator(_stream_name)]
"""Where several streams can be named beside it, under `streams`."""
OneStreamName = Annotated[str, InWords("stream name"), AfterValidator(_one_stream_name)]
AbsolutePath = Annotated[
    Path,
    InWords("absolute path"),
    BeforeValidator(_path, json_schema_input_type=str),
]
Timestamp = Annotated[datetime, InWords("time"), BeforeValidator(_timestamp)]
Flag = Annotated[bool, InWords("true or false"), Strict(), BeforeValidator(_flag)]
Port = Annotated[
    int,
    InWords("port"),
    BeforeValidator(_port),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]
Sha256 = Annotated[str, InWords("64 hex digits", private=True), AfterValidator(_sha256)]
Secret = Annotated[SecretStr, InWords("secret", private=True)]
TsigSecret = Annotated[SecretStr, InWords("secret", private=True), AfterValidator(_tsig_secret)]
BindingKey = Annotated[SecretStr, InWords("secret", private=True), AfterValidator(_binding_key)]
StorageAddress = Annotated[str, InWords("address", private=True), AfterValidator(_storage)]
SecretAddress = Annotated[SecretStr, InWords("address", private=True)]
Platform = Literal["youtube", "twitch", "facebook", "bilibili", "kuaishou", "wx", "custom"]
PublishKeys = Annotated[
    Annotated[Literal["any"], Tag("any")] | Annotated[tuple[Name, ...], Tag("names")],
    Discriminator(_kind_of_keys),
]
