"""The units under a real systemd: what a restart of streamd leaves alone, and what ends what."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.machine import CLIP, Machine, machine, missing
from tests.support.media import ffmpeg_path
from tests.support.waiting import wait_until_sync

SECRET = "correct-horse-battery"
CONFIG = f"""\
version: 1
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{show: {{keys: [studio]}}, copy: {{keys: [studio]}}}}
targets:
  second: {{stream: show, url: "rtmp://127.0.0.1/live", key: "copy?secret={SECRET}"}}
"""
PUBLISH = f"rtmp://127.0.0.1/live/show?secret={SECRET}"

pytestmark = [pytest.mark.systemd, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def booted() -> Iterator[Machine]:
    reason = missing()
    if reason is not None:
        pytest.skip(f"NOT TESTED: the systemd units ({reason})")
    with machine() as made:
        made.run("useradd", "--system", "--home-dir", "/var/lib/streamd", "streamd")
        yield made


def status(booted: Machine) -> dict[str, Any]:
    """Return the report, {} while streamd does not answer."""
    text = booted.run(
        *("/opt/streamd/bin/streamd", "status", "--json", "--runtime-dir=/run/streamd"),
        check=False,
    )
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def is_live(booted: Machine) -> bool:
    return bool(status(booted).get("targets", {}).get("second", {}).get("state") == "live")


def pids(booted: Machine) -> list[int]:
    found = status(booted)
    return [found["servers"]["main"]["pid"], found["targets"]["second"]["pid"]]


def show(booted: Machine, unit: str, what: str) -> str:
    return booted.run("systemctl", "show", unit, f"--property={what}", "--value").strip()


@contextlib.contextmanager
def on_air(booted: Machine) -> Iterator["subprocess.Popen[bytes]"]:
    """Start streamd with a publisher and its target live, and stop it all afterwards."""
    booted.write("/etc/streamd/config.yaml", CONFIG)
    booted.run("systemctl", "start", "streamd")
    wait_until_sync(
        lambda: status(booted).get("servers", {}).get("main", {}).get("state") == "running"
    )
    encoder = subprocess.Popen(
        [*booted.enter, ffmpeg_path(), "-v", "error", "-re", "-stream_loop", "-1",
         "-i", str(CLIP), "-c", "copy", "-f", "flv", PUBLISH],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        try:
            wait_until_sync(lambda: is_live(booted), timeout=120)
        except TimeoutError as error:
            said = booted.run("journalctl", "-u", "streamd", "--no-pager", "-n", "30")
            raise AssertionError(f"{status(booted)}\n{said}") from error
        yield encoder
    finally:
        encoder.kill()
        encoder.wait()
        booted.run("systemctl", "stop", "streamd", "streamd-supervisord")


def test_a_restart_and_a_crash_of_streamd_leave_the_media_alone(booted: Machine) -> None:
    with on_air(booted) as encoder:
        before = pids(booted)
        booted.run("systemctl", "restart", "streamd")
        wait_until_sync(lambda: is_live(booted))
        assert pids(booted) == before
        crashed = show(booted, "streamd", "MainPID")
        booted.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "streamd")
        wait_until_sync(lambda: show(booted, "streamd", "MainPID") not in ("0", crashed))
        wait_until_sync(lambda: is_live(booted))
        assert pids(booted) == before
        assert encoder.poll() is None
        booted.run("systemctl", "stop", "streamd")
        assert "ffmpeg" in booted.run("systemctl", "status", "streamd-supervisord")


def test_it_says_how_it_is_and_reloads(booted: Machine) -> None:
    with on_air(booted) as encoder:
        wait_until_sync(lambda: "applied" in show(booted, "streamd", "StatusText"))
        booted.write("/etc/streamd/config.yaml", CONFIG.replace("targets:", "targetz:"))
        wait_until_sync(lambda: "targetz" in show(booted, "streamd", "StatusText"))
        assert encoder.poll() is None
        more = CONFIG.replace("second:", "other:")
        booted.write("/etc/streamd/config.yaml", more)
        booted.run("systemctl", "reload", "streamd")
        wait_until_sync(lambda: "other" in status(booted).get("targets", {}))


def test_a_crash_of_supervisord_brings_everything_back(booted: Machine) -> None:
    with on_air(booted):
        before = pids(booted)
        booted.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "streamd-supervisord")

        def is_new() -> bool:
            found = status(booted).get("servers", {}).get("main", {})
            return found.get("state") == "running" and found.get("pid") not in (None, before[0])

        wait_until_sync(is_new, timeout=60)


def test_stopping_the_supervisor_ends_every_media_process(booted: Machine) -> None:
    with on_air(booted) as encoder:
        booted.run("systemctl", "stop", "streamd", "streamd-supervisord")
        wait_until_sync(lambda: encoder.poll() is not None, what="the publisher to be dropped")
        assert show(booted, "streamd-supervisord", "ActiveState") == "inactive"


def test_a_file_that_was_never_good_fails_once_and_says_why(booted: Machine) -> None:
    booted.write("/etc/streamd/config.yaml", "version: 1\nstreams: {a: {keyz: any}}\n")
    booted.run("rm", "-rf", "/var/lib/streamd/last-good.json")
    booted.run("systemctl", "start", "streamd", check=False)
    wait_until_sync(lambda: show(booted, "streamd", "ActiveState") == "failed")
    assert show(booted, "streamd", "ExecMainStatus") == "78"
    assert "config.yaml:2:" in booted.run("journalctl", "-u", "streamd", "--no-pager")
    booted.run("systemctl", "reset-failed", "streamd")
    booted.run("systemctl", "stop", "streamd-supervisord")
