"""How values from outside get into a media server's configuration: quoted, or not at all."""

import re

from streamd.errors import EngineError

# Both servers quote with `"`. What could end the quotes, start a variable of nginx's or a
# placeholder of SRS's file names ([app]) is refused, so that neither's escapes are relied on.
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"'\\$#;{}\[\]]+")
_IPV6_HOST = re.compile(r"//\[([0-9A-Fa-f:.]+)\]")


def quoted(value: object, what: str) -> str:
    """Return a value as one quoted word of a configuration file.

    Args:
        value: a path, URL or name.
        what: names the value in the error.

    Raises:
        EngineError: it holds a character that the servers cannot be given safely.
    """
    text = str(value)
    if _PLAIN.fullmatch(text) is None:
        raise EngineError(
            f"{what} {text!r} holds a character that a media server's configuration cannot take; "
            "use letters, digits, spaces and /._-+=@,:~%?&"
        )
    return f'"{text}"'


def quoted_url(url: str, what: str) -> str:
    """Return a URL as one quoted word: as `quoted`, with an IPv6 host in its brackets."""
    quoted(_IPV6_HOST.sub(r"//\1", url, count=1), what)
    return f'"{url}"'
