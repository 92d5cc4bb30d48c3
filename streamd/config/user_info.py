"""Name and password in an address: whether it still leads to the host that was meant. Pure.

Where one of them holds a `/`, the host ends before the password does: with the password `a@b/c`,
`rtsp://u:a@b/c@camera/x` leads to `b`. A part of the password would be asked of the DNS and shown
as a host. FFmpeg (`av_url_split`), `urllib` and `yarl` agree on that: the authority reaches to the
first `/`, `?` or `#`, and the host begins after the last `@` in it.
"""

import re
from dataclasses import dataclass

WRITE_ENCODED = (
    "write %, :, @, /, ?, #, [ and ] in them as %25, %3A, %40, %2F, %3F, %23, %5B and %5D"
)
"""What to do about name and password; a message ends so."""

# FFmpeg's RTMP takes both as they are written (rtmpproto.c, rtmp_open), so nothing can stand for
# what ends them, and the rest has to be left as it is. `urllib` takes no address with a bracket.
_AS_WRITTEN = ("rtmp", "rtmps")
_CHOOSE_OTHERS = "over RTMP they can hold no /, ?, #, [ or ], not even as %2F: choose others"

_AUTHORITY = re.compile(r"[^/?#]*")
_USER_INFO = re.compile(r"([^:/?#@]*)://([^/?#]*)@")
_HOST_AND_PORT = re.compile(r"(?:\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]{0,5})?")
_ENDS = re.compile(r"[/?#\[\]]")
_HAS_TO_BE_ENCODED = re.compile(r"[@/?#\[\]]|%(?![0-9A-Fa-f]{2})")
_BRACKET = re.compile(r"[\[\]]")
# What names a value is a query, in which an `@` means nothing: `?streamid=#!::u=a@b`.
_QUERY = re.compile(r"\?[A-Za-z0-9._~-]+=.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Where name and password stand in an address as it is written.

    `start` and `end` are offsets; before `name_end` it is the name, which no `:` may stand in.
    """

    scheme: str
    start: int
    end: int
    name_end: int

    def fault(self, offset: int, value: str) -> str | None:
        """Say why a value cannot stand at an offset and what to do, without repeating it.

        Args:
            offset: of what stands in the place of the value.
            value: that is put there; percent-encoded where it has to be.
        """
        if not self.start <= offset < self.end:
            return None
        if self.scheme in _AS_WRITTEN:
            unfit = _ENDS.search(value) is not None
        else:
            colon_in_name = offset < self.name_end and ":" in value
            unfit = colon_in_name or _HAS_TO_BE_ENCODED.search(value) is not None
        advice = _advice(self.scheme)
        return f"holds what cannot stand in name or password; {advice}" if unfit else None


def find_user_info(written: str) -> UserInfo | None:
    """Find name and password in an address; None where it has none, or is no address.

    Args:
        written: as in the file, with something without delimiters in the place of references.
    """
    match = _USER_INFO.match(written)
    if match is None:
        return None
    start, end = match.span(2)
    return UserInfo(match[1].lower(), start, end, written.find(":", start, end))


def misleading(url: str) -> str | None:
    """Say why an address may lead elsewhere than it was meant to, and what to do.

    An `@` behind the host is what tells, and nothing is wrong with one where there is neither name
    nor password (`rtmp://host/live/a@b`), nor in a query. Over RTMP it may also be of the last part
    of the path, as Akamai's names are: behind the host of an RTMP address there is an app.

    Args:
        url: with all references filled in. It is not repeated.
    """
    scheme, separator, rest = url.partition("://")
    authority = _AUTHORITY.match(rest)
    if not separator or authority is None:
        return None
    scheme = scheme.lower()
    user, at, _ = authority[0].rpartition("@")
    if _BRACKET.search(user):
        return f"holds a [ or ] in name or password; {_advice(scheme)}"
    if not at and _is_host(authority[0]):
        return None
    behind = _QUERY.sub("", rest[authority.end() :], count=1)
    _, another, host = behind.partition("@")
    if not another or (scheme in _AS_WRITTEN and "/" not in host):
        return None
    and_elsewhere = "" if scheme in _AS_WRITTEN else ", and any other @ as %40"
    return (
        "has an @ behind its host, as where a /, ? or # stands in name or password; "
        f"{_advice(scheme)}{and_elsewhere}"
    )


def _is_host(authority: str) -> bool:
    if _HOST_AND_PORT.fullmatch(authority) is None:
        return False
    port = authority.rpartition("]")[2].partition(":")[2]
    return not port or int(port) < 65536


def _advice(scheme: str) -> str:
    return _CHOOSE_OTHERS if scheme in _AS_WRITTEN else WRITE_ENCODED
