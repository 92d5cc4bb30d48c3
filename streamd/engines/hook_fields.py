"""What clients of every engine put behind a stream's name."""

import re
from urllib.parse import unquote

# SRS joins what stands behind the app and behind the name with a second `?`.
_SEPARATOR = re.compile(r"&|\?(?=secret=)")


def secrets_of_query(query: str) -> tuple[str, ...]:
    """Return every value of `secret` in a query, with or without its `?`, percent-decoded.

    A plus sign stays one: publishers paste their keys as they are, and no form makes them.
    """
    return tuple(
        unquote(value)
        for name, _, value in (part.partition("=") for part in _SEPARATOR.split(query))
        if unquote(name.lstrip("?")) == "secret"
    )
