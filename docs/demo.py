"""What `make demo` runs: streamd on the example file, and an FFmpeg that stands in for OBS."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "config.example.yaml"
WORK = ROOT / ".demo"
CLIP = WORK / "clip.mp4"
PUBLISH = "rtmp://127.0.0.1/live/livestream?secret=please-change-me"
STATUS = "http://127.0.0.1:2022/status"
START_TIMEOUT_S = 60.0


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


def start_streamd() -> "subprocess.Popen[bytes]":
    """Start the daemon on the example, with all it keeps below .demo."""
    directories = [f"--{name}-dir={WORK / name}" for name in ("state", "runtime", "log")]
    return subprocess.Popen(
        [sys.executable, "-m", "streamd", "run", f"--config={CONFIG}", *directories], cwd=ROOT
    )


def start_publisher() -> "subprocess.Popen[bytes]":
    """Publish the clip in a loop, as OBS would publish a camera."""
    return subprocess.Popen(
        ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(CLIP),
         "-c", "copy", "-f", "flv", PUBLISH],
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def status() -> dict[str, dict[str, dict[str, str]]]:
    """Ask the daemon; {} while it does not answer."""
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(STATUS, timeout=2) as got:
        answer: dict[str, dict[str, dict[str, str]]] = json.load(got)
        return answer
    return {}


def wait_for(
    what: str, section: str, name: str, state: str, daemon: "subprocess.Popen[bytes]"
) -> None:
    """Wait until an object has a state; SystemExit when the daemon ends or it takes too long."""
    print(f"waiting for {what} ...")
    deadline = time.monotonic() + START_TIMEOUT_S
    entry: dict[str, str] = {}
    while daemon.poll() is None and time.monotonic() < deadline:
        entry = status().get(section, {}).get(name, {})
        if entry.get("state") == state:
            return
        if section == "servers" and entry.get("state") in ("backoff", "blocked"):
            break
        time.sleep(0.2)
    raise SystemExit(f"{what}: {entry.get('last_error') or 'not ready; see the log above'}")


def main() -> int:
    """Run the demonstration until Ctrl-C."""
    WORK.mkdir(mode=0o700, exist_ok=True)
    for program in ("ffmpeg",):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed; `make demo` installs it")
    make_clip()
    daemon = start_streamd()
    publisher: subprocess.Popen[bytes] | None = None
    try:
        wait_for("the media server", "servers", "main", "running", daemon)
        publisher = start_publisher()
        wait_for("the restream", "targets", "second", "live", daemon)
        engine = status()["servers"]["main"]["engine"]
        print(
            f"""
streamd is on air, with {engine} as its media server.

  published   rtmp://localhost/live/livestream    (by an FFmpeg that stands in for OBS)
  play        http://localhost:8080/live/livestream.m3u8
  restreamed  http://localhost:8080/live/copy.m3u8
  status      http://localhost:2022/

Try: edit config.example.yaml and save. Ctrl-C ends everything.
""",
            flush=True,
        )
        daemon.wait()
    except KeyboardInterrupt:
        print("\nstopping ...")
    finally:
        for process in (publisher, daemon):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (publisher, daemon):
            if process is not None:
                process.wait(timeout=30)
    return daemon.returncode


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
