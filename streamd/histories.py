"""What happened to each job: exits are judged once, health is noted, backoff follows from it."""

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from streamd import backoff
from streamd.backoff import Failure
from streamd.ffmpeg.errors import last_error
from streamd.jobs import ArchiveJob, Job, PlayoutJob, ServerJob, job_identity
from streamd.observed import JobHistory, ObservedProcess
from streamd.plan import is_finished
from streamd.process_logs import log_file_name, tail

log = structlog.get_logger()

SERVER_FIRST_RETRY_S = 0.0
"""A server that ended is back at once; a second failure waits as any job does."""

_LAST_LINE_LENGTH = 300
_LAST_LINES = 60


class Histories:
    """Keeps a `JobHistory` for each process that is wanted.

    Args:
        log_dir: where the processes' logs are; the last useful line becomes `last_error`.
    """

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._random = random.Random()  # noqa: S311 - jitter
        self._asked: dict[str, tuple[float, str | None]] = {}
        self.by_process: dict[str, JobHistory] = {}

    def asked_to_end(self, process: ObservedProcess, *, failure: str | None = None) -> None:
        """Note that streamd itself ends this run.

        `failure` says what was wrong with it; without, its exit is no failure.
        """
        self._asked[process.name] = (process.started_at, failure)

    def judge(self, processes: Mapping[str, ObservedProcess], jobs: Mapping[str, Job]) -> None:
        """Count every exit of a wanted job that was not counted yet.

        Any exit that streamd did not ask for is a failure, exit status 0 too: a job that is
        wanted has no reason to end.
        """
        for name in [name for name in self.by_process if name not in jobs]:
            del self.by_process[name]
        for name in [name for name in self._asked if name not in processes]:
            del self._asked[name]
        for name, process in processes.items():
            job = jobs.get(name)
            if process.state != "exited":
                continue
            run, failure = self._asked.pop(name, (None, None))
            asked = run == process.started_at
            if job is None:
                continue
            history = self._history(job)
            if history.judged_run == process.started_at:
                continue
            if asked and failure is None:
                self.by_process[name] = replace(
                    history, judged_run=process.started_at, healthy_since=None, retry_at=0.0
                )
                continue
            if process.identity != job_identity(job) or is_finished(job, process):
                continue  # an earlier job of this name; what it did says nothing about this one
            self._count(job, history, self._failure(job, process, failure if asked else None))

    def not_started(self, job: Job, error: str, *, permanent: bool = False) -> None:
        """Count a job that failed before it had a process."""
        self._count(job, self._history(job), Failure(time.time(), error, permanent))

    def advanced(self, job: Job, now: float) -> None:
        """Note that a job does what it is for."""
        self.by_process[job.process] = backoff.advanced(self._history(job), now)

    def _history(self, job: Job) -> JobHistory:
        identity = job_identity(job)
        history = self.by_process.get(job.process)
        if history is None:
            return JobHistory(job=identity)
        if history.job != identity:
            return JobHistory(job=identity, restarts=history.restarts)
        return history

    def _failure(self, job: Job, process: ObservedProcess, known: str | None) -> Failure:
        if known is not None:
            return Failure(process.started_at, known)
        if process.error is not None:
            return Failure(process.started_at, process.error)
        lines = tail(self._log_dir / log_file_name(process.name), _LAST_LINES)
        if isinstance(job, ServerJob | PlayoutJob | ArchiveJob):
            said = lines[-1].strip()[-_LAST_LINE_LENGTH:] if lines else "its log is empty"
            killed = process.exit_status is not None and process.exit_status < 0
            ended = _ended(process)
            return Failure(process.started_at, ended if killed else f"{ended}: {said}")
        found = last_error("\n".join(lines), job.input_url)
        if found is None:
            return Failure(process.started_at, f"FFmpeg {_ended(process)}")
        return Failure(process.started_at, found.message, found.permanent)

    def _count(self, job: Job, history: JobHistory, failure: Failure) -> None:
        is_server = isinstance(job, ServerJob)
        now = time.monotonic()
        history = backoff.failed(
            history,
            failure,
            now=now,
            jitter=self._random.random(),
            first_s=SERVER_FIRST_RETRY_S if is_server else backoff.FIRST_S,
        )
        self.by_process[job.process] = replace(history, restarts=history.restarts + 1)
        log.warning(
            "process.failed",
            name=job.process,
            failures=history.failures,
            retry_in_s=round(history.retry_at - now, 2),
            permanent=history.blocked,
            error=history.last_error,
        )


def _ended(process: ObservedProcess) -> str:
    status = process.exit_status
    if status is None:
        return "ended"
    if status < 0:
        return f"was ended by signal {-status}"
    return f"ended with status {status}"
