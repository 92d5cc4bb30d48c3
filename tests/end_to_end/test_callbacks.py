"""What callbacks are asked and told, with real servers, encoders and targets."""

import hashlib
import hmac
import os
import signal
import threading
import uuid
from pathlib import Path

import pytest

from tests.support.app import NO, YES, Answer, App, app
from tests.support.media import decoded_frames, publisher
from tests.support.ports import own_address
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.viewer import viewer
from tests.support.waiting import wait_until_sync

STREAMS = f"""\
keys:
  studio: {{secret: {SECRET}}}
streams:
  show: {{keys: [studio]}}
  lot/cam7: {{keys: [studio], key_in_name: true}}
  open: {{keys: any}}
"""
ALL = (
    "[on_publish, on_unpublish, on_record_begin, on_record_end, on_play, on_stop, "
    "on_target_live, on_target_error, on_certificate_renewed]"
)
SIGN = "a-secret-to-sign-with"


def callback(hook: App, more: str = "", events: str = ALL, name: str = "billing") -> str:
    fields = f'url: "{hook.url}", events: {events}, opaque: mytoken{more}'
    return f"  {name}: {{{fields}}}\n"


def start(daemon: Streamd, *callbacks: str, more: str = "") -> None:
    daemon.write(daemon.head() + STREAMS + more + "callbacks:\n" + "".join(callbacks))
    daemon.start()


def is_live(daemon: Streamd, stream: str) -> bool:
    return daemon.state("streams", stream) == "live"


def told_everywhere(daemon: Streamd) -> str:
    logs = [path.read_text(errors="replace") for path in (daemon.directory / "log").iterdir()]
    return "\n".join([*logs, daemon.log, str(daemon.status())])


def test_a_publish_is_asked_about_and_its_end_is_told_in_oryxs_words(
    daemon: Streamd, hook: App
) -> None:
    start(daemon, callback(hook, f", sign: {SIGN}"))
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        asked = hook.wait_told("on_publish")
        assert encoder.alive()
        encoder.kill()
        told = hook.wait_told("on_unpublish")
    common = {
        "opaque": "mytoken", "vhost": "__defaultVhost__", "app": "live", "stream": "show",
        "server": "main", "protocol": "rtmp", "key": "studio", "ip": "127.0.0.1",
        "client_id": asked["client_id"],
    }  # fmt: skip
    assert asked.told | common == asked.told
    assert asked["param"] == f"?secret={SECRET}"
    assert told.told | common == told.told
    assert told["seconds"] > 0
    ids = {str(uuid.UUID(each["request_id"])) for each in (asked, told)}
    assert len(ids) == 2
    for each in (asked, told):
        signed = each.headers["X-Streamd-Timestamp"].encode() + b"." + each.body
        expected = hmac.new(SIGN.encode(), signed, hashlib.sha256).hexdigest()
        assert each.headers["X-Streamd-Signature"] == f"sha256={expected}"
    wait_until_sync(lambda: sent(daemon) == 1)
    status = daemon.status()["callbacks"]["billing"]
    assert (status["state"], status["pending"], status["last_error"]) == ("ok", 0, None)
    assert status["address"] == hook.url.removesuffix("/hook")
    for hidden in (SECRET, SIGN, "mytoken"):
        assert hidden not in told_everywhere(daemon)


def test_a_key_in_the_name_goes_to_nobody(daemon: Streamd, hook: App) -> None:
    start(daemon, callback(hook))
    with publisher(daemon.url(f"lot/cam7-{SECRET}", None)):
        asked = hook.wait_told("on_publish")
    hook.wait_told("on_unpublish")
    assert (asked["app"], asked["stream"]) == ("lot", "cam7")
    assert SECRET not in repr([each.told for each in hook.received])


def test_one_no_keeps_a_publisher_out_and_whoever_said_yes_is_told(
    daemon: Streamd, hook: App
) -> None:
    with app() as second:
        second.answer = lambda asked: NO if asked["stream"] == "show" else YES
        start(daemon, callback(hook), callback(second, name="second"))
        with publisher(daemon.url("live/show")) as encoder:
            wait_until_sync(lambda: not encoder.alive(), what="the publisher to be refused")
        asked, gone = hook.wait_told("on_publish"), hook.wait_told("on_unpublish")
        assert asked["client_id"] == gone["client_id"]
        assert second.actions() == ["on_publish"]
        with publisher(daemon.url("live/open", None)) as other:
            wait_until_sync(lambda: is_live(daemon, "live/open"))
            assert other.alive()
        status = daemon.status()
        assert status["callbacks"]["second"]["refused"] == 1
        assert "callback second refuses it" in status["streams"]["live/show"]["last_error"]
        assert "publisher.refused" in daemon.log


def test_a_wrong_key_is_refused_without_asking(daemon: Streamd, hook: App) -> None:
    start(daemon, callback(hook))
    with publisher(daemon.url("live/show", "a-wrong-secret")) as encoder:
        wait_until_sync(lambda: not encoder.alive(), what="the publisher to be refused")
    assert hook.received == []


def test_a_second_publisher_of_a_stream_is_not_asked_about(daemon: Streamd, hook: App) -> None:
    start(daemon, callback(hook))
    with publisher(daemon.url("live/show")) as first:
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        with publisher(daemon.url("live/show")) as second:
            wait_until_sync(lambda: not second.alive(), what="the second to be refused")
        assert first.alive()
        assert hook.actions() == ["on_publish"]
    hook.wait_told("on_unpublish")
    assert hook.actions() == ["on_publish", "on_unpublish"]


@pytest.mark.parametrize("on_error", ["refuse", "allow"])
def test_a_callback_that_is_dead_does_what_on_error_says(
    daemon: Streamd, hook: App, on_error: str
) -> None:
    hook.answer = lambda _: Answer(500)
    start(daemon, callback(hook, f", on_error: {on_error}"))
    with publisher(daemon.url("live/show")) as encoder:
        if on_error == "refuse":
            wait_until_sync(lambda: not encoder.alive(), what="the publisher to be refused")
            error = daemon.status()["streams"]["live/show"]["last_error"]
            assert error == "callback billing could not be asked: HTTP 500"
        else:
            wait_until_sync(lambda: is_live(daemon, "live/show"))
        assert daemon.state("callbacks", "billing") == "failing"
        hook.answer = lambda _: YES
        if on_error == "allow":  # then it is told later what it could not be asked
            wait_until_sync(lambda: len(hook.of("on_publish")) >= 3 or sent(daemon) == 1)
            assert len({each["request_id"] for each in hook.of("on_publish")}) == 1
            assert encoder.alive()


def sent(daemon: Streamd) -> int:
    count: int = daemon.status()["callbacks"]["billing"]["sent"]
    return count


def test_a_slow_callback_holds_up_its_publisher_alone(daemon: Streamd, hook: App) -> None:
    let_go = threading.Event()
    hook.answer = lambda told: Answer(after=let_go) if told["stream"] == "show" else YES
    start(daemon, callback(hook, ", timeout: 20s"))
    with publisher(daemon.url("live/show")) as slow:
        hook.wait_told("on_publish")
        with publisher(daemon.url("live/open", None)):
            wait_until_sync(lambda: is_live(daemon, "live/open"))
            assert not is_live(daemon, "live/show")
        wait_until_sync(lambda: "on_unpublish" in hook.actions())
        assert slow.alive()
        let_go.set()
        wait_until_sync(lambda: is_live(daemon, "live/show"))


def test_a_publisher_who_is_asked_about_for_long_can_be_played(daemon: Streamd, hook: App) -> None:
    """SRS forgets a stream that it asks about for 3 s, unless somebody waits for it."""
    asked = threading.Event()
    hook.answer = lambda _: Answer(after=asked)
    start(daemon, callback(hook, ", timeout: 20s", "[on_publish]"))
    with publisher(daemon.url("live/show")):
        hook.wait_told("on_publish")
        asked.wait(4.0)
        asked.set()
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        assert decoded_frames(daemon.url("live/show", None), frames=5) == 5
    assert "publisher.unplayable" not in daemon.log


def test_what_could_not_be_sent_is_sent_by_the_next_streamd_as_it_was(
    daemon: Streamd, hook: App
) -> None:
    """Killed with events pending, one of which the server was told already."""
    hook.answer = lambda told: YES if told["action"] == "on_publish" else Answer(503)
    start(daemon, callback(hook))
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: is_live(daemon, "live/show"))
    with publisher(daemon.url("live/open", None)):
        wait_until_sync(lambda: is_live(daemon, "live/open"))
    wait_until_sync(
        lambda: {each["stream"] for each in hook.of("on_unpublish")} == {"show", "open"}
    )
    before = {each["stream"]: each["request_id"] for each in hook.of("on_unpublish")}
    assert daemon.status()["callbacks"]["billing"]["pending"] == 2
    daemon.kill()
    hook.received.clear()
    hook.answer = lambda _: YES
    daemon.start()
    wait_until_sync(lambda: len(hook.of("on_unpublish")) == 2, what="both to be sent")
    assert {each["stream"]: each["request_id"] for each in hook.received} == before
    wait_until_sync(lambda: daemon.status()["callbacks"]["billing"]["pending"] == 0)


def test_who_left_while_streamd_was_away_is_told_of(daemon: Streamd, hook: App) -> None:
    start(daemon, callback(hook))
    with publisher(daemon.url("live/show")) as encoder, publisher(daemon.url("live/open", None)):
        wait_until_sync(lambda: is_live(daemon, "live/show") and is_live(daemon, "live/open"))
        noted = daemon.directory / "state" / "outbox" / "told.json"
        wait_until_sync(lambda: noted.exists() and noted.read_text().count("client_id") == 2)
        asked = {each["stream"]: each["client_id"] for each in hook.of("on_publish")}
        daemon.kill()
        encoder.kill()
        daemon.start()
        told = hook.wait_told("on_unpublish")
        assert (told["stream"], told["client_id"]) == ("show", asked["show"])
        wait_until_sync(lambda: is_live(daemon, "live/open"))
    hook.wait_told("on_unpublish", 2)
    assert [each["stream"] for each in hook.of("on_unpublish")] == ["show", "open"]
    assert len(hook.of("on_publish")) == 2


def test_the_death_of_a_media_server_is_the_end_of_its_publishers(
    daemon: Streamd, hook: App
) -> None:
    start(daemon, callback(hook))
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        os.kill(daemon.pids()["servers.main"], signal.SIGKILL)
        hook.wait_told("on_unpublish")


def test_a_target_is_told_when_it_is_live_and_when_it_fails(
    daemon: Streamd, hook: App, platform: Receiver
) -> None:
    targets = f'targets:\n  out: {{stream: show, url: "{platform.url("in/KEY-OF-TARGET")}"}}\n'
    start(daemon, callback(hook, events="[on_target_live, on_target_error]"), more=targets)
    with publisher(daemon.url("live/show")):
        told = hook.wait_told("on_target_live")
        assert (told["target"], told["app"], told["stream"]) == ("out", "live", "show")
        os.kill(daemon.pids()["targets.out"], signal.SIGKILL)
        failed = hook.wait_told("on_target_error")
        assert failed["error"]
        hook.wait_told("on_target_live", 2)
    assert hook.actions() == ["on_target_live", "on_target_error", "on_target_live"]
    assert "KEY-OF-TARGET" not in repr([each.told for each in hook.received])


def test_a_viewer_is_told_of_and_none_depends_on_streamd(
    daemon: Streamd, hook: App, tmp_path: Path
) -> None:
    outside = own_address()
    if outside is None:
        pytest.skip("NOT TESTED: this machine has no address but loopback")
    start(daemon, callback(hook, events="[on_play, on_stop]"))
    with publisher(daemon.url("live/show")):
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        with viewer(tmp_path, f"rtmp://{outside}:{daemon.rtmp}/live/show"):
            begun = hook.wait_told("on_play")
        ended = hook.wait_told("on_stop")
    assert begun["client_id"] == ended["client_id"]
    assert (begun["stream"], begun["ip"], begun["protocol"]) == ("show", outside, "rtmp")
    assert ended["seconds"] >= 0
    assert hook.actions() == ["on_play", "on_stop"]


def test_a_callback_that_is_added_and_removed_disturbs_nobody(daemon: Streamd, hook: App) -> None:
    daemon.write(daemon.head() + STREAMS)
    daemon.start()
    with publisher(daemon.url("live/show")) as encoder:
        wait_until_sync(lambda: is_live(daemon, "live/show"))
        daemon.write(daemon.head() + STREAMS + "callbacks:\n" + callback(hook))
        daemon.cli("reload", "--wait", "30s", check=True)
        assert daemon.state("callbacks", "billing") == "idle"
        without = daemon.directory / "without.yaml"
        without.write_text(daemon.head() + STREAMS)
        planned = daemon.cli("plan", str(without)).stdout
        assert "- callback billing: remove; touches nothing live" in planned
        daemon.write(without.read_text())
        daemon.cli("reload", "--wait", "30s", check=True)
        assert encoder.alive()
    wait_until_sync(lambda: daemon.state("streams", "live/show") == "idle")
    assert hook.received == []
