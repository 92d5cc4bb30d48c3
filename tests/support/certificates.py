"""What keeps certificates, below a directory of a test."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from streamd.certificates.facts import CertificateFacts
from streamd.certificates.keeper import Certificates
from streamd.certificates.spec import CertificateSpec
from streamd.certificates.store import Store
from tests.support.waiting import wait_until

ISSUED_S = 90.0


class Kept:
    """Certificates that are kept below a directory until the end of a block."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "certificates"
        self.outbox = directory / "outbox"
        self.store = Store(self.directory)
        self.keeper = Certificates(self.directory, self.outbox)

    async def desire(self, *specs: CertificateSpec) -> None:
        """Keep these certificates from now on, and no other."""
        by_name = {spec.name: spec for spec in specs}
        await self.keeper.prepare(by_name)
        self.keeper.desire(by_name, 8443)

    def facts(self, name: str = "site") -> CertificateFacts:
        """Return what is known of a certificate."""
        return self.keeper.facts()[name]

    def chain(self, name: str = "site") -> str:
        """Return the chain that is served."""
        return Path(self.keeper.paths(name)[0]).read_text()

    def key(self, name: str = "site") -> str:
        """Return the key that is served with it."""
        return Path(self.keeper.paths(name)[1]).read_text()

    async def wait(self, state: str, name: str = "site") -> CertificateFacts:
        """Wait until a certificate is in a state, and return what is known of it."""

        def found() -> CertificateFacts | None:
            facts = self.facts(name)
            return facts if facts.state == state else None

        facts = await wait_until(found, ISSUED_S, f"{name} to be {state}; {self.facts(name)}")
        assert facts is not None
        return facts

    async def wait_for_error(self, words: str) -> CertificateFacts:
        """Wait until words are in the last error, and return what is known."""
        await wait_until(lambda: words in (self.facts().last_error or ""), ISSUED_S, words)
        return self.facts()

    async def wait_for_serial(self, *others: str) -> str:
        """Wait for a serial that is none of others, and return it."""
        await wait_until(lambda: self.facts().serial not in ("", *others), ISSUED_S, "a serial")
        return self.facts().serial

    def orders(self) -> list[int]:
        """Return the processes of orders of this test."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                words = (path / "cmdline").read_bytes().split(b"\0")
                if parent == os.getpid() and b"streamd.certificates.order" in words:
                    found.append(int(path.name))
        return found

    def events(self) -> list[dict[str, Any]]:
        """Return the events that were handed over."""
        directory = self.outbox / "incoming"
        return [json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))]


@contextlib.asynccontextmanager
async def kept(directory: Path, *specs: CertificateSpec) -> AsyncIterator[Kept]:
    """Keep certificates until the end of a block."""
    running = Kept(directory)
    await running.desire(*specs)
    loops = (running.keeper.run(), running.keeper.keep_looking())
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield running
        assert not any(task.done() for task in tasks), "one ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await running.keeper.close()
