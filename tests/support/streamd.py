"""The daemon as a user runs it: a file, a process, its status, its CLI."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.ports import free_ports
from tests.support.waiting import wait_until_sync

_STOP_TIMEOUT_S = 40
_CLI_TIMEOUT_S = 60
SECRET = "correct-horse-battery"

LOST: list[int] = []
"""How many streams SRS has lost for each daemon that has ended (`streamd.auditions`)."""


@dataclass
class Streamd:
    """A streamd on free ports, all of whose files lie below `directory`."""

    directory: Path
    engine: str
    rtmp: int
    http: int
    api: int
    status_port: int
    hooks: int
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def config(self) -> Path:
        """The YAML file."""
        return self.directory / "config.yaml"

    @property
    def log(self) -> str:
        """What the daemon logged."""
        return (self.directory / "daemon.log").read_text(errors="replace")

    def head(self, *, listen: str = "", daemon: str = "", server: str = "") -> str:
        """Return the part of a file that puts everything on this daemon's ports."""
        return f"""\
version: 1
daemon: {{status: "127.0.0.1:{self.status_port}", hooks: "127.0.0.1:{self.hooks}"{daemon}}}
servers:
  main:
    engine: {self.engine}
    host: 127.0.0.1
    listen: {{rtmp: {self.rtmp}, http: {self.http}, api: {self.api}{listen}}}
{server}"""

    def write(self, text: str) -> None:
        """Save the file as an editor that renames does."""
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)

    def url(self, stream: str, secret: str | None = SECRET) -> str:
        """Return the RTMP address of `app/stream` with its secret."""
        query = f"?secret={secret}" if secret is not None else ""
        return f"rtmp://127.0.0.1:{self.rtmp}/{stream}{query}"

    @property
    def flags(self) -> list[str]:
        """The flags that every command takes."""
        return [
            f"--config={self.config}",
            *(f"--{name}-dir={self.directory / name}" for name in ("state", "runtime", "log")),
        ]

    def start(self, *arguments: str, ready: bool = True) -> Self:
        """Start `streamd run`, and wait until it answers."""
        with (self.directory / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamd", "run", *self.flags, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        if ready:
            wait_until_sync(self._is_up, what="streamd to answer")
        return self

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"streamd exited with {self.process.returncode}:\n{self.log}")
        with contextlib.suppress(OSError):
            servers = self.status()["servers"]
            return bool(servers.get("main", {}).get("state") == "running")
        return False

    def status(self) -> dict[str, Any]:
        """Return `/status`. Raises OSError while it does not answer."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.status_port}/status", timeout=5
        ) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def state(self, section: str, name: str) -> str | None:
        """Return the state of one object, None while there is none."""
        entry = self.status()[section].get(name)
        return entry["state"] if entry else None

    def wait_for_state(self, section: str, name: str, state: str, timeout: float = 30) -> None:
        """Wait until an object has a state."""
        wait_until_sync(
            lambda: self.state(section, name) == state,
            timeout,
            f"{section}.{name} to be {state}",
        )

    def pids(self) -> dict[str, int]:
        """Return the pids of what runs, as status tells them."""
        status = self.status()
        sources = {name: entry["source"] or {} for name, entry in status["streams"].items()}
        kinds = ("servers", "targets", "transcodes", "recordings")
        sections = {name: status[name] for name in kinds}
        return {
            f"{section}.{name}": entry["pid"]
            for section, entries in (sections | {"streams": sources}).items()
            for name, entry in entries.items()
            if entry.get("pid")
        }

    def cli(self, *arguments: str, check: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run a command of the CLI against this daemon."""
        command, *rest = arguments
        return subprocess.run(
            [sys.executable, "-m", "streamd", command, *self.flags, *rest],
            capture_output=True,
            text=True,
            timeout=_CLI_TIMEOUT_S,
            check=check,
            env={**os.environ, **self.environment},
        )

    def kill(self) -> None:
        """End the daemon as a crash would; its media goes on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(_STOP_TIMEOUT_S)
        self.process = None

    def stop(self) -> int:
        """End the daemon and its media, and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            status = self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.process = None
        return status

    def supervisord(self) -> int | None:
        """Return the pid of this daemon's supervisord, None when none runs."""
        marker = str(self.directory / "runtime").encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if any(b"supervisor" in part for part in command) and any(
                    marker in part for part in command
                ):
                    return int(entry.name)
        return None

    def processes(self) -> dict[int, str]:
        """Return every media process of this daemon that runs, by pid, from /proc alone."""
        marker = f"STREAMD_SUPERVISED={self.directory / 'runtime'}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes()
                    if command:  # a zombie has none
                        found[int(entry.name)] = command.replace(b"\0", b" ").decode()
        return found

    def end(self) -> None:
        """End whatever is left, by pid."""
        if (self.directory / "daemon.log").exists():
            LOST.append(self.log.count("publisher.unplayable"))
            if "PYTEST_CURRENT_TEST" in os.environ:
                print(self.log)  # shown where a test fails
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        for pid in [self.supervisord(), *self.processes()]:
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def streamd(engine: str, *, environment: Mapping[str, str] | None = None) -> Iterator[Streamd]:
    """Prepare a streamd on free ports; start it with `start` after writing its file.

    Its directory is short, as the path of a Unix socket has to be.
    """
    directory = Path(tempfile.mkdtemp(prefix="streamd-"))
    rtmp, http, api, status, hooks = free_ports(5)
    made = Streamd(directory, engine, rtmp, http, api, status, hooks, environment or {})
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(directory, ignore_errors=True)
