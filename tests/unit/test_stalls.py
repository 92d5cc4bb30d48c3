"""Which processes are told to hang, from reports and listings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamd.desired import AudioSpec, TranscodeSpec, VideoSpec
from streamd.engines.base import LiveStream
from streamd.jobs import Job, PlayoutJob, ServerJob, TargetJob, TranscodeJob, job_identity
from streamd.observe import Listing
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.playout.spec import SlateInput
from streamd.stalls import (
    HANGS,
    SILENT,
    SILENT_S,
    STALLED,
    SUSPICIOUS_AFTER_S,
    Heed,
    Stalls,
    failure_of,
)
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


# Playouts, which are fed by nobody, and transcodes, which are fed like targets.

PLAYOUT = PlayoutJob(
    "playout.live/show", "live/show", "rtmp://h", (SlateInput("/srv/s.mp4"),), "ffmpeg", "h:1"
)
LADDER = TranscodeJob(
    process="transcode.live/a",
    stream="live/a",
    input_url="rtmp://i",
    publish_url="rtmp://o",
    transcodes=(TranscodeSpec("p", "live/a", "live/p", VideoSpec("copy"), AudioSpec("copy")),),
    publisher="c1",
    ffmpeg="ffmpeg",
    progress="h:1",
)
OWN_PID = 21


def own(job: Job, state: str = "running") -> Observed:
    """Return a machine on which one of streamd's own publishers runs, and somebody publishes."""
    process = ObservedProcess(job.process, state, OWN_PID, job_identity(job))  # type: ignore[arg-type] # one of its words
    publisher = Publisher("main", "live/a", "live/a", "c1")
    return Observed(processes={job.process: process}, publishers={"live/a": publisher})


@pytest.fixture
def playouts(core: Core) -> Stalls:
    made = core.reconciler.stalls
    made.started(PLAYOUT.process, OWN_PID, 100.0)
    return made


def looked(
    core: Core, stalls: Stalls, job: Job, now: float, out_time_us: int | None = None
) -> Heed:
    """Let a process report, if at all, and look."""
    if out_time_us is not None:
        core.report_as(OWN_PID, out_time_us)
    return stalls.look(own(job), {job.process: job}, now)


def silent(stalls: Stalls, now: float, state: str = "running") -> frozenset[str]:
    return stalls.stalled(own(PLAYOUT, state), {PLAYOUT.process: PLAYOUT}, now)


def test_a_playout_that_never_reports_hangs_after_a_while(playouts: Stalls) -> None:
    assert silent(playouts, 100.0 + SILENT_S - 0.1) == frozenset()
    assert silent(playouts, 100.0 + SILENT_S) == {"playout.live/show"}
    assert silent(playouts, 100.0 + SILENT_S, "stopping") == frozenset()
    assert playouts.stalled(own(PLAYOUT), {}, 100.0 + SILENT_S) == frozenset()


def test_a_playout_with_nothing_on_air_is_well_for_as_long_as_it_reports(
    core: Core, playouts: Stalls
) -> None:
    for second in range(0, 3600, 9):
        now = 100.0 + second
        assert looked(core, playouts, PLAYOUT, now, 0) == Heed()
        assert silent(playouts, now) == frozenset()
    assert silent(playouts, now + SILENT_S - 0.1) == frozenset()
    assert silent(playouts, now + SILENT_S) == {"playout.live/show"}


def test_a_playout_on_air_does_what_it_is_for_and_is_never_suspicious(
    core: Core, playouts: Stalls
) -> None:
    assert looked(core, playouts, PLAYOUT, 101.0, 1_000_000) == Heed()
    assert core.reconciler.histories.by_process[PLAYOUT.process].healthy_since == 101.0
    assert looked(core, playouts, PLAYOUT, 101.0 + 2 * SUSPICIOUS_AFTER_S) == Heed()


def test_a_report_that_waits_to_be_read_counts(core: Core, playouts: Stalls) -> None:
    core.report_as(OWN_PID, 0)
    assert silent(playouts, 100.0 + 2 * SILENT_S) == frozenset()


def test_a_playout_that_an_earlier_streamd_started_is_given_its_time(core: Core) -> None:
    stalls = core.reconciler.stalls
    stalls.started(PLAYOUT.process, OWN_PID, 5000.0)
    assert silent(stalls, 5000.0 + SILENT_S - 0.1) == frozenset()
    assert silent(stalls, 5000.0 + SILENT_S) == {"playout.live/show"}


def test_nobody_hangs_for_not_being_heard_where_nobody_listens(core: Core) -> None:
    deaf = Stalls(core.reconciler.listings, core.reconciler.histories)
    deaf.started(PLAYOUT.process, OWN_PID, 100.0)
    assert silent(deaf, 100.0 + 2 * SILENT_S) == frozenset()


def test_a_transcode_stalls_when_its_input_goes_on_without_it(core: Core) -> None:
    stalls = core.reconciler.stalls
    stalls.started(LADDER.process, OWN_PID, 0.0)
    assert looked(core, stalls, LADDER, 0.5) == Heed(connecting=True)
    assert looked(core, stalls, LADDER, 1.0, 1_000_000) == Heed()
    input_goes_on(stalls, 1.0, 4.0, 8.0, 11.0)
    jobs: dict[str, Job] = {LADDER.process: LADDER}
    assert stalls.stalled(own(LADDER), jobs, 11.0) == {"transcode.live/a"}


def test_only_what_encodes_can_fall_behind(core: Core) -> None:
    for job in (LADDER, PLAYOUT):
        stalls = core.reconciler.stalls
        stalls.started(job.process, OWN_PID, 0.0)
        for second in range(40):
            input_goes_on(stalls, float(second))
            looked(core, stalls, job, float(second), round(second * 0.8e6))
        behind = stalls.behind(own(job), {job.process: job}, 39.0)
        assert behind == ({LADDER.process} if job is LADDER else frozenset())
        stalls.ended(OWN_PID)


@pytest.mark.parametrize(
    ("process", "failure"),
    [
        ("playout.live/show", SILENT),
        ("transcode.live/a", STALLED),
        ("target.cdn@playout.x/y", STALLED),
        ("server.playout", HANGS),
    ],
)
def test_what_is_wrong_with_one_that_hangs_is_told_by_its_kind(process: str, failure: str) -> None:
    assert failure_of(process) == failure
