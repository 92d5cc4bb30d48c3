"""What real FFmpegs report, and that a stuck receiver shows in it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamd.errors import PortTakenError
from streamd.ffmpeg.binary import inspect
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.progress import ProgressReceiver
from streamd.ffmpeg.target_argv import target_process
from streamd.ffmpeg.track import Track
from streamd.jobs import TargetJob
from streamd.supervision.process import ProcessSpec
from tests.support.media import clip, ffmpeg_path, publisher
from tests.support.ports import free_port
from tests.support.process import spawned
from tests.support.receiver import Receiver, receiver
from tests.support.waiting import wait_until_sync

STUCK_S = 3.0


@pytest.fixture(scope="module")
def binary() -> FFmpegBinary:
    return asyncio.run(inspect(Path(ffmpeg_path())))


@pytest.fixture
def progress() -> Iterator[tuple[ProgressReceiver, str]]:
    port = free_port()
    hears = ProgressReceiver("127.0.0.1", port)
    hears.open()
    yield hears, f"127.0.0.1:{port}"
    hears.close()


def spec_of(
    source: Receiver, output_url: str, binary: FFmpegBinary, address: str, directory: Path
) -> ProcessSpec:
    job = TargetJob(
        process="target.t",
        target="t",
        stream="live/cam",
        input_url=source.url("live/cam"),
        output_url=output_url,
        publisher="1",
        ffmpeg=binary.path,
        progress=address,
    )
    return target_process(job, binary, str(directory / "target.log"), identity="i")


def test_a_process_is_heard_until_its_receiver_freezes(
    binary: FFmpegBinary, progress: tuple[ProgressReceiver, str], tmp_path: Path
) -> None:
    hears, address = progress
    with (
        receiver(tmp_path) as source,
        receiver(tmp_path) as server,
        publisher(source.url("live/cam"), media=clip(video_kbps=4000)),
    ):
        wait_until_sync(lambda: source.receives("live/cam"))
        with spawned(spec_of(source, server.url("live/x"), binary, address, tmp_path)) as process:
            hears.register(process.pid)

            def track() -> Track | None:
                hears.drain(time.monotonic())
                return hears.tracks.get(process.pid)

            def is_known() -> bool:
                heard = track()
                return heard is not None and heard.kbps is not None and heard.kbps > 1000

            wait_until_sync(is_known)
            before = track()
            assert before is not None
            assert before.out_time_us is not None
            assert before.out_time_us > 1_000_000
            assert before.bytes >= 100_000

            server.freeze()

            def is_stuck() -> bool:
                heard = track()
                assert heard is not None
                assert heard.advanced_at is not None
                return time.monotonic() - heard.advanced_at > STUCK_S

            wait_until_sync(is_stuck, timeout=60)
            stuck_bytes = hears.tracks[process.pid].bytes
            server.thaw()

    assert stuck_bytes >= before.bytes


def test_video_goes_on_when_the_audio_ends(
    binary: FFmpegBinary, progress: tuple[ProgressReceiver, str], tmp_path: Path
) -> None:
    hears, address = progress
    with (
        receiver(tmp_path) as source,
        receiver(tmp_path) as server,
        publisher(source.url("live/cam"), media=clip(audio_s=3)),
    ):
        wait_until_sync(lambda: source.receives("live/cam"))
        with spawned(spec_of(source, server.url("live/x"), binary, address, tmp_path)) as process:
            hears.register(process.pid)

            def sent_at(second: int) -> int:
                hears.drain(time.monotonic())
                track = hears.tracks.get(process.pid)
                reached = track is not None and (track.out_time_us or 0) > second * 1_000_000
                return track.bytes if track is not None and reached else 0

            early = wait_until_sync(lambda: sent_at(5))
            late = wait_until_sync(lambda: sent_at(9))
    assert late - early > 50_000


def test_only_registered_processes_are_kept(
    binary: FFmpegBinary, progress: tuple[ProgressReceiver, str], tmp_path: Path
) -> None:
    hears, address = progress
    with (
        receiver(tmp_path) as source,
        receiver(tmp_path) as server,
        publisher(source.url("live/cam")),
    ):
        wait_until_sync(lambda: source.receives("live/cam"))
        known = spec_of(source, server.url("live/known"), binary, address, tmp_path)
        unknown = spec_of(source, server.url("live/unknown"), binary, address, tmp_path)
        with spawned(unknown), spawned(known) as process:
            wait_until_sync(lambda: server.receives("live/unknown"))
            hears.register(process.pid)

            def heard() -> int:
                hears.drain(time.monotonic())
                return len(hears.tracks)

            wait_until_sync(heard)
            assert set(hears.tracks) == {process.pid}
            hears.forget(process.pid)
            assert heard() == 0


def test_a_port_in_use_is_named(progress: tuple[ProgressReceiver, str]) -> None:
    port = int(progress[1].rpartition(":")[2])
    second = ProgressReceiver("127.0.0.1", port)
    with pytest.raises(PortTakenError, match=rf"daemon\.hooks: UDP port {port} is taken"):
        second.open()
    second.close()


def test_a_closed_port_can_be_taken_again(progress: tuple[ProgressReceiver, str]) -> None:
    hears, address = progress
    hears.close()
    hears.drain(1.0)
    second = ProgressReceiver("127.0.0.1", int(address.rpartition(":")[2]))
    second.open()
    second.close()
