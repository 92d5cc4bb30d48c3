"""The playout as a process against real servers, with FFmpegs as encoders, targets and viewers."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from streamd.desired import EngineName
from streamd.engines.base import HookRequest
from streamd.playout.flv import FlvReader
from streamd.playout.rtmp import RtmpError, open_publish
from streamd.playout.slate import Shown, SlateCache
from streamd.playout.spec import FilesInput, IngestInput, PullInput, SlateInput
from streamd.playout.tags import AUDIO, VIDEO
from tests.support.engines import RunningServer, running_server
from tests.support.flv import written
from tests.support.media import clip, decoded_frames, ffmpeg_path, publisher
from tests.support.pids import children_of, is_alive
from tests.support.playout import RunningPlayout, running_playout, slate
from tests.support.ports import free_port
from tests.support.receiver import receiver
from tests.support.samples import sample
from tests.support.viewer import Viewer, hls_viewer, viewer
from tests.support.waiting import wait_until

LONGEST_STEP_MS = 150

engines = pytest.mark.parametrize(
    "engine", [pytest.param("srs", marks=pytest.mark.srs), "nginx-rtmp"]
)


@contextlib.asynccontextmanager
async def server(
    tmp_path: Path, engine: EngineName, request: pytest.FixtureRequest
) -> AsyncIterator[RunningServer]:
    """Run a media server of an engine that takes ingests."""
    if engine == "srs":
        async with running_server(
            tmp_path, engine, request.getfixturevalue("srs_binary")
        ) as running:
            yield running
    else:
        async with running_server(
            tmp_path, engine, "/usr/sbin/nginx", apps=("live", "in")
        ) as running:
            yield running


def short_clip(
    path: Path, *, seconds: int = 3, size: str = "160x120", codec: str = "libx264"
) -> str:
    """Encode a clip of 25 frames a second, some of them B-frames, with sound."""
    subprocess.run(
        (
            *(ffmpeg_path(), "-v", "error", "-nostdin", "-y"),
            *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration={seconds}"),
            *("-f", "lavfi", "-i", f"sine=sample_rate=44100:duration={seconds}"),
            *("-c:v", codec, "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k"),
            str(path),
        ),
        check=True,
        timeout=60,
    )
    return str(path)


def written_clip() -> bytes:
    """Return 5 s of the clip as FLV."""
    argv = (*(ffmpeg_path(), "-v", "error", "-i", str(clip()), "-t", "5"), "-c", "copy")
    return written((*argv, "-f", "flv", "-")).data


def damaged(path: Path, *, first: int, step: int) -> str:
    """Put random bytes into a copy of a clip."""
    data = bytearray(path.read_bytes())
    random = Random(1)
    for place in range(first, len(data), step):
        data[place] = random.randrange(256)
    bad = path.with_stem(f"bad-{path.stem}")
    bad.write_bytes(data)
    return str(bad)


def still(path: Path) -> Path:
    """Draw a picture."""
    drawn = (*("-f", "lavfi", "-i", "testsrc2=size=320x200"), "-frames:v", "1", str(path))
    subprocess.run((ffmpeg_path(), "-v", "error", "-nostdin", *drawn), check=True, timeout=60)
    return path


def empty(path: Path) -> str:
    """Make an empty file."""
    path.touch()
    return str(path)


async def wait_fitted(playout: RunningPlayout) -> None:
    """Wait until the slate is fitted to what an encoder sends."""
    cache = Path(playout.spec.cache_directory)

    def remembers() -> bool:
        return any(json.loads(path.read_text())["video"] for path in cache.glob("*.json"))

    await wait_until(remembers, what=f"a fitted slate; log:\n{playout.process.log()}")


async def wait_item(playout: RunningPlayout, item: str) -> None:
    """Wait until a file is on air."""
    await wait_until(lambda: playout.playing().item == item, 60, what=f"{item} on air")


async def wait_advanced(playout: RunningPlayout, seconds: float) -> None:
    """Wait until the stream has gone on for so long."""
    enough = (playout.track().out_time_us or 0) + seconds * 1e6
    await wait_until(
        lambda: (playout.track().out_time_us or 0) >= enough,
        what=f"the stream to go on; log:\n{playout.process.log()}",
    )


def assert_undisturbed(seen: Viewer, *, recorded: bool = True) -> None:
    """A viewer is connected, got every moment, and has nothing to complain of."""
    assert seen.alive(), seen.log()
    assert seen.log() == ""
    if recorded:
        assert seen.longest_step_ms(VIDEO) <= LONGEST_STEP_MS
        assert seen.longest_step_ms(AUDIO) <= LONGEST_STEP_MS


@engines
async def test_nobody_is_disconnected_while_the_encoder_is_killed_frozen_and_back(
    tmp_path: Path, engine: EngineName, request: pytest.FixtureRequest
) -> None:
    async with contextlib.AsyncExitStack() as running:
        media = await running.enter_async_context(server(tmp_path, engine, request))
        second = running.enter_context(receiver(tmp_path))
        made, ingest = media.url("live/made"), media.url("in/made")
        playout = running.enter_context(
            running_playout(tmp_path, made, IngestInput(ingest), slate())
        )
        encoder = running.enter_context(publisher(ingest))
        await playout.wait_input(0)
        await wait_fitted(playout)

        http = f"http://127.0.0.1:{media.spec.http}/live/made"
        hls = await running.enter_async_context(hls_viewer(f"{http}.m3u8"))
        target = running.enter_context(viewer(tmp_path, made, to=second.url("live/copy")))
        await wait_until(lambda: second.receives("live/copy"), what="the target to arrive")
        watched = [made, second.url("live/copy")] + ([f"{http}.flv"] if engine == "srs" else [])
        viewers = [running.enter_context(viewer(tmp_path, url)) for url in watched]
        for each in viewers:
            await each.wait_seen(2000)

        encoder.kill()
        await playout.wait_input(1)
        await wait_advanced(playout, 3)
        await come_freeze_thaw_and_go(playout, ingest)
        for each in viewers:
            await each.wait_seen(2000)

        assert_undisturbed(target, recorded=False)
        for each in viewers:
            assert_undisturbed(each)
            assert each.seen_ms() > 10_000
        assert len(second.publishes) == 1
        assert hls.discontinuities == 0
        assert hls.failures == []
        assert len(hls.segments) > 5
        assert len(media.hooks_of("publish", "live/made")) == 1
        assert_decodable(viewers[0])


async def come_freeze_thaw_and_go(playout: RunningPlayout, ingest: str) -> None:
    """Publish an ingest anew, with a freeze in between; its slate is on air when it does not."""
    with publisher(ingest) as encoder:
        await playout.wait_input(0)
        await wait_advanced(playout, 2)
        encoder.freeze()
        await playout.wait_input(1)
        await wait_advanced(playout, 2)
        encoder.thaw()
        await playout.wait_input(0)
        await wait_advanced(playout, 2)
    await playout.wait_input(1)


def assert_decodable(seen: Viewer) -> None:
    """What a viewer got is decoded from beginning to end by a decoder that is started once."""
    decoded = decoded_frames(str(seen.path), frames=10_000)
    pictures = [tag for tag in seen.tags() if tag.kind == VIDEO and not tag.is_header]
    assert decoded >= len(pictures) - 15


@engines
async def test_without_a_slate_the_stream_ends_and_begins_with_the_encoder(
    tmp_path: Path, engine: EngineName, request: pytest.FixtureRequest
) -> None:
    async with server(tmp_path, engine, request) as media:
        made, ingest = media.url("live/made"), media.url("in/made")
        with running_playout(tmp_path, made, IngestInput(ingest)) as playout:
            for _ in range(2):
                with publisher(ingest):
                    await media.wait_live("live/made")
                    await playout.wait_input(0)
                await media.wait_gone("live/made")
                assert playout.playing().input == -1
            assert playout.process.alive()


@pytest.mark.srs
async def test_a_publish_that_was_ended_is_over_in_the_server_before_the_next(
    tmp_path: Path, srs_binary: Path
) -> None:
    asked: list[float] = []

    def decide(hook: HookRequest) -> bool:
        asked.append(time.monotonic())
        return True

    async with running_server(tmp_path, "srs", srs_binary) as media:
        media.decide = decide
        made = media.url("live/made")
        with running_playout(tmp_path, made, slate()) as playout:
            for _ in range(3):
                live = await media.wait_live("live/made")
                flv = f"http://127.0.0.1:{media.spec.http}/live/made.flv"
                with viewer(tmp_path, flv) as seen:
                    await seen.wait_seen(500)
                    ended = time.monotonic()
                    await media.engine.kick("live/made", live.client_id)
                    await wait_until(lambda: asked[-1] > ended, what="the next")  # noqa: B023
                assert asked[-1] - ended >= 1.0
            await media.wait_live("live/made")
            await wait_until(lambda: playout.playing().publishes, what="a report of it")
        assert "StreamBusy" not in media.log()


@pytest.mark.srs
async def test_a_name_that_the_server_holds_for_ever_is_told(
    tmp_path: Path, srs_binary: Path
) -> None:
    async with running_server(tmp_path, "srs", srs_binary) as media:
        made = media.url("live/made")
        with publisher(made):
            live = await media.wait_live("live/made")
            with viewer(tmp_path, f"http://127.0.0.1:{media.spec.http}/live/made.flv") as seen:
                await seen.wait_seen(500)
                await media.engine.kick("live/made", live.client_id)
                with pytest.raises(RtmpError) as refusal:
                    await open_publish(made, timeout_s=5)
        assert refusal.value.unanswered == "publish"
        with running_playout(tmp_path, made, slate()) as playout:
            await wait_until(
                lambda: "hangs up on every publish" in (playout.playing().error or ""),
                what=playout.process.log(),
            )
            assert not playout.playing().publishes
            assert (playout.playing().error or "").endswith("nothing else frees the name")


@engines
async def test_it_comes_back_with_the_server(
    tmp_path: Path, engine: EngineName, request: pytest.FixtureRequest
) -> None:
    async with server(tmp_path, engine, request) as media:
        made = media.url("live/made")
        with running_playout(tmp_path, made, slate()) as playout:
            await media.wait_live("live/made")
            await media.stop()
            await wait_until(
                lambda: "nothing listens there" in (playout.playing().error or ""),
                what="an error in the report",
            )
            await media.start()
            await media.wait_live("live/made")
            await wait_until(lambda: playout.playing().error is None, what="the error to go")
            assert decoded_frames(made) == 15


@pytest.mark.srs
async def test_a_restarted_playout_fits_at_once_to_what_was_on_air(
    tmp_path: Path, srs_binary: Path
) -> None:
    async with running_server(tmp_path, "srs", srs_binary) as media:
        made, ingest = media.url("live/made"), media.url("in/made")
        inputs = IngestInput(ingest), slate()
        with running_playout(tmp_path, made, *inputs) as playout, publisher(ingest):
            await playout.wait_input(0)
            await wait_fitted(playout)
        with running_playout(tmp_path, made, *inputs) as playout:
            await playout.wait_input(1)
            with viewer(tmp_path, made) as seen:
                await seen.wait_seen(1000)
                with publisher(ingest):
                    await playout.wait_input(0)
                    await seen.wait_seen(2000)
                # One header of each kind: neither the slate nor the encoder needed another.
                headers = [tag.kind for tag in seen.tags() if tag.is_header]
                assert sorted(headers) == [AUDIO, VIDEO]
                assert_undisturbed(seen)


async def test_a_slate_that_cannot_be_kept_is_made_as_it_is_played(tmp_path: Path) -> None:
    blocked = Path(empty(tmp_path / "file"))
    with (
        receiver(tmp_path) as media,
        running_playout(tmp_path, media.url("live/made"), slate(), cache=blocked / "cache") as made,
    ):
        await wait_until(lambda: media.receives("live/made"), what=made.process.log())
        await made.wait_input(0)
        assert "the slate cannot be fitted: [Errno 20]" in (made.playing().error or "")
        assert decoded_frames(media.url("live/made")) == 15


async def test_a_fitted_slate_that_is_broken_is_made_anew(tmp_path: Path) -> None:
    cached = SlateCache(str(tmp_path / "cache"), "live/made").path(slate().file, Shown())
    cached.parent.mkdir()
    cached.write_bytes(b"broken" * 1000)
    with (
        receiver(tmp_path) as media,
        running_playout(tmp_path, media.url("live/made"), slate()) as playout,
    ):
        await playout.wait_input(0)
        assert decoded_frames(media.url("live/made")) == 15
        assert playout.playing().error is None
        assert cached.read_bytes().startswith(b"FLV")


async def test_a_slate_that_is_no_media_is_said_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "slate.mp4"
    path.write_bytes(b"no media" * 1000)
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path, media.url("live/made"), SlateInput(str(path), (str(tmp_path),))
        ) as made,
    ):
        await wait_until(lambda: made.playing().error, what="an error in the report")
        assert "is no media file" in (made.playing().error or "")
        short_clip(path)
        await wait_until(lambda: media.receives("live/made"), 60, what=made.process.log())


async def test_a_picture_is_a_slate_with_silence(tmp_path: Path) -> None:
    path = still(tmp_path / "slate.png")
    with receiver(tmp_path) as media:
        ingest = media.url("live/in")
        with (
            publisher(ingest) as encoder,
            running_playout(
                tmp_path,
                media.url("live/made"),
                IngestInput(ingest),
                SlateInput(str(path), (str(tmp_path),)),
            ) as playout,
        ):
            await playout.wait_input(0)
            await wait_fitted(playout)
            await wait_advanced(playout, 2)
            with viewer(tmp_path, media.url("live/made")) as seen:
                await seen.wait_seen(1000)
                encoder.kill()
                await playout.wait_input(1)
                await seen.wait_seen(3000)
                assert_undisturbed(seen)


async def test_a_playlist_is_played_without_gaps_and_bad_files_are_skipped(tmp_path: Path) -> None:
    files = (
        short_clip(tmp_path / "one.mp4"),
        short_clip(tmp_path / "two.mp4"),
        short_clip(tmp_path / "old.mkv", codec="mpeg4", size="320x200"),
        empty(tmp_path / "empty.mp4"),
        str(tmp_path / "missing.mp4"),
    )
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path, media.url("live/made"), FilesInput(files, directories=(str(tmp_path),))
        ) as playout,
    ):
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        items: dict[str, str] = {}
        with viewer(tmp_path, media.url("live/made")) as seen:

            def note() -> bool:
                playing = playout.playing()
                if playing.item is not None:
                    items[Path(playing.item).name] = playing.mode or ""
                return seen.seen_ms() > 12_000

            await wait_until(note, 60, what=f"12 s; log:\n{playout.process.log()}")
            assert_undisturbed(seen)
        assert items["one.mp4"] == items["two.mp4"] == "copy"
        assert items["old.mkv"].startswith("transcode, its video is mpeg4")
        skipped = "\n".join(playout.playing().skipped)
        assert f"{files[3]} is empty" in skipped
        assert f"{files[4]} does not exist" in skipped
        assert "empty.mp4 is empty" in playout.process.log()
        assert playout.playing().error is None


@pytest.mark.srs
async def test_what_is_malformed_in_a_file_never_reaches_the_server(
    tmp_path: Path, srs_binary: Path
) -> None:
    film = Path(short_clip(tmp_path / "film.mkv", seconds=8, size="640x480"))
    bad = damaged(film, first=50_000, step=37)
    files = bad, short_clip(tmp_path / "good.mkv", seconds=2, size="640x480")
    given = FilesInput(files, directories=(str(tmp_path),))
    only_rtmp = {"webrtc": None, "webrtc_candidate": None, "srt": None}
    async with running_server(tmp_path, "srs", srs_binary, **only_rtmp) as media:
        with running_playout(tmp_path, media.url("live/made"), given) as playout:
            await media.wait_live("live/made")
            await wait_until(lambda: playout.playing().skipped, 60, what=playout.process.log())
            (skipped,) = playout.playing().skipped
            assert skipped.startswith(f"{bad} is damaged: it has a picture")
            for item in (files[1], bad, files[1]):
                await wait_item(playout, item)
            assert playout.playing().skipped == (skipped,)
            assert len(media.hooks_of("publish", "live/made")) == 1, playout.process.log()
            await asyncio.to_thread(film.replace, bad)
            await wait_until(lambda: not playout.playing().skipped, 60, what="a good file")
            assert len(media.hooks_of("publish", "live/made")) == 1, playout.process.log()


@pytest.mark.srs
async def test_sound_that_the_server_cannot_decode_is_encoded_anew_the_next_time(
    tmp_path: Path, srs_binary: Path
) -> None:
    film = Path(short_clip(tmp_path / "film.aac", seconds=10))
    bad = damaged(film, first=10_000, step=61)
    given = FilesInput((bad,), directories=(str(tmp_path),))
    async with running_server(tmp_path, "srs", srs_binary) as media:
        with running_playout(tmp_path, media.url("live/made"), given) as playout:
            await wait_until(lambda: playout.playing().skipped, 60, what=playout.process.log())
            (skipped,) = playout.playing().skipped
            assert "the media server ended the stream for it more than once" in skipped
            await wait_until(
                lambda: "ended the stream for it" in (playout.playing().mode or ""), 60
            )
            publishes = len(media.hooks_of("publish", "live/made"))
            await wait_until(lambda: not playout.playing().skipped, 60, what="the end of it")
            assert len(media.hooks_of("publish", "live/made")) <= publishes + 1


@pytest.mark.srs
async def test_what_an_encoder_sends_malformed_never_reaches_the_server(
    tmp_path: Path, srs_binary: Path
) -> None:
    tags = FlvReader().feed(written_clip())
    async with running_server(tmp_path, "srs", srs_binary) as media:
        with receiver(tmp_path) as ingest:
            given = IngestInput(ingest.url("live/in"))
            with running_playout(tmp_path, media.url("live/made"), given) as playout:
                async with await open_publish(given.url, timeout_s=10) as publish:
                    begun = time.monotonic()
                    for number, tag in enumerate(tags):
                        await asyncio.sleep(begun + tag.timestamp_ms / 1000 - time.monotonic())
                        is_cut = tag.kind == VIDEO and number % 20 == 19
                        body = tag.body[:-3] if is_cut else tag.body
                        await publish.send(replace(tag, body=body))
                    error = playout.playing().error or ""
                    assert error.startswith("input 0 (ingest) sends a picture whose lengths do not")
                    assert len(media.hooks_of("publish", "live/made")) == 1, playout.process.log()
                    assert await media.live("live/made")
                await wait_until(lambda: playout.playing().error is None, what="the error to go")


async def test_a_playlist_has_sound_from_the_beginning_where_any_file_has(tmp_path: Path) -> None:
    files = sample("silent.mp4"), sample("silent.mp4"), sample("film.mp4")
    given = FilesInput(tuple(map(str, files)), directories=(str(files[0].parent),))
    with (
        receiver(tmp_path) as media,
        running_playout(tmp_path, media.url("live/made"), given) as playout,
    ):
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        with viewer(tmp_path, media.url("live/made")) as seen:
            await seen.wait_seen(7000)
            assert {tag.kind for tag in seen.tags()} >= {AUDIO, VIDEO}
            assert_undisturbed(seen)


async def test_a_file_that_was_replaced_is_played_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "one.mp4"
    short_clip(path, seconds=2)
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path, media.url("live/made"), FilesInput((str(path),), directories=(str(tmp_path),))
        ) as playout,
    ):
        await playout.wait_input(0)
        assert playout.playing().mode == "copy"
        other = short_clip(tmp_path / "other.mp4", seconds=2, size="320x200")
        await asyncio.to_thread(Path(other).replace, path)
        await wait_until(
            lambda: (playout.playing().mode or "").startswith("transcode, its size is 320x200"),
            what="the new file",
        )


async def test_a_playlist_that_is_played_once_ends_with_its_last_picture(tmp_path: Path) -> None:
    files = short_clip(tmp_path / "one.mp4", seconds=2), short_clip(tmp_path / "two.mp4", seconds=2)
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path,
            media.url("live/made"),
            FilesInput(files, loop=False, directories=(str(tmp_path),)),
        ) as playout,
    ):
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        with viewer(tmp_path, media.url("live/made")) as seen:
            status = await wait_until(
                lambda: playout.process.process.poll() is not None and "ended"
            )
            assert status == "ended"
            assert playout.process.wait() == 0
            # It was on air for its 4 s, less what passed before the viewer came.
            assert 2000 < seen.seen_ms() < 4500
        assert playout.track().out_time_us is not None


async def test_a_playlist_of_which_nothing_can_be_played_is_an_error(tmp_path: Path) -> None:
    files = (empty(tmp_path / "empty.mp4"),)
    given = FilesInput(files, loop=False, directories=(str(tmp_path),))
    with (
        receiver(tmp_path) as media,
        running_playout(tmp_path, media.url("live/made"), given) as playout,
    ):
        assert playout.process.wait() == 1
        assert "nothing of the playlist could be played" in playout.process.log()


async def test_a_playlist_keeps_its_place_while_the_server_is_away(tmp_path: Path) -> None:
    path = short_clip(tmp_path / "long.mp4", seconds=30)
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path, media.url("live/made"), FilesInput((path,), directories=(str(tmp_path),))
        ) as playout,
    ):
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        media.stop()
        await wait_until(lambda: playout.playing().error, what="an error in the report")
        held = playout.track().out_time_us
        assert held is not None
        assert held < 20e6
        media.start()
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        with viewer(tmp_path, media.url("live/made")) as seen:
            await seen.wait_seen(1000)
            assert_undisturbed(seen)
        assert playout.playing().item == path


async def test_a_pull_that_freezes_is_begun_anew_and_its_backup_stands_in(tmp_path: Path) -> None:
    with (
        receiver(tmp_path, "live") as media,
        receiver(tmp_path, "cam") as first,
        receiver(tmp_path, "cam") as other,
        publisher(first.url("cam/one")),
        publisher(other.url("cam/one")),
    ):
        await wait_until(lambda: first.receives("cam/one") and other.receives("cam/one"))
        pulls = PullInput(first.url("cam/one")), PullInput(other.url("cam/one"))
        with running_playout(tmp_path, media.url("live/made"), *pulls) as playout:
            await playout.wait_input(0)
            with viewer(tmp_path, media.url("live/made")) as seen:
                await seen.wait_seen(1000)
                first.freeze()
                await playout.wait_input(1)
                await wait_advanced(playout, 2)
                first.thaw()
                await playout.wait_input(0)
                await seen.wait_seen(1000)
                assert seen.alive()
                assert seen.log() == ""
            assert len(media.publishes) == 1


async def test_what_is_wrong_with_a_backup_is_told_while_it_is_tried(tmp_path: Path) -> None:
    with (
        receiver(tmp_path, "live") as media,
        receiver(tmp_path, "cam") as camera,
        publisher(camera.url("cam/one")),
    ):
        await wait_until(lambda: camera.receives("cam/one"), what="the camera")
        nothing = f"rtmp://127.0.0.1:{free_port()}/cam/one"
        pulls = PullInput(camera.url("cam/one")), PullInput(nothing)
        with running_playout(tmp_path, media.url("live/made"), *pulls) as playout:
            await playout.wait_input(0)
            camera.freeze()
            await wait_until(
                lambda: "input 1 (pull): " in playout.process.log(), what=playout.process.log()
            )
            camera.thaw()
            await playout.wait_input(0)
            await wait_until(lambda: playout.playing().error is None, what="the error to go")


@pytest.mark.srs
@pytest.mark.parametrize("protocol", ["http", "rtmp"])
async def test_what_a_frozen_pull_had_left_does_not_count_as_its_return(
    tmp_path: Path, srs_binary: Path, protocol: str
) -> None:
    async with running_server(tmp_path, "srs", srs_binary) as camera:
        assert camera.process is not None
        flv = f"http://127.0.0.1:{camera.spec.http}/live/cam.flv"
        url = flv if protocol == "http" else f"rtmp://127.0.0.1:{camera.spec.rtmp}/live/cam"
        with (
            receiver(tmp_path) as media,
            publisher(camera.url("live/cam")),
            running_playout(tmp_path, media.url("live/made"), PullInput(url)) as playout,
        ):
            await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
            await wait_advanced(playout, 1)
            camera.process.send_signal(signal.SIGSTOP)
            try:
                frozen = time.monotonic()
                await playout.wait_input(-1)
                came_to = playout.track().out_time_us
                while time.monotonic() < frozen + 16:
                    await asyncio.sleep(0.1)
                    assert playout.playing().input == -1, playout.process.log()
                assert playout.track().out_time_us == came_to
                assert len(media.publishes) == 1
            finally:
                camera.process.send_signal(signal.SIGCONT)
            await playout.wait_input(0)
            await wait_until(lambda: media.receives("live/made"), what=playout.process.log())


async def test_an_ffmpeg_that_hangs_is_begun_anew_before_the_stream_ends(tmp_path: Path) -> None:
    with (
        receiver(tmp_path) as media,
        receiver(tmp_path, "cam") as camera,
        publisher(camera.url("cam/one")),
    ):
        await wait_until(lambda: camera.receives("cam/one"), what="the camera")
        given = PullInput(camera.url("cam/one"))
        with running_playout(tmp_path, media.url("live/made"), given) as playout:
            await playout.wait_input(0)
            (child,) = children_of(playout.process.pid)
            os.kill(child, signal.SIGSTOP)
            await wait_until(lambda: playout.playing().input == -1, what="the silence")
            await playout.wait_input(0)
            assert children_of(playout.process.pid) != [child]
            assert not is_alive(child)
            assert "input 0 (pull): sent nothing for 5 s" in playout.process.log()
            assert len(media.publishes) == 1


async def test_a_camera_without_sound_is_given_silence(tmp_path: Path) -> None:
    with (
        receiver(tmp_path) as media,
        receiver(tmp_path, "cam") as camera,
        publisher(camera.url("cam/one")),
    ):
        await wait_until(lambda: camera.receives("cam/one"), what="the camera")
        given = PullInput(camera.url("cam/one"), audio="silent")
        with running_playout(tmp_path, media.url("live/made"), given) as playout:
            await playout.wait_input(0)
            with viewer(tmp_path, media.url("live/made")) as seen:
                await seen.wait_seen(2000)
                assert_undisturbed(seen)


async def test_asked_to_end_it_leaves_nothing_behind(tmp_path: Path) -> None:
    path = short_clip(tmp_path / "one.mp4", seconds=30)
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path, media.url("live/made"), FilesInput((path,), directories=(str(tmp_path),))
        ) as playout,
    ):
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        children = children_of(playout.process.pid)
        assert children
        playout.process.process.terminate()
        assert playout.process.wait() == 143
        await wait_until(lambda: not any(map(is_alive, children)), what="no child")
        await wait_until(lambda: not media.bytes_in("live/made"), what="the stream to end")


async def test_killed_it_takes_its_children_along(tmp_path: Path) -> None:
    path = short_clip(tmp_path / "one.mp4", seconds=30)
    with (
        receiver(tmp_path) as media,
        running_playout(
            tmp_path, media.url("live/made"), FilesInput((path,), directories=(str(tmp_path),))
        ) as playout,
    ):
        await wait_until(lambda: media.receives("live/made"), what=playout.process.log())
        children = children_of(playout.process.pid)
        assert children
        playout.process.kill()
        await wait_until(lambda: not any(map(is_alive, children)), what="no child")


async def test_without_a_spec_it_says_so() -> None:
    argv = (sys.executable, "-m", "streamd.playout", "live/made")
    process = await asyncio.create_subprocess_exec(*argv, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.startswith(b"error cannot read what to play from descriptor 3")
