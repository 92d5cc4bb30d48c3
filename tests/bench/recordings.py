"""What a kill -9 costs a recording in pictures; what recording and finishing cost the machine.

python -m tests.bench.recordings [--engine srs|nginx-rtmp] [--runs N] [--bytes N] [--what lost]
"""

import argparse
import asyncio
import contextlib
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from streamd.playout.flv import FlvReader
from streamd.playout.rtmp import RtmpError, open_publish
from streamd.playout.tags import VIDEO
from tests.bench.playout import cpu_s, rss_mb
from tests.support.archive import picture_digests, place
from tests.support.media import clip, ffmpeg_path, publisher
from tests.support.streamd import SECRET, Streamd, streamd
from tests.support.waiting import wait_until_sync

VICTIMS = ("recorder", "media server", "everything")
FRAMES_PER_S = 25
GOP_S = 2
CLIP_S = 90
COST_S = 20.0
STREAMS = 4
LIMIT_S = 120.0
ENTRY = "archive@live/s0"
_SETTLED_S = 4 * GOP_S  # until a kill, and after it


def main() -> int:
    """Measure by itself."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("srs", "nginx-rtmp"), default="srs")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--what", choices=("lost", "costs", "finish"), action="append")
    arguments = parser.parse_args()
    what = arguments.what or ("lost", "costs", "finish")
    if "lost" in what:
        lost(arguments.engine, arguments.runs)
    if "costs" in what:
        costs(arguments.engine)
    if "finish" in what:
        finish(min(arguments.runs, 5), arguments.bytes)
    return 0


def measure(engine: str, runs: int, size: int) -> None:
    """Print what kills lose, what recording costs, and how long a recording of a size takes."""
    lost(engine, runs)
    costs(engine)
    finish(min(runs, 5), size)


# What is lost


def lost(engine: str, runs: int) -> None:
    """Kill while a stream is recorded, and count the pictures that the recording lacks."""
    chance = random.Random(4)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="streamd-bench-") as home, streamd(engine) as daemon:
        media, directory = _pictures(Path(home) / "clip.flv"), Path(home) / "recordings"
        number = {digest: at for at, digest in enumerate(picture_digests(media))}
        assert len(number) == FRAMES_PER_S * CLIP_S, "pictures cannot be told apart"
        daemon.write(_config(daemon, directory, 1))
        daemon.start()
        for victim in VICTIMS * runs:
            sent, path = _one(daemon, media, victim, chance.uniform(0, GOP_S))
            kept = {number[digest] for digest in picture_digests(path)}
            found.setdefault("begin", []).append(min(kept) / FRAMES_PER_S)
            found.setdefault(victim, []).append(
                len({*range(min(kept), sent)} - kept) / FRAMES_PER_S
            )
    print(f"{engine}, {FRAMES_PER_S} pictures/s, a keyframe every {GOP_S} s: seconds of pictures")
    print(f"  {'lost by':<32}{'median':>8}{'min':>8}{'max':>8}{'runs':>6}")
    for what, seconds in found.items():
        shown = "begin of the stream" if what == "begin" else f"kill -9 of {what}"
        print(
            f"  {shown:<32}{statistics.median(seconds):>8.2f}{min(seconds):>8.2f}"
            f"{max(seconds):>8.2f}{len(seconds):>6}"
        )


def _one(daemon: Streamd, media: Path, victim: str, jitter_s: float) -> tuple[int, Path]:
    """Record once and kill; return how many pictures had to be there, and the recording.

    Those had to that were sent before the kill, or where the encoder went on, before the recorder
    had been back for a while.
    """
    before = {each["uuid"] for each in daemon.status()["recorded"]}
    with _encoder(daemon.url("live/s0"), media) as encoder:
        _wait_recorded(daemon, _SETTLED_S, encoder)
        time.sleep(jitter_s)
        pids = _pids(daemon)
        victims = [*pids.values()] if victim == "everything" else [pids[victim]]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        sent = encoder.sent
        if victim == "recorder":
            wait_until_sync(
                lambda: _pids(daemon).get("recorder", 0) not in (0, pids["recorder"]), LIMIT_S
            )
            time.sleep(_SETTLED_S)
            sent = encoder.sent - FRAMES_PER_S  # of what is on its way nothing was asked
    if victim == "everything":
        daemon.kill()
        daemon.start()

    def finished() -> str:
        entries = [each for each in daemon.status()["recorded"] if each["uuid"] not in before]
        return str(entries[0]["path"]) if entries else ""

    path = wait_until_sync(finished, LIMIT_S, "the recording to be finished")
    daemon.wait_for_state("servers", "main", "running", LIMIT_S)
    return sent, Path(path) / "index.mp4"


def _pids(daemon: Streamd) -> dict[str, int]:
    status = daemon.status()
    assert daemon.process is not None
    found = {
        "recorder": status["recordings"].get(ENTRY, {}).get("pid", 0),
        "media server": status["servers"]["main"]["pid"],
        "archive": _archive(daemon),
        "supervisord": daemon.supervisord() or 0,
        "streamd": daemon.process.pid,
    }
    return {name: pid for name, pid in found.items() if pid}


def _archive(daemon: Streamd) -> int:
    return next((p for p, c in daemon.processes().items() if "-m streamd.archive" in c), 0)


def _wait_recorded(daemon: Streamd, seconds: float, encoder: "_Encoder | None" = None) -> None:
    def grown() -> bool:
        assert encoder is None or not encoder.ended, encoder.ended
        entry = daemon.status()["recordings"].get(ENTRY, {})
        return bool(entry.get("state") == "recording" and entry["seconds"] >= seconds)

    wait_until_sync(grown, LIMIT_S, f"{seconds} s of recording; {daemon.log}")


def _config(daemon: Streamd, directory: Path, streams: int) -> str:
    names = ", ".join(f"s{number}: {{keys: [studio]}}" for number in range(streams))
    return f"""\
{daemon.head()}
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{{names}}}
recordings: {{archive: {{streams: ["*"], directory: {directory}, resume: 5s}}}}
"""


def _pictures(path: Path) -> Path:
    """Encode a stream in which no two pictures are the same."""
    picture = f"testsrc2=size=640x360:rate={FRAMES_PER_S}:duration={CLIP_S}"
    gop = str(FRAMES_PER_S * GOP_S)
    argv = (
        *(ffmpeg_path(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", picture),
        *("-f", "lavfi", "-i", f"sine=duration={CLIP_S}", "-c:a", "aac", "-c:v", "libx264"),
        *("-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-b:v", "2500k"),
        *("-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-f", "flv", str(path)),
    )
    subprocess.run(argv, check=True, timeout=LIMIT_S)
    return path


class _Encoder:
    """Publishes a file in real time, once, and counts the pictures that it has sent."""

    def __init__(self, url: str, media: Path) -> None:
        self.sent = 0
        self.ended = ""
        self.stopped = threading.Event()
        self._url = url
        self._tags = FlvReader().feed(media.read_bytes())

    def run(self) -> None:
        """Publish until it is stopped, or the server is gone."""
        try:
            asyncio.run(self._publish())
        except RtmpError as error:
            self.ended = str(error)

    async def _publish(self) -> None:
        async with await open_publish(self._url, timeout_s=10) as publish:
            began = time.monotonic()
            for tag in self._tags:
                await asyncio.sleep(began + tag.timestamp_ms / 1000 - time.monotonic())
                if self.stopped.is_set():
                    return
                await publish.send(tag)
                self.sent += tag.kind == VIDEO and not tag.is_header and not tag.is_sequence_end


@contextlib.contextmanager
def _encoder(url: str, media: Path) -> Iterator[_Encoder]:
    encoder = _Encoder(url, media)
    thread = threading.Thread(target=encoder.run)
    thread.start()
    try:
        yield encoder
    finally:
        encoder.stopped.set()
        thread.join(LIMIT_S)


# What it costs


def costs(engine: str) -> None:
    """Measure recorders and their archive while some streams are live, at two bit rates."""
    print(f"{engine}, {STREAMS} streams are recorded; each recorder, and the archive of the rule")
    for kbps in (0, 5000):
        _costs(engine, kbps)


def _costs(engine: str, kbps: int) -> None:
    with contextlib.ExitStack() as running:
        home = running.enter_context(tempfile.TemporaryDirectory(prefix="streamd-bench-"))
        daemon = running.enter_context(streamd(engine))
        daemon.write(_config(daemon, Path(home), STREAMS))
        daemon.start()
        for number in range(STREAMS):
            url = daemon.url(f"live/s{number}")
            running.enter_context(publisher(url, media=clip(video_kbps=kbps)))
        recorders = wait_until_sync(lambda: _recorders(daemon), LIMIT_S, "every recorder")
        _wait_recorded(daemon, _SETTLED_S)
        for what, pids in (("recorder", recorders), ("archive", [_archive(daemon)])):
            _print_cost(f"{what}, {kbps or 300} kb/s", pids)


def _recorders(daemon: Streamd) -> list[int]:
    pids = [each.get("pid") for each in daemon.status()["recordings"].values()]
    return [pid for pid in pids if pid] if len(pids) == STREAMS and all(pids) else []


def _print_cost(what: str, pids: Sequence[int]) -> None:
    before, began = [*map(cpu_s, pids)], time.monotonic()
    time.sleep(COST_S)
    passed = (time.monotonic() - began) / 100
    shares = [(cpu_s(pid) - cpu) / passed for pid, cpu in zip(pids, before, strict=True)]
    print(
        f"  {what:<24}{statistics.median(shares):>6.2f} % of a core, "
        f"{statistics.median(map(rss_mb, pids)):>5.1f} MB, of these its own "
        f"{statistics.median(map(_own_mb, pids)):>5.1f} MB"
    )


def _own_mb(pid: int) -> float:
    """Return the memory that would be free without a process: what it shares with none."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1e3


# Finishing


def finish(runs: int, size: int) -> None:
    """Measure how long a recording of a size takes to be finished, and the archive's memory."""
    print(f"a recording of {size / 1e9:.1f} GB is finished, {runs} runs")
    for format_ in ("mp4", "hls"):
        found = [_finish(format_, size) for _ in range(runs)]
        seconds = [each / (written / 1e9) for each, written, _ in found]
        peaks = [peak for _, _, peak in found]
        print(
            f"  {format_:<6} seconds for 1 GB: median {statistics.median(seconds):>6.2f}, "
            f"worst {max(seconds):>6.2f}; the archive takes {statistics.median(peaks):.0f} MB "
            "at most"
        )


def _finish(format_: str, size: int) -> tuple[float, int, float]:
    """Return the seconds, the bytes and the archive's peak memory in MB of one recording."""
    with tempfile.TemporaryDirectory(prefix="streamd-bench-") as home:
        here = place(Path(home), format=format_)
        here.spool.mkdir(parents=True)
        media = clip(video_kbps=8000)
        argv = (
            *(ffmpeg_path(), "-v", "error", "-nostdin"),
            *("-stream_loop", str(size // media.stat().st_size), "-i", str(media), "-c", "copy"),
            *("-f", "segment", "-segment_time", "6", "-segment_format", "mpegts"),
            f"{here.spool}/live!cam!20261123T013000.000000Z-1-%06d.ts",
        )
        subprocess.run(argv, check=True, timeout=LIMIT_S)
        written = sum(path.stat().st_size for path in here.segments())
        with here.archive() as running:
            here.finished()
            status = Path(f"/proc/{running.pid}/status").read_text()
        took = re.search(r"finished in ([0-9.]+) s", here.log())
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert took is not None
        assert peak is not None
        return float(took[1]), written, int(peak[1]) / 1e3


if __name__ == "__main__":
    sys.exit(main())
