from dataclasses import replace
from typing import Any

import pytest

from streamd.doctor.finding import Finding
from streamd.doctor.service import Service, judge_service
from streamd.ffmpeg.track import SLOW_SPEED

SOCKET = "/run/streamd/streamd.sock"
NOT_RUNNING = Service(SOCKET)
STATUS: dict[str, Any] = {
    "version": "1.0",
    "converged": True,
    "config": {"path": "/c.yaml", "state": "applied", "errors": []},
    "servers": {"main": {"state": "running", "last_error": None}},
    "streams": {},
    "targets": {},
}
RUNNING = Service(SOCKET, pid=7, uid=1, status=STATUS)


def judged(service: Service, processes: int | None = 1) -> dict[str, Finding]:
    """Return what is found that is not ok, by place."""
    found = judge_service(service, "1.0", processes)
    return {each.where: each for each in found if each.level != "ok"}


def told(**changes: Any) -> Service:
    """Return a daemon that tells something else."""
    return replace(RUNNING, status={**STATUS, **changes})


def test_a_daemon_that_runs_as_it_should_is_ok() -> None:
    assert judged(RUNNING) == {}
    assert [each.where for each in judge_service(RUNNING, "1.0", 1)] == [
        "supervisord",
        "streamd",
        "/c.yaml",
        "servers",
    ]


def test_no_daemon_is_a_warning_and_media_without_one_an_error() -> None:
    assert judged(NOT_RUNNING, None)["streamd"].level == "warning"
    assert SOCKET in judged(NOT_RUNNING, 0)["streamd"].what
    found = judged(NOT_RUNNING, 3)["streamd"]
    assert (found.level, "3 processes" in found.what) == ("error", True)


def test_a_daemon_of_another_user_is_not_known() -> None:
    hidden = Service(SOCKET, failure="permission denied", forbidden=True)
    assert [each.level for each in judge_service(hidden, "1.0", None)] == ["unknown"]


def test_a_daemon_that_hangs_is_an_error() -> None:
    hung = Service(SOCKET, pid=7, failure="runs (pid 7) and does not answer; restart it")
    found = judged(hung)["streamd"]
    assert (found.level, found.do) == ("error", "restart it")


def test_media_that_nobody_keeps_is_an_error() -> None:
    assert judged(RUNNING, None)["supervisord"].level == "error"


def test_an_upgrade_that_was_not_taken_up_is_a_warning() -> None:
    (first, *_) = [each for each in judge_service(RUNNING, "1.1", 1) if each.where == "streamd"]
    assert (first.level, "1.1 is installed" in first.what) == ("warning", True)


def test_what_is_under_way_is_a_warning() -> None:
    assert judged(told(converged=False))["streamd"].level == "warning"


@pytest.mark.parametrize(
    ("state", "level", "says"),
    [
        ("pending", "warning", "waits to be applied"),
        ("rejected", "error", "what was applied before it goes on"),
        ("fallback", "error", "last good"),
    ],
)
def test_a_file_that_is_not_applied_is_told(state: str, level: str, says: str) -> None:
    errors = [{"message": "port 1 is taken; choose another"}]
    found = judged(told(config={"path": "/c.yaml", "state": state, "errors": errors}))["/c.yaml"]
    assert found.level == level
    assert says in found.what
    assert ("port 1 is taken" in found.what) == (level == "error")


@pytest.mark.parametrize("section", ["servers", "targets", "recordings", "certificates"])
def test_whatever_fails_is_told_with_its_error(section: str) -> None:
    bad = {"a": {"state": "backoff", "last_error": "refused"}, "b": {"state": "waiting"}}
    found = judged(told(**{section: bad}))
    assert found[f"{section}.a"].level == "error"
    assert found[f"{section}.a"].what == "is backoff: refused"
    assert f"{section}.b" not in found


def test_a_refused_publisher_is_a_warning() -> None:
    found = judged(told(streams={"live/a": {"state": "refused", "last_error": "a wrong key"}}))
    assert found["streams.live/a"].level == "warning"
    assert "a wrong key" in found["streams.live/a"].what


@pytest.mark.parametrize(
    ("speed", "falls_behind"),
    [(None, False), (0.0, False), (0.5, True), (SLOW_SPEED, False), (1.0, False)],
)
def test_encoding_that_falls_behind_is_an_error(speed: float | None, falls_behind: bool) -> None:
    found = judged(told(transcodes={"p720": {"state": "live", "speed": speed}}))
    assert ("transcodes.p720" in found) == falls_behind
    if falls_behind:
        assert "0.50 times real time" in found["transcodes.p720"].what
