"""A viewer as players are: an FFmpeg that writes down what it gets, and complains."""

import asyncio
import contextlib
import itertools
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from streamd.playout.flv import FlvReader
from streamd.playout.tags import AUDIO, VIDEO, Tag
from tests.support.media import ffmpeg_path
from tests.support.process import LoggedProgram
from tests.support.waiting import wait_until

_POLL_S = 0.3
_names = itertools.count()


@dataclass(frozen=True)
class Viewer(LoggedProgram):
    """An FFmpeg that copies a stream into a file, and logs its warnings."""

    path: Path

    def tags(self) -> list[Tag]:
        """Return what it has written so far."""
        data = self.path.read_bytes() if self.path.exists() else b""
        return FlvReader().feed(data)

    def longest_step_ms(self, kind: int) -> int:
        """Return the longest step from one picture (or piece of sound) to the next.

        Fails where time goes back.
        """
        times = [tag.timestamp_ms for tag in self.tags() if tag.kind == kind and not tag.is_header]
        steps = [after - before for before, after in itertools.pairwise(times)]
        assert min(steps) >= 0, "time goes back"
        return max(steps)

    def seen_ms(self) -> int:
        """Return how much it has seen."""
        times = [tag.timestamp_ms for tag in self.tags() if tag.kind in (AUDIO, VIDEO)]
        return times[-1] - times[0] if times else 0

    async def wait_seen(self, longer_ms: int) -> None:
        """Wait until it has seen more than now by so much."""
        enough = self.seen_ms() + longer_ms
        await wait_until(lambda: self.seen_ms() >= enough, what=f"a viewer to see {enough} ms")


@contextlib.contextmanager
def viewer(directory: Path, url: str, *, to: str | None = None) -> Iterator[Viewer]:
    """Watch an address until the block ends, or send it on to another one."""
    name = f"viewer-{next(_names)}"
    path, log_path = directory / f"{name}.flv", directory / f"{name}.log"
    argv = (
        *(ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"),
        *("-analyzeduration", "3000000", "-fpsprobesize", "0", "-i", url, "-c", "copy"),
        *("-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv"),
        to or str(path),
    )
    with log_path.open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running = Viewer(process, log_path, path)
    try:
        yield running
    finally:
        running.stop()


@dataclass
class HlsViewer:
    """Fetches a playlist again and again."""

    url: str
    segments: set[str] = field(default_factory=set)
    discontinuities: int = 0
    failures: list[str] = field(default_factory=list)

    def playlist(self) -> str:
        """Return the playlist; empty where there is none."""
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError as error:
            self.failures.append(str(error))
            return ""

    async def watch(self) -> None:
        """Fetch it for ever."""
        while True:
            lines = (await asyncio.to_thread(self.playlist)).splitlines()
            self.segments |= {line for line in lines if line and not line.startswith("#")}
            self.discontinuities += "#EXT-X-DISCONTINUITY" in lines
            await asyncio.sleep(_POLL_S)


@contextlib.asynccontextmanager
async def hls_viewer(url: str) -> AsyncIterator[HlsViewer]:
    """Watch a playlist, once it is there without any discontinuity, until the block ends."""
    watching = HlsViewer(url)

    async def is_clean() -> bool:
        text = await asyncio.to_thread(watching.playlist)
        return text.count("#EXTINF") >= 2 and "#EXT-X-DISCONTINUITY" not in text

    await wait_until(is_clean, what=f"a clean playlist at {url}")
    watching.failures.clear()
    task = asyncio.create_task(watching.watch())
    try:
        yield watching
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
