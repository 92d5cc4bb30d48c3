"""What nginx logs: where streams are named in it, and how it complains of its configuration."""

import re

STREAM_NAMES = (
    r"request: \"(?:[A-Z]+ )?(.*?)(?= HTTP/|\", |\"?$)",
    r"referrer: \"(.*?)(?=\", |\"?$)",
    r"\bname(?:=|:? )'(.*?)(?='|$)",
    r"application not found: '(.*?)(?='|$)",
    r"/servers/[^/]+/www/(.*?)(?=[\"']|$)",
)
"""Regular expressions whose group is what a client called its stream, so maybe a secret."""

_COMPLAINT = re.compile(r"\[(?:emerg|alert|crit|error)\] [^:]*: (.+)")


def complaint(output: str) -> str:
    """Return what nginx complains of."""
    found = _COMPLAINT.search(output)
    return found[1].strip() if found else (output.strip() or "it says nothing")
