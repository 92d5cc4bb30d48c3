"""`make bench`: measure streamd at work, and print medians over several runs.

python -m tests.bench [--engine srs|nginx-rtmp] [--runs N] [--targets 10,200]
"""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from streamd.desired import EngineName
from tests.bench import config_scale, plan_scale, playout, recordings, uploads
from tests.bench.latency import measure

SRS = Path("/usr/local/srs/objs/srs")


def main() -> int:
    """Measure each number of targets in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=("srs", "nginx-rtmp"))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--targets", default="10,200")
    arguments = parser.parse_args()
    has_srs = SRS.exists() or shutil.which("srs") is not None
    engine: EngineName = arguments.engine or ("srs" if has_srs else "nginx-rtmp")
    config_scale.report(10_000, arguments.runs)
    plan_scale.measure(10_000, arguments.runs)
    for count in map(int, arguments.targets.split(",")):
        measure(engine, count, arguments.runs)
    asyncio.run(playout.measure(engine, arguments.runs))
    recordings.measure(engine, arguments.runs, 10**9)
    uploads.measure(min(arguments.runs, 5), 10**9)
    return 0


if __name__ == "__main__":
    sys.exit(main())
