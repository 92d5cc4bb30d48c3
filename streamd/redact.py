"""Secrets leave no trace: what is written for people passes through here first.

Needs the standard library alone and is free of I/O, so that it also serves inside supervisord and
in playouts and archives.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

from streamd.ffmpeg.rtmp_address import split_rtmp

MASK = "***"

# What a client presents as its secret is masked whether it is one or not: media servers log the
# wrong ones too, and those are often right ones with a letter missing.
_PRESENTED = re.compile(r"(?<=secret=)[^&\"'\s]+")

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+-]*://[^\s'\"]*[^\s'\".,:;]")

_SHORTEST_VALUE = 6  # what is shorter in a query is mostly a flag, such as `s_bl=1`
_SECRET_NAME = re.compile(r"(?i)pass|pwd|key|token|secret|auth|sig|streamid")
_PLACEHOLDERS = ("{app}", "{stream}")  # of a target's address; the names they stand for are public

_SHORT = 4
_NOT_IN_WORD = "(?<![A-Za-z0-9])", "(?![A-Za-z0-9])"


class Redactor:
    """Masks every occurrence of given secrets in a text, percent-encoded ones too.

    Occurrences that overlap are masked whole. A secret of fewer than 4 characters is masked only
    where no letter or digit touches it, so that a key `a` does not blot out every log.

    Args:
        secrets: the texts that never come out.
        patterns: regular expressions; what the first group of each takes is masked too.
    """

    def __init__(self, secrets: Iterable[str], patterns: Iterable[str] = ()) -> None:
        longest_first = sorted({text for text in secrets if text}, key=lambda t: (-len(t), t))
        alternatives = "|".join(map(_occurrence, longest_first))
        # The lookahead is tried at every position, so an overlapping secret is seen as well.
        self._pattern = re.compile(f"(?=({alternatives}))") if alternatives else None
        self._around = tuple(map(re.compile, patterns))

    def __call__(self, text: str) -> str:
        """Return `text` with `***` for each secret in it, and for what follows any `secret=`."""
        masked = self._without_known(text)
        if "secret=" in masked:
            masked = _PRESENTED.sub(MASK, masked)
        for pattern in self._around:
            masked = pattern.sub(_without_group, masked)
        return masked

    def _without_known(self, text: str) -> str:
        if self._pattern is None:
            return text
        parts: list[str] = []
        done = 0
        masked = False
        for match in self._pattern.finditer(text):
            start, end = match.span(1)
            if start > done or not masked:
                parts += (text[done:start], MASK)
            masked = True
            done = max(done, end)
        return "".join((*parts, text[done:])) if parts else text


def _without_group(match: re.Match[str]) -> str:
    start, end = (position - match.start() for position in match.span(1))
    return f"{match[0][:start]}{MASK}{match[0][end:]}" if end > start else match[0]


def _occurrence(secret: str) -> str:
    pattern = "".join(map(_character, secret))
    if len(secret) < _SHORT:
        before, after = _NOT_IN_WORD
        return f"{before}{pattern}{after}"
    return pattern


@lru_cache(maxsize=4096)
def _character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
    form = "|\\+" if character == " " else ""
    return f"(?:{re.escape(character)}|(?i:{encoded}){form})"


def redact_url(url: str) -> str:
    """Return an address that can be shown: scheme, host, port and app, all else masked.

    Masked are credentials, the stream key (the last of two or more parts of the path) and the
    values of the query. What is not an address is masked whole.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.replace("+", "").replace("-", "").isalnum():
        return MASK
    place, query_separator, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    credentials, at, host = authority.rpartition("@")
    app, last_slash, key = path.rpartition("/")
    if last_slash and key:
        path = f"{app}/{MASK}"
    return "".join(
        (
            f"{scheme}://",
            f"{MASK}@" if at and credentials else at,
            host,
            slash,
            path,
            query_separator,
            "&".join(map(_masked_parameter, query.split("&"))) if query else "",
        )
    )


def _masked_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        return MASK if name else ""
    return f"{name}={MASK}" if value else parameter


def redact_urls(text: str) -> str:
    """Return a text with every address in it as `redact_url` shows it.

    A full stop, comma, colon or semicolon at the end of an address is taken for the text's.
    """
    return _ADDRESS.sub(lambda match: redact_url(match[0]), text)


def redact_text(text: str, *addresses: str) -> str:
    """Return a message with its addresses redacted, and the secrets of `addresses` masked.

    The addresses of targets may hold `{app}` and `{stream}`, which are masked nowhere.
    """
    found = {part for each in addresses for part in address_secrets(each, with_flags=True)}
    return Redactor(found.difference(_PLACEHOLDERS))(redact_urls(text))


def address_secrets(url: str, *, with_flags: bool = False) -> tuple[str, ...]:
    """Return the texts of an address that must be masked wherever they are shown, longest first.

    They are name and password, the stream of an RTMP address, and of the query the values that
    are long or named as a secret is; each as it is written and as it is meant. Host, port and app
    are none of them, nor is the path of an address that is not RTMP.

    Args:
        url: the address; what is none has no secrets.
        with_flags: all that `redact_url` masks, so short values and the last part of any path too.
            A message can do without these words, and a log cannot.
    """
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    credentials = authority.rpartition("@")[0]
    found = {credentials, credentials.partition(":")[2]}
    queries = [query]
    if scheme in ("rtmp", "rtmps"):
        app, stream = _rtmp_names(url)
        found |= {stream, stream.partition("?")[0]}
        queries += (app.partition("?")[2], stream.partition("?")[2])
    if with_flags and "/" in path:
        found.add(path.rpartition("/")[2])
    for name, value in _parameters(queries):
        if with_flags or len(value) >= _SHORTEST_VALUE or _SECRET_NAME.search(name):
            found.add(value)
    found |= {unquote(text) for text in found}
    return tuple(sorted(found - {""}, key=lambda text: (-len(text), text)))


def _rtmp_names(url: str) -> tuple[str, str]:
    try:
        return split_rtmp(url)[1:]
    except ValueError:  # nothing is sent to it, nor pulled from it
        return "", ""


def _parameters(queries: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield names and values; what stands there without a name is a value."""
    for parameter in (part for query in queries for part in query.split("&")):
        name, equals, value = parameter.partition("=")
        yield (name, value) if equals else ("", name)
