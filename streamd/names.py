"""Names of streams: `app/stream`, their patterns, and what a publisher may call itself."""

import re
from functools import lru_cache

DEFAULT_APP = "live"
INGEST_APP = "in"
"""Streams with a fallback are published under this app, and played under their own name."""

MAX_NAME_LENGTH = 200

# A stream's name becomes part of URLs, HLS file names and log file names. This set is what RTMP
# encoders use in practice, and it leaves no room for `..`, separators or shell and INI syntax.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.~=+@,:-]*"
_PUBLISHED = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})+")
_PATTERN_SEGMENT = r"(?:[A-Za-z0-9_*][A-Za-z0-9_.~=+@,:*-]*)"
_PATTERN = re.compile(rf"{_PATTERN_SEGMENT}(?:/{_PATTERN_SEGMENT})*")


def is_published_name(stream: str) -> bool:
    """Tell whether `app/stream` is a name that streamd lets onto a server."""
    return len(stream) <= MAX_NAME_LENGTH and _PUBLISHED.fullmatch(stream) is not None


def is_pattern(text: str) -> bool:
    """Tell whether a name in the file is a legal stream name or pattern."""
    return len(text) <= MAX_NAME_LENGTH and _PATTERN.fullmatch(text) is not None


def full_name(text: str) -> str:
    """Complete a name from the file to `app/stream`.

    `livestream` is `live/livestream`, and a lone `*` is every stream of every app (`*/*`).
    """
    if text == "*":
        return "*/*"
    return text if "/" in text else f"{DEFAULT_APP}/{text}"


def split(stream: str) -> tuple[str, str]:
    """Split `app/stream` at its last slash, as RTMP servers do."""
    app, _, name = stream.rpartition("/")
    return app, name


def ingest_name(stream: str) -> str:
    """Return where `app/stream` is published when it has a fallback: `live/x` at `in/x`.

    One of another app keeps that: `lot/x` at `in/lot/x`.
    """
    app, name = split(stream)
    return f"{INGEST_APP}/{name if app == DEFAULT_APP else stream}"


def behind_ingest(published: str) -> tuple[str, ...]:
    """Return which streams could have a name as their `ingest_name`; () for no such name."""
    app, name = split(published)
    if app.partition("/")[0] != INGEST_APP:
        return ()
    rest = published.removeprefix(f"{INGEST_APP}/")
    found = [f"{DEFAULT_APP}/{name}"] if app == INGEST_APP else []
    return (*found, rest) if "/" in rest else tuple(found)


def has_wildcard(pattern: str) -> bool:
    """Tell whether a pattern can match more than one stream."""
    return "*" in pattern


@lru_cache(maxsize=65536)
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern == "*/*":
        return re.compile(r".+/[^/]+")
    first, *others = map(re.escape, pattern.split("*"))
    # Each `*` but the last takes the shortest text that fits, for good (an atomic group): `*`
    # never passes a slash, so no other choice matches more, and a name that a stranger sends
    # cannot make the match take long.
    middle = "".join(f"(?>[^/]*?{text})" for text in others[:-1])
    return re.compile(f"{first}{middle}[^/]*{others[-1]}")


def matches(pattern: str, stream: str) -> bool:
    """Tell whether `app/stream` matches a full pattern; `*` stays within one segment."""
    if "*" not in pattern:
        return pattern == stream
    return _compiled(pattern).fullmatch(stream) is not None


def overlap(one: str, other: str) -> bool:
    """Tell whether some stream could match both of two full patterns."""
    if "*" not in one:
        return matches(other, one)
    if "*" not in other:
        return matches(one, other)
    if "*/*" in (one, other):
        return True
    segments, others = one.split("/"), other.split("/")
    return len(segments) == len(others) and all(map(_segments_overlap, segments, others))


def _segments_overlap(one: str, other: str) -> bool:
    if "*" not in one or "*" not in other:
        return matches(one, other) if "*" in one else matches(other, one)
    # What stands between the stars of both can follow one another; only the ends can clash.
    head, other_head = one.partition("*")[0], other.partition("*")[0]
    tail, other_tail = one.rpartition("*")[2], other.rpartition("*")[2]
    return (head.startswith(other_head) or other_head.startswith(head)) and (
        tail.endswith(other_tail) or other_tail.endswith(tail)
    )


def specificity(pattern: str) -> tuple[int, int, str]:
    """Order patterns so that the greatest is the one that decides.

    A name without `*` beats every pattern; then the longer literal prefix, then the longer text.
    """
    literal = pattern.partition("*")[0]
    return (len(literal) if "*" in pattern else 1 << 30, len(pattern), pattern)
