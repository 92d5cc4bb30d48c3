"""Streams with a slate: what viewers and targets see while the encoder comes and goes."""

import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.media import clip, ffmpeg_path, publisher
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

LONGEST_STEP_S = 0.3


@pytest.fixture
def slate(daemon: Streamd) -> Path:
    """A film of another size and rate than what is published."""
    path = daemon.directory / "slate.mp4"
    subprocess.run(
        (
            *(ffmpeg_path(), "-v", "error", "-nostdin"),
            *("-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=4"),
            *("-f", "lavfi", "-i", "sine=frequency=880:sample_rate=48000:duration=4"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", str(path)),
        ),
        check=True,
        timeout=60,
    )
    return path


def configured(daemon: Streamd, slate: Path, further: str = "") -> str:
    return (
        daemon.head(daemon=f", source_directories: [{daemon.directory}]")
        + f"keys: {{studio: {{secret: {SECRET}}}}}\n"
        + f"streams:\n  show: {{keys: [studio], fallback: {slate}}}\n"
        + further
    )


@contextmanager
def recorded(url: str, path: Path) -> Iterator[None]:
    """Record what a viewer gets, from the inside to the end of the block, in one connection."""
    viewer = subprocess.Popen(
        (ffmpeg_path(), "-v", "warning", "-nostdin", "-i", url, "-c", "copy", "-f", "flv", path),
        stderr=subprocess.PIPE,
    )
    try:
        wait_until_sync(lambda: path.exists() and path.stat().st_size > 0, what="a viewer's media")
        yield
        assert viewer.poll() is None, "the viewer's connection ended"
    finally:
        viewer.send_signal(signal.SIGINT)
        _, said = viewer.communicate(timeout=30)
    complaints = [line for line in said.decode().splitlines() if "DTS" in line or "timest" in line]
    assert complaints == []


def longest_step_s(path: Path) -> float:
    """Return the longest time between two pictures of a recording; they never go back."""
    probed = subprocess.run(
        (
            *("ffprobe", "-v", "error", "-select_streams", "v:0"),
            *("-show_entries", "packet=dts_time", "-of", "json", str(path)),
        ),
        capture_output=True,
        check=True,
        timeout=60,
    )
    times = [float(packet["dts_time"]) for packet in json.loads(probed.stdout)["packets"]]
    assert times == sorted(times)
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_viewers_and_targets_stay_through_a_kill_a_freeze_and_a_return(
    daemon: Streamd, platform: Receiver, slate: Path, tmp_path: Path
) -> None:
    sent = f"targets:\n  t: {{stream: show, url: '{platform.url('in')}', key: T}}\n"
    daemon.write(configured(daemon, slate, sent))
    daemon.start()
    daemon.wait_for_state("streams", "live/show", "fallback")
    daemon.wait_for_state("targets", "t", "live")
    with publisher(daemon.url("in/show")):  # so that the slate is fitted to it
        daemon.wait_for_state("streams", "live/show", "live")
    daemon.wait_for_state("streams", "live/show", "fallback")
    before = daemon.pids()
    with recorded(daemon.url("live/show", None), tmp_path / "viewer.flv"):
        with publisher(daemon.url("in/show")) as encoder:
            daemon.wait_for_state("streams", "live/show", "live")
            encoder.kill()
            daemon.wait_for_state("streams", "live/show", "fallback")
        with publisher(daemon.url("in/show")) as encoder:
            daemon.wait_for_state("streams", "live/show", "live")
            encoder.freeze()
            daemon.wait_for_state("streams", "live/show", "fallback")
            encoder.thaw()
            daemon.wait_for_state("streams", "live/show", "live")
    assert daemon.pids() == before
    assert longest_step_s(tmp_path / "viewer.flv") <= LONGEST_STEP_S
    assert [publish.name for publish in platform.publishes if publish.app == "in"] == ["T"]


def test_the_slate_comes_and_goes_while_no_streamd_runs(
    daemon: Streamd, slate: Path, tmp_path: Path
) -> None:
    daemon.write(configured(daemon, slate))
    daemon.start()
    with publisher(daemon.url("in/show")) as encoder:
        daemon.wait_for_state("streams", "live/show", "live")
        with recorded(daemon.url("live/show", None), tmp_path / "viewer.flv"):
            daemon.kill()
            encoder.kill()
            size = (tmp_path / "viewer.flv").stat().st_size
            wait_until_sync(
                lambda: (tmp_path / "viewer.flv").stat().st_size > size + 100_000,
                what="media of the slate",
            )
    daemon.start()
    daemon.wait_for_state("streams", "live/show", "fallback")
    assert longest_step_s(tmp_path / "viewer.flv") <= LONGEST_STEP_S


def test_the_public_name_is_refused_with_the_address_to_publish_at(
    daemon: Streamd, slate: Path
) -> None:
    daemon.write(configured(daemon, slate))
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: not encoder.alive(), what="the encoder to be refused")
    assert "publish to app in, stream show instead" in daemon.log
    assert f"rtmp://127.0.0.1:{daemon.rtmp}/in/show?secret=" in daemon.cli("urls", "show").stdout
    with publisher(daemon.url("in/show", "a-wrong-secret")) as encoder:
        wait_until_sync(lambda: not encoder.alive(), what="the encoder to be refused")


def test_a_key_that_is_removed_takes_the_encoder_off_and_the_slate_on(
    daemon: Streamd, slate: Path
) -> None:
    daemon.write(configured(daemon, slate))
    daemon.start()
    with publisher(daemon.url("in/show")) as encoder:
        daemon.wait_for_state("streams", "live/show", "live")
        daemon.write(daemon.config.read_text().replace(SECRET, "another-secret-by-far"))
        wait_until_sync(lambda: not encoder.alive(), what="the encoder to be kicked")
        daemon.wait_for_state("streams", "live/show", "fallback")


def test_an_edit_of_the_slate_restarts_its_playout_alone(daemon: Streamd, slate: Path) -> None:
    other = daemon.directory / "other.mp4"
    shutil.copy(clip(), other)
    further = f"  second: {{keys: [studio], fallback: {slate}}}\n"
    daemon.write(configured(daemon, slate, further))
    daemon.start()
    for stream in ("live/show", "live/second"):
        daemon.wait_for_state("streams", stream, "fallback")
    before = daemon.pids()
    daemon.write(configured(daemon, other, further))
    wait_until_sync(
        lambda: daemon.pids().get("streams.live/show") not in (None, before["streams.live/show"]),
        what="another playout",
    )
    daemon.wait_for_state("streams", "live/show", "fallback")
    after = daemon.pids()
    assert {name for name in after if after[name] != before[name]} == {"streams.live/show"}


def test_a_playout_that_was_killed_or_hangs_is_replaced(daemon: Streamd, slate: Path) -> None:
    daemon.write(configured(daemon, slate))
    daemon.start()
    for sign in (signal.SIGKILL, signal.SIGSTOP):
        daemon.wait_for_state("streams", "live/show", "fallback")
        playout = daemon.pids()["streams.live/show"]
        os.kill(playout, sign)
        wait_until_sync(partial(_is_replaced, daemon, playout), 60, "another playout")
    daemon.wait_for_state("streams", "live/show", "fallback")


def _is_replaced(daemon: Streamd, playout: int) -> bool:
    return daemon.pids().get("streams.live/show") not in (None, 0, playout)


def test_all_is_back_after_the_media_server_was_killed(daemon: Streamd, slate: Path) -> None:
    daemon.write(configured(daemon, slate))
    daemon.start()
    daemon.wait_for_state("streams", "live/show", "fallback")
    before = daemon.pids()
    os.kill(before["servers.main"], signal.SIGKILL)
    wait_until_sync(
        lambda: daemon.pids().get("servers.main") not in (None, 0, before["servers.main"]),
        what="another server",
    )
    daemon.wait_for_state("streams", "live/show", "fallback")
    with publisher(daemon.url("in/show")):
        daemon.wait_for_state("streams", "live/show", "live")
    assert daemon.pids()["streams.live/show"] == before["streams.live/show"]
