"""How long a plan takes over many streams and targets that are all live."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from streamd.changes.compare import changes
from streamd.config.models import Daemon
from streamd.desired import (
    Desired,
    KeySpec,
    ServerSpec,
    StreamRule,
    TargetSpec,
    reload_identity,
)
from streamd.jobs import TargetJob, job_identity
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.plan import plan
from streamd.wanted import PlanIndex, wanted_jobs

GOAL_S = 0.5
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _input_url(server: str, stream: str) -> str:
    return f"http://{server}/{stream}.flv"


def machine(objects: int) -> tuple[Desired, Observed]:
    """Return so many streams, each live and sent to a target that runs."""
    server = ServerSpec(
        name="main", engine="srs", binary="/srs", host="h", rtmp=1935, http=8080, srt=None,
        webrtc=None, api=1985, hls_fragment_s=2.0, hls_window_s=20.0, webrtc_candidate=None,
        hooks="127.0.0.1:2023", apps=(),
    )  # fmt: skip
    key = KeySpec("studio", "a" * 64)
    streams = [f"live/s{number}" for number in range(objects)]
    desired = Desired(
        ffmpeg="/usr/bin/ffmpeg",
        daemon=Daemon(),
        servers={"main": server},
        keys={"studio": key},
        rules={name: StreamRule(name, frozenset({"studio"})) for name in streams},
        targets={
            f"t{n}": TargetSpec(f"t{n}", (name,), False, "custom", (f"rtmp://cdn/app/{n}",))
            for n, name in enumerate(streams)
        },
    )
    publishers = {
        name: Publisher("main", name, name, f"c{n}", "studio", key.sha256)
        for n, name in enumerate(streams)
    }
    observed = Observed(publishers=publishers)
    jobs, _ = wanted_jobs(desired, observed, _input_url, 0.0, NOW)
    processes = {
        name: ObservedProcess(
            name,
            "running",
            number + 1,
            job_identity(job),
            publisher=job.publisher if isinstance(job, TargetJob) else "",
        )
        for number, (name, job) in enumerate(jobs.items())
    }
    return desired, Observed(processes, publishers, loaded={"main": reload_identity(server)})


def _median_s(work: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def measure(objects: int, runs: int) -> None:
    """Print the medians."""
    desired, observed = machine(objects)
    index = PlanIndex(desired)
    edited = replace(desired.targets["t5"], urls=("rtmp://cdn/app/edited",))
    new = replace(desired, targets={**desired.targets, "t5": edited})
    figures = {
        "a pass that finds nothing to do": lambda: plan(
            desired, observed, _input_url, now=0.0, clock=NOW, index=index
        ),
        "`streamd plan` of one edited target": lambda: changes(desired, new, observed, {}, NOW),
        "a pass after a change, its index built anew": lambda: plan(
            new, observed, _input_url, now=0.0, clock=NOW
        ),
    }
    print(f"{objects} live streams and {objects} targets (goal {GOAL_S:g} s)")
    for what, work in figures.items():
        print(f"  {what:<46}{_median_s(work, runs):>8.3f} s")
