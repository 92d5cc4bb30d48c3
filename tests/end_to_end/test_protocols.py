"""What SRS has beyond RTMP, at the very addresses that `streamd urls` prints."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.browser import Browser, Page, chromium, chromium_path
from tests.support.media import decoded_frames, ffprobe, publisher
from tests.support.ports import free_port, free_ports
from tests.support.receiver import Receiver
from tests.support.streamd import SECRET, Streamd
from tests.support.waiting import wait_until_sync

pytestmark = pytest.mark.srs

WRONG = "a-wrong-secret-of-somebody"
KEYS = f"keys:\n  studio: {{secret: {SECRET}}}\n  other: {{secret: another-long-secret}}\n"
STREAMS = "streams:\n  show: {keys: [studio]}\n"


@pytest.fixture
def engine(srs_binary: Path) -> str:
    """The only engine that has these."""
    return "srs"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, or a skip that says what was not tested."""
    if chromium_path() is None:
        pytest.skip("NOT TESTED: WebRTC with a real browser (no chromium in PATH)")
    with chromium() as running:
        yield running


@dataclass
class Server:
    """A daemon whose server has every port, and the addresses that it prints."""

    daemon: Streamd
    head: str

    def write(self, text: str = KEYS + STREAMS) -> None:
        """Save the file."""
        self.daemon.write(self.head + text)

    def addresses(self) -> dict[tuple[str, str], str]:
        """Return what `streamd urls` prints for live/show, by action and protocol."""
        printed = self.daemon.cli("urls", "show", "--json", "--show-secrets", check=True).stdout
        return {(url["action"], url["protocol"]): url["url"] for url in json.loads(printed)}

    def url(self, action: str, protocol: str, secret: str = SECRET) -> str:
        """Return one of them, with another secret."""
        return self.addresses()[action, protocol].replace(SECRET, secret)

    def is_live(self, protocol: str) -> bool:
        """Tell whether live/show is published by a protocol with the key `studio`."""
        entry = self.daemon.status()["streams"]["live/show"]
        found = (entry["state"], entry["protocol"], entry["key"], entry["publisher"])
        return found == ("live", protocol, "studio", "127.0.0.1")

    def wait_live(self, protocol: str) -> None:
        """Wait until it is."""
        wait_until_sync(lambda: self.is_live(protocol), what=f"live by {protocol}")


@pytest.fixture
def server(daemon: Streamd) -> Server:
    """A running daemon whose server has every port."""
    srt, webrtc = free_ports(2)
    head = daemon.head(
        listen=f", srt: {srt}, webrtc: {webrtc}", server="    webrtc_candidate: 127.0.0.1\n"
    )
    made = Server(daemon, head)
    made.write()
    daemon.start()
    return made


def is_played(url: str, frames: int = 15) -> bool:
    """Tell whether video of an address can be decoded."""
    try:
        return decoded_frames(url, frames=frames) == frames
    except subprocess.SubprocessError:
        return False


def codecs(url: str) -> set[str]:
    return {stream["codec_name"] for stream in ffprobe(url)}


def shows(page: Page, frames: int = 15) -> bool:
    """Tell whether a page decodes video, and sound that is more than silence."""
    stats = page.stats()
    return bool(stats["shown"] >= frames and stats["width"] and stats["heard"] > 0)


def test_every_address_that_is_printed_is_tried_here(server: Server) -> None:
    assert set(server.addresses()) == {
        *(("publish", protocol) for protocol in ("rtmp", "srt", "whip")),
        *(("play", protocol) for protocol in ("rtmp", "srt", "whep", "http-flv", "hls")),
    }


def test_srt_publishes_with_a_key_and_every_protocol_plays_it(server: Server) -> None:
    addresses = server.addresses()
    with publisher(addresses["publish", "srt"]):
        server.wait_live("srt")
        for protocol in ("srt", "rtmp", "http-flv"):
            assert codecs(addresses["play", protocol]) == {"h264", "aac"}, protocol
            assert is_played(addresses["play", protocol]), protocol
        wait_until_sync(lambda: is_played(addresses["play", "hls"]), what="HLS to be playable")
    server.daemon.wait_for_state("streams", "live/show", "idle")


@pytest.mark.parametrize("secret", [WRONG, "another-long-secret", None])
def test_srt_with_another_secret_or_none_is_refused_and_logged(
    server: Server, secret: str | None
) -> None:
    url = server.url("publish", "srt")
    if secret is None:
        url = url.replace(f"secret={SECRET},", "")
    with publisher(url.replace(SECRET, secret or "")) as encoder:
        wait_until_sync(lambda: not encoder.alive(), what="the publisher to be refused")
    wait_until_sync(lambda: "publisher.refused" in server.daemon.log)
    assert server.daemon.state("streams", "live/show") == "refused"
    logged = server.daemon.log + server.daemon.cli("logs", "main", "--lines=1000").stdout
    assert '"protocol": "srt"' in logged
    assert SECRET not in logged
    assert secret is None or secret not in logged


def test_a_target_of_an_srt_stream_receives_media(server: Server, platform: Receiver) -> None:
    target = f"targets: {{out: {{stream: show, url: '{platform.url('in/out')}'}}}}\n"
    server.write(KEYS + STREAMS + target)
    with publisher(server.url("publish", "srt")):
        server.daemon.wait_for_state("targets", "out", "live")
        assert codecs(platform.url("in/out")) == {"h264", "aac"}
        assert is_played(platform.url("in/out"))


def test_a_target_sends_by_srt_and_shows_nobody_its_passphrase(server: Server) -> None:
    passphrase = "only-the-two-of-us"
    place = f"srt://127.0.0.1:{free_port()}"
    url = f"{place}?streamid=live&passphrase={passphrase}"
    server.write(f"{KEYS}{STREAMS}targets: {{out: {{stream: show, url: '{url}'}}}}\n")
    with publisher(server.url("publish", "rtmp")), ThreadPoolExecutor(1) as listener:
        frames = listener.submit(
            decoded_frames, f"{place}?mode=listener&passphrase={passphrase}", frames=240, timeout=60
        )
        server.daemon.wait_for_state("targets", "out", "live")
        pid = server.daemon.pids()["targets.out"]
        assert passphrase not in Path(f"/proc/{pid}/cmdline").read_text()
        assert frames.result() == 240
    shown = str(server.daemon.status()) + server.daemon.log
    assert passphrase not in shown + server.daemon.cli("logs", "out", "--lines=1000").stdout


def test_a_key_that_is_removed_takes_its_srt_publisher_off(server: Server) -> None:
    with publisher(server.url("publish", "srt")) as encoder:
        server.wait_live("srt")
        server.write(KEYS + STREAMS.replace("studio", "other"))
        wait_until_sync(lambda: not encoder.alive(), what="the kick")
    wait_until_sync(lambda: server.daemon.state("streams", "live/show") != "live")


def test_a_browser_publishes_with_a_key_and_another_plays_it(
    server: Server, browser: Browser
) -> None:
    addresses = server.addresses()
    with browser.page() as sender:
        assert sender.publish(addresses["publish", "whip"]) == 201
        server.wait_live("webrtc")
        with browser.page() as player:
            assert player.play(addresses["play", "whep"]) == 201
            wait_until_sync(lambda: shows(player), what="moving pictures and sound")
    server.daemon.wait_for_state("streams", "live/show", "idle")


def test_what_a_browser_publishes_is_played_by_every_other_protocol(
    server: Server, browser: Browser
) -> None:
    addresses = server.addresses()
    with browser.page() as sender:
        assert sender.publish(addresses["publish", "whip"]) == 201
        server.wait_live("webrtc")
        for protocol in ("rtmp", "http-flv", "hls"):
            url = addresses["play", protocol]
            wait_until_sync(lambda url=url: is_played(url), what=protocol)  # type: ignore[misc] # bound at once
            assert codecs(url) == {"h264", "aac"}, protocol


@pytest.mark.parametrize("protocol", ["rtmp", "srt"])
def test_a_browser_plays_what_others_publish(
    server: Server, browser: Browser, protocol: str
) -> None:
    with publisher(server.url("publish", protocol)), browser.page() as player:
        server.wait_live(protocol)
        assert player.play(server.url("play", "whep")) == 201
        wait_until_sync(lambda: shows(player), what="moving pictures and sound")


def test_a_browser_with_a_wrong_secret_is_refused_and_leaves_the_name_free(
    server: Server, browser: Browser
) -> None:
    with browser.page() as sender:
        assert sender.publish(server.url("publish", "whip", WRONG)) != 201
        assert sender.stats()["connection"] == "new"
        assert server.daemon.state("streams", "live/show") == "refused"
        logged = server.daemon.log + server.daemon.cli("logs", "main", "--lines=1000").stdout
        assert "publisher.refused" in logged
        assert WRONG not in logged
        with publisher(server.url("publish", "rtmp")):
            server.wait_live("rtmp")
            assert is_played(server.url("play", "rtmp"))


def test_a_key_that_is_removed_takes_its_browser_off(server: Server, browser: Browser) -> None:
    with browser.page() as sender:
        assert sender.publish(server.url("publish", "whip")) == 201
        server.wait_live("webrtc")
        server.write(KEYS + STREAMS.replace("studio", "other"))
        wait_until_sync(lambda: server.daemon.state("streams", "live/show") != "live")
        with publisher(server.daemon.url("live/show", "another-long-secret")):
            server.daemon.wait_for_state("streams", "live/show", "live")
            assert server.daemon.status()["streams"]["live/show"]["protocol"] == "rtmp"


def test_a_second_publisher_is_refused_whatever_it_speaks_and_the_first_stays(
    server: Server, browser: Browser
) -> None:
    addresses = server.addresses()
    with publisher(addresses["publish", "srt"]) as first, browser.page() as sender:
        server.wait_live("srt")
        assert sender.publish(addresses["publish", "whip"]) != 201
        for protocol in ("rtmp", "srt"):
            with publisher(addresses["publish", protocol]) as second:
                wait_until_sync(lambda second=second: not second.alive(), what=protocol)  # type: ignore[misc] # bound at once
            assert server.is_live("srt")
        assert first.alive()
        assert is_played(addresses["play", "rtmp"])


def test_the_api_of_srs_asks_the_public_for_the_password(server: Server) -> None:
    guessed = {"Authorization": "Basic c3RyZWFtZDpzdHJlYW1k"}  # streamd:streamd
    for path in ("/api/v1/versions", "/api/v1/streams/", "/api/v1/clients/x", "/api/v1/raw"):
        for method in ("GET", "DELETE"):
            for headers in ({}, guessed):
                assert http_status(server, method, path, headers) == 401, (method, path)


def http_status(server: Server, method: str, path: str, headers: dict[str, str]) -> int:
    url = f"http://127.0.0.1:{server.daemon.http}{path}"
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
