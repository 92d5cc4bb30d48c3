"""A real supervisord for a test, and nothing left of it afterwards."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from streamd.observed import ObservedProcess
from streamd.supervision.orphans import find_orphans
from streamd.supervision.process import ProcessSpec
from streamd.supervision.supervisord import Supervisord
from tests.support.waiting import wait_until

SLEEPER = "import time; time.sleep(600)"
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


class RunningSupervisord(Supervisord):
    """A `Supervisord` that knows its directories, and the pid that was found last."""

    def __init__(self, root: Path) -> None:
        self.runtime_dir = root / "run"
        self.log_dir = root / "log"
        self._found = 0
        super().__init__(self.runtime_dir, self.log_dir)

    async def ensure_running(self, *, external: bool) -> int:
        self._found = await super().ensure_running(external=external)
        return self._found

    def pid(self) -> int:
        """Return the pid of the supervisord; 0 before one was found."""
        return self._found

    def spec(self, name: str, code: str = SLEEPER, *arguments: str, **changes: Any) -> ProcessSpec:
        """Describe a process that runs Python code."""
        values: dict[str, Any] = {
            "name": name,
            "argv": (sys.executable, "-I", "-S", "-c", code, *arguments),
            "identity": f"identity of {name}",
            "log_path": str(self.log_dir / f"{name.replace('/', '%2F')}.log"),
        }
        return ProcessSpec(**(values | changes))

    def log_text(self, name: str) -> str:
        """Return what a process wrote so far."""
        path = Path(self.spec(name).log_path)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    async def wait_for_log(self, name: str, text: str) -> None:
        """Wait until a process's log holds a text."""
        await wait_until(lambda: text in self.log_text(name), what=f"{text!r} in the log of {name}")

    async def wait_for_state(self, name: str, state: str) -> ObservedProcess:
        """Wait until a process is in a state, and return it."""

        async def in_that_state() -> list[ObservedProcess]:
            process = (await self.list()).get(name)
            return [process] if process is not None and process.state == state else []

        what = f"{name} to be {state}"
        found: list[ObservedProcess] = await wait_until(in_that_state, what=what)
        return found[0]


@asynccontextmanager
async def running_supervisord() -> AsyncGenerator[RunningSupervisord]:
    """Give a supervisord of the test's own; it and all that it ran are gone afterwards."""
    # Not below tmp_path: the path of a Unix socket is short.
    root = Path(tempfile.mkdtemp(prefix="streamd-"))
    supervisord = RunningSupervisord(root)
    try:
        await supervisord.ensure_running(external=False)
        yield supervisord
    finally:
        try:
            await supervisord.shutdown()
        finally:
            await supervisord.close()
            left = find_orphans(supervisord.runtime_dir, None)
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(root, ignore_errors=True)
    assert not left, f"processes outlived supervisord: {left}"
