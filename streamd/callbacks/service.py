"""Callbacks as a whole: what the daemon builds, runs and asks."""

from collections.abc import Callable, Mapping
from pathlib import Path

from streamd.auth.decide import Allowed
from streamd.auth.gate import Gate
from streamd.callbacks.asker import Asker, Newcomer
from streamd.callbacks.events import Action, client_fields
from streamd.callbacks.facts import CallbackFacts
from streamd.callbacks.post import Poster
from streamd.callbacks.present import present, shown_name
from streamd.callbacks.sender import Sender
from streamd.callbacks.teller import Teller
from streamd.callbacks.told import Present
from streamd.desired import Desired
from streamd.engines.base import HookRequest
from streamd.publishers import Publishers
from streamd.status.snapshot import Snapshot


class Callbacks:
    """Asks and tells whoever the file names.

    Args:
        outbox: the directory of what is still to be told.
        node: what this machine is called.
        publishers: who was let in.
        snapshot: returns the present moment.
        pattern_of: returns the pattern of the rule that decides about `app/stream`.
    """

    def __init__(
        self,
        outbox: Path,
        node: str,
        publishers: Publishers,
        *,
        snapshot: Callable[[], Snapshot],
        pattern_of: Callable[[str], str | None],
    ) -> None:
        self._publishers = publishers
        self._snapshot = snapshot
        self._pattern_of = pattern_of
        self._desired: Desired | None = None
        self._poster = Poster()
        self._sender = Sender(outbox, self._poster, node)
        self._teller = Teller(outbox / "told.json", self._look, self._sender.keep)
        self._asker = Asker(
            self._sender,
            self._poster,
            node,
            describe=self._describe,
            up_to_date=self._teller.up_to_date,
            tell=self._teller.tell,
        )
        self.run_sender = self._sender.run
        self.run_teller = self._teller.run

    @property
    def gate(self) -> Gate:
        """Who else is asked about publishers."""
        return self._asker

    def desire(self, desired: Desired) -> None:
        """Take a configuration."""
        self._desired = desired
        actions: set[Action] = set()
        for spec in desired.callbacks.values():
            actions |= spec.events
        self._sender.desire(desired.callbacks)
        self._asker.desire(desired.callbacks)
        self._teller.desire(frozenset(actions))

    def wake(self) -> None:
        """Look soon whether there is something to tell."""
        self._teller.wake()

    def facts(self) -> Mapping[str, CallbackFacts]:
        """Return what is known of each callback."""
        return self._sender.facts()

    async def close(self) -> None:
        """Close every connection. What waits, waits for the next start."""
        await self._poster.close()

    def _look(self, actions: frozenset[Action], whole: bool) -> Present:
        if self._desired is None or not actions:
            return Present()
        return present(self._desired, self._publishers.all(), self._snapshot, actions, whole)

    def _describe(self, server: str, hook: HookRequest, allowed: Allowed) -> Newcomer:
        client = client_fields(
            client_id=hook.client_id,
            ip=hook.address,
            protocol=hook.protocol,
            server=server,
            key=allowed.key,
        )
        rules = self._desired.rules if self._desired is not None else {}
        return Newcomer(
            shown_name(allowed.stream, rules),
            self._pattern_of(allowed.stream),
            client,
            hook.param,
        )
