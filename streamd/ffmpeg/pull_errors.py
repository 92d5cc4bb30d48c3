"""What the log of an FFmpeg that pulls says went wrong, in an operator's words. Pure."""

import re
from collections.abc import Sequence

from streamd.config.user_info import WRITE_ENCODED
from streamd.redact import redact_urls

_LONGEST = 300
_HOST = r"[a-z]+://(?:[^/\s]*@)?(?P<host>[^/?\s]+)"

# The first rule that fits any line decides, so what tells more stands first.
_CAUSES = tuple(
    (re.compile(pattern), message)
    for pattern, message in (
        (
            r"Failed to resolve hostname (?P<host>\S+?):",
            "the name {host} does not resolve; check the address, and DNS on this machine",
        ),
        (
            r"certificate's owner does not match hostname (?P<host>\S+)",
            "the certificate of {host} is for another name; check the address",
        ),
        (
            r"certificate verify failed|(?i:peer certificate failed verification)"
            r"|(?i:certificate verification failed)",
            "its certificate cannot be verified; check the address, and that ca-certificates is "
            "installed here (or set SSL_CERT_FILE)",
        ),
        (
            r"401 Unauthorized",
            f"it refuses name and password; check them, and {WRITE_ENCODED}",
        ),
        (r"403 Forbidden", "it refuses this address (403); check it, and what may read from there"),
        (r"404 Not Found", "it has no stream at this address (404); check the path"),
        (r"461 Unsupported transport", "it does not send over this transport; try the other one"),
        (
            r"(?:method \w+ failed:|HTTP error|Server returned) (?P<reason>[45]\w\w.*)",
            "it answers {reason}",
        ),
        (r"Server error: (?P<reason>.+)", "it says: {reason}"),
        (
            r"Connection to " + _HOST + r"\S* failed: Connection refused",
            "{host} refuses the connection; nothing listens there, or a firewall is in the way",
        ),
        (
            r"Connection to srt://(?P<host>[^/?\s]+)\S* failed",
            "no SRT connection to {host}; check address, stream id and passphrase, and that UDP "
            "passes",
        ),
        (
            r"Connection to " + _HOST + r"\S* failed: (?P<reason>.+)",
            "no connection to {host}: {reason}",
        ),
        (
            r"not on whitelist|blocked for security reasons|is not in allowed_\w+"
            r"|mismatches allowed extensions",
            "it names something that is not read, as files of this machine; look at its playlist",
        ),
        (
            r"(?:Decoder|decoder) \(codec (?P<codec>\S+)\) not found",
            "this FFmpeg cannot decode {codec}; install one that can",
        ),
        (
            r"Unknown encoder '(?P<codec>\S+)'",
            "this FFmpeg has no encoder {codec}; install one that has",
        ),
        (r"does not contain any stream", "it has neither video nor sound"),
        (
            r"Connection timed out|Operation timed out|Input/output error",
            "it does not answer, or sends nothing any more",
        ),
        (
            r"Invalid data found when processing input",
            "it sends nothing that can be read; check the address",
        ),
    )
)


def pull_end(log: Sequence[str], status: int) -> str:
    """Say why a pull is over, as `pull_trouble` does.

    Args:
        log: lines of its FFmpeg, with or without their levels.
        status: its exit status.
    """
    trouble = pull_trouble(log)
    if trouble is None and status == 0:
        return "it came to its end; what has one is a file, for `files`, or its publisher left"
    return trouble or f"its FFmpeg ended with status {status}"


def pull_trouble(log: Sequence[str]) -> str | None:
    """Say why a pull failed, without addresses' secrets; None where its log does not tell.

    Args:
        log: lines of its FFmpeg, with or without their levels.
    """
    for pattern, message in _CAUSES:
        for line in log:
            match = pattern.search(line)
            if match is not None:
                facts = {name: _shown(value) for name, value in match.groupdict().items()}
                return message.format(**facts)
    said = [line for line in log if line.strip()]
    return _shown(said[-1]) if said else None


def _shown(text: str) -> str:
    return redact_urls(text)[:_LONGEST].strip(" .")
