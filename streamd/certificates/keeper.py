"""Keeps every certificate of the file served and renewed.

It decides when; what speaks to an authority is a process of its own for each order, because that
blocks, and because its libraries would take half as much memory again as streamd.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from streamd.certificates import attempts
from streamd.certificates.attempts import Try
from streamd.certificates.due import due, known_of, order_at, try_now
from streamd.certificates.facts import CertificateFacts, Moments, facts_of
from streamd.certificates.lifetime import ask_again_s
from streamd.certificates.listeners import ChallengeListeners
from streamd.certificates.looking import LookError, serve_all
from streamd.certificates.ordering import Ordered, carry_out
from streamd.certificates.record import Installed, Record
from streamd.certificates.spec import CertificateSpec, OrderSpec, certificate_paths
from streamd.certificates.store import Store, stamp_of
from streamd.certificates.trouble import told

log = structlog.get_logger()

LOOK_S = 30.0
"""Own files, what a disk refused, and ports that could not be had are looked at so often."""

GLANCE_S = 2.0
"""Chains and keys that are served are looked at so often, which takes two `stat` each."""

AT_ONCE = 2
"""Orders that run at a time."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What another look at a certificate would be for, as it is now.

    Attributes:
        spec: of it.
        pair: that is served.
        rest: what is known of it, and own files.
    """

    spec: CertificateSpec
    pair: tuple[object, ...]
    rest: tuple[object, ...]


class Certificates:
    """The certificates of the file.

    Args:
        directory: where they are kept.
        outbox: that events are dropped into.
    """

    def __init__(self, directory: Path, outbox: Path) -> None:
        self._store = Store(directory)
        self._outbox = outbox
        self._specs: Mapping[str, CertificateSpec] = {}
        self._records: dict[str, Record] = {}
        self._others: list[Record] = []
        self._errors: dict[str, str] = {}
        self._unwritten: dict[str, str] = {}
        self._orders: dict[str, asyncio.Task[None]] = {}
        self._asking: set[str] = set()
        self._allowed: dict[str, float] = {}
        self._listeners = ChallengeListeners(self._store.challenges)
        self._stamps: dict[str, _Stamp] = {}
        # What a disk refused may be granted later, and no stamp tells.
        self._again: set[str] = set()
        self._https_port: int | None = None
        self._wake = asyncio.Event()
        # What is read of a certificate is what is known of it, unless it is being ordered.
        self._disk = asyncio.Lock()

    def paths(self, name: str) -> tuple[str, str]:
        """Return where the chain and the key of a certificate are served from."""
        return certificate_paths(str(self._store.directory), name)

    async def prepare(self, specs: Mapping[str, CertificateSpec]) -> None:
        """Make sure that each certificate has files which can be served.

        Trouble with a disk is told of in the facts, and changes nothing that is served.

        Args:
            specs: by name.
        """
        if specs:
            async with self._disk:
                await asyncio.to_thread(self._look, tuple(specs.values()))

    def desire(self, specs: Mapping[str, CertificateSpec], https_port: int | None) -> None:
        """Take what certificates shall exist from now on; `prepare` comes first.

        Args:
            specs: by name.
            https_port: where people who come by HTTP are sent.
        """
        self._specs = dict(specs)
        self._https_port = https_port
        for name in self._orders.keys() - specs.keys():
            self._orders[name].cancel()
        for known in (
            self._records,
            self._errors,
            self._unwritten,
            self._allowed,
            self._stamps,
        ):
            for name in known.keys() - specs.keys():
                del known[name]
        self._again &= specs.keys()
        self.wake()

    def wake(self) -> None:
        """Look at everything soon."""
        self._wake.set()

    def retry(self) -> list[str]:
        """Wait no longer after failures: somebody says that what was wrong is mended.

        The authority's limits hold all the same.

        Returns:
            The certificates that are tried again now.
        """
        failed = [
            name
            for name, record in self._records.items()
            if record.attempts.failures and name not in self._orders
        ]
        for name in failed:
            record = self._records[name]
            self._records[name] = replace(record, attempts=attempts.forgiven(record.attempts))
        self.wake()
        return sorted(filter(self._may_be_tried, failed))

    def _may_be_tried(self, name: str) -> bool:
        spec, now = self._specs[name], time.time()
        if spec.acme is None or self._listeners.complaint(spec) is not None:
            return False
        record = known_of(spec, self._records[name])
        allowed_at = due(spec, record, self._tries(), now).allowed_at
        return max(order_at(spec, record), allowed_at) <= now

    async def look(self) -> None:
        """Make sure that each certificate has files, and that own files are served as they are."""
        await self.prepare(self._specs)

    def _look(self, specs: Sequence[CertificateSpec]) -> None:
        try:
            self._look_now(specs)
        except OSError as error:
            for spec in specs:
                self._note(spec.name, told(error, self._store.directory))
                self._again.add(spec.name)
        for path in self._store.made_usable:
            log.warning("certificates.made_usable", path=str(path))
        for path, damage in self._store.set_aside:
            log.error("certificates.set_aside", path=str(path), error=damage)
        self._store.made_usable.clear()
        self._store.set_aside.clear()

    def _look_now(self, specs: Sequence[CertificateSpec]) -> None:
        for closed in self._store.prepare():
            log.warning("certificates.closed_to_others", path=str(closed))
        changed = [
            spec
            for spec in specs
            if not self._is_ordering(spec.name)
            and (spec.name in self._again or self._stamps.get(spec.name) != self._stamp(spec))
        ]
        if changed:
            self._look_at(changed)
        self._others = self._store.records_of_others({spec.name for spec in specs})

    def _look_at(self, specs: Sequence[CertificateSpec]) -> None:
        """Bring the files of certificates up to date, and read what is known of them then."""
        self._again.update(spec.name for spec in specs)
        try:
            seen = serve_all(self._store.directory, self._outbox, specs)
        except LookError as error:
            for spec in specs:
                self._note(spec.name, str(error))
            return
        for path, damage in seen.set_aside:
            log.error("certificates.set_aside", path=path, error=damage)
        for spec in specs:
            name, wrong = spec.name, seen.errors.get(spec.name)
            try:
                record = self._store.record(name)
            except OSError as error:
                self._note(name, wrong or told(error, self._store.directory))
                continue
            if wrong is None or record.installed is not None:
                self._records[name] = record
            self._note(name, wrong)
            self._stamps[name] = self._stamp(spec)
            if name in seen.installed and record.installed is not None:
                _log_installed(name, record.installed)
            if name not in seen.unusable:
                self._again.discard(name)

    def _stamp(self, spec: CertificateSpec) -> _Stamp:
        own = [path for path in (spec.certificate_file, spec.key_file) if path is not None]
        record = self._store.record_stamp(spec.name)
        rest = (record, *map(stamp_of, map(Path, own)))
        return _Stamp(spec, self._store.pair_stamp(spec.name), rest)

    def _are_others_served(self, specs: Iterable[CertificateSpec]) -> bool:
        """Tell whether a chain or key is not the one that was last looked at."""
        return any(
            spec.name not in self._again
            and not self._is_ordering(spec.name)
            and (known := self._stamps.get(spec.name)) is not None
            and known.pair != self._store.pair_stamp(spec.name)
            for spec in specs
        )

    def _is_ordering(self, name: str) -> bool:
        """Tell whether an order may be replacing the files of a certificate."""
        return name in self._orders and name not in self._asking

    def _note(self, name: str, error: str | None) -> None:
        """Keep what is wrong with a certificate, and log it once."""
        if error is None:
            if self._errors.pop(name, None) is not None:
                log.info("certificate.mended", certificate=name)
        elif self._errors.get(name) != error:
            self._errors[name] = error
            log.error("certificate.failed", certificate=name, error=error)

    def facts(self) -> dict[str, CertificateFacts]:
        """Return how each certificate is."""
        now = time.time()
        found = {}
        for name, spec in self._specs.items():
            record = self._records.get(name, Record())
            found[name] = facts_of(
                spec,
                record,
                Moments(
                    now,
                    order_at(spec, record) if spec.acme else None,
                    self._allowed.get(name, 0.0),
                ),
                is_ordering=self._is_ordering(name),
                error=self._errors.get(name)
                or self._unwritten.get(name)
                or self._listeners.complaint(spec),
            )
        return found

    async def keep_looking(self) -> None:
        """Look at files now and then, and soon once what is served is damaged or gone; for ever."""
        while True:
            until = time.monotonic() + LOOK_S
            while time.monotonic() < until:
                await asyncio.sleep(min(GLANCE_S, LOOK_S))
                specs = [*self._specs.values()]
                if specs:
                    async with self._disk:
                        if await asyncio.to_thread(self._are_others_served, specs):
                            break
            await self.look()
            self.wake()

    async def run(self) -> None:
        """Obtain and renew them, for ever."""
        try:
            while True:
                self._wake.clear()
                await self._listeners.listen(self._specs.values(), self._https_port)
                async with self._disk:
                    wait_s = self._order_what_is_due() if self._specs else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
        finally:
            await self._end_orders()

    async def close(self) -> None:
        """Listen no more."""
        await self._listeners.close()

    # Orders

    def _order_what_is_due(self) -> float:
        """Begin what is due, and return after how many seconds something may be due again."""
        now = time.time()
        wait_s = LOOK_S
        tries = self._tries()
        for name, spec in self._specs.items():
            if spec.acme is None or name in self._orders or name not in self._records:
                continue
            record = self._records[name] = known_of(spec, self._records[name])
            next_ = due(spec, record, tries, now)
            self._allowed[name] = next_.allowed_at
            if next_.at > now:
                wait_s = min(wait_s, max(next_.at - now, 0.1))
            elif len(self._orders) >= AT_ONCE:
                continue
            elif next_.what == "ask":
                self._asking.add(name)
                self._start(spec, None)
            elif self._listeners.complaint(spec) is None:
                new = try_now(spec, record, now)
                known = attempts.begun(record.attempts, new, jitter=random.random())  # noqa: S311 - spreads tries
                self._records[name] = replace(record, attempts=known)
                tries.append(new)
                self._start(spec, record)
        return wait_s

    def _tries(self) -> list[Try]:
        """Return what was tried for every certificate, those too that the file has no more."""
        records = [*self._records.values(), *self._others]
        return [each for record in records for each in record.attempts.tries]

    def _start(self, spec: CertificateSpec, before: Record | None) -> None:
        name = spec.name
        task = asyncio.create_task(self._order(spec, before), name=f"certificate.{name}")
        self._orders[name] = task
        # Not in the task, which may be cancelled before it begins.
        task.add_done_callback(lambda _: self._ended(name))

    def _ended(self, name: str) -> None:
        del self._orders[name]
        self._asking.discard(name)
        self.wake()

    async def _order(self, spec: CertificateSpec, before: Record | None) -> None:
        """Carry an order out; `before` is what was known before it, None: only ask when to."""
        name, ask_only = spec.name, before is None
        try:
            if before is not None:
                await self._write_down(name, before)
                log.info("certificate.ordered", certificate=name, domains=list(spec.domains))
            order = OrderSpec(spec, str(self._store.directory), str(self._outbox), ask_only)
            ordered = await carry_out(order)
            for damaged, why in ordered.set_aside:
                log.error("certificates.set_aside", path=damaged, error=why)
            if ask_only:
                await self._take_advice(spec, ordered)
            else:
                await self._take(spec, ordered)
            self._unwritten.pop(name, None)
        except OSError as error:
            said = told(error, self._store.directory)
            if self._unwritten.get(name) != said:
                log.error("certificate.failed", certificate=name, error=said)
            self._unwritten[name] = said

    async def _write_down(self, name: str, before: Record) -> None:
        """Write down a try that begins: whatever is killed from now on has been tried."""
        try:
            await self._write(name, self._records[name])
        except OSError:  # then it does not begin, and counts for nothing
            soon = replace(before.attempts, next_at=time.time() + LOOK_S)
            self._records[name] = replace(before, attempts=soon)
            raise

    async def _take(self, spec: CertificateSpec, ordered: Ordered) -> None:
        """Take in what came of an order, which has written down itself how far it came."""
        name, before = spec.name, self._records[spec.name]
        record = await asyncio.to_thread(self._store.record, name)
        if record.installed is None:
            record = before  # somebody has damaged or removed it
        if ordered.error is None:
            log.info("certificate.issued", certificate=name, serial=ordered.serial)
        else:
            log_ = log.bind(certificate=name, error=ordered.error)
            if record.installed != before.installed:  # what failed came later
                log_.error("certificate.issued_with_trouble")
            else:
                now = time.time()
                known = attempts.failed(
                    record.attempts,
                    ordered.error,
                    now,
                    failure=ordered.failure,
                    retry_after_s=ordered.retry_after_s,
                    jitter=random.random(),  # noqa: S311 - spreads tries
                )
                record = replace(record, attempts=known)
                log_.error("certificate.failed", retry_in_s=round(known.next_at - now))
                await self._write(name, record)
        self._records[name] = record

    async def _take_advice(self, spec: CertificateSpec, ordered: Ordered) -> None:
        """Take in when the authority wants a certificate to be renewed."""
        record = self._records[spec.name]
        ask_at = time.time() + ask_again_s(ordered.ask_again_s)
        if ordered.error is None:
            record = replace(record, window=ordered.window)
        else:
            log.info("certificate.not_told_when", certificate=spec.name, error=ordered.error)
        self._records[spec.name] = record = replace(record, ask_at=ask_at)
        await self._write(spec.name, record)

    async def _write(self, name: str, record: Record) -> None:
        await asyncio.to_thread(self._store.write_record, name, record)

    async def _end_orders(self) -> None:
        orders = [*self._orders.values()]
        for task in orders:
            if not task.cancelling():  # once more would end the wait for its process
                task.cancel()
        await asyncio.gather(*orders, return_exceptions=True)


def _log_installed(name: str, installed: Installed) -> None:
    """Log that own files are served from now on."""
    end = datetime.fromtimestamp(installed.not_after, UTC).isoformat().replace("+00:00", "Z")
    log.info("certificate.installed", certificate=name, serial=installed.serial, not_after=end)
