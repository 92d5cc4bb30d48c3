"""What is wrong with a storage, in an operator's words. Pure."""

import re
from collections.abc import Iterable

_CODE = re.compile(r'\b(?:code|Code)"?[:=>]\s*"?(?P<code>[A-Za-z0-9_.-]+)')
_MESSAGE = re.compile(r'\b(?:message|Message)"?[:=>]\s*"(?P<message>[^"]{1,300})')
_SOURCE = re.compile(r"^Source:\s*\n\s*(?P<source>.+)$", re.MULTILINE)
_FIRST = re.compile(
    r"^(?:[A-Za-z]+ \((?:permanent|temporary|persistent)\) at \S* => )?(?P<text>.*)"
)
_LONGEST = 300

_ADVICE = (
    (
        ("SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthFailure", "InvalidClientTokenId"),
        "keys",
    ),
    (("NoSuchBucket", "ContainerNotFound", "NoSuchContainer"), "bucket"),
    (("PermissionDenied", "AccessDenied", "Forbidden", "Unauthorized"), "rights"),
    (("NoSpace", "QuotaExceeded", "InsufficientStorage", "EntityTooLarge", "No space"), "full"),
    (("Connect", "dns error", "connection", "timeout", "timed out"), "reach"),
)
_WORDS = {
    "keys": "correct the keys under `options`",
    "bucket": "make the bucket, or correct its name in `url`",
    "rights": "let its user write there, or correct the keys under `options`",
    "full": "make room there, or raise its quota",
    "reach": "check `endpoint`, and this machine's network",
}


def explain(kind: str, text: str, secrets: Iterable[str] = ()) -> str:
    """Say what a storage refused, and what to do.

    Args:
        kind: name of the exception, as `PermissionDenied`.
        text: all that it says: several paragraphs, some with the request in them.
        secrets: texts that must not be shown.
    """
    head, _, _ = text.partition("\n\nContext")
    code, message, source = _CODE.search(head), _MESSAGE.search(head), _SOURCE.search(text)
    first = _FIRST.match(head.strip().partition("\n")[0])
    told = first["text"] if first else kind
    if code and message:
        told = f"{code['code']}: {message['message']}"
    elif source:
        told = f"{told}: {source['source'].strip()}"
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        told = told.replace(secret, "***")
    told = " ".join(told.split())[:_LONGEST] or kind
    return f"{told}; {_advice(f'{kind} {head} {source[0] if source else str()}')}"


def _advice(text: str) -> str:
    for signs, word in _ADVICE:
        if any(sign.lower() in text.lower() for sign in signs):
            return _WORDS[word]
    return "see what the storage's own log says"
