"""Recorders of real streams on the real media servers, and what becomes of what they write."""

import asyncio
import contextlib
import itertools
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streamd.archive.recording import Recording, gaps
from streamd.engines.base import MediaEngine
from streamd.ffmpeg.errors import last_error
from streamd.machine import find_machine
from streamd.playout.flv import FlvReader
from streamd.playout.rtmp import Publish, open_publish
from streamd.playout.tags import DATA, VIDEO, Tag
from tests.support.archive import Place, picture_digests, place, probe
from tests.support.engines import RunningServer, running_server
from tests.support.headers import HEVC_HEADER
from tests.support.media import clip, ffmpeg_path, publisher
from tests.support.samples import sample
from tests.support.waiting import wait_until

FRAMES = 180
"""Pictures of the clip, 15 a second, each of its own."""


@pytest.fixture(
    params=[pytest.param("srs", marks=pytest.mark.srs), pytest.param("nginx-rtmp")],
)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningServer]:
    is_srs = request.param == "srs"
    if is_srs:
        binary = request.getfixturevalue("srs_binary")
    else:
        binary = find_machine().engines.get("nginx-rtmp")
        assert binary is not None, "the tests need nginx with its RTMP module"
    # With WebRTC, SRS decodes the sound and drops a publisher of what is none.
    changed = {"webrtc": None, "webrtc_candidate": None} if is_srs else {}
    async with running_server(tmp_path, request.param, binary, **changed) as running:
        yield running


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path, resume_s=4.0)


def mp4(recording: Recording) -> Path:
    return Path(recording.path) / "index.mp4"


def numbers(path: Path) -> list[int]:
    """Return which pictures of the clip a file holds."""
    known = {digest: number for number, digest in enumerate(picture_digests(clip()))}
    return [known[digest] for digest in picture_digests(path)]


def jumps(found: list[int]) -> list[int]:
    """Return how many pictures are missing wherever one does not follow the one before.

    What is there twice counts below 0.
    """
    apart = [(later - one) % FRAMES for one, later in itertools.pairwise(found)]
    steps = [step - 1 if step < FRAMES // 2 else step - FRAMES - 1 for step in apart]
    return [step for step in steps if step]


def input_url(server: RunningServer, stream: str = "live/cam") -> str:
    engine: MediaEngine = server.engine
    return engine.input_url(stream)


def flv_of(name: str) -> list[Tag]:
    argv = (ffmpeg_path(), "-v", "error", "-i", str(sample(name)), "-c", "copy", "-f", "flv")
    made = subprocess.run((*argv, "-"), check=True, capture_output=True, timeout=60)
    return FlvReader().feed(made.stdout)


async def publish(server: RunningServer, *names: str, stream: str = "live/cam") -> None:
    """Publish samples, one behind the other in one publish, in real time."""
    tags: list[Tag] = []
    for name in names:
        begin = tags[-1].timestamp_ms + 40 if tags else 0
        tags += [
            Tag(tag.kind, tag.timestamp_ms + begin, tag.body)
            for tag in flv_of(name)
            if tag.kind != DATA or not begin
        ]
    async with await open_publish(server.url(stream), timeout_s=20) as publishing:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for tag in tags:
            await asyncio.sleep(max(0.0, begun + tag.timestamp_ms / 1000 - loop.time()))
            await publishing.send(tag)


async def test_a_live_stream_is_recorded_in_parts_without_a_picture_lost_or_doubled(
    server: RunningServer, tmp_path: Path
) -> None:
    here = place(tmp_path, split_s=8.0, resume_s=4.0)
    with publisher(server.url("live/cam")), here.archive():
        await server.wait_live("live/cam")
        with here.recorder(input_url(server)) as recorder:
            await asyncio.to_thread(here.wait_segments, 3)
            await asyncio.to_thread(here.wait_bytes, recorder)
            recorder.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(recorder.wait) == 255
        recordings = await asyncio.to_thread(here.finished, 2)
        log = here.home.joinpath("recorder.log").read_text()
    assert log == ""
    found = [number for each in recordings for number in numbers(mp4(each))]
    assert jumps(found) == []
    assert len(found) > 12 * 15
    assert [each.reason for each in recordings[:-1]] == ["split"] * (len(recordings) - 1)
    for each in recordings:
        assert each.artifact is not None
        assert abs(each.artifact.seconds - each.seconds) < 1.0
        assert each.notes == ()


async def test_a_publisher_that_is_back_in_time_goes_on_with_its_recording(
    server: RunningServer, here: Place
) -> None:
    with here.archive():
        for _ in range(2):
            with publisher(server.url("live/cam")):
                await server.wait_live("live/cam")
                with here.recorder(input_url(server)) as recorder:
                    await asyncio.to_thread(here.wait_bytes, recorder)
            await server.wait_gone("live/cam")
        (recording,) = await asyncio.to_thread(here.finished)
    assert len(recording.runs) == 2
    (gap,) = gaps(recording.runs)
    assert 0 < gap.seconds < 4
    assert gap.begin == recording.runs[0].ended_at
    found = probe(mp4(recording))
    assert abs(float(found["format"]["duration"]) - recording.seconds) < 1.0


async def test_a_publisher_that_is_back_too_late_begins_another(
    server: RunningServer, tmp_path: Path
) -> None:
    here = place(tmp_path, resume_s=0.0)
    with here.archive():
        for count in (1, 2):
            with publisher(server.url("live/cam")):
                await server.wait_live("live/cam")
                with here.recorder(input_url(server)) as recorder:
                    await asyncio.to_thread(here.wait_bytes, recorder)
            await asyncio.to_thread(here.finished, count)
    assert [len(each.runs) for each in here.recordings()] == [1, 1]
    actions = [event.action for event in here.events()]
    assert actions == ["on_record_begin", "on_record_end"] * 2


async def test_a_recorder_that_is_killed_loses_less_than_a_second(
    server: RunningServer, here: Place
) -> None:
    with publisher(server.url("live/cam")), here.archive():
        await server.wait_live("live/cam")
        for _ in range(2):
            with here.recorder(input_url(server)) as recorder:
                await asyncio.to_thread(here.wait_bytes, recorder, 60_000)
                recorder.kill()
        (recording,) = await asyncio.to_thread(here.finished)
    assert len(recording.runs) == 2
    found = numbers(mp4(recording))
    lost = jumps(found)
    # A recorder that starts anew begins with a keyframe, of which the clip has one a second.
    assert len(lost) <= 1
    assert sum(lost) < 3 * 15
    assert recording.state == "finished"


async def test_nothing_is_lost_when_all_are_killed_at_once(
    server: RunningServer, here: Place
) -> None:
    with publisher(server.url("live/cam")) as encoder, here.archive() as archive:
        await server.wait_live("live/cam")
        with here.recorder(input_url(server)) as recorder:
            await asyncio.to_thread(here.wait_segments, 2)
            await asyncio.to_thread(here.wait_bytes, recorder)
            for process in (archive, recorder):
                process.process.send_signal(signal.SIGKILL)
            encoder.kill()
            written = sum(path.stat().st_size for path in here.root.rglob("*.ts"))
    with here.archive():
        (recording,) = await asyncio.to_thread(here.finished)
    assert jumps(numbers(mp4(recording))) == []
    assert recording.bytes >= written - 10_000
    assert len([event for event in here.events() if event.action == "on_record_end"]) == 1
    begins = [event for event in here.events() if event.action == "on_record_begin"]
    assert len({event.request_id for event in begins}) == 1


@pytest.mark.parametrize(("arguments", "kind"), [("-vn", "audio"), ("-an", "video")])
async def test_one_track_alone_is_recorded(
    server: RunningServer, here: Place, arguments: str, kind: str
) -> None:
    with here.archive(), one_track(server.url("live/cam"), arguments, here.home):
        await server.wait_live("live/cam")
        with here.recorder(input_url(server)):
            await asyncio.to_thread(here.wait_segments, 2)
        (recording,) = await asyncio.to_thread(here.finished)
    assert set(probe(mp4(recording))) - {"format"} == {kind}
    assert recording.state == "finished"
    assert recording.format is not None
    assert getattr(recording.format, kind) is not None


@contextlib.contextmanager
def one_track(url: str, argument: str, directory: Path) -> Iterator[None]:
    """Publish one track of the clip."""
    path = directory / "track.mp4"
    argv = (ffmpeg_path(), "-v", "error", "-i", str(clip()), argument, "-c", "copy", str(path))
    subprocess.run(argv, check=True, timeout=60)
    with publisher(url, media=path):
        yield


async def test_a_stream_that_becomes_another_in_mid_publish_is_not_broken_in_silence(
    server: RunningServer, here: Place
) -> None:
    small, *large = ["film.mp4", *["baseline.mp4"] * 6]
    with here.archive():
        publishing = asyncio.create_task(publish(server, small, *large))
        await server.wait_live("live/cam")
        with here.recorder(input_url(server)):
            await publishing
            await asyncio.to_thread(here.wait_segments, 2)
        recordings = await asyncio.to_thread(here.finished)
    assert {each.state for each in recordings} == {"finished"}
    if len(recordings) == 1:  # what was recorded after the change is spoilt, by FFmpeg before 7
        (note,) = recordings[0].notes
        assert note.startswith("pictures from")
        assert "cannot be decoded" in note
        end = here.events()[-1]
        assert end.fields["notes"] == [note]
    else:
        assert [each.reason for each in recordings] == ["format", "gone"]


# nginx-rtmp takes no H.265 for a picture that a player can begin at.
@pytest.mark.parametrize("server", [pytest.param("srs", marks=pytest.mark.srs)], indirect=True)
async def test_h265_is_recorded_or_refused_with_the_reason(
    server: RunningServer, here: Place
) -> None:
    picture = b"\x91hvc1\0\0\0" + (8).to_bytes(4) + b"\x26\x01\xaf\x08" + bytes(4)
    with here.archive():
        async with await open_publish(server.url("live/cam"), timeout_s=20) as publishing:
            sending = asyncio.create_task(_send_h265(publishing, picture))
            await server.wait_live("live/cam")
            with here.recorder(input_url(server)) as recorder:
                await wait_until(
                    lambda: not recorder.alive() or bool(here.recordings()), timeout=60
                )
                is_refused = not recorder.alive()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if is_refused:
            error = last_error(here.home.joinpath("recorder.log").read_text(), "")
            assert error is not None
            assert error.permanent
            assert "H.265" in error.message
            await wait_until(lambda: not here.segments(), what="what is empty to be dropped")
            assert here.recordings() == []


async def _send_h265(publishing: Publish, picture: bytes) -> None:
    await publishing.send(HEVC_HEADER)
    for number in itertools.count():
        await publishing.send(Tag(VIDEO, 40 * number, picture))
        await asyncio.sleep(0.04)
