"""A program that is ended leaves nothing behind: no child, and nothing open of an ended loop."""

import asyncio
import gc
import sys
from pathlib import Path

import pytest

from streamd.archive import programs
from streamd.supervision.session import end_session
from tests.support.pids import wait_until_gone
from tests.support.waiting import wait_until

# Starts a child that goes on, says its pid, and stays.
PARENT = (
    "import subprocess, time; "
    "child = subprocess.Popen(['sleep', '600']); "
    "print(child.pid, flush=True); "
    "time.sleep(600)"
)


async def test_all_that_a_program_has_started_ends_with_it() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    await end_session(process)
    assert process.returncode == -9
    await wait_until_gone(child)


async def test_a_program_that_has_ended_is_left_as_it_is() -> None:
    process = await asyncio.create_subprocess_exec("true", start_new_session=True)
    await process.wait()
    await end_session(process)
    assert process.returncode == 0


def test_nothing_is_left_open_where_a_loop_ends_with_a_program_that_it_cancels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unraisable.append(found.exc_value))
    argv = ("sh", "-c", f"touch {tmp_path}/$$; exec sleep 600")

    def started() -> int:
        return len(list(tmp_path.iterdir()))

    async def cancelled() -> None:
        before = started()
        running = asyncio.create_task(programs.run(argv, stdin="list", timeout_s=600))
        await wait_until(lambda: started() > before, what="the program")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    for _ in range(10):
        asyncio.run(cancelled())
        gc.collect()
    assert unraisable == []
