"""Which processes are told to hang, from reports and listings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamd.engines.base import LiveStream
from streamd.jobs import Job, ServerJob, TargetJob, job_identity
from streamd.observe import Listing
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.stalls import SUSPICIOUS_AFTER_S, Heed, Stalls
from tests.support.core import Core
from tests.support.snapshots import SERVER

OUT = TargetJob("target.out", "out", "live/a", "rtmp://i", "rtmp://o", "c1", "ffmpeg", "h:1")
JOBS: dict[str, Job] = {"server.main": ServerJob("server.main", SERVER), "target.out": OUT}


def observed(state: str = "running", *, publisher: bool = True) -> Observed:
    return Observed(
        processes={
            name: ObservedProcess(name, state, pid, job_identity(job))  # type: ignore[arg-type] # one of its words
            for pid, (name, job) in enumerate(JOBS.items(), 11)
        },
        publishers={"live/a": Publisher("main", "live/a", "live/a", "c1")} if publisher else {},
    )


PID = observed().processes["target.out"].pid


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = Core(tmp_path)
    yield made
    assert made.reconciler.progress is not None
    made.reconciler.progress.close()


@pytest.fixture
def stalls(core: Core) -> Stalls:
    made = core.reconciler.stalls
    made.started("target.out", PID, 0.0)
    return made


def reported(core: Core, stalls: Stalls, out_time_us: int, now: float) -> Heed:
    """Let the target report, and look."""
    core.report_as(PID, out_time_us)
    return stalls.look(observed(), JOBS, now)


def input_goes_on(stalls: Stalls, *times: float) -> None:
    for now in times:
        live = LiveStream("live/a", "c1", int(now * 1000), 0, 0)
        stalls.listed({"main": Listing(now, (live,))})


def test_a_job_that_sent_nothing_yet_connects(core: Core, stalls: Stalls) -> None:
    assert stalls.look(observed(), JOBS, 1.0) == Heed(connecting=True)
    assert reported(core, stalls, 0, 2.0) == Heed(connecting=True)


def test_a_job_whose_media_advances_does_what_it_is_for(core: Core, stalls: Stalls) -> None:
    assert reported(core, stalls, 1_000_000, 1.0) == Heed()
    assert core.reconciler.histories.by_process["target.out"].healthy_since == 1.0


def test_a_job_that_was_heard_and_falls_silent_is_suspicious(core: Core, stalls: Stalls) -> None:
    reported(core, stalls, 1_000_000, 1.0)
    assert stalls.look(observed(), JOBS, 1.0 + SUSPICIOUS_AFTER_S) == Heed(suspicious=True)


def test_it_stalls_when_its_input_goes_on_without_it(core: Core, stalls: Stalls) -> None:
    reported(core, stalls, 1_000_000, 1.0)
    input_goes_on(stalls, 1.0, 4.0, 8.0, 11.0)
    assert stalls.stalled(observed(), JOBS, 11.0) == {"target.out"}
    assert stalls.stalled(observed(publisher=False), JOBS, 11.0) == frozenset()
    assert stalls.stalled(observed("stopping"), JOBS, 11.0) == frozenset()
    assert stalls.stalled(observed(), {}, 11.0) == frozenset()
    assert reported(core, stalls, 2_000_000, 11.0) == Heed()
    assert stalls.stalled(observed(), JOBS, 11.0) == frozenset()


def test_another_receiver_hears_those_that_run_already(
    core: Core, stalls: Stalls, tmp_path: Path
) -> None:
    other = Core(tmp_path / "other")
    moved = other.reconciler.progress
    assert moved is not None
    before = stalls.progress
    assert before is not None
    before.close()
    stalls.hear(moved)
    assert reported(other, stalls, 1_000_000, 1.0) == Heed()
    moved.close()


def test_what_has_ended_is_not_heard_any_more(core: Core, stalls: Stalls) -> None:
    reported(core, stalls, 1_000_000, 1.0)
    stalls.ended(PID)
    stalls.ended(PID)
    assert reported(core, stalls, 2_000_000, 2.0) == Heed(connecting=True)
