"""What SRS logs: where streams are named in it, and how it complains of its configuration."""

import re

_CALLED = "app|args|mount|pageUrl|param|sid|stream|stream_url|streamid|swfUrl|tcUrl"

STREAM_NAMES = (
    # The hook that a refusal comes from, whole, as JSON.
    rf'"(?:{_CALLED})":"((?:[^"\\]|\\.)*)',
    rf"\b(?:{_CALLED})=(.*?)(?=, | : |$)",
    r"\b(?:url|rurl|upath)=(?!http://)(.*?)(?=, | : |$)",
    r"\bstream (/.*?)(?= (?:is )?busy|$)",
    r"/servers/[^/]+/www/(.*?)(?=[\"',]| : |$)",
)
"""Regular expressions whose group is what a client called its stream, so maybe a secret."""

_REASON = re.compile(r"code=\d+(?:\([^)]*\))+ : (.+)")


def complaint(output: str) -> str:
    """Return what SRS complains of, out of its log."""
    found = _REASON.findall(output)
    lines = [line for line in output.splitlines() if line.strip()]
    return found[-1].strip() if found else (lines[-1].strip() if lines else "it says nothing")
