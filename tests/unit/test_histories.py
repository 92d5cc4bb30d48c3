"""What is counted of exits, and what is made of a process's log."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from streamd import backoff
from streamd.histories import Histories
from streamd.jobs import Job, ServerJob, TargetJob, job_identity
from streamd.observed import JobHistory, ObservedProcess, ProcessState
from streamd.process_logs import log_file_name
from tests.support.snapshots import SERVER

TARGET = TargetJob(
    process="target.out",
    target="out",
    stream="live/a",
    input_url="rtmp://127.0.0.1:1935/live/a",
    output_url="rtmp://cdn/app/KEY",
    publisher="c1",
    ffmpeg="/bin/ffmpeg",
    progress="127.0.0.1:2023",
)
MAIN = ServerJob("server.main", SERVER)


@pytest.fixture
def histories(tmp_path: Path) -> Histories:
    return Histories(tmp_path)


def run(job: Job = TARGET, started_at: float = 100.0, status: int | None = 1) -> ObservedProcess:
    return ObservedProcess(
        job.process, "exited", 0, job_identity(job), started_at, exit_status=status
    )


def judge(histories: Histories, *processes: ObservedProcess, job: Job = TARGET) -> JobHistory:
    histories.judge({process.name: process for process in processes}, {job.process: job})
    return histories.by_process.get(job.process, JobHistory())


def test_an_exit_is_counted_once(histories: Histories) -> None:
    assert judge(histories, run()).failures == 1
    assert judge(histories, run()).failures == 1
    assert judge(histories, run(started_at=101.0)).failures == 2


def test_a_status_of_0_is_a_failure_too(histories: Histories) -> None:
    assert judge(histories, run(status=0)).failures == 1


@pytest.mark.parametrize("state", ["running", "stopping"])
def test_what_has_not_ended_is_not_judged(histories: Histories, state: ProcessState) -> None:
    process = replace(run(), state=state, pid=7)
    assert judge(histories, process) == JobHistory()


def test_each_failure_in_a_row_waits_longer(histories: Histories) -> None:
    waits = [
        judge(histories, run(started_at=100.0 + n)).retry_at - time.monotonic() for n in range(5)
    ]
    assert waits == sorted(waits)
    assert 0 < waits[0] <= backoff.FIRST_S
    assert waits[-1] <= backoff.delay_s(5)


def test_a_server_is_back_at_once_the_first_time_only(histories: Histories) -> None:
    first = judge(histories, run(MAIN), job=MAIN)
    assert first.retry_at <= time.monotonic()
    second = judge(histories, run(MAIN, 101.0), job=MAIN)
    assert second.retry_at > time.monotonic()


def test_an_end_that_was_asked_for_is_no_failure_and_holds_up_no_start(
    histories: Histories,
) -> None:
    failed = judge(histories, run())
    assert failed.retry_at > 0.0
    histories.asked_to_end(run(started_at=101.0))
    stopped = judge(histories, run(started_at=101.0, status=-15))
    assert (stopped.failures, stopped.retry_at) == (1, 0.0)


def test_an_end_of_what_hung_is_a_failure_with_its_reason(histories: Histories) -> None:
    histories.asked_to_end(run(), failure="it hung")
    found = judge(histories, run(status=-9))
    assert (found.failures, found.last_error) == (1, "it hung")


@pytest.mark.parametrize("failure", [None, "it hung"])
def test_what_was_asked_of_one_run_says_nothing_about_a_later_one(
    histories: Histories, failure: str | None
) -> None:
    histories.asked_to_end(run(started_at=100.0), failure=failure)
    found = judge(histories, run(started_at=200.0))
    assert (found.failures, found.last_error) == (1, "FFmpeg ended with status 1")


def test_what_was_asked_of_a_process_that_is_gone_is_forgotten(histories: Histories) -> None:
    histories.asked_to_end(run())
    judge(histories)
    assert judge(histories, run()).failures == 1


def test_the_exit_of_another_job_of_this_name_is_not_counted(histories: Histories) -> None:
    earlier = run(replace(TARGET, publisher="c0"))
    assert judge(histories, earlier).failures == 0


def test_another_job_starts_afresh_and_keeps_the_number_of_restarts(histories: Histories) -> None:
    judge(histories, run())
    judge(histories, run(started_at=101.0))
    other = replace(TARGET, publisher="c2")
    found = judge(histories, run(other, 102.0), job=other)
    assert (found.failures, found.restarts) == (1, 3)


def test_what_is_not_wanted_any_more_has_no_history(histories: Histories) -> None:
    judge(histories, run())
    histories.judge({"target.out": run()}, {})
    assert histories.by_process == {}


def test_a_start_that_failed_before_there_was_a_process_is_counted(histories: Histories) -> None:
    histories.not_started(MAIN, "TCP port 1935 is taken")
    histories.not_started(MAIN, "TCP port 1935 is taken")
    history = histories.by_process["server.main"]
    assert (history.failures, history.last_error) == (2, "TCP port 1935 is taken")
    assert not history.blocked
    assert 0 < history.retry_at - time.monotonic() <= backoff.FIRST_S


def test_what_cannot_heal_by_itself_waits_longest(histories: Histories) -> None:
    histories.not_started(TARGET, "its key has no place in an argv", permanent=True)
    history = histories.by_process["target.out"]
    assert history.blocked
    assert history.retry_at > time.monotonic() + backoff.LIMIT_S / 2


def test_health_for_a_minute_forgets_failures(histories: Histories) -> None:
    judge(histories, run())
    now = time.monotonic()
    histories.advanced(TARGET, now)
    histories.advanced(TARGET, now + backoff.HEALTHY_AFTER_S - 1)
    assert histories.by_process["target.out"].failures == 1
    histories.advanced(TARGET, now + backoff.HEALTHY_AFTER_S + 0.001)  # as floats are rounded
    history = histories.by_process["target.out"]
    assert (history.failures, history.last_error, history.restarts) == (0, None, 1)


def test_an_exit_ends_health(histories: Histories) -> None:
    histories.advanced(TARGET, time.monotonic())
    assert judge(histories, run()).healthy_since is None


# What is said of a failure


def test_a_process_that_could_not_be_started_says_why(histories: Histories) -> None:
    process = replace(run(status=None), error="No such file or directory: /bin/ffmpeg")
    assert judge(histories, process).last_error == "No such file or directory: /bin/ffmpeg"


@pytest.mark.parametrize(
    ("status", "said"),
    [(3, "ended with status 3"), (None, "ended")],
)
def test_a_server_says_how_it_ended_and_what_it_said_last(
    histories: Histories, tmp_path: Path, status: int | None, said: str
) -> None:
    (tmp_path / log_file_name("server.main")).write_text("first\nbind failed\n")
    found = judge(histories, run(MAIN, status=status), job=MAIN)
    assert found.last_error == f"{said}: bind failed"


def test_a_server_that_was_killed_said_nothing_of_it(histories: Histories, tmp_path: Path) -> None:
    (tmp_path / log_file_name("server.main")).write_text("first\nan hour ago\n")
    found = judge(histories, run(MAIN, status=-9), job=MAIN)
    assert found.last_error == "was ended by signal 9"


def test_a_server_without_a_log_says_so(histories: Histories) -> None:
    found = judge(histories, run(MAIN, status=1), job=MAIN)
    assert found.last_error == "ended with status 1: its log is empty"


def test_a_target_says_what_ffmpeg_complained_of(histories: Histories, tmp_path: Path) -> None:
    log = tmp_path / log_file_name("target.out")
    log.write_text("[tcp @ 0x1] Connection to tcp://cdn:1935 failed: Connection refused\n")
    found = judge(histories, run())
    assert "refuses the connection" in (found.last_error or "")
    assert not found.blocked
