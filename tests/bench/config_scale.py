"""How long a large configuration takes from the file to what is desired of it.

python -m tests.bench.config_scale [--objects 10000] [--runs 5]
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from streamd.config.defaults import Machine
from streamd.config.load import load
from streamd.desire import desire

GOAL_S = 5.0

MACHINE = Machine(engines={"srs": Path("/bin/true")}, ffmpeg=Path("/bin/true"))


def text(objects: int) -> str:
    """Return a file of so many streams and targets: ten lines for each pair."""
    lines = ["version: 1", "keys:", "  studio: {secret: 0123456789abcdef}", "streams:"]
    for number in range(objects):
        lines += (
            f"  app{number % 50}/stream{number}:",
            "    keys:",
            "      - studio",
            f"    key_in_name: {str(number % 3 == 0).lower()}",
        )
    lines.append("targets:")
    for number in range(objects):
        lines += (
            f"  target{number}:",
            f"    stream: app{number % 50}/stream{number}",
            "    platform: custom",
            f"    url: rtmp://cdn{number}.example.com/app",
            f'    key: "key-{number}-0123456789abcdef"',
            "    enabled: true",
        )
    return "\n".join(lines) + "\n"


def measure(path: Path, runs: int) -> list[float]:
    """Return the seconds that each run took."""
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        loaded = load(path, environment={}, machine=MACHINE)
        desired = desire(loaded.config, MACHINE)
        seconds.append(time.perf_counter() - begin)
        if len(desired.targets) != len(loaded.config.targets):
            raise RuntimeError("not every target is desired")
    return seconds


def main() -> int:
    """Print the median, and fail where it misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000, help="streams, and targets")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    return 0 if report(arguments.objects, arguments.runs) < GOAL_S else 1


def report(objects: int, runs: int) -> float:
    """Print the median and the spread of several runs, and return the median in seconds."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.yaml")
        content = text(objects)
        path.write_text(content, "utf-8")
        seconds = measure(path, runs)
    median = statistics.median(seconds)
    print(
        f"{objects} streams and {objects} targets, "
        f"{content.count(chr(10))} lines: load, check and desire {median:.2f} s "
        f"(median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f}; goal {GOAL_S:g} s)"
    )
    return median


if __name__ == "__main__":
    sys.exit(main())
