"""What a YAML parser complains about, in the words of someone who edits the file."""

import re

from yaml.error import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

# What YAML 1.2 calls non-printable (5.1), and the parsers refuse.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class YamlFault(Exception):  # noqa: N818 - it becomes a Problem and never reaches a user
    """Text that cannot be read on, and the offset of the character where that shows."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


# Matched against `context: problem` of the C parser (libyaml) and of the pure one, in this
# order. The second column tells where to point: at what was begun, or at where it went wrong.
_EXPLANATIONS: tuple[tuple[str, str, str], ...] = (
    (
        "scanning a quoted scalar.*end of stream|double-quoted scalar.*end of stream",
        "begin",
        "the quote that opens here is never closed; close it",
    ),
    (
        "unknown escape character",
        "fault",
        "a backslash in double quotes begins an escape; double it, or use single quotes",
    ),
    (
        "scanning an alias",
        "begin",
        'a value that begins with `*` needs quotes; write for example "*" or "rooms/*"',
    ),
    ("scanning an anchor", "begin", "a value that begins with `&` needs quotes"),
    (
        "scanning a tag|parsing a tag|tag handle",
        "begin",
        "a value that begins with `!` needs quotes",
    ),
    (
        "flow sequence",
        "begin",
        "the `[` that opens here is not closed properly; check `,` and `]`, and quote text that "
        "holds brackets",
    ),
    (
        "flow mapping",
        "begin",
        "the `{` that opens here is not closed properly; check `,` and `}`, and quote text that "
        'holds brackets, as "${env:NAME}"',
    ),
    (
        "mapping values are not allowed",
        "fault",
        "a `:` does not belong here; check the indentation of this line and the one before, and "
        "quote a text that holds `: `",
    ),
    (
        "could not find expected ':'",
        "begin",
        "this line is neither `name: value` nor part of a list; add the `:`, or check the "
        "indentation",
    ),
    ("violates indentation", "fault", "a tab cannot indent; use spaces"),
    (
        "block mapping|block collection|block sequence|block end",
        "fault",
        "this does not fit what stands before it; check the indentation and the quotes",
    ),
    ("block scalar", "fault", "only `|`, `>`, `-`, `+` or a digit may stand here"),
    ("directive|incompatible YAML", "fault", "a `%` directive is not needed here; remove the line"),
)


def explain(error: YAMLError, text: str, open_bracket: int | None) -> YamlFault:
    """Translate a parser's error.

    Args:
        error: what PyYAML raised.
        text: what it was reading.
        open_bracket: offset of the innermost `[` or `{` that was open then.
    """
    if isinstance(error, ReaderError):
        return _unprintable(text)
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return YamlFault(0, "is not YAML; check the file")
    fault = error.problem_mark.index
    begin = error.context_mark.index if error.context_mark is not None else fault
    if "cannot start any token" in error.problem:
        return _bad_start(fault, text)
    if "node content" in error.problem:
        if open_bracket is None:
            return YamlFault(fault, "a value is expected here; quote a text that begins so")
        kind = "sequence" if text[open_bracket] == "[" else "mapping"
        begin, described = open_bracket, f"flow {kind}"
    else:
        described = f"{error.context}: {error.problem}"
    for pattern, where, message in _EXPLANATIONS:
        if re.search(pattern, described):
            return YamlFault(begin if where == "begin" else fault, message)
    return YamlFault(fault, "is not YAML; check the indentation, quotes and brackets up to here")


def _bad_start(offset: int, text: str) -> YamlFault:
    character = text[offset : offset + 1]
    if character == "\t":
        return YamlFault(offset, "a tab cannot indent; use spaces")
    return YamlFault(offset, f"a value that begins with `{character}` needs quotes")


def _unprintable(text: str) -> YamlFault:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return YamlFault(0, "holds a character that YAML does not allow; remove it")
    return YamlFault(
        found.start(), f"the control character U+{ord(found[0]):04X} is not allowed; remove it"
    )
