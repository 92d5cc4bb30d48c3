"""Secrets leave no trace: what is written for people passes through here first.

Stdlib only and free of I/O, so that it also serves inside supervisord.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

MASK = "***"

# What a client presents as its secret is masked whether it is one or not: media servers log the
# wrong ones too, and those are often right ones with a letter missing.
_PRESENTED = re.compile(r"(?<=secret=)[^&\"'\s]+")

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
