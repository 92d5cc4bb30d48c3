"""Streams that streamd publishes itself: files, cameras, other servers."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.media import clip, decoded_frames, ffmpeg_path, publisher
from tests.support.ports import own_address
from tests.support.receiver import Receiver
from tests.support.rtsp import camera
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync


def configured(daemon: Streamd, streams: str) -> str:
    head = daemon.head(daemon=f", source_directories: [{daemon.directory}]")
    return f"{head}keys: {{studio: {{secret: {SECRET}}}}}\nstreams:\n{streams}"


def film(path: Path, *arguments: str, seconds: int = 3) -> Path:
    """Make a short film, by default H.264 320x240 with AAC."""
    codecs = arguments or ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac")
    subprocess.run(
        (
            *(ffmpeg_path(), "-v", "error", "-nostdin", "-y"),
            *("-f", "lavfi", "-i", f"testsrc=size=320x240:rate=25:duration={seconds}"),
            *("-f", "lavfi", "-i", f"sine=frequency=880:sample_rate=48000:duration={seconds}"),
            *(*codecs, str(path)),
        ),
        check=True,
        timeout=60,
    )
    return path


def source(daemon: Streamd, stream: str) -> dict[str, object]:
    """Return what status says of a stream's source."""
    found: dict[str, object] = daemon.status()["streams"][stream]["source"]
    return found


def on_air(daemon: Streamd, stream: str, playing: Path) -> None:
    """Wait until a file is on air."""
    wait_until_sync(
        lambda: source(daemon, stream)["playing"] == str(playing), 60, f"{playing.name} on air"
    )


def test_a_playlist_plays_round_and_round_and_passes_over_what_it_cannot_play(
    daemon: Streamd, platform: Receiver
) -> None:
    first = film(daemon.directory / "a.mp4")
    second = film(daemon.directory / "b.mkv", "-c:v", "mpeg4", "-c:a", "libopus")
    bad = daemon.directory / "text.mp4"
    bad.write_text("this is no film")
    files = f"[{first}, {bad}, {second}]"
    target = f"targets:\n  t: {{stream: lobby, url: '{platform.url('in')}', key: T}}\n"
    daemon.write(configured(daemon, f"  lobby: {{source: {{files: {files}}}}}\n{target}"))
    planned = daemon.cli("plan").stdout
    assert f"{first} is copied" in planned
    assert f"{second} is transcoded" in planned
    daemon.start()
    on_air(daemon, "live/lobby", first)
    assert str(source(daemon, "live/lobby")["mode"]).startswith("copy")
    on_air(daemon, "live/lobby", second)
    assert str(source(daemon, "live/lobby")["mode"]).startswith("transcode")
    on_air(daemon, "live/lobby", first)
    skipped = source(daemon, "live/lobby")["skipped"]
    assert isinstance(skipped, list)
    assert [str(bad) in line for line in skipped] == [True]
    daemon.wait_for_state("targets", "t", "live")
    assert decoded_frames(platform.url("in/T")) > 0
    assert [publish.name for publish in platform.publishes] == ["T"]


def test_a_file_that_is_replaced_is_played_from_the_next_round_on(daemon: Streamd) -> None:
    playing = film(daemon.directory / "a.mp4")
    daemon.write(configured(daemon, f"  lobby: {{source: {{files: [{playing}]}}}}\n"))
    daemon.start()
    daemon.wait_for_state("streams", "live/lobby", "live")
    before = daemon.pids()
    other = film(daemon.directory / "new", "-c:v", "mpeg4", "-c:a", "aac", "-f", "mp4")
    other.replace(playing)
    wait_until_sync(
        lambda: str(source(daemon, "live/lobby")["mode"]).startswith("transcode"),
        60,
        "the new file on air",
    )
    assert daemon.pids() == before


def test_a_playlist_without_a_loop_is_finished_and_stays_so(daemon: Streamd) -> None:
    playing = film(daemon.directory / "a.mp4")
    text = configured(daemon, f"  once: {{source: {{files: [{playing}], loop: false}}}}\n")
    daemon.write(text)
    daemon.start()
    daemon.wait_for_state("streams", "live/once", "finished", 60)
    daemon.kill()
    daemon.start()
    daemon.wait_for_state("streams", "live/once", "finished")
    daemon.write(text.replace("loop: false", "loop: true"))
    daemon.wait_for_state("streams", "live/once", "live")


def test_a_schedule_begins_and_ends_by_the_clock(daemon: Streamd) -> None:
    playing = film(daemon.directory / "a.mp4")
    always = f"  b: {{source: {{files: [{playing}]}}}}\n"
    daemon.write(configured(daemon, always))
    daemon.start()
    start = datetime.now(UTC) + timedelta(seconds=5)
    end = start + timedelta(seconds=20)
    times = f"start: '{start:%H:%M:%S}', end: '{end:%H:%M:%S}', timezone: UTC"
    daemon.write(configured(daemon, f"{always}  a: {{source: {{files: [{playing}], {times}}}}}\n"))
    daemon.wait_for_state("streams", "live/a", "live")
    assert datetime.now(UTC) >= start - timedelta(seconds=1)
    daemon.wait_for_state("streams", "live/a", "scheduled", 60)
    assert datetime.now(UTC) >= end - timedelta(seconds=1)
    assert daemon.state("streams", "live/b") == "live"


def test_a_camera_is_pulled_and_is_back_after_it_was_gone_and_frozen(daemon: Streamd) -> None:
    with camera(audio="pcma", user="admin", password="camera-password") as door:
        url = door.url("admin:camera-password")
        daemon.write(configured(daemon, f"  door: {{source: {{url: '{url}'}}}}\n"))
        daemon.start()
        daemon.wait_for_state("streams", "live/door", "live", 60)
        assert decoded_frames(daemon.url("live/door", None)) > 0
        assert "AAC" in daemon.status()["streams"]["live/door"]["audio"]
        door.freeze()
        daemon.wait_for_state("streams", "live/door", "idle", 60)
        assert source(daemon, "live/door")["last_error"]
        door.thaw()
        daemon.wait_for_state("streams", "live/door", "live", 60)
        port = door.port
        door.kill()
        daemon.wait_for_state("streams", "live/door", "idle", 60)
        with camera(audio="pcma", user="admin", password="camera-password", port=port):
            daemon.wait_for_state("streams", "live/door", "live", 90)
    shown = daemon.log + daemon.cli("logs", "door").stdout + daemon.cli("status", "--json").stdout
    assert "camera-password" not in shown


def test_a_wrong_password_of_a_camera_is_named(daemon: Streamd) -> None:
    with camera(user="admin", password="camera-password") as door:
        url = door.url("admin:wrong-password")
        daemon.write(configured(daemon, f"  door: {{source: {{url: '{url}'}}}}\n"))
        daemon.start()
        wait_until_sync(
            lambda: "password" in str(source(daemon, "live/door")["last_error"]),
            60,
            "the camera's refusal in status",
        )
        status = daemon.cli("status", "--json").stdout
        assert "wrong-password" not in status + daemon.log + daemon.cli("logs", "door").stdout


def test_the_backup_is_pulled_while_the_first_address_is_away(
    daemon: Streamd, platform: Receiver
) -> None:
    first, backup = platform.url("in/first"), platform.url("in/backup")
    addresses = f"url: '{first}', backup_url: '{backup}'"
    daemon.write(configured(daemon, f"  relay: {{source: {{{addresses}}}}}\n"))
    daemon.start()
    with publisher(backup):
        with publisher(first):
            daemon.wait_for_state("streams", "live/relay", "live", 60)
            wait_until_sync(lambda: _pulled(daemon) == 0, 60, "the first address on air")
            process = daemon.pids()["streams.live/relay"]
        wait_until_sync(lambda: _pulled(daemon) == 1, 60, "the backup on air")
        with publisher(first):
            wait_until_sync(lambda: _pulled(daemon) == 0, 60, "the first address on air again")
        assert daemon.pids()["streams.live/relay"] == process


def _pulled(daemon: Streamd) -> int | None:
    """Return which address is on air; None for neither."""
    status = daemon.status()["streams"]["live/relay"]
    return status["source"]["place"] if status["state"] == "live" else None


def test_an_edit_of_one_source_leaves_the_others_alone(daemon: Streamd) -> None:
    playing, other = film(daemon.directory / "a.mp4"), daemon.directory / "b.mp4"
    shutil.copy(clip(), other)
    names = ("one", "two", "three")
    text = configured(
        daemon, "".join(f"  {name}: {{source: {{files: [{playing}]}}}}\n" for name in names)
    )
    daemon.write(text)
    daemon.start()
    for name in names:
        daemon.wait_for_state("streams", f"live/{name}", "live")
    before = daemon.pids()
    daemon.write(
        text.replace(f"two: {{source: {{files: [{playing}]", f"two: {{source: {{files: [{other}]")
    )
    on_air(daemon, "live/two", other)
    after = daemon.pids()
    assert {name for name in after if after[name] != before[name]} == {"streams.live/two"}


def test_what_is_pulled_on_demand_runs_while_somebody_watches(
    daemon: Streamd, platform: Receiver
) -> None:
    here = own_address()
    if here is None:
        pytest.skip("NOT TESTED: no address but the loopback, where nobody counts as a viewer")
    address = f"url: '{platform.url('in/far')}', on_demand: true"
    daemon.write(configured(daemon, f"  far: {{source: {{{address}}}}}\n"))
    daemon.start()
    watched = f"rtmp://{here}:{daemon.rtmp}/live/far"
    with publisher(platform.url("in/far")):
        wait_until_sync(lambda: platform.receives("in/far"), what="what could be pulled")
        for _ in range(2):
            daemon.cli("reload", "--wait", check=True)  # until nothing more is to be done
            assert daemon.state("streams", "live/far") == "idle"
            assert "streams.live/far" not in daemon.pids()
        viewer = subprocess.Popen(
            (ffmpeg_path(), "-v", "error", "-nostdin", "-i", watched, "-f", "null", "-")
        )
        try:
            daemon.wait_for_state("streams", "live/far", "live", 60)
        finally:
            viewer.kill()
            viewer.wait(10)
        wait_until_sync(lambda: "streams.live/far" not in daemon.pids(), 60, "the pull to end")
