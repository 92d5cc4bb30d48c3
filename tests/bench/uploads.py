"""How fast a large recording is uploaded, and how much memory that takes.

python -m tests.bench.uploads [--runs N] [--bytes N]
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from streamd.archive.storage import Storage
from tests.support.object_store import ObjectStore, object_store

_BLOCK = 1 << 20


def measure(runs: int, size: int) -> None:
    """Upload a file to rclone's S3 on this machine, each time in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="streamd-bench-") as home:
        directory = Path(home)
        file = directory / "index.mp4"
        with file.open("wb") as out:
            for _ in range(size // _BLOCK):
                out.write(os.urandom(_BLOCK))
        with object_store(directory) as store:
            print(f"upload of {size / 1e9:.2f} GB to S3 on this machine, {runs} runs")
            found = [_run(store, file) for _ in range(runs)]
    rates = [size / 1e6 / seconds for seconds, _ in found]
    peaks = [peak / 1024 for _, peak in found]
    print(f"  MB/s         median {statistics.median(rates):6.0f}  worst {min(rates):6.0f}")
    print(f"  peak memory  median {statistics.median(peaks):6.0f}  worst {max(peaks):6.0f}  MB")


def _run(store: ObjectStore, file: Path) -> tuple[float, float]:
    """Return the seconds that an upload takes, and the peak of its memory in kB."""
    given = json.dumps({"url": store.url, "options": store.options, "file": str(file)})
    argv = [sys.executable, "-m", "tests.bench.uploads", "--one"]
    done = subprocess.run(argv, input=given, check=True, capture_output=True, text=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


async def _one(url: str, options: dict[str, str], file: str) -> None:
    began = time.monotonic()
    await Storage(url, options).put(Path(file), "bench/index.mp4", lambda _count: None)
    print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> int:
    """Measure by itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        asyncio.run(_one(**json.load(sys.stdin)))
    else:
        measure(arguments.runs, arguments.bytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
