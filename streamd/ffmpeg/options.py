"""Options of FFmpeg as it takes them: in its argv, or in a list that it reads. Pure."""

from collections.abc import Mapping


def arguments(options: Mapping[str, str]) -> tuple[str, ...]:
    """Return options as they stand in an argv."""
    return tuple(text for name, value in options.items() for text in (f"-{name}", value))


def concat_list(url: str, options: Mapping[str, str]) -> str:
    """Return a list of FFmpeg's concat format that holds one address, opened with some options.

    Source: https://ffmpeg.org/ffmpeg-formats.html, "concat".

    Raises:
        ValueError: the address or an option holds what a list cannot.
    """
    lines = (
        "ffconcat version 1.0",
        f"file {_quoted(url)}",
        *(f"option {name} {_quoted(text)}" for name, text in options.items()),
    )
    return "\n".join(lines) + "\n"


def printable(value: str) -> str:
    """Return a value that may stand in a line of a file.

    Raises:
        ValueError: it holds a control character.
    """
    if not value.isprintable():
        raise ValueError("holds a control character; paste it again")
    return value


def _quoted(value: str) -> str:
    return "'" + printable(value).replace("'", "'\\''") + "'"
