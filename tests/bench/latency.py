"""How long after a save, an exit or a publisher things happen; and what the daemon costs."""

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.media import publisher
from tests.support.receiver import Receiver, receiver
from tests.support.streamd import SECRET, Streamd, streamd

POLL_S = 0.002
TIMEOUT_S = 60.0
COST_S = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")

GOALS = {
    "add: save -> process": 0.15,
    "add: save -> media": 0.5,
    "edit: save -> process": 0.15,
    "edit: save -> media": 0.5,
    "kill -9 FFmpeg -> process": 0.7,
    "kill -9 FFmpeg -> media": 0.7,
    "frozen FFmpeg -> media": 8.0,
    "publisher gone -> target gone": 0.5,
    "publisher back -> media": 0.8,
}


@dataclass
class Figures:
    """Seconds of each run, by what was measured."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, started: float) -> None:
        """Note the time since `started` (monotonic)."""
        self.seconds.setdefault(what, []).append(time.monotonic() - started)

    def print(self) -> None:
        """Print a row for each: median, least, most, runs, goal."""
        print(f"  {'seconds':<32}{'median':>8}{'min':>8}{'max':>8}{'runs':>6}{'goal':>8}")
        for what, found in self.seconds.items():
            goal = f"{GOALS[what]:.2f}" if what in GOALS else ""
            print(
                f"  {what:<32}{statistics.median(found):>8.3f}{min(found):>8.3f}"
                f"{max(found):>8.3f}{len(found):>6}{goal:>8}"
            )


def until(condition: Callable[[], object]) -> None:
    """Poll closely until a condition holds."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {TIMEOUT_S} s")
        time.sleep(POLL_S)


class Bench:
    """One daemon with a number of targets that are live."""

    def __init__(self, daemon: Streamd, crowd: Receiver, platform: Receiver, count: int) -> None:
        self.daemon = daemon
        self.crowd = crowd
        self.platform = platform
        self.count = count
        self.figures = Figures()
        self._others: set[int] = set()

    def config(self, *extra: str) -> str:
        """Return the file with `count` targets and the extra lines."""
        lines = [
            f"  t{n}: {{stream: show, url: '{self.crowd.url('in')}', key: t{n}}}"
            for n in range(self.count)
        ]
        return "\n".join([
            self.daemon.head(),
            f"keys: {{studio: {{secret: {SECRET}}}}}",
            "streams: {show: {keys: [studio]}, probe: {keys: [studio]}}",
            "targets:",
            *lines,
            *extra,
            "",
        ])  # fmt: skip

    def probe_line(self, key: str) -> str:
        """Return a target that is added and edited while the others are live."""
        url = self.platform.url("in")
        return f"  probe: {{stream: probe, url: '{url}', key: {key}}}"

    def process(self, stream_input: str) -> int:
        """Return the pid of the FFmpeg that reads a stream, 0 for none.

        Looks only at processes that it does not know, so that looking costs next to nothing.
        """
        for entry in os.listdir("/proc"):  # noqa: PTH208 - polled closely, and it is faster
            if not entry.isdigit() or int(entry) in self._others:
                continue
            try:
                command = Path(f"/proc/{entry}/cmdline").read_text()
            except OSError:
                continue
            if stream_input in command and "-progress" in command:
                return int(entry)
            if command and ("streamd" not in command or "-progress" in command):
                # A fork of supervisord shows as supervisord until it becomes FFmpeg.
                self._others.add(int(entry))
        return 0

    def media(self, key: str) -> bool:
        """Tell whether media arrives under a key."""
        return self.platform.receives(f"in/{key}")

    def started_after(self, what: str, began: float, before: int, key: str) -> None:
        """Note when a new process of the probe exists, and when its media arrives."""
        until(lambda: self.process("/live/probe") not in (0, before))
        self.figures.add(f"{what} -> process", began)
        until(lambda: self.media(key))
        self.figures.add(f"{what} -> media", began)

    def run(self, number: int) -> None:
        """Measure everything once."""
        daemon, figures = self.daemon, self.figures
        key, edited = f"a{number}", f"b{number}"
        with publisher(daemon.url("live/probe")) as encoder:
            until(lambda: daemon.state("streams", "live/probe") == "live")
            began = time.monotonic()
            daemon.write(self.config(self.probe_line(key)))
            self.started_after("add: save", began, 0, key)
            before = self.process("/live/probe")
            began = time.monotonic()
            daemon.write(self.config(self.probe_line(edited)))
            self.started_after("edit: save", began, before, edited)
            until(lambda: daemon.state("targets", "probe") == "live")
            before = self.process("/live/probe")
            began = time.monotonic()
            os.kill(before, signal.SIGKILL)
            until(lambda: not self.media(edited))
            self.started_after("kill -9 FFmpeg", began, before, edited)
            until(lambda: daemon.state("targets", "probe") == "live")
            began = time.monotonic()
            encoder.kill()
            until(lambda: not self.process("/live/probe"))
            figures.add("publisher gone -> target gone", began)
            until(lambda: not self.platform.bytes_in(f"in/{edited}"))
        began = time.monotonic()
        with publisher(daemon.url("live/probe")):
            until(lambda: self.media(edited))
            figures.add("publisher back -> media", began)
        until(lambda: not self.process("/live/probe"))
        daemon.write(self.config())
        until(lambda: "probe" not in daemon.status()["targets"])

    def freeze(self, number: int) -> None:
        """Measure a frozen FFmpeg once."""
        key = f"f{number}"
        with publisher(self.daemon.url("live/probe")):
            self.daemon.write(self.config(self.probe_line(key)))
            until(lambda: self.daemon.state("targets", "probe") == "live")
            before = self.process("/live/probe")
            began = time.monotonic()
            os.kill(before, signal.SIGSTOP)
            until(lambda: self.process("/live/probe") not in (0, before))
            until(lambda: self.media(key))
            self.figures.add("frozen FFmpeg -> media", began)
        until(lambda: not self.process("/live/probe"))

    def cost(self) -> None:
        """Print CPU and memory of streamd and supervisord over some idle seconds on air."""
        assert self.daemon.process is not None
        supervisord = self.daemon.supervisord()
        assert supervisord is not None
        pids = {"streamd": self.daemon.process.pid, "supervisord": supervisord}
        before = {name: _cpu_s(pid) for name, pid in pids.items()}
        time.sleep(COST_S)
        for name, pid in pids.items():
            share = (_cpu_s(pid) - before[name]) / COST_S
            print(f"  {name:<32}{share:>8.2%} of a core{_rss_mb(pid):>8.1f} MB")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def _bench(engine: str, count: int) -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory() as directory,
        receiver(Path(directory), "in") as crowd,
        receiver(Path(directory), "in") as platform,
        streamd(engine) as daemon,
    ):
        made = Bench(daemon, crowd, platform, count)
        daemon.write(made.config())
        daemon.start()
        with publisher(daemon.url("live/show")):
            began = time.monotonic()
            until(lambda: all(e["state"] == "live" for e in daemon.status()["targets"].values()))
            print(f"  all {count} targets live after {time.monotonic() - began:.1f} s")
            yield made


def measure(engine: str, count: int, runs: int) -> None:
    """Measure with `count` live targets beside the one that is measured, and print it."""
    print(f"{engine}, {count} live targets")
    with _bench(engine, count) as bench:
        bench.cost()
        for number in range(runs):
            bench.run(number)
        for number in range(max(1, runs // 3)):
            bench.freeze(number)
        bench.figures.print()
