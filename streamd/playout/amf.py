"""AMF0, in which RTMP writes its commands and FLV its metadata. Pure.

Adobe's Action Message Format AMF 0. Objects of every kind are dicts and arrays are lists; dates
are milliseconds since 1970.
"""

import struct
from collections.abc import Callable
from typing import TypeAlias

AmfValue: TypeAlias = "float | bool | str | dict[str, AmfValue] | list[AmfValue] | None"

_NUMBER, _BOOLEAN, _STRING, _OBJECT = range(4)
_NULL, _UNDEFINED = 5, 6
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING, _UNSUPPORTED = range(8, 14)
_XML, _TYPED_OBJECT = 15, 16

_SHORT_STRING = 0xFFFF
_DEEPEST = 32


class AmfError(ValueError):
    """The bytes are no AMF0, or use what nobody sends in it."""


def encode(*values: AmfValue) -> bytes:
    """Return values one after the other, as the fields of a command stand.

    Raises:
        AmfError: a value cannot be written.
    """
    return b"".join(map(_encoded, values))


def _encoded(value: AmfValue) -> bytes:
    match value:
        case None:
            return bytes((_NULL,))
        case bool():
            return bytes((_BOOLEAN, value))
        case int() | float():
            return struct.pack(">Bd", _NUMBER, value)
        case str():
            return _encoded_string(value)
        case dict():
            members = b"".join(_key(name) + _encoded(of) for name, of in value.items())
            return bytes((_OBJECT,)) + members + bytes((0, 0, _OBJECT_END))
        case list():
            return struct.pack(">BI", _STRICT_ARRAY, len(value)) + encode(*value)
    raise AmfError(f"{type(value).__name__} has no form in AMF0")


def _encoded_string(value: str) -> bytes:
    text = value.encode("utf-8", "surrogateescape")
    if len(text) <= _SHORT_STRING:
        return struct.pack(">BH", _STRING, len(text)) + text
    return struct.pack(">BI", _LONG_STRING, len(text)) + text


def _key(name: str) -> bytes:
    text = name.encode("utf-8", "surrogateescape")
    if not 0 < len(text) <= _SHORT_STRING:
        raise AmfError(f"a name of {len(text)} bytes has no form in AMF0")
    return struct.pack(">H", len(text)) + text


def decode(data: bytes) -> list[AmfValue]:
    """Return every value that stands in `data`.

    Text that is not UTF-8 keeps its bytes as lone surrogates.

    Raises:
        AmfError: it is cut off, nested deeper than 32, or no AMF0.
    """
    reader = _Reader(data)
    values: list[AmfValue] = []
    while not reader.at_end():
        values.append(reader.value())
    return values


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0

    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def value(self) -> AmfValue:
        marker = self._integer(1)
        read = _READ.get(marker)
        if read is None:
            raise AmfError(f"marker {marker} at byte {self._at - 1} is none of AMF0")
        self._depth += 1
        if self._depth > _DEEPEST:
            raise AmfError(f"values are nested deeper than {_DEEPEST}")
        value = read(self)
        self._depth -= 1
        return value

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise AmfError(f"ends after byte {len(self._data)}, in the middle of a value")
        self._at += count
        return taken

    def _integer(self, size: int) -> int:
        return int.from_bytes(self._take(size))

    def number(self) -> float:
        number: float = struct.unpack(">d", self._take(8))[0]
        return number

    def boolean(self) -> bool:
        return self._integer(1) != 0

    def string(self) -> str:
        return self._text(2)

    def long_string(self) -> str:
        return self._text(4)

    def _text(self, size: int) -> str:
        return self._take(self._integer(size)).decode("utf-8", "surrogateescape")

    def nothing(self) -> None:
        return None

    def date(self) -> float:
        moment = self.number()
        self._take(2)  # a time zone, which is reserved and zero
        return moment

    def members(self) -> dict[str, AmfValue]:
        found: dict[str, AmfValue] = {}
        while True:
            name = self.string()
            if not name and self._data[self._at : self._at + 1] == bytes((_OBJECT_END,)):
                self._at += 1
                return found
            found[name] = self.value()

    def ecma_array(self) -> dict[str, AmfValue]:
        self._take(4)  # how many members, which many writers do not know: an end follows anyway
        return self.members()

    def typed_object(self) -> dict[str, AmfValue]:
        self.string()
        return self.members()

    def strict_array(self) -> list[AmfValue]:
        return [self.value() for _ in range(self._integer(4))]


_READ: dict[int, Callable[[_Reader], AmfValue]] = {
    _NUMBER: _Reader.number,
    _BOOLEAN: _Reader.boolean,
    _STRING: _Reader.string,
    _OBJECT: _Reader.members,
    _NULL: _Reader.nothing,
    _UNDEFINED: _Reader.nothing,
    _ECMA_ARRAY: _Reader.ecma_array,
    _STRICT_ARRAY: _Reader.strict_array,
    _DATE: _Reader.date,
    _LONG_STRING: _Reader.long_string,
    _UNSUPPORTED: _Reader.nothing,
    _XML: _Reader.long_string,
    _TYPED_OBJECT: _Reader.typed_object,
}
