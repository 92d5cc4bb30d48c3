"""What `make demo` runs: streamd on the example file, and an FFmpeg that stands in for OBS."""

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streamd.config.defaults import Machine
from streamd.config.here import read
from streamd.config.models import Config
from streamd.control_api import ask
from streamd.desire import desire
from streamd.errors import ControlError, StreamdError
from streamd.machine import find_machine
from streamd.settings import read_settings
from streamd.urls import Url, urls

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config.example.yaml"
WORK = ROOT / ".demo"
CLIP = WORK / "clip.mp4"
DIRECTORIES = {f"{name}_dir": WORK / name for name in ("state", "runtime", "log")}
START_TIMEOUT_S = 60.0

Process = subprocess.Popen[bytes]


def make_clip() -> None:
    """Generate ten seconds of test picture and tone, once."""
    if CLIP.exists():
        return
    print("generating a clip ...")
    unfinished = CLIP.with_suffix(".unfinished.mp4")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y",
         "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25",
         "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100",
         "-t", "10", "-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "0",
         "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", str(unfinished)],
        check=True,
    )  # fmt: skip
    unfinished.replace(CLIP)


def addresses(config: Config, machine: Machine) -> Sequence[Url]:
    """Return every address of the configuration, with its secrets."""
    secrets = {name: k.secret.get_secret_value() for name, k in config.keys.items() if k.secret}
    return urls(desire(config, machine), secrets=secrets)


def address(found: Sequence[Url], stream: str, action: str, protocol: str) -> str:
    """Return one address; SystemExit when an edit of the example took it away."""
    for one in found:
        if (one.stream, one.action, one.protocol) == (stream, action, protocol):
            return one.url
    raise SystemExit(f"{CONFIG.name}: the demonstration needs to {action} {stream} by {protocol}")


@contextlib.contextmanager
def running(what: str, argv: Sequence[str]) -> Iterator[Process]:
    """Run a process out of reach of the terminal's Ctrl-C, and end it with the block."""
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            print(f"{what} did not end and was killed; look for what it left: ps -ef", flush=True)


def streamd() -> contextlib.AbstractContextManager[Process]:
    """Run the daemon on the example, with all it keeps below .demo."""
    directories = [f"--{name.replace('_', '-')}={path}" for name, path in DIRECTORIES.items()]
    argv = [sys.executable, "-m", "streamd", "run", f"--config={CONFIG}", *directories]
    return running("streamd", argv)


def publisher(url: str) -> contextlib.AbstractContextManager[Process]:
    """Publish the clip in a loop, as OBS would publish a camera."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(CLIP),
            "-c", "copy", "-f", "flv", url]  # fmt: skip
    return running("the publisher", argv)


def status() -> Mapping[str, Any]:
    """Ask the daemon of this checkout; {} while it does not answer."""
    socket = read_settings(config=CONFIG, **DIRECTORIES).control_socket
    with contextlib.suppress(ControlError):
        return asyncio.run(ask(socket, "GET", "/status"))
    return {}


def wait_for(what: str, section: str, name: str, state: str, *needed: Process) -> None:
    """Wait for an object's state; SystemExit when a process that it needs ends, or in time."""
    print(f"waiting for {what} ...", flush=True)
    deadline = time.monotonic() + START_TIMEOUT_S
    entry: Mapping[str, Any] = {}
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in needed):
            raise SystemExit(1)  # it has said why
        entry = status().get(section, {}).get(name, {})
        if entry.get("state") == state:
            return
        if section == "servers" and entry.get("state") in ("backoff", "blocked"):
            break
        time.sleep(0.2)
    raise SystemExit(f"{what}: {entry.get('last_error') or 'not ready; see above'}")


def wait_playable(url: str) -> None:
    """Wait for the first segment of HLS, which is listed when it is complete."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - always http
            return
        time.sleep(0.2)
    raise SystemExit(f"{url}: nothing to play; see above")


def status_page(address: str) -> str:
    """Return where the status page is, or that something else answers there."""
    url = f"http://{address}/"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        answer = urllib.request.urlopen(f"{url}status", timeout=2)  # noqa: S310 - always http
        with answer:
            if json.load(answer)["config"]["path"] == str(CONFIG):
                return url
    return f"none, {url} is not this streamd's; see above"


def show() -> int:
    """Run the demonstration until streamd ends, and return its exit status."""
    machine = find_machine()
    config = read(CONFIG, machine=machine).config
    found = addresses(config, machine)
    publish = address(found, "live/livestream", "publish", "rtmp")
    play = [address(found, f"live/{name}", "play", "hls") for name in ("livestream", "copy")]
    with streamd() as daemon:
        wait_for("the media server", "servers", "main", "running", daemon)
        with publisher(publish) as source:
            wait_for("the restream", "targets", "second", "live", daemon, source)
            for url in play:
                wait_playable(url)
            engine = status()["servers"]["main"]["engine"]
            print(
                f"""
streamd is on air, with {engine} as its media server.

  published   {publish.partition("?")[0]}    (by an FFmpeg that stands in for OBS)
  play        {play[0]}
  restreamed  {play[1]}
  status      {status_page(config.daemon.status)}

Try: edit {CONFIG.name} and save. Ctrl-C ends everything.
""",
                flush=True,
            )
            daemon.wait()
    return daemon.returncode


def stop(_number: int, _frame: object) -> None:
    """End as by Ctrl-C, and let no second signal break off what ends the processes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the demonstration until Ctrl-C, SIGTERM or the end of its terminal."""
    if shutil.which("ffmpeg") is None:
        raise SystemExit("ffmpeg is not installed; `make demo` installs it")
    WORK.mkdir(mode=0o700, exist_ok=True)
    if status():
        raise SystemExit(
            f"a demonstration runs already, with {DIRECTORIES['state_dir']}; "
            "end it with Ctrl-C where it was started"
        )
    make_clip()
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        return show()
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("stopped", flush=True)
        return 0
    except StreamdError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
