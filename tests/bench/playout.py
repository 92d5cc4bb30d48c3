"""How long a viewer is without new pictures when an encoder goes and comes; what a playout costs.

python -m tests.bench.playout [--engine srs|nginx-rtmp] [--runs N]
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

from streamd.desired import EngineName
from streamd.playout.flv import FlvReader
from streamd.playout.headers import parameter_sets
from streamd.playout.rtmp import open_play
from streamd.playout.spec import FilesInput, IngestInput
from streamd.playout.tags import VIDEO
from tests.support.engines import RunningServer, running_server
from tests.support.media import clip, publisher
from tests.support.pids import children_of
from tests.support.playout import RunningPlayout, running_playout, slate
from tests.support.waiting import wait_until

BINARIES = {"srs": "/usr/local/srs/objs/srs", "nginx-rtmp": "/usr/sbin/nginx"}
COST_S = 20.0
SETTLE_S = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Watcher:
    """A viewer that notes when each picture came, and whether it is the slate's."""

    def __init__(self, slate_units: tuple[bytes, ...]) -> None:
        self.pictures: list[tuple[float, bool]] = []
        self._slate_units = slate_units
        self._is_slate = False

    async def watch(self, url: str) -> None:
        """Watch an address for ever."""
        async with await open_play(url, timeout_s=10) as play:
            async for tag in play:
                if tag.kind != VIDEO or tag.is_header:
                    continue
                if tag.is_keyframe:
                    self._is_slate = any(unit in tag.body for unit in self._slate_units)
                self.pictures.append((time.monotonic(), self._is_slate))

    async def first(self, since: float, *, slate: bool) -> float:
        """Wait for the first picture of the slate, or of the encoder, and return when it came."""

        def found() -> float | None:
            pictures = (at for at, is_slate in self.pictures if at > since and is_slate == slate)
            return next(pictures, None)

        at = await wait_until(found, what="a picture")
        assert at is not None
        return at

    def longest_wait(self, since: float) -> float:
        """Return the longest time without a new picture from then on, seconds."""
        times = [at for at, _ in self.pictures]
        begin = max((number for number, at in enumerate(times) if at <= since), default=0)
        return max(after - before for before, after in pairwise(times[begin:]))


def slate_units(cache: Path) -> tuple[bytes, ...]:
    """Return the parameter sets of every fitted slate."""
    found: list[bytes] = []
    for path in cache.glob("*.flv"):
        tags = FlvReader().feed(path.read_bytes())
        sets = [parameter_sets(tag) for tag in tags if tag.kind == VIDEO and tag.is_header]
        found += [unit for each in sets if each is not None for unit in each.sps]
    return tuple(found)


@contextlib.asynccontextmanager
async def server(directory: Path, engine: EngineName) -> AsyncIterator[RunningServer]:
    """Run a media server with an app for ingests."""
    apps = {} if engine == "srs" else {"apps": ("live", "in"), "waiting_apps": ("in",)}
    async with running_server(directory, engine, BINARIES[engine], **apps) as running:
        yield running


async def outages(engine: EngineName, runs: int) -> None:
    """Measure what a viewer sees of an encoder that is killed, frozen and back."""
    seconds: dict[str, list[float]] = {}

    def note(what: str, value: float) -> None:
        seconds.setdefault(what, []).append(value)

    async with contextlib.AsyncExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
        media = await running.enter_async_context(server(directory, engine))
        made, ingest = media.url("live/made"), media.url("in/made")
        inputs = IngestInput(ingest), slate()
        playout = running.enter_context(running_playout(directory, made, *inputs))
        with publisher(ingest):
            await playout.wait_input(0)
            await asyncio.sleep(2 * SETTLE_S)
        watcher = Watcher(slate_units(directory / "cache"))
        watching = asyncio.create_task(watcher.watch(made))
        try:
            await playout.wait_input(1)
            for _ in range(runs):
                await asyncio.sleep(SETTLE_S)
                begun = time.monotonic()
                with publisher(ingest) as encoder:
                    note(
                        "encoder starts -> its pictures",
                        await watcher.first(begun, slate=False) - begun,
                    )
                    await asyncio.sleep(SETTLE_S)
                    note("return: longest without new pictures", watcher.longest_wait(begun))
                    begun = time.monotonic()
                    encoder.freeze()
                    note("freeze -> slate", await watcher.first(begun, slate=True) - begun)
                    await asyncio.sleep(SETTLE_S)
                    note("freeze: longest without new pictures", watcher.longest_wait(begun))
                    begun = time.monotonic()
                    encoder.thaw()
                    note("thaw -> its pictures", await watcher.first(begun, slate=False) - begun)
                    await asyncio.sleep(SETTLE_S)
                    note("thaw: longest without new pictures", watcher.longest_wait(begun))
                    begun = time.monotonic()
                    encoder.kill()
                    note("kill -9 -> slate", await watcher.first(begun, slate=True) - begun)
                    await asyncio.sleep(SETTLE_S)
                    note("kill -9: longest without new pictures", watcher.longest_wait(begun))
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
    print(f"{engine}\n  {'seconds':<40}{'median':>8}{'min':>8}{'max':>8}{'runs':>6}")
    for what, found in sorted(seconds.items()):
        middle = statistics.median(found)
        print(f"  {what:<40}{middle:>8.3f}{min(found):>8.3f}{max(found):>8.3f}{len(found):>6}")


def cpu_s(pid: int, *, reaped: bool = False) -> float:
    """Return the seconds of a core that a process has taken, or its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    at = 13 if reaped else 11
    return (int(fields[at]) + int(fields[at + 1])) / _TICKS


def rss_mb(pid: int) -> float:
    """Return its resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def cost(what: str, playout: RunningPlayout) -> None:
    """Print what a playout costs, and its children."""
    await asyncio.sleep(2 * SETTLE_S)
    pid = playout.process.pid

    def children_s() -> float:
        return cpu_s(pid, reaped=True) + sum(map(cpu_s, children_of(pid)))

    own, children, begun = cpu_s(pid), children_s(), time.monotonic()
    await asyncio.sleep(COST_S)
    passed = (time.monotonic() - begun) / 100
    own, children = (cpu_s(pid) - own) / passed, (children_s() - children) / passed
    theirs = sum(map(rss_mb, children_of(pid)))
    print(
        f"  {what:<32}{own:>6.2f} % of a core, {rss_mb(pid):>5.1f} MB; "
        f"children {children:>5.2f} %, {theirs:>5.1f} MB"
    )


async def costs(engine: EngineName) -> None:
    """Measure fallbacks and files at two bit rates."""
    print(engine)
    for kbps in (0, 5000):
        media_file = clip(video_kbps=kbps)
        shown = f"{kbps or 300} kb/s"
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            async with server(directory, engine) as media:
                made, ingest = media.url("live/made"), media.url("in/made")
                inputs = IngestInput(ingest), slate()
                with running_playout(directory, made, *inputs) as playout:
                    with publisher(ingest, media=media_file):
                        await playout.wait_input(0)
                        await cost(f"fallback, encoder, {shown}", playout)
                    await playout.wait_input(1)
                    if not kbps:
                        await cost("fallback, slate", playout)
                files = FilesInput((str(media_file),), directories=(str(media_file.parent),))
                with running_playout(directory, made, files) as playout:
                    await playout.wait_input(0)
                    await cost(f"files of 12 s, {shown}", playout)


async def measure(engine: EngineName, runs: int) -> None:
    """Print how long viewers are without new pictures, and what playouts cost."""
    await outages(engine, runs)
    await costs(engine)


async def run() -> None:
    """Measure each engine in turn."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=tuple(BINARIES), action="append")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--what", choices=("outages", "costs"), action="append")
    arguments = parser.parse_args()
    what = arguments.what or ("outages", "costs")
    for engine in arguments.engine or tuple(BINARIES):
        if "outages" in what:
            await outages(engine, arguments.runs)
        if "costs" in what:
            await costs(engine)


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
