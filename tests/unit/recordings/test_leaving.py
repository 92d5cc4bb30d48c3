"""Archives whose rule is gone: they end once nothing is left to do, or nothing gets on."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd.desired import StorageSpec
from streamd.jobs import ArchiveJob, job_identity
from streamd.recordings import leaving
from streamd.recordings.leaving import SETTLE_S, TROUBLE_S, Leaving
from streamd.recordings.retired import from_json, retired, to_json
from streamd.wanted import archive_jobs
from tests.unit.archived import written
from tests.unit.recording_values import RULE, desired

CLOUD = StorageSpec("cloud", "s3://bucket", (("region", "eu"), ("secret_access_key", "SECRET")))
UPLOADED = replace(RULE, storage="cloud", served_by="main", url_base="http://here/recordings/x")
WANTED = archive_jobs(desired(UPLOADED, storages={"cloud": CLOUD}))
((ARCHIVE, JOB),) = WANTED.items()
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
    monkeypatch.setattr("streamd.recordings.archives.time", clock)
    return clock


@pytest.fixture
def say(tmp_path: Path, clock: Clock) -> Callable[..., None]:
    def say(**changes: object) -> None:
        (tmp_path / "new").write_text(written(at=clock.now, **changes))
        (tmp_path / "new").replace(tmp_path / f"{ARCHIVE.partition('.')[2]}.json")

    return say


def made(tmp_path: Path) -> Leaving:
    """Return what an earlier streamd left, as the next one takes it up."""
    found = Leaving(tmp_path, tmp_path / "leaving")
    found.restore()
    return found


async def left(tmp_path: Path) -> Leaving:
    """Return one archive that has just begun to leave."""
    archives = made(tmp_path)
    await archives.change(WANTED, {}, {})
    return archives


def test_an_archive_that_leaves_waits_for_nobody_and_names_no_address_that_is_gone() -> None:
    job = retired(JOB)
    assert (job.process, job.storage, job.recording.resume_s) == (ARCHIVE, CLOUD, 0.0)
    assert job.recording.url_base.startswith("https://bucket.s3.")
    alone = replace(JOB, storage=None, recording=replace(UPLOADED, storage=None))
    assert retired(alone).recording.url_base == ""
    own = replace(UPLOADED, served_by=None, url_base="https://cdn")
    assert retired(replace(JOB, recording=own)).recording.url_base == "https://cdn"


@pytest.mark.parametrize("job", [retired(JOB), replace(retired(JOB), storage=None), JOB])
def test_what_is_written_down_is_the_same_process_again(job: ArchiveJob) -> None:
    assert job_identity(from_json(to_json(job))) == job_identity(job)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"recording": {}}', "null"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an archive|Expecting"):
        from_json(text)


async def test_whatever_ends_meanwhile_it_is_taken_up_again_until_it_is_done(
    tmp_path: Path, clock: Clock, say: Callable[..., None]
) -> None:
    await left(tmp_path)
    (path,) = (tmp_path / "leaving").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    again = made(tmp_path)
    assert await again.look() == {ARCHIVE: retired(JOB)}
    clock.now += SETTLE_S
    say(recordings=[])
    assert await again.look() == {}
    assert made(tmp_path).jobs == {}


async def test_it_goes_on_with_a_new_key_of_its_storage_but_with_no_other_place(
    tmp_path: Path,
) -> None:
    archives = await left(tmp_path)
    renewed = replace(CLOUD, options=(("region", "eu"), ("secret_access_key", "NEW")))
    await archives.change({}, {}, {"cloud": renewed})
    for each in (archives, made(tmp_path)):
        assert each.jobs == {ARCHIVE: replace(retired(JOB), storage=renewed)}
    await archives.change({}, {}, {"cloud": replace(renewed, url="s3://elsewhere")})
    await archives.change({}, {}, {})
    assert archives.jobs[ARCHIVE].storage == renewed
    # The rule goes in the very save that brings the key.
    at_once = Leaving(tmp_path, tmp_path / "other")
    await at_once.change(WANTED, {}, {"cloud": renewed})
    assert at_once.jobs[ARCHIVE].storage == renewed


async def test_a_rule_that_is_put_back_has_its_archive_again(tmp_path: Path) -> None:
    archives = await left(tmp_path)
    await archives.change({}, WANTED, {})
    assert archives.jobs == {}
    assert made(tmp_path).jobs == {}


async def test_what_is_damaged_is_put_aside_and_told(tmp_path: Path) -> None:
    await left(tmp_path)
    (path,) = (tmp_path / "leaving").iterdir()
    path.write_text("{")
    with capture_logs() as logs:
        assert made(tmp_path).jobs == {}
    assert [each["event"] for each in logs] == ["archive.set_aside"]
    assert path.with_suffix(".damaged").exists()


async def test_where_nothing_can_be_written_it_leaves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "leaving").write_text("in the way")
    archives = Leaving(tmp_path, tmp_path / "leaving")
    with capture_logs() as logs:
        await archives.change(WANTED, {}, {})
    assert [each["event"] for each in logs] == ["archive.leaving", "archive.not_kept"]
    assert set(archives.jobs) == {ARCHIVE}


async def test_it_stays_until_a_report_that_can_know_says_that_nothing_is_left(
    tmp_path: Path, clock: Clock, say: Callable[..., None]
) -> None:
    archives = await left(tmp_path)
    say(recordings=[])
    assert await archives.look()  # a segment may have just ended
    clock.now += SETTLE_S - 1
    say(recordings=[])
    assert await archives.look()
    for _ in range(100):
        clock.now += 3600
        say(recordings=WORK)
        assert await archives.look()
    clock.now += 10
    say(recordings=[], ready=False)  # it was killed, and is back
    assert await archives.look()
    say(recordings=[])
    assert not await archives.look()


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
            storage = {"name": "c", "state": "error", "last_error": "full"}
            say(recordings=WORK, storage=storage)

    archives = await left(tmp_path)
    if what == "silent":
        say(recordings=WORK)
    say_again()
    assert await archives.look()
    clock.now += TROUBLE_S - 1
    say_again()
    assert await archives.look()
    clock.now += 1
    say_again()
    with capture_logs() as logs:
        assert not await archives.look()
        assert not await archives.look()
    assert [each["event"] for each in logs] == ["archive.left_undone"]
    assert made(tmp_path).jobs == {}


async def test_trouble_that_passes_counts_no_longer(
    tmp_path: Path, clock: Clock, say: Callable[..., None]
) -> None:
    archives = await left(tmp_path)
    for error in ("full", None, "full"):
        say(recordings=WORK, error=error)
        assert await archives.look()
        clock.now += TROUBLE_S - 1
