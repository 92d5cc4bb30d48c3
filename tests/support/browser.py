"""A real browser, without a window, that publishes by WHIP and plays by WHEP."""

import contextlib
import fcntl
import http.server
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.process import RunningProgram
from tests.support.waiting import wait_until_sync

_ANSWER_TIMEOUT_S = 30

_FLAGS = (
    "--headless",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # One local address, the one that leads to the server: SRS answers from the address that leads
    # back, so that on a machine with several the packets to the others are lost.
    "--webrtc-ip-handling-policy=default_public_interface_only",
    "--remote-debugging-pipe",
)

# Chromium reads commands from descriptor 3 and answers on 4.
_CHILD = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

_PAGE = b"""\
<!doctype html>
<title>WebRTC</title>
<video autoplay playsinline></video>
<script>
const peer = new RTCPeerConnection();
const video = document.querySelector("video");
let offered = 0;
let firstFrameMs = null;

// RFC 9725 (WHIP); WHEP is the same the other way. Status 0: closed without an answer.
async function offer(url) {
  await peer.setLocalDescription();
  const headers = {"Content-Type": "application/sdp"};
  offered = performance.now();
  let response;
  try {
    response = await fetch(url, {method: "POST", headers, body: peer.localDescription.sdp});
  } catch (error) {
    return 0;
  }
  if (response.status === 201) {
    await peer.setRemoteDescription({type: "answer", sdp: await response.text()});
  }
  return response.status;
}

async function publish(url) {
  const media = await navigator.mediaDevices.getUserMedia(
    {audio: true, video: {width: 320, height: 240, frameRate: 15}});
  for (const track of media.getTracks()) peer.addTrack(track, media);
  return await offer(url);
}

async function play(url) {
  const media = new MediaStream();
  peer.ontrack = (event) => { media.addTrack(event.track); video.srcObject = media; };
  video.requestVideoFrameCallback((now) => { firstFrameMs = now - offered; });
  for (const kind of ["audio", "video"]) peer.addTransceiver(kind, {direction: "recvonly"});
  return await offer(url);
}

async function stats() {
  const found = {connection: peer.connectionState, first_frame_ms: firstFrameMs,
    width: video.videoWidth, shown: video.getVideoPlaybackQuality().totalVideoFrames};
  for (const report of (await peer.getStats()).values()) {
    if (report.type === "inbound-rtp" && report.kind === "video")
      found.decoded = report.framesDecoded;
    if (report.type === "inbound-rtp" && report.kind === "audio")
      found.heard = report.totalAudioEnergy;
    if (report.type === "outbound-rtp" && report.kind === "video")
      found.sent = report.framesSent;
  }
  return found;
}
</script>
"""


def chromium_path() -> str | None:
    """Return the browser, None when there is none."""
    return shutil.which("chromium")


@dataclass
class Page:
    """A tab with one WebRTC connection."""

    browser: "Browser"
    target: str
    session: str

    def publish(self, url: str) -> int:
        """Publish a made-up camera and microphone by WHIP, and return the HTTP status.

        0 is a connection closed without an answer.
        """
        return int(self.run(f"publish({json.dumps(url)})"))

    def play(self, url: str) -> int:
        """Play by WHEP, and return the HTTP status as `publish` does."""
        return int(self.run(f"play({json.dumps(url)})"))

    def stats(self) -> dict[str, Any]:
        """Return what came and went so far.

        Its keys: `connection` (an RTCPeerConnectionState), `decoded` and `shown` (frames of the
        video element), `width`, `heard` (audio energy), `first_frame_ms` (after the offer),
        `sent` (frames); of what does not apply nothing.
        """
        found: dict[str, Any] = self.run("stats()")
        return found

    def is_loaded(self) -> bool:
        """Tell whether the page can be used."""
        return bool(self.run("document.readyState === 'complete' && typeof stats === 'function'"))

    def shown(self) -> int:
        """Return how many frames the video element has shown."""
        return int(self.stats()["shown"])

    def close(self) -> None:
        """Close the tab, and with it the connection."""
        self.browser.call("Target.closeTarget", targetId=self.target)

    def run(self, script: str) -> Any:
        """Run a script in the page, and return what it gives."""
        answer = self.browser.call(
            "Runtime.evaluate",
            self.session,
            expression=script,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")


@dataclass
class Browser:
    """A running Chromium and the address of its only page."""

    process: "subprocess.Popen[bytes]"
    commands: int
    answers: int
    origin: str
    _buffer: bytearray = field(default_factory=bytearray)
    _calls: int = 0

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """Open a tab until the block ends."""
        with self.tab(self.origin) as page:
            wait_until_sync(page.is_loaded, what="the page to load")
            yield page

    @contextlib.contextmanager
    def tab(self, url: str) -> Iterator[Page]:
        """Open a tab with somebody's page, of which only `run` is good for something."""
        target = self.call("Target.createTarget", url=url)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        try:
            yield page
        finally:
            page.close()

    def call(self, method: str, session: str | None = None, **params: object) -> dict[str, Any]:
        """Give a command of the DevTools protocol, and return its result."""
        self._calls += 1
        command = {"id": self._calls, "method": method, "params": params}
        if session is not None:
            command["sessionId"] = session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + _ANSWER_TIMEOUT_S
        while (message := self._message(deadline)).get("id") != self._calls:
            pass  # an event
        assert "error" not in message, f"{method}: {message['error']}"
        result: dict[str, Any] = message["result"]
        return result

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self.answers], [], [], deadline - time.monotonic())
            assert ready, "the browser does not answer"
            received = os.read(self.answers, 1 << 16)
            assert received, "the browser ended"
            self._buffer += received
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium with a profile of its own until the block ends."""
    program = chromium_path()
    assert program is not None, "the tests need chromium in PATH"
    home = Path(tempfile.mkdtemp(prefix="streamd-test-browser-"))
    with contextlib.ExitStack() as ending:
        ending.callback(shutil.rmtree, home, ignore_errors=True)
        origin = ending.enter_context(_page_server())
        (from_us, commands), (answers, to_us) = _pipe(), _pipe()
        ending.callback(os.close, commands)
        ending.callback(os.close, answers)
        try:
            with (home / "browser.log").open("wb") as log:
                process = subprocess.Popen(
                    (sys.executable, "-I", "-S", "-c", _CHILD, str(from_us), str(to_us),
                     program, f"--user-data-dir={home / 'profile'}", *_FLAGS),
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    pass_fds=(from_us, to_us), start_new_session=True,
                    env={**os.environ, "HOME": str(home)},
                )  # fmt: skip
        finally:
            os.close(from_us)
            os.close(to_us)
        ending.callback(_end, process)
        yield Browser(process, commands, answers, origin)


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, clear of the numbers that the browser uses."""
    moved = []
    for descriptor in os.pipe():
        moved.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(descriptor)
    return moved[0], moved[1]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the browser and its children, which are the session that it was started in."""
    RunningProgram(process).stop()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _page_server() -> Iterator[str]:
    """Serve the page from the loopback, where browsers allow cameras without HTTPS."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(_PAGE)))
            self.end_headers()
            self.wfile.write(_PAGE)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
