"""Streams that are sent on, as seen by the platform that receives them."""

import os
import signal
from pathlib import Path

from tests.support.media import decoded_frames, publisher
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

BASE = f"""\
keys:
  studio: {{secret: {SECRET}}}
streams:
  show: {{keys: [studio]}}
  rooms/*: {{keys: [studio]}}
"""


def targets(platform: Receiver, *names: str) -> str:
    lines = [f"  {name}: {{stream: show, url: '{platform.url('in')}', key: {name}-KEY}}"
             for name in names]  # fmt: skip
    return "targets:\n" + "\n".join(lines) + "\n"


def test_a_target_receives_media_that_can_be_decoded(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1"))
    daemon.start()
    assert daemon.state("targets", "t1") == "waiting"
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
        assert decoded_frames(platform.url("in/t1-KEY")) == 15
        pid = daemon.pids()["targets.t1"]
        assert "KEY" not in Path(f"/proc/{pid}/cmdline").read_text()
    daemon.wait_for_state("targets", "t1", "waiting")
    wait_until_sync(lambda: not platform.bytes_in("in/t1-KEY"), what="the target to end")
    assert "KEY" not in daemon.log
    assert "KEY" not in daemon.cli("logs", "t1").stdout


def test_twenty_targets_of_which_one_is_added_edited_disabled_and_removed(
    daemon: Streamd, platform: Receiver
) -> None:
    names = [f"t{number}" for number in range(20)]
    daemon.write(daemon.head() + BASE + targets(platform, *names))
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(
            lambda: all(e["state"] == "live" for e in daemon.status()["targets"].values()),
            timeout=60,
            what="20 live targets",
        )
        before = daemon.pids()

        def others() -> dict[str, int]:
            now = daemon.pids()
            return {name: now[name] for name in before if name != "targets.t7"}

        unchanged = {name: pid for name, pid in before.items() if name != "targets.t7"}

        with_21 = targets(platform, *names, "new")
        daemon.write(daemon.head() + BASE + with_21)
        daemon.wait_for_state("targets", "new", "live")
        assert {k: v for k, v in daemon.pids().items() if k != "targets.new"} == before

        edited = with_21.replace("t7-KEY", "t7-EDITED")
        daemon.write(daemon.head() + BASE + edited)
        wait_until_sync(lambda: platform.receives("in/t7-EDITED"))
        assert others() == unchanged

        disabled = edited.replace("key: t7-EDITED", "key: t7-EDITED, enabled: false")
        daemon.write(daemon.head() + BASE + disabled)
        daemon.wait_for_state("targets", "t7", "disabled")
        wait_until_sync(lambda: not platform.bytes_in("in/t7-EDITED"))
        assert others() == unchanged

        removed = "\n".join(line for line in edited.splitlines() if " t7:" not in line) + "\n"
        daemon.write(daemon.head() + BASE + removed)
        wait_until_sync(lambda: "t7" not in daemon.status()["targets"])
        assert others() == unchanged


def test_a_publisher_that_leaves_and_returns(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1"))
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        daemon.wait_for_state("targets", "t1", "live")
        encoder.kill()
        daemon.wait_for_state("targets", "t1", "waiting")
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
        assert platform.receives("in/t1-KEY")


def test_a_receiver_that_refuses_and_then_accepts(daemon: Streamd, platform: Receiver) -> None:
    platform.refused.add("t1-KEY")
    daemon.write(daemon.head() + BASE + targets(platform, "t1", "t2"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t2", "live")
        wait_until_sync(lambda: daemon.status()["targets"]["t1"]["last_error"], what="an error")
        assert daemon.state("targets", "t1") in ("backoff", "blocked", "connecting")
        assert "t1-KEY" not in str(daemon.status())
        platform.refused.clear()
        # An error that cannot heal by itself is tried every 30 s at the least.
        daemon.wait_for_state("targets", "t1", "live", timeout=60)
        assert daemon.status()["targets"]["t2"]["restarts"] == 0


def test_a_receiver_that_goes_away_and_comes_back(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
        platform.stop()
        wait_until_sync(lambda: daemon.state("targets", "t1") == "backoff", timeout=60)
        platform.start()
        daemon.wait_for_state("targets", "t1", "live", timeout=60)


def test_a_receiver_that_stalls_is_left_and_tried_again(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
        platform.freeze()
        wait_until_sync(
            lambda: daemon.status()["targets"]["t1"]["restarts"] > 0, timeout=90, what="a restart"
        )
        platform.thaw()
        daemon.wait_for_state("targets", "t1", "live", timeout=90)


def test_a_frozen_ffmpeg_is_replaced(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1", "t2"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        for name in ("t1", "t2"):
            daemon.wait_for_state("targets", name, "live")
        before = daemon.pids()
        os.kill(before["targets.t1"], signal.SIGSTOP)
        wait_until_sync(
            lambda: daemon.pids().get("targets.t1", 0) not in (0, before["targets.t1"]),
            timeout=60,
            what="another FFmpeg",
        )
        daemon.wait_for_state("targets", "t1", "live")
        assert daemon.pids()["targets.t2"] == before["targets.t2"]


def test_a_killed_ffmpeg_is_back(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1"))
    daemon.start()
    with publisher(daemon.url("live/show")):
        daemon.wait_for_state("targets", "t1", "live")
        pid = daemon.pids()["targets.t1"]
        os.kill(pid, signal.SIGKILL)
        wait_until_sync(lambda: daemon.pids().get("targets.t1", pid) != pid)
        daemon.wait_for_state("targets", "t1", "live")
        assert daemon.status()["targets"]["t1"]["restarts"] == 1


def test_the_backup_is_taken_and_given_up_when_the_first_heals(
    daemon: Streamd, platform: Receiver
) -> None:
    platform.refuse_if = lambda publish: publish.name == "first" and not healed
    healed = False
    daemon.write(
        daemon.head()
        + BASE
        + f"""\
targets:
  t1: {{stream: show, url: "{platform.url("in/first")}", backup_url: "{platform.url("in/second")}"}}
"""
    )
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: platform.receives("in/second"), timeout=90, what="the backup")
        healed = True
        wait_until_sync(
            lambda: platform.receives("in/first") and not platform.bytes_in("in/second"),
            timeout=90,
            what="the first address alone",
        )


def test_placeholders_give_each_stream_of_a_pattern_its_own_address(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(
        daemon.head()
        + BASE
        + f'targets:\n  cdn: {{streams: ["rooms/*"], url: "{platform.url("in/{app}-{stream}")}"}}\n'
    )
    daemon.start()
    with publisher(daemon.url("rooms/red")), publisher(daemon.url("rooms/blue")):
        for room in ("red", "blue"):
            daemon.wait_for_state("targets", f"cdn@rooms/{room}", "live")
            assert platform.receives(f"in/rooms-{room}")


def test_a_key_in_the_name_stays_out_of_the_command_line(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(
        daemon.head()
        + f"""\
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{lot/cam: {{keys: [studio], key_in_name: true}}}}
targets: {{t1: {{stream: lot/cam, url: "{platform.url("in/cam")}"}}}}
"""
    )
    daemon.start()
    with publisher(daemon.url(f"lot/cam-{SECRET}", None)):
        daemon.wait_for_state("targets", "t1", "live")
        pid = daemon.pids()["targets.t1"]
        assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()


def test_a_publisher_that_freezes_stalls_no_target(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(daemon.head() + BASE + targets(platform, "t1"))
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        daemon.wait_for_state("targets", "t1", "live")
        encoder.freeze()
        wait_until_sync(
            lambda: daemon.state("streams", "live/show") == "idle",
            timeout=90,
            what="the server to give the publisher up",
        )
    assert "process.killed" not in daemon.log
