"""How a callback's answer is judged, and how what is sent to it is signed. Pure."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

ANSWER_BYTES = 64 * 1024
"""A longer answer counts as none."""

TIMESTAMP_HEADER = "X-Streamd-Timestamp"
SIGNATURE_HEADER = "X-Streamd-Signature"

Kind = Literal["yes", "no", "fault"]

_NO_BY_STATUS = {401: "Unauthorized", 403: "Forbidden"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a callback's server said.

    Attributes:
        kind: `yes`; `no`, in so many words; or `fault`: what it said is neither.
        text: what it said, for people; nothing of its body but the code.
    """

    kind: Kind
    text: str


def judge(status: int, body: bytes) -> Answer:
    """Judge an answer by Oryx's rule.

    A yes is HTTP 200 with a body that is the number 0, or JSON whose `code` is 0 or absent
    (https://github.com/ossrs/oryx, platform/callback.go). Everything else is a failure there; here
    it is told apart which of them say no: another `code`, and the statuses 401 and 403.
    """
    if status in _NO_BY_STATUS:
        return Answer("no", f"HTTP {status} ({_NO_BY_STATUS[status]})")
    if 300 <= status < 400:
        return Answer(
            "fault", f"HTTP {status}: a redirect, which is not followed; put where it leads in url"
        )
    if status != 200:
        return Answer("fault", f"HTTP {status}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return Answer("fault", 'HTTP 200 with a body that is no JSON; answer {"code": 0}')
    return _judge_json(found)


def _judge_json(found: object) -> Answer:
    codes = [found]
    if found is None:  # as an absent code is
        codes = []
    elif isinstance(found, dict):
        # Oryx reads it as Go does, whatever the case of its letters.
        codes = [value for name, value in found.items() if name.lower() == "code"]
    codes = [code for code in codes if code is not None]
    if any(isinstance(code, bool) or not isinstance(code, int) for code in codes):
        return Answer("fault", 'HTTP 200 with JSON whose code is no number; answer {"code": 0}')
    wrong = next((code for code in codes if code != 0), None)
    if wrong is None:
        return Answer("yes", "HTTP 200, code 0")
    return Answer("no", f"HTTP 200, code {str(wrong)[:20]}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a body and the time of its sending: `sha256=HEX` over `TIMESTAMP.BODY`."""
    signed = timestamp.encode() + b"." + body
    return f"sha256={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def headers(sign: str | None, body: bytes, now: float, version: str) -> dict[str, str]:
    """Return the headers of a request.

    Args:
        sign: the callback's secret; None: it is not signed.
        body: what is sent.
        now: Unix time.
        version: of streamd.
    """
    told = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",  # so that its length is that of the answer
        "User-Agent": f"streamd/{version}",
    }
    if sign is not None:
        timestamp = str(int(now))
        told[TIMESTAMP_HEADER] = timestamp
        told[SIGNATURE_HEADER] = signature(sign, timestamp, body)
    return told


def shown(url: str) -> str:
    """Return what can be shown of a callback's address: scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
