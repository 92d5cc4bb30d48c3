"""What is under way: operations beside the loop, and which steps of a plan have their turn."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from streamd.apply import kick_name
from streamd.errors import StreamdError
from streamd.jobs import Job
from streamd.pace import Pace
from streamd.plan import Kick, Kill, Start, Step
from streamd.process_names import reports_progress

log = structlog.get_logger()

END_AGAIN_S = 1.0
"""A kick or a kill that has not taken effect is repeated after this time."""


class Operations:
    """Runs what takes long, one operation at a time under each name.

    Args:
        on_failed: told of a job whose operation failed, and why.
        on_ended: called after each operation.
    """

    def __init__(self, on_failed: Callable[[Job, str], None], on_ended: Callable[[], None]) -> None:
        self._on_failed = on_failed
        self._on_ended = on_ended
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, name: str, job: Job | None, operation: Coroutine[Any, Any, None]) -> None:
        """Run an operation, unless one of its name is under way; `job` fails with it."""
        if name in self._tasks:
            operation.close()
            return
        self._tasks[name] = asyncio.create_task(self._run(name, job, operation), name=name)

    async def close(self) -> None:
        """Cancel what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, name: str, job: Job | None, operation: Coroutine[Any, Any, None]) -> None:
        try:
            await operation
        except Exception as error:
            expected = isinstance(error, StreamdError)
            log.error("operation.failed", name=name, error=str(error), exc_info=not expected)
            if job is not None:
                said = str(error) if expected else f"an error in streamd: {error!r}"
                self._on_failed(job, said)
        finally:
            del self._tasks[name]
            self._on_ended()


class Turns:
    """Chooses the steps of a plan that have their turn.

    A step waits while an operation on its process is under way, a start of an FFmpeg also for the
    pace, and a kick or a kill for the one before it to take effect.

    Args:
        operations: what is under way.
        cores: of the machine, for the pace.
    """

    def __init__(self, operations: Operations, cores: int) -> None:
        self._operations = operations
        self._pace = Pace(cores)
        self._ended_at: dict[str, float] = {}

    def take(self, steps: Sequence[Step], now: float) -> tuple[Step, ...]:
        """Return the steps that are to be done now (monotonic time), and count them as done."""
        self._ended_at = {name: at for name, at in self._ended_at.items() if now - at < END_AGAIN_S}
        return tuple(step for step in steps if self._takes(step, now))

    def starts_at(self, now: float) -> float:
        """Return when the pace lets an FFmpeg start again, `now` where it does already."""
        return self._pace.next_at() or now

    def _takes(self, step: Step, now: float) -> bool:
        if isinstance(step, Kick | Kill):
            return self._ends(step, now)
        if isinstance(step, Start) and reports_progress(step.process):
            return self._pace.take(now)
        return step.process not in self._operations

    def _ends(self, step: Kick | Kill, now: float) -> bool:
        if isinstance(step, Kill) and step.process in self._operations:
            return False  # its start says itself when it takes too long
        name = kick_name(step) if isinstance(step, Kick) else f"kill.{step.pid}"
        if name in self._ended_at:
            return False
        self._ended_at[name] = now
        return True
