"""Archives whose rule is gone: they end once nothing is left to do, or nothing gets on."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd import leaving
from streamd.leaving import SETTLE_S, TROUBLE_S, Leaving
from streamd.observed import ObservedProcess
from streamd.process_names import archive_process
from tests.unit.archived import written
from tests.unit.test_plan_recordings import RULE

ARCHIVE = archive_process(RULE)
RUNNING = {ARCHIVE: ObservedProcess(ARCHIVE, "running", 7, "")}
WORK = json.loads(written())["recordings"][:1]


class Clock:
    """A clock that is set, in the place of the machine's."""

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leaving, "time", clock)
    monkeypatch.setattr("streamd.archives.time", clock)
    return clock


@pytest.fixture
def say(tmp_path: Path, clock: Clock) -> Callable[..., None]:
    def say(**changes: object) -> None:
        (tmp_path / "new").write_text(written(at=clock.now, **changes))
        (tmp_path / "new").replace(tmp_path / f"{ARCHIVE.partition('.')[2]}.json")

    return say


async def test_an_archive_that_is_wanted_and_what_is_no_archive_are_none_of_its_business(
    tmp_path: Path,
) -> None:
    other = {"record.archive@live/a": ObservedProcess("record.archive@live/a", "running", 8, "")}
    stopping = {ARCHIVE: ObservedProcess(ARCHIVE, "stopping", 7, "")}
    assert await Leaving(tmp_path).look(RUNNING | other, {ARCHIVE}) == frozenset()
    assert await Leaving(tmp_path).look(other | stopping, ()) == frozenset()


async def test_it_stays_until_a_report_that_can_know_says_that_nothing_is_left(
    tmp_path: Path, clock: Clock, say: Callable[..., None]
) -> None:
    archives = Leaving(tmp_path)
    say(recordings=[])
    assert await archives.look(RUNNING, ()) == {ARCHIVE}  # a segment may have just ended
    clock.now += SETTLE_S - 1
    say(recordings=[])
    assert await archives.look(RUNNING, ()) == {ARCHIVE}
    for _ in range(100):
        clock.now += 10
        say(recordings=[each | {"last_error": None} for each in WORK])
        assert await archives.look(RUNNING, ()) == {ARCHIVE}
    clock.now += 10
    say(recordings=[])
    assert await archives.look(RUNNING, ()) == frozenset()


@pytest.mark.parametrize("what", ["recording", "archive", "storage", "silent", "never heard"])
async def test_one_that_gets_no_further_is_given_up_after_a_while_and_that_is_told(
    tmp_path: Path, clock: Clock, say: Callable[..., None], what: str
) -> None:
    def say_again() -> None:
        if what == "recording":
            say(recordings=[each | {"last_error": "full"} for each in WORK])
        elif what == "archive":
            say(recordings=WORK, error="full")
        elif what == "storage":
            say(recordings=WORK, storage={"name": "c", "state": "error", "last_error": "full"})

    archives = Leaving(tmp_path)
    if what == "silent":
        say(recordings=WORK)
    say_again()
    assert await archives.look(RUNNING, ()) == {ARCHIVE}
    clock.now += TROUBLE_S - 1
    say_again()
    assert await archives.look(RUNNING, ()) == {ARCHIVE}
    clock.now += 1
    say_again()
    with capture_logs() as logs:
        assert await archives.look(RUNNING, ()) == frozenset()
        assert await archives.look(RUNNING, ()) == frozenset()
    assert [each["event"] for each in logs] == ["archive.left_undone"]
    say(recordings=WORK)
    assert await archives.look(RUNNING, {ARCHIVE}) == frozenset()
    assert await archives.look(RUNNING, ()) == {ARCHIVE}  # its rule was there meanwhile


async def test_trouble_that_passes_counts_no_longer(
    tmp_path: Path, clock: Clock, say: Callable[..., None]
) -> None:
    archives = Leaving(tmp_path)
    for error in ("full", None, "full"):
        say(recordings=WORK, error=error)
        assert await archives.look(RUNNING, ()) == {ARCHIVE}
        clock.now += TROUBLE_S - 1
