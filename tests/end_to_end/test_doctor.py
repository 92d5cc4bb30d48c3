"""`streamd doctor` as a user runs it: before, beside and after a daemon."""

import json
from typing import Any

from tests.support.media import publisher
from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

KEY = "TARGET-KEY-1234"
BASE = f"keys: {{studio: {{secret: {SECRET}}}}}\nstreams: {{show: {{keys: [studio]}}}}\n"


def doctor(daemon: Streamd) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status and the findings; no secret is among them."""
    result = daemon.cli("doctor", "--json")
    assert result.stderr == ""
    assert SECRET not in result.stdout
    assert KEY not in result.stdout
    return result.returncode, json.loads(result.stdout)["findings"]


def told(findings: list[dict[str, Any]], where: str) -> list[tuple[str, str]]:
    """Return level and text of what was found at a place."""
    return [(each["level"], each["what"]) for each in findings if each["where"] == where]


def test_a_daemon_that_does_its_work_is_found_healthy(daemon: Streamd, platform: Receiver) -> None:
    target = f"targets: {{out: {{stream: show, url: '{platform.url(f'in/{KEY}')}'}}}}\n"
    daemon.write(daemon.head() + BASE + target)
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "out", "live")
        status, findings = doctor(daemon)
    assert status == 0, findings
    server = f"server.main (pid {daemon.pids()['servers.main']})"
    rtmp = f"TCP port {daemon.rtmp} is held by {server}"
    assert told(findings, "servers.main.listen.rtmp") == [("ok", rtmp)]
    assert daemon.process is not None
    own = f"TCP port {daemon.status_port} is held by streamd (pid {daemon.process.pid})"
    assert told(findings, "daemon.status") == [("ok", own)]
    assert told(findings, "targets") == [("ok", "1 live")]
    ((level, text),) = told(findings, "targets.out")
    assert (level, text.endswith(" answers")) == ("ok", True)
    assert not [each for each in findings if each["level"] == "error"]


def test_what_is_wrong_beside_a_daemon_is_told_and_exits_1(daemon: Streamd) -> None:
    gone = free_port()
    target = f"targets: {{out: {{stream: show, url: 'rtmp://127.0.0.1:{gone}/app/{KEY}'}}}}\n"
    daemon.write(daemon.head() + BASE + target)
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: daemon.state("targets", "out") in ("backoff", "blocked"))
        daemon.write("version: 1\nstreams: [")
        wait_until_sync(lambda: daemon.status()["config"]["state"] == "rejected")
        status, findings = doctor(daemon)
    assert status == 1
    errors = {each["where"] for each in findings if each["level"] == "error"}
    assert errors >= {str(daemon.config), "targets.out"}
    assert any(where.startswith(f"{daemon.config}:2:") for where in errors)
    # What the file does not say any more is looked at as the last good one says it.
    refused = f"127.0.0.1:{gone} cannot be reached: connection refused"
    assert ("error", refused) in told(findings, "targets.out")
    text = daemon.cli("doctor").stdout
    assert text.index("\nto do\n") < text.index(": correct host and port")
    assert KEY not in text


def test_a_daemon_that_was_killed_leaves_media_that_is_told(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE)
    status, findings = doctor(daemon)
    ((level, _),) = told(findings, "streamd")
    assert (status, level) == (0, "warning")
    free = f"TCP port {daemon.rtmp} is free"
    assert told(findings, "servers.main.listen.rtmp") == [("ok", free)]
    daemon.start()
    pid = daemon.pids()["servers.main"]
    daemon.kill()
    status, findings = doctor(daemon)
    ((level, text),) = told(findings, "streamd")
    assert (status, level) == (1, "error")
    assert "its media does (1 processes)" in text
    held = f"TCP port {daemon.rtmp} is held by server.main (pid {pid})"
    assert told(findings, "servers.main.listen.rtmp") == [("ok", held)]


def test_the_file_is_read_with_what_the_daemon_alone_was_given(daemon: Streamd) -> None:
    daemon.environment = {"STUDIO_SECRET": SECRET}
    daemon.write(daemon.head() + BASE.replace(SECRET, '"${env:STUDIO_SECRET}"'))
    daemon.start()
    daemon.environment = {}
    status, findings = doctor(daemon)
    assert status == 0, findings
    daemon.environment = {"STUDIO_SECRET": SECRET}
