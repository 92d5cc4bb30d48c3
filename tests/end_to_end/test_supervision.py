"""What goes on when something is killed: streamd, supervisord, the media server, or all."""

import os
import signal

from tests.support.media import publisher
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync


def config(daemon: Streamd, platform: Receiver, count: int = 3) -> str:
    lines = "\n".join(
        f"  t{n}: {{stream: show, url: '{platform.url('in')}', key: k{n}}}" for n in range(count)
    )
    return f"""{daemon.head()}
keys: {{studio: {{secret: {SECRET}}}}}
streams: {{show: {{keys: [studio]}}}}
targets:
{lines}
"""


def all_live(daemon: Streamd, count: int = 3) -> bool:
    states = [entry["state"] for entry in daemon.status()["targets"].values()]
    return states == ["live"] * count


def no_two_for_one_key(daemon: Streamd, count: int = 3) -> None:
    """Exactly one media server and one FFmpeg for each target run, whatever status says."""
    commands = list(daemon.processes().values())
    assert sum("-progress" in command for command in commands) == count, commands
    assert len(commands) == count + 1, commands


def test_killing_streamd_leaves_everything_on_air_and_the_next_keeps_every_pid(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(config(daemon, platform))
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: all_live(daemon))
        before = daemon.pids()
        daemon.kill()
        received = platform.bytes_in("in/k1")
        wait_until_sync(lambda: platform.bytes_in("in/k1") > received + 20_000)
        daemon.start()
        wait_until_sync(lambda: all_live(daemon))
        assert daemon.pids() == before
        assert encoder.alive()
        assert daemon.status()["streams"]["live/show"]["key"] == "studio"
        no_two_for_one_key(daemon)


def test_a_key_removed_while_streamd_was_away_is_noticed(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(config(daemon, platform))
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: all_live(daemon))
        daemon.kill()
        daemon.write(config(daemon, platform).replace(SECRET, "another-secret-now"))
        daemon.start()
        wait_until_sync(lambda: not encoder.alive(), what="the publisher to be kicked")


def test_killing_supervisord_leaves_no_orphan_and_everything_comes_back(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(config(daemon, platform))
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon))
        before = set(daemon.processes())
        supervisord = daemon.supervisord()
        assert supervisord is not None
        os.kill(supervisord, signal.SIGKILL)
        wait_until_sync(lambda: not before & set(daemon.processes()), what="its children to end")
        # What the status says may be older than their end.
        ended = {0, *before}
        wait_until_sync(lambda: daemon.pids().get("servers.main", 0) not in ended, timeout=60)
        wait_until_sync(
            lambda: daemon.status()["servers"]["main"]["state"] == "running", timeout=60
        )
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon), timeout=60)
        no_two_for_one_key(daemon)


def test_killing_the_media_server_brings_it_back_and_leaves_no_ghost(
    daemon: Streamd, platform: Receiver
) -> None:
    daemon.write(config(daemon, platform))
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon))
        killed = daemon.pids()["servers.main"]
        os.kill(killed, signal.SIGKILL)
        wait_until_sync(lambda: daemon.pids().get("servers.main", killed) != killed)
        wait_until_sync(lambda: daemon.state("streams", "live/show") == "idle")
        wait_until_sync(lambda: daemon.state("targets", "t1") == "waiting")
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon), timeout=60)
        no_two_for_one_key(daemon)
        assert daemon.status()["servers"]["main"]["restarts"] == 1


def test_killing_everything_at_once(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(config(daemon, platform))
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon))
        everything = [daemon.supervisord(), *daemon.processes()]
        daemon.kill()
        for pid in everything:
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon), timeout=60)
        no_two_for_one_key(daemon)


def test_sigterm_ends_everything(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(config(daemon, platform))
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon))
        assert daemon.stop() == 0
    assert daemon.processes() == {}
    assert daemon.supervisord() is None


def test_a_stop_that_keeps_the_media(daemon: Streamd, platform: Receiver) -> None:
    daemon.write(config(daemon, platform))
    daemon.start("--on-stop=keep")
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: all_live(daemon))
        before = daemon.pids()
        assert daemon.stop() == 0
        assert set(before.values()) <= set(daemon.processes())
        daemon.start()
        wait_until_sync(lambda: all_live(daemon))
        assert daemon.pids() == before
