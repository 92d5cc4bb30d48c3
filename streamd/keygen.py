"""A new publishing key: its secret, the YAML to paste, and the addresses that it opens."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field, replace

from streamd import names
from streamd.auth.decide import AuthIndex
from streamd.desired import Desired, KeySpec, StreamRule
from streamd.errors import StreamdError
from streamd.urls import urls, urls_text

_MAX_KEY_NAME = 64
_NOT_TEXT_IN_YAML = re.compile(r"[^a-z].*|true|false|null|yes|no|on|off|y|n")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that is in no file yet. `secret` is 32 hex digits."""

    name: str
    stream: str
    secret: str = field(repr=False)

    @property
    def sha256(self) -> str:
        """The digest of the secret, for a file that must not hold it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def new_key(stream: str, desired: Desired | None = None, secret: str | None = None) -> NewKey:
    """Return a key for a stream, under a name that the configuration does not have yet.

    Args:
        stream: a stream or pattern, as in the file.
        desired: the configuration; None when there is none yet.
        secret: for tests and repeatable output; None makes a random one.

    Raises:
        StreamdError: that is no name of a stream.
    """
    if not names.is_pattern(stream):
        raise StreamdError(f"{stream!r} is not a stream name; write NAME or APP/NAME")
    taken = desired.keys if desired else {}
    base = re.sub(r"[^a-z0-9]+", "-", stream.lower())[: _MAX_KEY_NAME - 10].strip("-")
    if not base or _NOT_TEXT_IN_YAML.fullmatch(base):
        base = f"key-{base}".rstrip("-")
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return NewKey(name, stream, secret or secrets.token_hex(16))


def keygen_text(stream: str, desired: Desired | None = None, secret: str | None = None) -> str:
    """Return a new key as `streamd keygen` prints it; arguments as of `new_key`."""
    key = new_key(stream, desired, secret)
    rule = AuthIndex(desired).rule_for(names.full_name(stream)) if desired else None
    others = sorted(rule.keys or ()) if rule else []
    pattern = _short(rule.pattern if rule else stream)
    lines = [
        f"secret: {key.secret}",
        "",
        "# In the file:",
        "keys:",
        f'  {key.name}: {{secret: "{key.secret}"}}',
        "streams:",
        f'  "{pattern}": {{keys: [{", ".join([*others, key.name])}]}}',
        "",
        "# For a file that must not hold the secret, the key is instead:",
        f"  {key.name}: {{secret_sha256: {key.sha256}}}",
    ]
    if desired is not None and desired.servers:
        lines += ["", "# Its addresses:", urls_text(urls(_with(desired, key), stream, _of(key)))]
    return "\n".join(lines)


def _short(pattern: str) -> str:
    """Leave out the default app where the file does without it."""
    short = pattern.removeprefix(f"{names.DEFAULT_APP}/")
    return short if names.full_name(short) == names.full_name(pattern) else pattern


def _of(key: NewKey) -> dict[str, str]:
    return {key.name: key.secret}


def _with(desired: Desired, key: NewKey) -> Desired:
    """Return a configuration in which the stream takes this key alone."""
    pattern = names.full_name(key.stream)
    rule = AuthIndex(desired).rule_for(pattern) or StreamRule(pattern, None)
    rule = replace(rule, pattern=pattern, keys=frozenset({key.name}))
    return replace(
        desired,
        keys={**desired.keys, key.name: KeySpec(key.name, key.sha256)},
        rules={**desired.rules, pattern: rule},
    )
