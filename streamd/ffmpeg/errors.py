"""What an FFmpeg's log says went wrong, in an operator's words.

Read are the lines of `-loglevel level+warning`, as releases 5 to 9 write them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamd.redact import redact_urls

_RECENT_LINES = 40
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class LastError:
    """Why an FFmpeg ended.

    Attributes:
        message: one line, without addresses' secrets.
        permanent: it cannot heal by itself; somebody has to change something.
    """

    message: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern of a line, and what to say; `{name}` stands for a group of the pattern."""

    pattern: re.Pattern[str]
    message: str
    permanent: bool = False


def _rule(pattern: str, message: str, *, permanent: bool = False) -> _Rule:
    return _Rule(re.compile(pattern), message, permanent)


_KEY_REFUSED = "the receiver refuses the key ({reason}); check it, and copy it from there again"

_HOST = r"(?:tcp|tls|srt|rtmps?|https?)://(?:[^@/\s]*@)?(?P<host>[^/?\s]+)"

# The first rule that fits any line of a run decides, so what tells more stands first.
_CAUSES = (
    _rule(
        r"Failed to resolve hostname (?P<host>\S+?):",
        "the name {host} does not resolve; check the address, and DNS on this machine",
    ),
    _rule(
        r"certificate's owner does not match hostname (?P<host>\S+)",
        "the certificate of {host} is for another name, so nothing was sent; check the address",
        permanent=True,
    ),
    _rule(
        r"(?:load_verify_locations|Error while reading file)",
        "the certificates that this machine trusts cannot be read; install ca-certificates, or "
        "set SSL_CERT_FILE",
        permanent=True,
    ),
    _rule(
        r"(?:certificate verify failed|[Pp]eer certificate failed verification|"
        r"[Cc]ertificate verification failed)",
        "the receiver's certificate cannot be verified, so nothing was sent; check the address, "
        "and that ca-certificates is installed here (or set SSL_CERT_FILE)",
        permanent=True,
    ),
    _rule(
        r"Server error: (?P<reason>.*(?i:already publish|in use|busy|duplicate).*)",
        "somebody publishes with this key already ({reason}); end the other one, or wait until "
        "the receiver has noticed that it ended",
    ),
    _rule(
        r"Server error: (?P<reason>No such stream.*|.*StreamNotFound.*)",
        "the stream is not at the media server (yet)",
    ),
    _rule(
        r"Server error: (?P<reason>.*(?i:auth|denied|forbid|reject|badname|bad name|permission|"
        r"not allowed|invalid|credential|password|\bkey\b).*)",
        _KEY_REFUSED,
        permanent=True,
    ),
    _rule(r"Server error: (?P<reason>.+)", "the server says: {reason}"),
    _rule(
        r"(?P<kind>Video|Audio) codec (?P<codec>\S+) not compatible with flv",
        "this FFmpeg cannot send the codec {codec} over RTMP; publish H.264 with AAC, or use a "
        "newer FFmpeg",
        permanent=True,
    ),
    _rule(
        r"Could not find tag for codec (?P<codec>\S+)",
        "the codec {codec} cannot be sent to this kind of address; publish H.264 with AAC",
        permanent=True,
    ),
    _rule(
        r"Video codec \(\w+\) is not implemented|\(Video: none, none",
        "this FFmpeg does not know the stream's video codec; publish H.264, or use a newer FFmpeg "
        "(6.1 or later for H.265)",
        permanent=True,
    ),
    _rule(
        r"SRTO_PASSPHRASE",
        "SRT does not take the passphrase; it has to have 10 to 79 characters",
        permanent=True,
    ),
    _rule(
        r"Connection to " + _HOST + r"\S* failed: Connection refused",
        "{host} refuses the connection; nothing listens there, or a firewall is in the way",
    ),
    _rule(
        r"Connection to srt://(?P<host>[^/?\s]+)\S* failed: (?P<reason>.+)",
        "no SRT connection to {host} ({reason}); check address, stream id and passphrase, and "
        "that UDP passes",
    ),
    _rule(
        r"Connection to " + _HOST + r"\S* failed: (?P<reason>.+)",
        "no connection to {host}: {reason}",
    ),
    _rule(r"HTTP error 404|Server returned 404", "the stream is not at the media server (yet)"),
    _rule(
        r"(?P<reason>HTTP error (?:4|5)\d\d[^\n]*|Server returned (?:4|5)XX[^\n]*)",
        "the media server answers {reason}",
    ),
    _rule(
        r"does not contain any stream",
        "the stream has neither video nor audio that can be sent (yet)",
    ),
    _rule(
        r"Protocol not found",
        "this FFmpeg cannot send over this protocol; install one that can, or name one in "
        "`ffmpeg:`",
        permanent=True,
    ),
    _rule(
        r"Unknown encoder '(?P<encoder>\w+)'",
        "this FFmpeg has no encoder {encoder}; install one that has it, or choose another `codec`",
        permanent=True,
    ),
    _rule(
        r"(?P<reason>Cannot load lib\S+|No VA display found.*|OpenEncodeSessionEx failed.*|"
        r"No capable devices found|Error (?:initializing an internal|creating a) MFX session.*)",
        "the hardware encoder cannot be used ({reason}); check its driver and that this user may "
        "use it, or choose `codec: h264`",
    ),
    _rule(
        r"Error setting (?:preset/tune |option preset to value )(?P<preset>\w+)",
        "the encoder has no preset {preset}; choose another",
        permanent=True,
    ),
    _rule(
        r"_movie_\S+ @ \w+\] \[error\] Failed to \w+ '(?P<file>.+)'",
        "the overlay {file} cannot be read; check that it is there and is a picture",
    ),
    _rule(
        r"(?:Unrecognized option|Option not found|Error splitting the argument list)",
        "this FFmpeg does not know an option that streamd gives it; use release 5.0 or newer",
        permanent=True,
    ),
)

_CLOSED = r"(?:Connection reset by peer|End of file|Broken pipe)"
_TIMED_OUT = r"(?:Connection timed out|Operation timed out)"
_WRITE = r"(?:av_interleaved_write_frame\(\)|Error submitting a packet to the muxer): "

_WHILE_SENDING = (
    _rule(_WRITE + _TIMED_OUT, "the receiver stopped reading: nothing could be sent to it for 5 s"),
    _rule(_WRITE + _CLOSED, "the receiver closed the connection"),
    _rule(_WRITE + r"(?P<reason>.+)", "the connection to the receiver broke: {reason}"),
)

_WHILE_OPENING_OUTPUT = (
    _rule(
        r"Cannot read RTMP handshake response",
        "the receiver takes the connection but does not answer in RTMP; check scheme and port "
        "(rtmps is mostly 443, rtmp 1935)",
    ),
    # Receivers hang up on a wrong key more often than they say a word.
    _rule(
        rf"://\S+: (?:Input/output error|{_CLOSED})",
        "the receiver closed the connection instead of taking the stream; check key and app, and "
        "that nobody else publishes with them",
    ),
    _rule(rf"://\S+: {_TIMED_OUT}", "the receiver does not answer; check the address"),
)

_INPUT = re.compile(r"Error opening input|Impossible to open|^\[\w+\] pipe:0: ")
_COMPONENT = re.compile(r"\[[^\]@]+ @ 0x[0-9a-f]+\] (?:\[(?P<level>\w+)\] )?(?P<text>.*)")
_BARE = re.compile(r"\[(?P<level>\w+)\] (?P<text>.*)")
_LAST_OF_RUN = re.compile(
    r"\[\w+\] (?:[a-z]+://\S+: |pipe:0: |Error opening (?:in|out)put files: )"
)
_STARTED = "streamd: started "  # the line that supervisord's child logs first
_NOISE = re.compile(r"\s*$|\[\w+\] $|streamd: |\s*Last message repeated|Consider increasing")
_STOPPED = "Immediate exit requested"
_REASON = re.compile(r": (?P<reason>[^:]+)$")


def last_error(log_tail: str, input_url: str = "") -> LastError | None:
    """Say why the last run in a log ended; None when the log does not tell.

    Args:
        log_tail: the last lines; those of earlier runs may stand before them.
        input_url: what the run read from. Old releases name an address alone when one cannot be
            opened, and with this it can be told whether it was the input.
    """
    run = _last_run(log_tail.splitlines()[-_RECENT_LINES:])
    if not run or any(_STOPPED in line for line in run):
        return None
    reads = _is_about_input(run, input_url)
    tables = (_CAUSES, _WHILE_SENDING, () if reads else _WHILE_OPENING_OUTPUT)
    for rule in (rule for table in tables for rule in table):
        for line in run:
            match = rule.pattern.search(line)
            if match is not None:
                return LastError(_worded(rule, match), rule.permanent)
    reason = _REASON.search(run[0])
    if reads and reason is not None:
        return LastError(f"the media server cannot be read: {_shown(reason['reason'])}")
    return LastError(_shown(_said(run)))


def _last_run(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of the last run, last first.

    A run ends in lines of the program's own, behind those of its components; where these come
    the other way round, an earlier run has ended.
    """
    run: list[str] = []
    in_components = False
    for line in reversed(lines):
        if line.startswith(_STARTED):
            break
        if _NOISE.match(line):
            continue
        component = _COMPONENT.match(line) is not None
        if run and (_LAST_OF_RUN.match(line) or (in_components and not component)):
            break
        in_components = component
        run.append(line)
    return tuple(run)


def _is_about_input(run: Sequence[str], input_url: str) -> bool:
    if any(map(_INPUT.search, run)):
        return True
    host = input_url.partition("://")[2].partition("/")[0]
    return bool(host) and any(f"://{host}/" in line or f"://{host}?" in line for line in run)


def _worded(rule: _Rule, match: re.Match[str]) -> str:
    facts = {name: _shown(value or "").strip(" .") for name, value in match.groupdict().items()}
    return rule.message.format(**facts)


def _said(run: Sequence[str]) -> str:
    """Return the text of the line that tells most: an error of a component, or any."""
    texts = list(_texts(run))
    for wanted in (True, False):
        for component, level, text in texts:
            if component is wanted and level in ("error", "fatal", "panic", None):
                return text
    return texts[0][2]


def _texts(run: Sequence[str]) -> Iterator[tuple[bool, str | None, str]]:
    for line in run:
        component = _COMPONENT.match(line)
        match = component or _BARE.match(line)
        yield (
            component is not None,
            match["level"] if match else None,
            match["text"] if match else line,
        )


def _shown(text: str) -> str:
    return redact_urls(text)[:_LONGEST]
