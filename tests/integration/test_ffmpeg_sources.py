"""Files as the installed FFmpeg reads them, is told to play them, and plays them."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from streamd.errors import MediaError
from streamd.ffmpeg import probe as ffprobe_of_files
from streamd.ffmpeg.flv_argv import file_argv, slate_argv
from streamd.ffmpeg.media import AudioFacts, MediaFacts, VideoFacts, as_sent, handling
from streamd.ffmpeg.probe import probe
from streamd.playout.formats import AudioFormat, VideoFormat, video_format
from streamd.playout.headers import parameter_sets
from streamd.playout.tags import AUDIO, VIDEO
from tests.support.flv import Flv, written
from tests.support.media import ffmpeg_path
from tests.support.samples import NAMES, sample

SLOW_CLOCK_MS = 250  # sound and picture of one file may end this far apart
GOP_MS = 1000

FILMS = tuple(name for name in NAMES if not name.endswith((".png", ".jpg")))
COPIED = {
    *("film.mp4", "film.ts", "film.mkv", "film.flv", "film.mov", "silent.mp4", "edited.mp4"),
    *("covered.mp4", "baseline.mp4"),
}
VIDEO_COPIED = {"ac3.mkv", "pcm.mov"}

LIKE = MediaFacts(
    "/first.mp4",
    "mov",
    9.0,
    VideoFacts("h264", 320, 180, 15.0, "Constrained Baseline"),
    AudioFacts("aac", 44_100, 1, "LC"),
)


def found_ffprobe() -> str:
    path = shutil.which("ffprobe")
    assert path is not None, "the tests need ffprobe in PATH"
    return path


def facts_of(path: Path, *directories: Path) -> MediaFacts:
    below = tuple(map(str, directories or (path.parent,)))
    return asyncio.run(probe(str(path), ffprobe=found_ffprobe(), directories=below))


def refusal(path: Path, *directories: Path) -> str:
    with pytest.raises(MediaError) as caught:
        facts_of(path, *directories)
    return str(caught.value)


def played(
    path: Path, like: MediaFacts | None = None, picture: MediaFacts | None = None
) -> tuple[Flv, MediaFacts]:
    facts = facts_of(path)
    return written(file_argv(ffmpeg_path(), facts, handling(facts, like), like, picture)), facts


def assert_in_order(flv: Flv) -> None:
    for kind in (AUDIO, VIDEO):
        assert flv.times(kind) == sorted(flv.times(kind))


@pytest.mark.parametrize("name", FILMS)
def test_every_kind_of_file_becomes_what_players_take(name: str) -> None:
    flv, facts = played(sample(name))
    how = handling(facts)
    assert (how.mode == "copy") == (name in COPIED)
    assert how.copies_video == (name in COPIED | VIDEO_COPIED)
    assert flv.status == 0, flv.log
    assert flv.faults() == ""
    assert_in_order(flv)
    video, audio = flv.stream("video"), flv.stream("audio")
    assert video is not None
    assert video["codec_name"] == "h264"
    assert video["pix_fmt"] == "yuv420p"
    assert video["field_order"] == "progressive"
    assert (audio is not None) == (facts.audio is not None)
    if audio is not None:
        assert audio["codec_name"] == "aac"
        assert abs(flv.times(AUDIO)[-1] - flv.times(VIDEO)[-1]) < SLOW_CLOCK_MS
    before_cut_ms = GOP_MS if name == "edited.mp4" else 0
    late_ms = flv.end_ms() - facts.duration_s * 1000
    assert -SLOW_CLOCK_MS < late_ms < SLOW_CLOCK_MS + before_cut_ms
    sent = as_sent(facts).video
    assert sent is not None
    assert (video["width"], video["height"]) == (sent.width, sent.height)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_file_can_follow_another(name: str, tmp_path: Path) -> None:
    flv, _ = played(sample(name), LIKE)
    assert flv.status == 0, flv.log
    assert flv.faults() == ""
    assert_in_order(flv)
    video, audio = flv.stream("video"), flv.stream("audio")
    assert video is not None
    assert audio is not None
    assert (video["width"], video["height"]) == (320, 180)
    assert video["profile"] == "Constrained Baseline"
    assert (audio["sample_rate"], audio["channels"]) == ("44100", 1)
    assert {later - at for at, later in pairwise(flv.times(VIDEO))} <= {66, 67}
    came = tmp_path / "came.flv"
    came.write_bytes(flv.data)
    assert handling(facts_of(came), LIKE).mode == "copy"


def test_a_file_that_ends_early_with_sound_is_not_shown_longer() -> None:
    flv, facts = played(sample("sound.mp3"))
    assert flv.times(VIDEO)[-1] < facts.duration_s * 1000 + 50
    assert flv.pixels() == (0, 0, 0)


def test_sound_alone_gets_its_own_cover_or_the_picture_that_is_given() -> None:
    blue = facts_of(sample("blue.jpg"))
    cover, _ = played(sample("cover.mp3"))
    given, _ = played(sample("sound.flac"), picture=blue)
    preferred, _ = played(sample("cover.mp3"), picture=blue)
    for flv, strong in ((cover, 0), (given, 2), (preferred, 0)):
        colours = flv.pixels(skip=20)
        assert colours[strong] > 200
        assert sum(colours) - colours[strong] < 60
    video = given.stream("video")
    assert video is not None
    assert (video["width"], video["height"]) == (200, 100)


def test_a_picture_is_shown_for_a_while() -> None:
    flv, _ = played(sample("red.png"))
    assert flv.status == 0
    assert 9_900 <= flv.end_ms() <= 10_000
    assert flv.pixels(skip=200)[0] > 200


def test_what_has_another_shape_keeps_it() -> None:
    wide = replace(LIKE, video=VideoFacts("h264", 640, 180, 25.0, "High"))
    flv, _ = played(sample("red.png"), wide)
    assert flv.pixels("100:180:0:0") == (0, 0, 0)
    assert flv.pixels("100:180:540:0") == (0, 0, 0)
    assert flv.pixels("200:100:220:40")[0] > 200


def test_pixels_that_are_not_square_become_square() -> None:
    flv, facts = played(sample("broadcast.ts"))
    video = flv.stream("video")
    assert facts.video is not None
    assert facts.video.interlaced
    assert (facts.video.width, facts.video.height) == (352, 288)
    assert video is not None
    assert (video["width"], video["height"]) == (512, 288)


def test_silence_is_silent() -> None:
    flv, _ = played(sample("silent.mp4"), LIKE)
    assert flv.samples()
    assert not any(flv.samples())
    assert abs(flv.times(AUDIO)[-1] - flv.times(VIDEO)[-1]) < SLOW_CLOCK_MS


def test_an_edited_file_keeps_sound_and_picture_together() -> None:
    """What is copied begins at the keyframe before the cut."""
    flv, facts = played(sample("edited.mp4"))
    assert handling(facts).mode == "copy"
    whole, _ = played(sample("film.mp4"))
    came = {tag.body[5:]: tag.timestamp_ms for tag in flv.tags(VIDEO)}
    shift = {
        came[tag.body[5:]] - tag.timestamp_ms for tag in whole.tags(VIDEO) if tag.body[5:] in came
    }
    sound = {tag.body: tag.timestamp_ms for tag in flv.tags(AUDIO)}
    sound_shift = {
        sound[tag.body] - tag.timestamp_ms for tag in whole.tags(AUDIO) if tag.body in sound
    }
    assert max(shift | sound_shift) - min(shift | sound_shift) < 60


def broken_ts(directory: Path, name: str, data: bytes) -> Path:
    path = directory / name
    path.write_bytes(data)
    return path


def test_a_recording_that_lost_pieces_is_played_to_its_end(tmp_path: Path) -> None:
    whole = sample("film.ts").read_bytes()
    packets = [whole[at : at + 188] for at in range(0, len(whole), 188)]
    kept = b"".join(packet for at, packet in enumerate(packets) if at < 20 or at % 29)
    flv, facts = played(broken_ts(tmp_path, "lossy.ts", kept))
    assert handling(facts).mode == "copy"
    assert flv.status == 0, flv.log
    assert_in_order(flv)
    assert flv.end_ms() > 2_500


def test_timestamps_that_begin_anew_go_on(tmp_path: Path) -> None:
    whole = sample("film.ts").read_bytes()
    flv, _ = played(broken_ts(tmp_path, "twice.ts", whole + whole))
    assert flv.status == 0, flv.log
    assert_in_order(flv)
    assert 5_700 < flv.end_ms() < 6_300


def test_a_truncated_recording_is_played_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = sample("film.ts").read_bytes()
    flv, _ = played(broken_ts(tmp_path, "cut.ts", whole[: len(whole) // 2]))
    assert flv.status == 0, flv.log
    assert 1_000 < flv.end_ms() < 2_500


def test_names_mean_nothing_to_ffmpeg(tmp_path: Path) -> None:
    for name in ("a %03d's 'name': \"x\"\n.mp4", "https:,?*[1].ts", "concat:a|b.jpg"):
        kind = {".mp4": "film.mp4", ".ts": "film.ts", ".jpg": "blue.jpg"}[Path(name).suffix]
        path = tmp_path / name
        shutil.copy(sample(kind), path)
        flv, facts = played(path)
        assert facts.path == str(path)
        assert flv.status == 0, flv.log
        assert flv.tags(VIDEO)


def test_a_long_file_is_looked_into_as_soon_as_a_short_one(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    loop = ("-stream_loop", "2399", "-i", str(sample("baseline.mp4")), "-c", "copy", "-an")
    subprocess.run((ffmpeg_path(), "-v", "error", "-nostdin", *loop, str(path)), check=True)
    assert facts_of(path).duration_s == pytest.approx(4_800, abs=10)


# What is no media, and files that name other files.
TEXTS = {
    "text": "root:x:0:0:root\n" * 200,
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:3,\nfile://{film}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{film}'\n",
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:full:2011"><Period><AdaptationSet><Representation id="1" '
    'bandwidth="1"><BaseURL>file://{film}</BaseURL></Representation></AdaptationSet></Period>'
    "</MPD>",
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("ending", ["mp4", "m3u8", "sdp", "txt"])
def test_a_file_that_names_others_is_refused(tmp_path: Path, kind: str, ending: str) -> None:
    path = tmp_path / f"disguised.{ending}"
    path.write_text(TEXTS[kind].replace("{film}", str(sample("film.ts"))))
    assert "is a playlist" in refusal(path) or "is no media file" in refusal(path)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_that_became_a_playlist_is_not_followed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "film.mp4"
    shutil.copy(sample("film.mp4"), path)
    facts = facts_of(path)
    path.write_text(TEXTS[kind].replace("{film}", str(sample("film.ts"))))
    flv = written(file_argv(ffmpeg_path(), facts, handling(facts)))
    assert flv.status != 0
    assert not flv.data


def test_what_cannot_be_played_is_told_apart(tmp_path: Path) -> None:
    film = sample("film.mp4").read_bytes()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "truncated.mp4").write_bytes(film[: len(film) // 2])
    (tmp_path / "directory.mp4").mkdir()
    os.mkfifo(tmp_path / "fifo.mp4")
    expected = {
        "missing.mp4": "does not exist; check the name",
        "empty.mp4": "is empty; copy it again",
        "truncated.mp4": "is truncated or was never finished: its index (moov) is missing",
        "directory.mp4": "is a directory; name a file in it",
        "fifo.mp4": "is no regular file; name one",
        "film.mp4/x": "does not exist",
    }
    shutil.copy(sample("film.mp4"), tmp_path / "film.mp4")
    for name, words in expected.items():
        assert refusal(tmp_path / name).startswith(f"{tmp_path / name} {words}")


def test_devices_are_not_opened() -> None:
    assert "is no regular file" in refusal(Path("/dev/zero"), Path("/dev"))


def test_links_are_followed_before_they_are_judged(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for directory in (allowed, other):
        directory.mkdir()
    shutil.copy(sample("film.mp4"), other / "film.mp4")
    (allowed / "link.mp4").symlink_to(other / "film.mp4")
    (tmp_path / "also").symlink_to(other)
    said = refusal(allowed / "link.mp4", allowed)
    assert "lies outside of source_directories" in said
    assert f"it is a link to {other / 'film.mp4'}" in said
    assert "lies outside" in refusal(allowed / "../other/film.mp4", allowed)
    assert "lies outside" in refusal(other / "film.mp4", tmp_path / "oth")
    assert facts_of(allowed / "link.mp4", allowed, tmp_path / "also").path == str(
        other / "film.mp4"
    )


def test_without_directories_nothing_is_played() -> None:
    with pytest.raises(MediaError, match="lies outside"):
        asyncio.run(probe(str(sample("film.mp4")), ffprobe=found_ffprobe(), directories=()))


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    shutil.copy(sample("film.mp4"), path)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    try:
        said = refusal(path)
    finally:
        os.seteuid(user)
    assert "cannot be read: permission denied; let the user" in said


def program(directory: Path, body: str) -> str:
    path = directory / "ffprobe"
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    return str(path)


def test_an_ffprobe_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffprobe_of_files, "_TIMEOUT_S", 2.0)
    pid_file = tmp_path / "pid"
    hangs = program(tmp_path, f"echo $$ >{pid_file}\nexec sleep 1000\n")
    film = sample("film.mp4")
    with pytest.raises(MediaError, match="could not be read within 2 s; check the disk"):
        asyncio.run(probe(str(film), ffprobe=hangs, directories=(str(film.parent),)))
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()


def test_a_missing_ffprobe_is_named(tmp_path: Path) -> None:
    film = sample("film.mp4")
    with pytest.raises(MediaError, match="none cannot be run: No such file or directory; install"):
        asyncio.run(
            probe(str(film), ffprobe=str(tmp_path / "none"), directories=(str(film.parent),))
        )


def test_looking_leaves_no_descriptor_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        facts_of(sample("film.mp4"))
        refusal(sample("film.mp4"), Path("/nowhere"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("name", ["film.mp4", "silent.mp4", "sound.mp3", "red.png"])
def test_a_slate_fits_to_what_was_on_air(name: str, tmp_path: Path) -> None:
    facts = facts_of(sample(name))
    video, audio = VideoFormat(320, 180, 66, 30), AudioFormat(44_100, 1)
    output = tmp_path / "slate.flv"
    argv = slate_argv(ffmpeg_path(), facts, video, audio, 30_000 / 1001, str(output))
    assert written(argv) == Flv(b"")
    flv = Flv(output.read_bytes())
    assert flv.faults() == ""
    (header,) = flv.headers(VIDEO)
    came = video_format(header)
    assert came is not None
    assert (came.width, came.height, came.profile) == (320, 180, 66)
    sound = flv.stream("audio")
    assert sound is not None
    assert (sound["sample_rate"], sound["channels"]) == ("44100", 1)
    assert abs(flv.times(AUDIO)[-1] - flv.times(VIDEO)[-1]) < 60
    assert abs(flv.end_ms() - (facts.duration_s or 10.0) * 1000) < 100
    assert flv.tags(VIDEO)[0].is_keyframe
    sets = parameter_sets(header)
    assert sets is not None
    assert sets.pps[0][1] & 0x80 == 0, "its parameter sets are not numbered 0 as encoders' are"


def test_a_slate_overwrites_nothing(tmp_path: Path) -> None:
    output = tmp_path / "slate.flv"
    output.write_text("mine")
    facts = facts_of(sample("red.png"))
    assert written(slate_argv(ffmpeg_path(), facts, None, None, None, str(output))).status != 0
    assert output.read_text() == "mine"


def test_a_slate_of_a_stream_without_sound_has_none(tmp_path: Path) -> None:
    output = tmp_path / "slate.flv"
    facts = facts_of(sample("film.mp4"))
    video = VideoFormat(320, 180, 100, 30, fps=25.0)
    assert written(slate_argv(ffmpeg_path(), facts, video, None, None, str(output))).status == 0
    flv = Flv(output.read_bytes())
    assert flv.stream("audio") is None
    assert flv.stream("video") is not None
