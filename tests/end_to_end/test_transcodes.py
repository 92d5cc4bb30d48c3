"""Streams that are made of others: a ladder, as its viewers and its operator see it."""

import json
import subprocess

from tests.support.media import decoded_frames, publisher
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

BASE = f"""\
keys:
  studio: {{secret: {SECRET}}}
streams:
  show: {{keys: [studio]}}
  other: {{keys: [studio]}}
"""

RUNG = "{{stream: {stream}, to: {to}, video: {{codec: h264, height: {height}, bitrate: 100k}}}}"


def ladder(**heights: int) -> str:
    lines = [
        f"  {name}: " + RUNG.format(stream="show", to=f"show-{name}", height=height)
        for name, height in heights.items()
    ]
    return "transcodes:\n" + "\n".join(lines) + "\n"


def height_of(url: str) -> int:
    """Return the height of the video at an address."""
    entries = ("-select_streams", "v:0", "-show_entries", "stream=height", "-of", "json")
    probed = subprocess.run(
        ("ffprobe", "-v", "error", *entries, url), capture_output=True, timeout=60, check=True
    )
    return int(json.loads(probed.stdout)["streams"][0]["height"])


def test_a_ladder_is_made_by_one_ffmpeg_and_each_rung_can_be_played_and_sent(
    daemon: Streamd, platform: Receiver
) -> None:
    sent = f"targets:\n  t: {{stream: show-low, url: '{platform.url('in')}', key: low}}\n"
    daemon.write(daemon.head() + BASE + ladder(high=90, low=60) + sent)
    daemon.start()
    assert daemon.state("transcodes", "high") == "waiting"
    with publisher(daemon.url("live/show")):
        for rung in ("high", "low"):
            daemon.wait_for_state("transcodes", rung, "live")
        assert len({daemon.status()["transcodes"][rung]["pid"] for rung in ("high", "low")}) == 1
        assert height_of(daemon.url("live/show-high", None)) == 90
        assert height_of(daemon.url("live/show-low", None)) == 60
        daemon.wait_for_state("targets", "t", "live")
        assert decoded_frames(platform.url("in/low")) > 0
    for rung in ("high", "low"):
        daemon.wait_for_state("transcodes", rung, "waiting")
        daemon.wait_for_state("streams", f"live/show-{rung}", "idle")


def test_an_edit_of_a_ladder_leaves_everything_else_alone(
    daemon: Streamd, platform: Receiver
) -> None:
    others = f"targets:\n  t: {{stream: show, url: '{platform.url('in')}', key: as-it-is}}\n"
    other = "  lone: " + RUNG.format(stream="other", to="other-60", height=60) + "\n"
    daemon.write(daemon.head() + BASE + ladder(high=90) + other + others)
    daemon.start()
    with publisher(daemon.url("live/show")), publisher(daemon.url("live/other")):
        for name in ("high", "lone"):
            daemon.wait_for_state("transcodes", name, "live")
        daemon.wait_for_state("targets", "t", "live")
        before = daemon.pids()
        daemon.write(daemon.head() + BASE + ladder(high=90, low=60) + other + others)
        daemon.wait_for_state("transcodes", "low", "live")
        after = daemon.pids()
        changed = {name for name in after if after[name] != before.get(name)}
        assert changed == {"transcodes.high", "transcodes.low"}


def test_nobody_else_can_publish_what_a_transcode_makes(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE + ladder(low=60))
    daemon.start()
    with publisher(daemon.url("live/show-low")) as intruder:
        wait_until_sync(lambda: not intruder.alive(), what="the intruder to be refused")
    assert "streamd itself publishes stream live/show-low" in daemon.log


def test_a_rung_is_back_after_its_ffmpeg_was_killed(daemon: Streamd) -> None:
    daemon.write(daemon.head() + BASE + ladder(low=60))
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("transcodes", "low", "live")
        killed = daemon.pids()["transcodes.low"]
        subprocess.run(("kill", "-9", str(killed)), check=True)
        wait_until_sync(
            lambda: daemon.pids().get("transcodes.low", killed) != killed, what="another FFmpeg"
        )
        daemon.wait_for_state("transcodes", "low", "live")
        assert height_of(daemon.url("live/show-low", None)) == 60


def test_a_loop_is_refused_with_all_of_it(daemon: Streamd) -> None:
    back = f"targets:\n  t: {{stream: show-low, url: 'rtmp://127.0.0.1:{daemon.rtmp}/live/show'}}\n"
    daemon.write(daemon.head() + BASE + ladder(low=60) + back)
    checked = daemon.cli("check")
    assert checked.returncode == 1
    assert "targets.t -> transcodes.low -> targets.t" in checked.stdout + checked.stderr
