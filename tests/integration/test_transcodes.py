"""FFmpeg as streamd starts it to make several streams of one, on real media servers."""

import asyncio
import contextlib
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamd.desired import AudioSpec, OverlaySpec, TranscodeSpec, VideoSpec
from streamd.ffmpeg.binary import inspect
from streamd.ffmpeg.errors import last_error
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.transcode_argv import sharing_a_process, transcode_process
from streamd.hls.master import Variant, master_path, master_playlist, variant
from streamd.hls.master_file import write_master
from streamd.jobs import TranscodeJob
from streamd.machine import find_machine
from tests.support.engines import RunningServer, running_server
from tests.support.media import clip, ffmpeg_path, ffprobe, publisher
from tests.support.ports import free_port
from tests.support.process import Spawned, spawned
from tests.support.waiting import wait_until

FPS = 15
SECRET = "right"  # what the server of the tests lets in
H264 = VideoSpec("h264", bitrate=150_000, keyframe_interval_s=1.0, preset="ultrafast")
COPY, AAC = AudioSpec("copy"), AudioSpec("aac", 64_000)


@pytest.fixture(scope="module")
def binary() -> FFmpegBinary:
    return asyncio.run(inspect(Path(ffmpeg_path())))


@pytest.fixture(params=[pytest.param("srs", marks=pytest.mark.srs), pytest.param("nginx-rtmp")])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningServer]:
    if request.param == "srs":
        path = request.getfixturevalue("srs_binary")
    else:
        path = find_machine().engines.get("nginx-rtmp")
        assert path is not None, "the tests need nginx with its RTMP module"
    async with running_server(tmp_path, request.param, path, hls_window_s=30.0) as running:
        yield running


def remuxed(directory: Path, *options: str) -> Path:
    """Return the clip changed without encoding it anew."""
    path = directory / "remuxed.mp4"
    argv = (ffmpeg_path(), "-v", "error", "-nostdin", "-i", str(clip()), "-c", "copy", *options)
    subprocess.run((*argv, str(path)), check=True, timeout=30)
    return path


def rendition(name: str, video: VideoSpec = H264, audio: AudioSpec = COPY) -> TranscodeSpec:
    return TranscodeSpec(name, "live/cam", f"live/cam-{name}", video, audio)


@contextlib.contextmanager
def transcoding(
    server: RunningServer, binary: FFmpegBinary, *renditions: TranscodeSpec
) -> Iterator[Spawned]:
    """Run the FFmpeg that makes some renditions until the block ends."""
    job = TranscodeJob(
        process="transcode.live/cam",
        stream="live/cam",
        input_url=server.engine.input_url("live/cam"),
        publish_url=server.spec.loopback_rtmp,
        transcodes=renditions,
        publisher="1",
        ffmpeg=binary.path,
        progress=f"127.0.0.1:{free_port()}",
    )
    log = server.directory.parent / f"{'-'.join(each.name for each in renditions)}.log"
    with spawned(transcode_process(job, binary, str(log), identity="i", secret=SECRET)) as process:
        yield process


async def played(server: RunningServer, stream: str) -> dict[str, dict[str, Any]]:
    """Return what a stream holds, by kind, once it is published."""
    await server.wait_live(stream)
    url = f"rtmp://127.0.0.1:{server.spec.rtmp}/{stream}"
    found = await asyncio.to_thread(ffprobe, url)
    return {each["codec_type"]: each for each in found}


def www(server: RunningServer) -> Path:
    return server.directory / "www"


def segments(server: RunningServer, stream: str) -> list[Path]:
    """Return the segments that a stream's playlist lists."""
    playlist = www(server) / f"{stream}.m3u8"
    if not playlist.exists():
        return []
    names = [line for line in playlist.read_text().splitlines() if line.endswith(".ts")]
    return [playlist.parent / name for name in names]


async def wait_for_segments(server: RunningServer, stream: str, count: int) -> list[Path]:
    return await wait_until(
        lambda: found if len(found := segments(server, stream)) >= count else [],
        what=f"{count} segments of {stream}",
        timeout=60,
    )


def packets(path: Path, kind: str) -> list[tuple[float, int, bool]]:
    """Return time, size and whether it is a keyframe, of each packet of video (v) or sound (a)."""
    result = subprocess.run(
        (
            *("ffprobe", "-v", "error", "-select_streams", kind, "-of", "csv=p=0"),
            *("-show_entries", "packet=pts_time,size,flags", str(path)),
        ),
        capture_output=True,
        timeout=30,
        check=True,
        text=True,
    )
    rows = [line.strip().split(",") for line in result.stdout.split()]
    return [(float(pts), int(size), "K" in flags) for pts, size, flags, *_ in rows]


async def keyframes(server: RunningServer, stream: str, count: int) -> list[float]:
    """Return the times of the first keyframes of a stream, which its viewers have as well."""
    found = await wait_for_segments(server, stream, count)
    return [pts for path in found for pts, _, key in packets(path, "v") if key][:count]


async def test_a_ladder_is_made_of_one_publisher(
    server: RunningServer, binary: FFmpegBinary
) -> None:
    rungs = (
        rendition("high", replace(H264, height=90)),
        rendition("wide", replace(H264, width=128, height=48, fps=10.0), AAC),
        rendition("low", replace(H264, width=64), AudioSpec("none")),
    )
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        with transcoding(server, binary, *rungs) as process:
            high, wide, low = [await played(server, each.to) for each in rungs]
            times = [await keyframes(server, each.to, 4) for each in rungs]
            assert process.alive(), process.log()
            assert binary.hides_output_key == (SECRET not in process.argv())
    assert (high["video"]["width"], high["video"]["height"]) == (120, 90)
    assert (wide["video"]["width"], wide["video"]["height"]) == (128, 48)
    assert (low["video"]["width"], low["video"]["height"]) == (64, 48)
    assert [each.get("audio", {}).get("codec_name") for each in (high, wide, low)] == [
        *("aac", "aac", None),
    ]
    for one, *others in zip(*times, strict=True):
        assert others == pytest.approx([one, one], abs=1 / 10)
    assert [late - soon for soon, late in zip(times[0], times[0][1:], strict=False)] == (
        pytest.approx([1.0, 1.0, 1.0], abs=1 / FPS)
    )


async def test_what_is_copied_arrives_byte_for_byte_beside_what_is_encoded(
    server: RunningServer, binary: FFmpegBinary
) -> None:
    copied = rendition("copied", VideoSpec("copy"), COPY)
    encoded = rendition("encoded", replace(H264, height=60, keyframe_interval_s=5.0), COPY)
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        with transcoding(server, binary, copied, encoded) as process:
            publishers = await keyframes(server, copied.to, 4)
            beside = await keyframes(server, encoded.to, 4)
            sound = [
                size - 7  # each is headed by ADTS in MPEG-TS
                for path in segments(server, encoded.to)[:3]
                for _, size, _ in packets(path, "a")
            ]
            assert process.alive(), process.log()
    assert beside == pytest.approx(publishers, abs=1 / FPS)
    sent = [size for _, size, _ in packets(clip(), "a")]
    assert len(sound) > 50
    assert contains([*sent, *sent], sound[5:45])


def contains(whole: list[int], part: list[int]) -> bool:
    starts = range(len(whole) - len(part) + 1)
    return any(whole[at : at + len(part)] == part for at in starts)


async def test_a_publisher_without_sound_has_every_rendition_but_those_of_sound_alone(
    server: RunningServer, binary: FFmpegBinary, tmp_path: Path
) -> None:
    rungs = (
        rendition("high", replace(H264, height=90)),
        rendition("heard", VideoSpec("none"), AAC),
        rendition("low", replace(H264, height=60), AAC),
    )
    with publisher(server.url("live/cam"), media=remuxed(tmp_path, "-an")):
        await server.wait_live("live/cam")
        seen, heard = sharing_a_process(rungs)
        with (
            transcoding(server, binary, *seen) as process,
            transcoding(server, binary, *heard) as ends,
        ):
            found = [await played(server, each.to) for each in seen]
            assert await asyncio.to_thread(ends.wait) != 0
            error = last_error(ends.log())
            assert process.alive(), process.log()
    assert [set(each) for each in found] == [{"video"}, {"video"}]
    assert error is not None
    assert "neither video nor audio" in error.message


async def test_a_publisher_without_video_is_heard_in_every_rendition(
    server: RunningServer, binary: FFmpegBinary, tmp_path: Path
) -> None:
    rungs = (rendition("720", replace(H264, height=60)), rendition("heard", VideoSpec("none"), AAC))
    with publisher(server.url("live/cam"), media=remuxed(tmp_path, "-vn")):
        await server.wait_live("live/cam")
        with transcoding(server, binary, *rungs) as process:
            found = [await played(server, each.to) for each in rungs]
            assert process.alive(), process.log()
    assert [set(each) for each in found] == [{"audio"}, {"audio"}]


async def test_no_picture_is_lost_of_a_publisher_that_claims_half_its_frame_rate(
    server: RunningServer, binary: FFmpegBinary, tmp_path: Path
) -> None:
    claim = ("-bsf:v", f"h264_metadata=tick_rate={FPS}")  # ticks are half frames
    with publisher(server.url("live/cam"), media=remuxed(tmp_path, *claim)):
        await server.wait_live("live/cam")
        with transcoding(server, binary, rendition("low", replace(H264, height=60))):
            found = await wait_for_segments(server, "live/cam-low", 4)
            frames = [len(packets(path, "v")) for path in found[1:3]]
    assert frames == pytest.approx([FPS, FPS], abs=2)


async def test_a_rendition_that_is_cut_off_ends_the_process(
    server: RunningServer, binary: FFmpegBinary
) -> None:
    rungs = [rendition(name, replace(H264, height=60)) for name in ("a", "b", "c")]
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        with transcoding(server, binary, *rungs) as process:
            for each in rungs:
                await server.wait_live(each.to)
            live = await server.wait_live("live/cam-b")
            await server.engine.kick("live/cam-b", live.client_id)
            assert await asyncio.to_thread(process.wait) != 0
            assert last_error(process.log()) is not None


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    """A white picture, under a name that means something in every syntax it goes through."""
    path = tmp_path / "it's a [logo]: 50%, \\x;=1.png"
    argv = (ffmpeg_path(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=white:size=40x30")
    made = tmp_path / "logo.png"
    subprocess.run((*argv, "-frames:v", "1", str(made)), check=True, timeout=30)
    return made.rename(path)


def brightness(url: str, x: int, y: int, size: int) -> list[int]:
    """Return the brightness of each pixel of a square of a stream's picture."""
    square = f"crop={size}:{size}:{x}:{y},format=gray"
    result = subprocess.run(
        (
            *(ffmpeg_path(), "-v", "error", "-nostdin", "-i", url, "-frames:v", "1"),
            *("-vf", square, "-f", "rawvideo", "-"),
        ),
        capture_output=True,
        timeout=60,
        check=True,
    )
    return list(result.stdout)


async def test_a_logo_stands_in_its_corner(
    server: RunningServer, binary: FFmpegBinary, logo: Path
) -> None:
    overlay = OverlaySpec(str(logo), "bottom-right", margin=10, width=20)  # so 20x15
    shown = rendition("logo", replace(H264, width=160, height=120, bitrate=1_000_000))
    shown = replace(shown, video=replace(shown.video, overlay=overlay))
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        with transcoding(server, binary, shown) as process:
            await server.wait_live(shown.to)
            url = f"rtmp://127.0.0.1:{server.spec.rtmp}/{shown.to}"
            inside = await asyncio.to_thread(brightness, url, 134, 98, 10)
            beside = await asyncio.to_thread(brightness, url, 112, 98, 10)
            assert process.alive(), process.log()
    assert len(inside) == len(beside) == 100
    assert min(inside) > 215
    assert min(beside) < 200


async def test_players_choose_from_a_ladders_playlist(
    server: RunningServer, binary: FFmpegBinary
) -> None:
    rungs = (
        rendition("high", replace(H264, height=90, bitrate=300_000, fps=15.0)),
        rendition("low", replace(H264, height=48)),
        rendition("source", VideoSpec("copy")),
    )
    with publisher(server.url("live/cam")):
        await server.wait_live("live/cam")
        with transcoding(server, binary, *rungs):
            for each in rungs:
                await wait_for_segments(server, each.to, 2)
            variants = [await offered(server, each) for each in rungs]
            write_master(www(server), "live/cam", master_playlist("live/cam", variants))
            url = f"http://127.0.0.1:{server.spec.http}/{master_path('live/cam')}"
            content_type = await asyncio.to_thread(content_type_of, url)
            found = await asyncio.to_thread(ffprobe, url, timeout=60)
            levels = {each["width"]: each["level"] for each in found if "width" in each}
    assert content_type == "application/vnd.apple.mpegurl"
    sizes = [(each["width"], each["height"]) for each in found if each["codec_type"] == "video"]
    assert sizes == [(160, 120), (120, 90), (64, 48)]
    assert sum(each["codec_type"] == "audio" for each in found) == 3
    bit_rates = {int(each["tags"]["variant_bitrate"]) for each in found}
    assert bit_rates == {each.bandwidth for each in variants}
    high = variants[0]
    assert high.codecs[0] == f"avc1.42C0{levels[120]:02X}"


async def offered(server: RunningServer, transcode: TranscodeSpec) -> Variant:
    async def described() -> Variant | None:
        live = await server.live(transcode.to)
        return variant(transcode, live) if live is not None else None

    found = await wait_until(described, what=f"a description of {transcode.to}", timeout=60)
    assert found is not None
    return found


def content_type_of(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.headers["Content-Type"])
