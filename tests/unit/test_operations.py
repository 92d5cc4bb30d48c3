"""What runs beside the loop, and which steps have their turn."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from streamd.errors import EngineError
from streamd.jobs import Job, ServerJob, TargetJob
from streamd.operations import END_AGAIN_S, Operations, Turns
from streamd.pace import STARTS_PER_CORE_S
from streamd.plan import Kick, Kill, Start, Stop
from tests.support.snapshots import SERVER
from tests.support.waiting import wait_until

MAIN = ServerJob("server.main", SERVER)
OUT = TargetJob("target.out", "out", "live/a", "rtmp://i", "rtmp://o", "c1", "ffmpeg", "h:1")
KICK = Kick("main", "live/a", "live/a", "c1", "why")


class Heard:
    """What operations told of."""

    def __init__(self) -> None:
        self.failures: list[tuple[Job, str]] = []
        self.ended = 0

    def failed(self, job: Job, why: str) -> None:
        self.failures.append((job, why))

    def end(self) -> None:
        self.ended += 1


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def operations(heard: Heard) -> AsyncIterator[Operations]:
    made = Operations(heard.failed, heard.end)
    yield made
    await made.close()


async def hang() -> None:
    await asyncio.Event().wait()


async def fail(error: Exception) -> None:
    raise error


async def test_an_operation_is_under_way_until_it_ends(
    operations: Operations, heard: Heard
) -> None:
    done = asyncio.Event()

    async def work() -> None:
        await done.wait()

    operations.spawn("server.main", MAIN, work())
    assert "server.main" in operations
    done.set()
    await wait_until(lambda: not operations, 10)
    assert (heard.ended, heard.failures) == (1, [])


async def test_of_one_name_there_is_one_operation_at_a_time(operations: Operations) -> None:
    operations.spawn("server.main", MAIN, hang())
    operations.spawn("server.main", MAIN, fail(AssertionError("never run")))
    operations.spawn("kick.main.c1", None, hang())
    assert len(operations) == 2


async def test_a_job_fails_with_its_operation_in_words_for_people(
    operations: Operations, heard: Heard
) -> None:
    operations.spawn("server.main", MAIN, fail(EngineError("port 1935 is taken")))
    operations.spawn("server.other", MAIN, fail(KeyError("x")))
    operations.spawn("kick.main.c1", None, fail(EngineError("no answer")))
    await wait_until(lambda: heard.ended == 3, 10)
    assert heard.failures == [
        (MAIN, "port 1935 is taken"),
        (MAIN, "an error in streamd: KeyError('x')"),
    ]


async def test_what_is_under_way_ends_with_the_loop(heard: Heard) -> None:
    operations = Operations(heard.failed, heard.end)
    began = asyncio.Event()

    async def begin_and_hang() -> None:
        began.set()
        await hang()

    operations.spawn("server.main", MAIN, begin_and_hang())
    await began.wait()
    await operations.close()
    assert not operations
    assert heard.failures == []


async def test_a_step_waits_for_what_is_under_way_on_its_process(operations: Operations) -> None:
    turns = Turns(operations, 1)
    steps = (
        Kill("server.main", 7, "it hangs"),
        Stop("server.main", "not wanted"),
        Start("server.main", MAIN, "wanted"),
    )
    operations.spawn("server.main", MAIN, hang())
    assert turns.take(steps, 100.0) == ()
    other = Start("server.other", replace(MAIN, process="server.other"), "wanted")
    assert turns.take((*steps, other), 100.0) == (other,)


@pytest.mark.parametrize("step", [KICK, Kill("target.out", 7, "it hangs")])
def test_what_ends_something_is_repeated_after_a_while(step: Kick | Kill) -> None:
    turns = Turns(Operations(lambda _job, _why: None, lambda: None), 1)
    assert turns.take((step,), 100.0) == (step,)
    assert turns.take((step,), 100.0 + END_AGAIN_S / 2) == ()
    assert turns.take((step,), 100.0 + END_AGAIN_S) == (step,)


def test_a_process_that_came_anew_is_killed_without_a_wait() -> None:
    turns = Turns(Operations(lambda _job, _why: None, lambda: None), 1)
    first, second = (Kill("target.out", pid, "it hangs") for pid in (7, 8))
    assert turns.take((first,), 100.0) == (first,)
    assert turns.take((second,), 100.0) == (second,)


def test_ffmpegs_start_at_a_pace_and_servers_at_once() -> None:
    turns = Turns(Operations(lambda _job, _why: None, lambda: None), 1)
    starts = [Start(f"target.t{n}", replace(OUT, process=f"target.t{n}"), "") for n in range(20)]
    server = Start("server.main", MAIN, "wanted")
    assert turns.take((*starts, server), 100.0) == (*starts[:STARTS_PER_CORE_S], server)
    assert turns.starts_at(100.5) == 101.0
    assert len(turns.take(starts[STARTS_PER_CORE_S:], 101.0)) == STARTS_PER_CORE_S
