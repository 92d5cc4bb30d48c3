"""An archive and recorders as supervisord starts them, and what is found of recordings."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from streamd.archive.layout import spool_of
from streamd.archive.recording import Recording
from streamd.archive.recording_json import FILE, from_json
from streamd.archive.spec import SPEC_FD, ArchiveSpec, to_json
from streamd.callbacks.events import Event
from streamd.callbacks.events import from_json as event_from_json
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.record_argv import record_process
from streamd.jobs import RecordJob
from streamd.supervision.process import ProcessSpec
from tests.support.media import ffmpeg_path
from tests.support.ports import free_port
from tests.support.process import Spawned, spawned
from tests.support.waiting import wait_until_sync

LIMIT_S = 60.0


@dataclass
class Place:
    """A directory with an archive's files in it, whether the archive runs or not.

    Attributes:
        home: of everything.
        spec: of the archive.
    """

    home: Path
    spec: ArchiveSpec

    @property
    def root(self) -> Path:
        """Where recordings are."""
        return Path(self.spec.directory)

    @property
    def spool(self) -> Path:
        """Where recorders write."""
        return Path(spool_of(self.spec.directory, self.spec.rule))

    def status(self) -> dict[str, Any]:
        """Return what the archive says of itself; empty before it has."""
        try:
            found: dict[str, Any] = json.loads(Path(self.spec.status).read_text())
        except FileNotFoundError:
            return {}
        return found

    def recordings(self) -> list[Recording]:
        """Return every recording that is written down, the earliest first."""
        found = []
        for path in self.root.rglob(FILE):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append(from_json(path.read_text(), str(path.parent)))
        return sorted(found, key=lambda each: each.started_at)

    def finished(self, count: int = 1) -> list[Recording]:
        """Wait until so many recordings are done and told of, and return all."""

        def are_done() -> list[Recording]:
            found = self.recordings()
            done = [each for each in found if each.end_told]
            return found if len(done) >= count and len(done) == len(found) else []

        wait_until_sync(
            are_done, LIMIT_S, f"{count} finished recordings; {self.status()}; {self.log()}"
        )
        wait_until_sync(
            lambda: not self.status().get("recordings"), LIMIT_S, "nothing to be left to do"
        )
        return are_done()

    def events(self) -> list[Event]:
        """Return the events that wait for callbacks, the oldest first."""
        incoming = Path(self.spec.outbox) / "incoming"
        return [event_from_json(path.read_bytes()) for path in sorted(incoming.glob("[0-9]*.json"))]

    def log(self) -> str:
        """Return what archives have said."""
        path = self.home / "archive.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, text: str) -> None:
        """Wait until an archive has said something."""
        wait_until_sync(lambda: text in self.log(), LIMIT_S, f"{text!r} in {self.log()}")

    @contextlib.contextmanager
    def archive(self) -> Iterator[Spawned]:
        """Run the archive until the block ends."""
        process = ProcessSpec(
            name=f"archive.{self.spec.rule}",
            argv=(sys.executable, "-m", "streamd.archive", self.spec.rule),
            identity="test",
            log_path=str(self.home / "archive.log"),
            secret_inputs={SPEC_FD: to_json(self.spec)},
        )
        with spawned(process) as running:
            yield running

    @contextlib.contextmanager
    def recorder(self, input_url: str, stream: str = "live/cam") -> Iterator[Spawned]:
        """Record what is at an address until the block ends; the spool has to be there."""
        wait_until_sync(self.spool.is_dir, LIMIT_S, "the spool")
        job = RecordJob(
            process=f"record.{self.spec.rule}@{stream}",
            rule=self.spec.rule,
            stream=stream,
            input_url=input_url,
            spool=str(self.spool),
            publisher="1",
            ffmpeg=ffmpeg_path(),
            progress=f"127.0.0.1:{free_port()}",
        )
        log = str(self.home / "recorder.log")
        with spawned(record_process(job, _BINARY, log, identity="test")) as running:
            yield running

    def segments(self, stream: str = "live/cam") -> list[Path]:
        """Return the segments in the spool."""
        return sorted(self.spool.glob(f"{stream.replace('/', '!')}!*.ts"))

    def wait_segments(self, count: int, stream: str = "live/cam") -> None:
        """Wait until a recorder has begun so many segments, wherever they are now."""

        def begun() -> int:
            names = {path.name.rpartition("!")[2] for path in self.root.rglob("*.ts")}
            names |= {path.name.rpartition("!")[2] for path in self.segments(stream)}
            return len(names)

        wait_until_sync(lambda: begun() >= count, LIMIT_S, f"{count} segments; {self.log()}")

    def wait_bytes(self, recorder: Spawned, size: int = 20_000) -> None:
        """Wait until the segment that a recorder writes has grown to a size."""

        def grown() -> bool:
            for path in sorted(self.spool.glob(f"*-{recorder.pid}-*.ts"))[-1:]:
                with contextlib.suppress(FileNotFoundError):  # taken to its recording meanwhile
                    return path.stat().st_size >= size
            return False

        wait_until_sync(grown, LIMIT_S, "a segment to grow")


_BINARY = FFmpegBinary(
    path=ffmpeg_path(),
    version="",
    protocols=frozenset(),
    hides_output_key=True,
    hides_input_key=True,
    ca_file=None,
)


def place(home: Path, **changes: Any) -> Place:
    """Return a place for an archive below a directory; `changes` are fields of its spec."""
    ffprobe = shutil.which("ffprobe")
    assert ffprobe is not None, "the tests need ffprobe in PATH"
    spec = ArchiveSpec(
        rule="archive",
        directory=str(home / "recordings"),
        name="{app}/{stream}/{date}/{time}-{uuid}",
        format="mp4",
        split_s=None,
        resume_s=0.5,
        keep_for_s=None,
        keep_bytes=None,
        free_share=0.0,
        free_bytes=0,
        ffmpeg=ffmpeg_path(),
        ffprobe=ffprobe,
        outbox=str(home / "outbox"),
        status=str(home / "status" / "archive.json"),
        url_base="http://host/recordings/archive",
    )
    return Place(home, replace(spec, **changes))


def probe(path: Path) -> dict[str, Any]:
    """Return what ffprobe says of a file: its `format`, and its streams by kind."""
    argv = ("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path))
    result = subprocess.run(argv, capture_output=True, check=True, timeout=60)
    found = json.loads(result.stdout)
    return {"format": found["format"]} | {each["codec_type"]: each for each in found["streams"]}


def picture_digests(path: Path | str) -> list[str]:
    """Return a digest of each picture of a file or playlist, decoded, in order."""
    argv = (
        *(ffmpeg_path(), "-v", "error", "-nostdin", "-i", str(path), "-map", "0:v:0"),
        *("-fps_mode", "passthrough", "-f", "framemd5", "-"),
    )
    result = subprocess.run(argv, capture_output=True, check=True, timeout=60, text=True)
    lines = [line for line in result.stdout.splitlines() if not line.startswith("#")]
    return [line.rpartition(",")[2].strip() for line in lines]


def write_segments(
    directory: Path,
    media: Path,
    run: str,
    *,
    stream: str = "live/cam",
    arguments: tuple[str, ...] = (),
) -> list[Path]:
    """Write a file's media into a spool, at once, as a recorder that has ended would have."""
    stem = f"{stream.replace('/', '!')}!{run}"
    argv = (
        *(ffmpeg_path(), "-v", "error", "-nostdin", "-i", str(media), *arguments, "-c", "copy"),
        *("-f", "segment", "-segment_time", "1", "-segment_format", "mpegts"),
        *("-individual_header_trailer", "0", f"file:{directory}/{stem}-%06d.ts"),
    )
    subprocess.run(argv, check=True, timeout=60)
    return sorted(directory.glob(f"{stem}-*.ts"))
