"""Who gets onto a server, as seen by encoders."""

import hashlib
import json
import time

from tests.support.media import decoded_frames, publisher
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

KEYS = f"""\
keys:
  studio: {{secret: {SECRET}}}
  other: {{secret: another-long-secret}}
"""
STREAMS = """\
streams:
  show: {keys: [studio, other]}
  open: {keys: any}
  lot/cam7: {keys: [studio], key_in_name: true}
  rooms/*: {keys: [studio]}
"""


def is_live(daemon: Streamd, stream: str) -> bool:
    return daemon.state("streams", stream) == "live"


def refused(daemon: Streamd, url: str) -> None:
    """Publish, and wait until that is turned away."""
    with publisher(url) as encoder:
        wait_until_sync(lambda: not encoder.alive(), what="the publisher to be refused")


def test_the_right_key_is_let_in_and_can_be_played(daemon: Streamd) -> None:
    daemon.write(daemon.head() + KEYS + STREAMS)
    daemon.start()
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        assert daemon.status()["streams"]["live/show"]["key"] == "studio"
        assert decoded_frames(daemon.url("live/show", None)) == 15
        hls = f"http://127.0.0.1:{daemon.http}/live/show.m3u8"
        wait_until_sync(lambda: plays(hls), what="HLS to be playable")
    wait_until_sync(lambda: daemon.state("streams", "live/show") == "idle")


def plays(url: str) -> bool:
    import subprocess  # noqa: PLC0415 - for its exceptions only

    try:
        return decoded_frames(url) == 15
    except subprocess.SubprocessError:
        return False


def test_a_wrong_key_no_key_and_an_unknown_stream_are_refused_and_logged(daemon: Streamd) -> None:
    daemon.write(daemon.head() + KEYS + STREAMS)
    daemon.start()
    refused(daemon, daemon.url("live/show", "a-wrong-secret-of-somebody"))
    refused(daemon, daemon.url("live/show", None))
    refused(daemon, daemon.url("live/unknown"))
    assert not is_live(daemon, "live/show")
    log = daemon.log
    assert "publisher.refused" in log
    assert "127.0.0.1" in log
    assert "a-wrong-secret-of-somebody" not in log
    assert SECRET not in log


def test_no_key_a_key_in_the_name_and_a_pattern(daemon: Streamd) -> None:
    daemon.write(daemon.head() + KEYS + STREAMS)
    daemon.start()
    with (
        publisher(daemon.url("live/open", None)),
        publisher(daemon.url(f"lot/cam7-{SECRET}", None)),
        publisher(daemon.url("rooms/blue")),
    ):
        for stream in ("live/open", "lot/cam7", "rooms/blue"):
            wait_until_sync(lambda stream=stream: is_live(daemon, stream), what=stream)  # type: ignore[misc] # bound at once
        assert SECRET not in str(daemon.status())


def test_a_near_miss_of_a_key_in_the_name_is_told_nowhere(daemon: Streamd) -> None:
    """A typing error in a key leaves most of the key."""
    daemon.write(daemon.head() + KEYS + STREAMS)
    daemon.start()
    missed = SECRET[:-1]
    refused(daemon, daemon.url(f"lot/cam7-{missed}", None))
    refused(daemon, daemon.url(f"lot/cam7-{missed}/main", None))
    wait_until_sync(lambda: "publisher.refused" in daemon.log)
    play = f"http://127.0.0.1:{daemon.http}/lot/cam7-{missed}.m3u8"
    assert not plays(play)
    everything_told = told(daemon)
    assert "publisher.refused" in everything_told
    assert missed not in everything_told


def test_a_key_that_streamd_knows_by_its_digest_alone_is_told_nowhere(daemon: Streamd) -> None:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    keys = f"keys:\n  studio: {{secret_sha256: {digest}}}\n"
    streams = "streams:\n  lot/cam7: {keys: [studio], key_in_name: true}\n"
    daemon.write(daemon.head() + keys + streams)
    daemon.start()
    with publisher(daemon.url(f"lot/cam7-{SECRET}", None)):
        wait_until_sync(lambda: is_live(daemon, "lot/cam7"))
        refused(daemon, daemon.url(f"lot/cam7-{SECRET}", None))
        assert SECRET not in told(daemon)


def told(daemon: Streamd) -> str:
    """Return all that the daemon and the servers tell: logs, status, `streamd logs`."""
    texts = [path.read_text() for path in (daemon.directory / "log").iterdir()]
    server = daemon.cli("logs", "main", check=True).stdout
    assert server
    return "\n".join([*texts, daemon.log, json.dumps(daemon.status()), server])


def test_removing_a_key_kicks_its_publishers_only_and_adding_one_disturbs_nobody(
    daemon: Streamd,
) -> None:
    daemon.write(daemon.head() + KEYS + STREAMS)
    daemon.start()
    with (
        publisher(daemon.url("live/show")) as studio,
        publisher(daemon.url("rooms/red", SECRET)) as red,
        publisher(daemon.url("live/open", None)) as anybody,
    ):
        for stream in ("live/show", "rooms/red", "live/open"):
            wait_until_sync(lambda stream=stream: is_live(daemon, stream), what=stream)  # type: ignore[misc] # bound at once
        more = KEYS + "  third: {secret: a-third-long-secret}\n"
        daemon.write(daemon.head() + more + STREAMS)
        daemon.cli("reload", "--wait", check=True)
        assert studio.alive()
        assert red.alive()
        assert anybody.alive()
        rotated = more.replace(SECRET, "the-secret-was-rotated")
        daemon.write(daemon.head() + rotated + STREAMS)
        saved = time.monotonic()
        wait_until_sync(lambda: not studio.alive() and not red.alive(), what="the kick")
        # The promise is a second; the limit leaves room for a machine that runs other tests.
        assert time.monotonic() - saved < 10
        assert anybody.alive()
        assert is_live(daemon, "live/open")


def test_a_window_ends_on_time_without_a_save(daemon: Streamd) -> None:
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20))
    keys = f"keys:\n  studio: {{secret: {SECRET}, not_after: {end}}}\n"
    daemon.write(daemon.head() + keys + "streams:\n  show: {keys: [studio]}\n")
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        wait_until_sync(lambda: not encoder.alive(), timeout=60, what="the window to end")
    refused(daemon, daemon.url("live/show"))
