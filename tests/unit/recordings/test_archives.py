"""What the daemon hears of the archives."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd.recordings.archives import SILENT_S, Archives, read_reports
from tests.support.waiting import wait_until
from tests.unit.archived import written

ARCHIVE = {"archive": "archive.archive"}


def say(directory: Path, rule: str = "archive", **changes: object) -> None:
    """Write a status file as an archive does."""
    new = directory / "new"
    new.write_text(written(rule=rule, **changes))
    new.replace(directory / f"{rule}.json")


@pytest.fixture
def changes() -> list[bool]:
    return []


@pytest.fixture
def archives(tmp_path: Path, changes: list[bool]) -> Archives:
    return Archives(tmp_path, lambda: changes.append(True), lambda _, __: None)


async def test_an_archive_is_heard_before_anything_is_planned(
    tmp_path: Path, archives: Archives
) -> None:
    say(tmp_path)
    say(tmp_path, "of-another-file", spool="/x")
    await archives.expect({**ARCHIVE, "not-yet": "archive.not-yet"})
    assert archives.spools == {"archive": "/srv/.spool/archive"}
    assert archives.heard["archive"].report.kept == 2


async def test_the_loop_is_woken_by_what_concerns_recorders_alone(
    tmp_path: Path, archives: Archives, changes: list[bool]
) -> None:
    say(tmp_path)
    await archives.expect(ARCHIVE)
    assert len(changes) == 1
    say(tmp_path, at=2000.0)
    await archives.read()
    assert (len(changes), archives.heard["archive"].report.at) == (1, 2000.0)
    say(tmp_path, paused=True)
    with capture_logs() as logs:
        await archives.read()
    assert (len(changes), archives.spools) == (2, {})
    assert logs == [
        {"event": "recordings.paused", "log_level": "warning", "rule": "archive", "free_bytes": 10}
    ]
    say(tmp_path)
    with capture_logs() as logs:
        await archives.read()
    assert (len(changes), archives.spools) == (3, {"archive": "/srv/.spool/archive"})
    assert [each["event"] for each in logs] == ["recordings.resumed"]


async def test_an_archive_that_starts_anew_ends_no_recorder(
    tmp_path: Path, archives: Archives, changes: list[bool]
) -> None:
    say(tmp_path)
    await archives.expect(ARCHIVE)
    say(tmp_path, pid=8, ready=False, spool="")
    await archives.read()
    assert (len(changes), archives.spools) == (1, {"archive": "/srv/.spool/archive"})
    say(tmp_path, pid=8, spool="/mnt/.spool/archive")
    await archives.read()
    assert (len(changes), archives.spools) == (2, {"archive": "/mnt/.spool/archive"})


async def test_what_cannot_be_read_takes_nothing_back(tmp_path: Path, archives: Archives) -> None:
    say(tmp_path)
    await archives.expect(ARCHIVE)
    (tmp_path / "archive.json").write_text('{"rule"')
    with capture_logs() as logs:
        await archives.read()
    assert [each["event"] for each in logs] == ["archive.report_unreadable"]
    assert archives.spools == {"archive": "/srv/.spool/archive"}
    (tmp_path / "archive.json").unlink()
    await archives.read()
    assert archives.spools == {"archive": "/srv/.spool/archive"}
    await archives.expect({})
    assert archives.heard == {}


def test_an_archive_that_says_nothing_anew_is_silent_after_a_while(tmp_path: Path) -> None:
    say(tmp_path)
    first = read_reports(tmp_path, ["archive.archive"], {})
    again = read_reports(tmp_path, ["archive.archive"], first)
    assert again["archive.archive"] is first["archive.archive"]
    heard_at = first["archive.archive"].heard_at
    assert not first["archive.archive"].is_silent(heard_at + SILENT_S - 0.1)
    assert first["archive.archive"].is_silent(heard_at + SILENT_S)


async def test_silence_is_told_once_and_its_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, bool]] = []
    archives = Archives(tmp_path, lambda: None, lambda *silence: told.append(silence))
    say(tmp_path)
    await archives.expect(ARCHIVE)
    monkeypatch.setattr("streamd.recordings.archives.SILENT_S", 0.0)
    with capture_logs() as logs:
        await archives.read()
        await archives.read()
    assert told == [("archive", True)]
    assert archives.spools == {"archive": "/srv/.spool/archive"}  # what runs goes on
    monkeypatch.undo()
    say(tmp_path)
    with capture_logs() as more:
        await archives.read()
        await archives.read()
    assert told == [("archive", True), ("archive", False)]
    assert [each["event"] for each in (*logs, *more)] == ["archive.silent", "archive.heard_again"]


async def test_it_is_read_again_and_again(tmp_path: Path, archives: Archives) -> None:
    await archives.expect(ARCHIVE)
    reading = asyncio.create_task(archives.run())
    try:
        say(tmp_path)
        await wait_until(lambda: archives.heard, what="the archive to be heard")
    finally:
        reading.cancel()
