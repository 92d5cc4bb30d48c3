from pathlib import Path

from tests.support.media import decoded_frames, ffprobe, publisher
from tests.support.ports import free_ports
from tests.support.receiver import receiver
from tests.support.waiting import wait_until, wait_until_sync


def test_ports_are_given_once() -> None:
    assert len(set(free_ports(60))) == 60


def test_a_receiver_takes_a_publisher_and_tells_what_it_was_sent(tmp_path: Path) -> None:
    with receiver(tmp_path, "live", "app/instance") as server:
        with publisher(server.url("live/one?secret=a&x=b")):
            wait_until_sync(lambda: server.receives("live/one"))
            assert {s["codec_name"] for s in ffprobe(server.url("live/one"))} == {"h264", "aac"}
            assert decoded_frames(server.url("live/one"), frames=5) == 5
        wait_until_sync(lambda: not server.receives("live/one"))
        assert server.publishes[0].parameters["secret"] == "a"


async def test_a_receiver_can_refuse_freeze_and_restart(tmp_path: Path) -> None:
    with receiver(tmp_path) as server:
        server.refused.add("bad")
        with publisher(server.url("live/bad")) as refused:
            await wait_until(lambda: not refused.alive())
        with publisher(server.url("live/good")) as good:
            await wait_until(lambda: server.receives("live/good"))
            server.freeze()
            server.thaw()
            assert good.alive()
            server.stop()
            await wait_until(lambda: not good.alive())
        server.start()
        with publisher(server.url("live/good")):
            await wait_until(lambda: server.receives("live/good"))
