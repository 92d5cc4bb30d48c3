"""A playout as supervisord starts it, and what it reports."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamd.ffmpeg.progress import ProgressReceiver
from streamd.ffmpeg.track import Playing, Track
from streamd.playout.spec import SPEC_FD, PlayoutInput, PlayoutSpec, SlateInput, to_json
from streamd.supervision.process import ProcessSpec
from tests.support.media import clip, ffmpeg_path
from tests.support.ports import free_port
from tests.support.process import Spawned, spawned
from tests.support.waiting import wait_until


@dataclass
class RunningPlayout:
    """A playout that runs."""

    process: Spawned
    spec: PlayoutSpec
    reports: ProgressReceiver

    def track(self) -> Track:
        """Return what it has reported so far."""
        self.reports.drain(0.0)
        return self.reports.tracks.get(self.process.pid, Track())

    def playing(self) -> Playing:
        """Return what it reported last of what is on air."""
        return self.track().playing or Playing()

    async def wait_input(self, at: int) -> None:
        """Wait until an input is on air."""
        await wait_until(
            lambda: self.playing().input == at,
            what=f"input {at} on air; log:\n{self.process.log()}",
        )


def slate() -> SlateInput:
    """Return the clip as a slate; in it keyframes are 2 s apart."""
    path = clip(gop_s=2)
    return SlateInput(str(path), (str(path.parent),))


@contextlib.contextmanager
def running_playout(
    tmp_path: Path, publish_url: str, *inputs: PlayoutInput, cache: Path | None = None
) -> Iterator[RunningPlayout]:
    """Run a playout of the given inputs until the block ends."""
    ffprobe = shutil.which("ffprobe")
    assert ffprobe is not None, "the tests need ffprobe in PATH"
    port = free_port()
    spec = PlayoutSpec(
        stream="live/made",
        publish_url=publish_url,
        inputs=inputs,
        ffmpeg=ffmpeg_path(),
        ffprobe=ffprobe,
        cache_directory=str(cache or tmp_path / "cache"),
        progress=f"127.0.0.1:{port}",
    )
    process = ProcessSpec(
        name="playout.live/made",
        argv=(sys.executable, "-m", "streamd.playout", spec.stream),
        identity="test",
        log_path=str(tmp_path / "playout.log"),
        secret_inputs={SPEC_FD: to_json(spec)},
    )
    reports = ProgressReceiver("127.0.0.1", port)
    reports.open()
    try:
        with spawned(process) as running:
            reports.register(running.pid)
            yield RunningPlayout(running, spec, reports)
    finally:
        reports.close()
