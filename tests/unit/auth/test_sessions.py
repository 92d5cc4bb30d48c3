"""Who publishes with which key survives restarts, kills and damaged files."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamd.auth.sessions import Sessions
from streamd.observed import Publisher

ANNA = Publisher(
    "main",
    "live/anna",
    "live/anna-secret99",
    "c1",
    "studio",
    "5e88",
    "srt",
    "192.0.2.1",
    datetime(2026, 6, 1, tzinfo=UTC),
)
BEN = Publisher("backup", "live/ben", "live/ben", "c1")


def reopened(path: Path) -> set[Publisher]:
    sessions = Sessions(path)
    found = set(sessions.load())
    sessions.close()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.jsonl"


def test_nothing_is_remembered_at_first(path: Path) -> None:
    assert reopened(path) == set()


def test_who_was_let_in_is_known_after_a_restart(path: Path) -> None:
    sessions = Sessions(path)
    sessions.load()
    sessions.add(ANNA)
    sessions.add(BEN)
    assert reopened(path) == {ANNA, BEN}  # not closed: a killed streamd does not close it either
    sessions.close()


def test_who_left_is_not(path: Path) -> None:
    sessions = Sessions(path)
    sessions.add(ANNA)
    sessions.add(BEN)
    sessions.remove("main", "c1")
    sessions.remove("main", "never seen")
    sessions.close()
    assert reopened(path) == {BEN}


def test_what_is_known_already_is_not_written_again(path: Path) -> None:
    sessions = Sessions(path)
    sessions.add(ANNA)
    sessions.add(BEN)
    before = path.read_bytes()
    sessions.add(ANNA)
    sessions.add(replace(BEN, key="other"))
    sessions.close()
    added = path.read_bytes().removeprefix(before)
    assert added.count(b"\n") == 1
    assert reopened(path) == {ANNA, replace(BEN, key="other")}


def test_the_file_is_private(path: Path) -> None:
    sessions = Sessions(path)
    sessions.add(ANNA)
    sessions.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_a_kill_tore_costs_that_write_alone(path: Path) -> None:
    sessions = Sessions(path)
    sessions.add(ANNA)
    sessions.add(BEN)
    sessions.close()
    path.write_bytes(path.read_bytes()[:-7])
    with capture_logs() as logs:
        assert reopened(path) == {ANNA}
    assert logs == []


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\x00\x00\n",
        b"not json\n",
        b"[]\n",
        b"17\n",
        b'{"in": null}\n',
        b'{"in": {"server": "main"}}\n',
        b'{"in": {"server": 1, "stream": "a", "published_as": "a", "client_id": "c"}}\n',
        b'{"out": "x"}\n',
        b'{"out": [["a"], {}]}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_damaged_file_is_set_aside_and_what_can_be_read_is_kept(
    path: Path, damage: bytes
) -> None:
    sessions = Sessions(path)
    sessions.add(ANNA)
    sessions.close()
    damaged = damage + path.read_bytes()
    path.write_bytes(damaged)
    with capture_logs() as logs:
        assert reopened(path) == {ANNA}
    assert [entry["event"] for entry in logs] == ["sessions.damaged"]
    assert path.with_name("sessions.jsonl.damaged").read_bytes() == damaged
    with capture_logs() as logs:
        assert reopened(path) == {ANNA}
    assert logs == []


def test_fields_of_another_release_are_left_out(path: Path) -> None:
    sessions = Sessions(path)
    sessions.add(BEN)
    sessions.close()
    entry = json.loads(path.read_text())
    entry["in"]["invented_later"] = [1, 2]
    path.write_text(json.dumps(entry) + "\n")
    assert reopened(path) == {BEN}


def test_a_file_that_was_deleted_is_written_anew_with_the_next_change(path: Path) -> None:
    sessions = Sessions(path)
    sessions.add(ANNA)
    path.unlink()
    sessions.add(BEN)
    sessions.close()
    assert reopened(path) == {ANNA, BEN}


def test_a_directory_that_cannot_be_written_is_logged_once_and_healed_later(path: Path) -> None:
    lost = path.parent / "runtime" / "sessions.jsonl"
    sessions = Sessions(lost)
    with capture_logs() as logs:
        sessions.add(ANNA)
        sessions.add(BEN)
        assert [entry["event"] for entry in logs] == ["sessions.not_written"]
        lost.parent.mkdir()
        sessions.remove("backup", "c1")
        assert [entry["event"] for entry in logs][1:] == ["sessions.written_again"]
    sessions.close()
    assert reopened(lost) == {ANNA}


def test_a_path_that_is_no_file_is_not_fatal(path: Path) -> None:
    path.mkdir()
    sessions = Sessions(path)
    with capture_logs() as logs:
        assert sessions.load() == ()
        sessions.add(ANNA)
    assert {entry["event"] for entry in logs} == {"sessions.unreadable", "sessions.not_written"}
    path.rmdir()
    sessions.add(BEN)
    sessions.close()
    assert reopened(path) == {ANNA, BEN}


def test_the_file_does_not_grow_with_what_is_past(path: Path) -> None:
    sessions = Sessions(path)
    for number in range(3000):
        passing = replace(BEN, client_id=str(number))
        sessions.add(passing)
        sessions.remove(passing.server, passing.client_id)
    sessions.add(ANNA)
    sessions.close()
    assert path.read_bytes().count(b"\n") < 300
    assert reopened(path) == {ANNA}


PUBLISHERS = st.builds(
    Publisher,
    server=st.sampled_from(["main", "backup"]),
    stream=st.text(max_size=5),
    published_as=st.text(max_size=5),
    client_id=st.sampled_from(["c1", "c2", "\n"]),
    key=st.one_of(st.none(), st.text(max_size=5)),
    since=st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.booleans(), PUBLISHERS), max_size=8))
def test_a_restart_after_any_step_finds_what_memory_had(
    path: Path, steps: list[tuple[bool, Publisher]]
) -> None:
    path.unlink(missing_ok=True)
    sessions = Sessions(path)
    sessions.load()
    live: dict[tuple[str, str], Publisher] = {}
    for arrives, publisher in steps:
        if arrives:
            sessions.add(publisher)
            live[publisher.server, publisher.client_id] = publisher
        else:
            sessions.remove(publisher.server, publisher.client_id)
            live.pop((publisher.server, publisher.client_id), None)
        copy = path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        assert reopened(copy) == set(live.values())
    sessions.close()
