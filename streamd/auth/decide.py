"""Who may publish: the file's rules and keys, decided in microseconds and without I/O.

The most specific rule that matches a name decides (`streamd.names.specificity`), and no other is
asked after it. A key is one secret and its window; a publisher is let in by any key of the rule
whose secret it presents within the key's window, and stays while that holds.

A rule with `key_in_name` also takes its secret behind the stream's name, for devices that can
send nothing else: `lot/cam7-SECRET` for the stream `lot/cam7`. Secrets are known by their digest
alone, so a name is read by trying where it may end:

- A rule for one stream (`lot/cam7`) takes the secret right behind the name, or behind one of
  `-`, `_` and `.`.
- A rule with a wildcard (`lot/*`) needs one of these before the secret, and the last
  `SEPARATORS_TRIED` of them are tried. It lets nobody onto a stream that another rule decides.
- A name that the file spells out is always that stream. Otherwise a reading whose secret is a
  key's goes before reading the name as a stream of its own.
"""

import hashlib
import hmac
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from streamd import names
from streamd.config.addresses import is_loopback
from streamd.desired import Desired, KeySpec, StreamRule
from streamd.engines.base import HookRequest
from streamd.observed import Publisher

SECRETS_TRIED = 8
"""So many of the secrets that one client sends are looked at."""

SEPARATORS_TRIED = 8
"""A wildcard rule looks for its secret behind so many separators, counted from the end."""

RefusalKind = Literal[
    "illegal_name",
    "unknown_stream",
    "no_key",
    "wrong_key",
    "expired_key",
    "early_key",
    "internal",
    "stopping",  # these are not about the rules; `streamd.auth.hooks_api` refuses with them
    "busy",
    "unsuitable",
    "failed",
    "vetoed",  # by a callback (`streamd.callbacks.asker`)
    "unasked",
]

_SEPARATORS = "-_."
_SHOWN_CHARACTERS = 3


@dataclass(frozen=True, slots=True)
class Allowed:
    """A publisher may come in.

    Attributes:
        stream: `app/stream` as the file names it, without a secret.
        published_as: the name on the server; differs from `stream` with a key in the name.
        key: name of the key that lets it in; None where the stream asks for none.
        key_sha256: digest of that key's secret.
        internal: it is a process of streamd's own.
    """

    stream: str
    published_as: str = field(repr=False)
    key: str | None = None
    key_sha256: str | None = field(default=None, repr=False)
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A publisher may not come in.

    Attributes:
        kind: the reason in one word, for counting.
        reason: for the operator; holds names of the file only, nothing that the client sent.
        shown: what can be shown of the name that was asked for. A stream that the file spells
            out is shown whole, of any other the app and a beginning too short to be a secret.
        pattern: of the rule that decided, None where no rule matched.
    """

    kind: RefusalKind
    reason: str
    shown: str
    pattern: str | None = None


Decision = Allowed | Refused


class AuthIndex:
    """The rules and keys of a `Desired`, arranged so that one decision costs microseconds."""

    def __init__(self, desired: Desired, own_secret: str | None = None) -> None:
        """Arrange the rules.

        Args:
            desired: whose rules and keys.
            own_secret: what streamd's own processes publish with; None lets none of them in.
        """
        self._own_sha256 = None if own_secret is None else _sha256(own_secret)
        self._exact: dict[str, StreamRule] = {}
        self._patterns: dict[str, list[StreamRule]] = {}
        for rule in desired.rules.values():
            if names.has_wildcard(rule.pattern):
                self._patterns.setdefault(rule.pattern.partition("*")[0], []).append(rule)
            else:
                self._exact[rule.pattern] = rule
        for rules in self._patterns.values():
            rules.sort(key=lambda rule: names.specificity(rule.pattern), reverse=True)
        self._prefix_lengths = sorted(set(map(len, self._patterns)), reverse=True)
        self._apps = {names.split(pattern)[0] for pattern in desired.rules}
        self._keys = desired.keys
        moments = ((key.not_before, key.not_after) for key in desired.keys.values())
        self._boundaries = sorted({moment for pair in moments for moment in pair if moment})

    def rule_for(self, stream: str) -> StreamRule | None:
        """Return the rule that decides about `app/stream`, None when no rule matches."""
        exact = self._exact.get(stream)
        if exact is not None:
            return exact
        # Specificity goes by the text before the first `*`, so the longest such text goes first.
        for length in self._prefix_lengths:
            for rule in self._patterns.get(stream[:length], ()):
                if names.matches(rule.pattern, stream):
                    return rule
        return None

    def is_own(self, request: HookRequest) -> bool:
        """Tell whether a client is a process of streamd's own."""
        if self._own_sha256 is None or not is_loopback(request.address):
            return False
        digests = map(_sha256, request.secrets[:SECRETS_TRIED])
        return any(hmac.compare_digest(digest, self._own_sha256) for digest in digests)

    def keys_of(self, rule: StreamRule) -> list[KeySpec]:
        """Return a rule's keys in the order of their names."""
        return [self._keys[name] for name in sorted(rule.keys or ()) if name in self._keys]

    def readings(self, published: str) -> Iterator[tuple[str, StreamRule, Sequence[str]]]:
        """Read a name as NAME and secret, the longest NAME first, for rules that allow it.

        Yields:
            The stream (`app/NAME`), the rule that decides about it, and what its secret may be.
        """
        separators = 0
        secrets: tuple[str, ...] = ()
        for end in range(len(published) - 1, published.rfind("/") + 1, -1):
            stream, rest = published[:end], published[end:]
            separated = rest[0] in _SEPARATORS
            separators += separated
            rule = self._exact.get(stream)
            if rule is not None:
                secrets = (rest, rest[1:]) if separated else (rest,)
            elif separated and separators <= SEPARATORS_TRIED:
                rule = self.rule_for(stream)
                secrets = (rest[1:],)
            if rule is not None and rule.key_in_name and rule.keys is not None:
                yield stream, rule, secrets

    def shown(self, app: str, stream: str) -> str:
        """Return what can be shown of a name that may hold a secret (see `Refused.shown`)."""
        published = f"{app}/{stream}"
        if published in self._exact:
            return published
        return f"{app if app in self._apps else _masked(app)}/{_masked(stream)}"

    def known_as(self, published: str) -> str:
        """Return what a stream is called that a server lists and that no hook let in.

        It keeps its name where that is no secret: the file spells it out, or anybody may publish
        it. Any other is shown as `shown` does.
        """
        rule = self.rule_for(published)
        if rule is not None and rule.keys is None:
            return published
        return self.shown(*names.split(published))

    def next_change(self, now: datetime) -> datetime | None:
        """Return when a key's window next begins or ends after `now`, None when none does."""
        position = bisect_right(self._boundaries, now)
        return self._boundaries[position] if position < len(self._boundaries) else None


def _masked(text: str) -> str:
    beginning = text[: min(_SHOWN_CHARACTERS, len(text) // 4)]
    return "".join(c if c.isascii() and c.isalnum() else "?" for c in beginning) + "***"


def decide_publish(request: HookRequest, index: AuthIndex, now: datetime) -> Decision:
    """Decide whether a client may publish the stream it asks for.

    Args:
        request: what the media server tells of the client.
        index: the rules and keys in force.
        now: the time of day (aware).
    """
    published = f"{request.app}/{request.stream}"
    shown = index.shown(request.app, request.stream)
    if not names.is_published_name(published):
        return Refused(
            "illegal_name",
            "it is no legal name; a stream's name has letters, digits and _.~=+@,:- in each "
            f"part, and {names.MAX_NAME_LENGTH} characters at most",
            shown,
        )
    rule = index.rule_for(published)
    if rule is not None and rule.internal:
        if index.is_own(request):
            return Allowed(published, published, internal=True)
        return Refused("internal", _internal(rule), shown, rule.pattern)
    if rule is None or rule.pattern != published:
        read = _decide_by_name(published, index, now)
        if read is not None:
            return read
    if rule is None:
        return _no_rule(published, index, shown)
    if rule.keys is None:
        return Allowed(published, published)
    secrets = [secret for secret in request.secrets if secret][:SECRETS_TRIED]
    if not secrets:
        return Refused(
            "no_key",
            f"stream {rule.pattern} asks for a key and none was sent; publish with ?secret=KEY",
            shown,
            rule.pattern,
        )
    matching = _matching(index.keys_of(rule), map(_sha256, secrets))
    if not matching:
        reason = f"what was sent is no key of stream {rule.pattern}"
        return Refused("wrong_key", reason, shown, rule.pattern)
    return _first_valid(matching, now, published, published) or Refused(
        *_outside_window(matching[0], now), shown, rule.pattern
    )


def _internal(rule: StreamRule) -> str:
    if rule.ingest is None:
        return f"streamd itself publishes stream {rule.pattern}; publish under another name"
    app, name = names.split(rule.ingest)
    return (
        f"stream {rule.pattern} has a fallback, and streamd publishes it; publish to app {app}, "
        f"stream {name} instead (`streamd urls` prints the address)"
    )


def _decide_by_name(published: str, index: AuthIndex, now: datetime) -> Decision | None:
    """Decide about a name that ends in a key's secret; None when it does not."""
    refused: Decision | None = None
    for stream, rule, secrets in index.readings(published):
        matching = _matching(index.keys_of(rule), map(_sha256, secrets))
        if matching:
            allowed = _first_valid(matching, now, stream, published)
            if allowed is not None:
                return allowed
            # NAME under a wildcard is the client's own word and may hold a secret once more.
            shown = f"{rule.pattern}***"
            refused = refused or Refused(*_outside_window(matching[0], now), shown, rule.pattern)
    return refused


def _first_valid(
    matching: Sequence[KeySpec], now: datetime, stream: str, published: str
) -> Allowed | None:
    for key in matching:
        if key.valid_at(now):
            return Allowed(stream, published, key.name, key.sha256)
    return None


def _no_rule(published: str, index: AuthIndex, shown: str) -> Refused:
    for stream in names.behind_ingest(published):
        rule = index.rule_for(stream)
        if rule is not None and rule.pattern == stream and not rule.internal:
            app, name = names.split(stream)
            reason = f"stream {stream} has no fallback; publish to app {app}, stream {name} instead"
            return Refused("unknown_stream", reason, published, stream)
    for stream, rule, _ in index.readings(published):
        if rule.pattern == stream:
            return Refused(
                "wrong_key",
                f"no stream of the file matches this name, and what follows {stream} in it is no "
                "key of that stream",
                f"{stream}***",
                stream,
            )
    reason = "no stream of the file matches this name; add it under `streams`"
    return Refused("unknown_stream", reason, shown)


def authorised(publisher: Publisher, index: AuthIndex, now: datetime) -> str | None:
    """Return why a live publisher must go, None when it may stay.

    It stays while some key of its stream's rule has the secret that it came in with and is within
    its window. So giving a key another name puts nobody off, and neither does no longer asking
    for one. A publisher without a key, on a stream that asks for one, must go.
    """
    # Without a key there is none in the name, and `stream` may be masked (`AuthIndex.known_as`).
    has_key = publisher.key_sha256 is not None
    rule = index.rule_for(publisher.stream if has_key else publisher.published_as)
    if rule is None:
        return "no stream of the file matches it any more"
    if rule.internal:
        return None if publisher.internal else _internal(rule)
    if publisher.internal:
        return f"stream {publisher.stream} is not published by streamd any more"
    if rule.keys is None:
        return None
    if publisher.key_sha256 is None:
        return f"stream {rule.pattern} asks for a key, and it came in without one"
    if publisher.published_as != publisher.stream and not rule.key_in_name:
        return f"stream {rule.pattern} takes no key in the name any more"
    matching = _matching(index.keys_of(rule), (publisher.key_sha256,))
    if any(key.valid_at(now) for key in matching):
        return None
    if matching:
        return _outside_window(matching[0], now)[1]
    if publisher.key in rule.keys:
        return f"key {publisher.key} has another secret now"
    return f"key {publisher.key} is no key of stream {rule.pattern} any more"


def _sha256(secret: str) -> str:
    # JSON can carry half of a surrogate pair, which no secret of the file holds.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _matching(keys: Sequence[KeySpec], digests: Iterable[str]) -> list[KeySpec]:
    """Return the keys with one of the digests. How long it takes tells not which."""
    found: dict[str, KeySpec] = {}
    for digest in digests:
        for key in keys:
            if hmac.compare_digest(digest, key.sha256):
                found[key.name] = key
    return list(found.values())


def _outside_window(key: KeySpec, now: datetime) -> tuple[RefusalKind, str]:
    if key.not_after is not None and key.not_after <= now:
        return "expired_key", f"key {key.name} expired at {key.not_after}"
    return "early_key", f"key {key.name} is valid from {key.not_before} on"
