from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.flv_argv import LONGEST_SLATE_S, file_argv, slate_argv
from streamd.ffmpeg.media import AudioFacts, MediaFacts, VideoFacts, handling
from streamd.playout.formats import AudioFormat, VideoFormat

FILM = MediaFacts(
    "/srv/film.mp4",
    "mov",
    60.0,
    VideoFacts("h264", 1280, 720, 25.0, "High"),
    AudioFacts("aac", 48_000, 2, "LC", index=1),
)
SONG = MediaFacts("/srv/song.mp3", "mp3", 180.0, None, AudioFacts("mp3", 44_100, 2))
POSTER = MediaFacts(
    "/srv/poster.png", "png_pipe", 0.0, VideoFacts("png", 800, 600), None, picture=True
)
SILENT = replace(FILM, audio=None)
OTHER = replace(FILM, video=VideoFacts("h264", 640, 360, 50.0, "Main"))


def argv_of(
    facts: MediaFacts, like: MediaFacts | None = None, picture: MediaFacts | None = None
) -> tuple[str, ...]:
    return file_argv("/usr/bin/ffmpeg", facts, handling(facts, like), like, picture)


def values_of(argv: tuple[str, ...], option: str) -> list[str]:
    return [value for name, value in pairwise(argv) if name == option]


def test_a_film_is_copied_in_whole() -> None:
    assert argv_of(FILM) == (
        *("/usr/bin/ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "level+warning", "-nostats"),
        *("-protocol_whitelist", "file", "-format_whitelist", "mov", "-f", "mov"),
        *("-probesize", "10000000", "-analyzeduration", "10000000", "-max_streams", "200"),
        *("-i", "file:/srv/film.mp4"),
        *("-map", "0:0", "-c:v", "copy", "-map", "0:1", "-c:a", "copy"),
        *("-max_interleave_delta", "1000000"),
        *("-flvflags", "no_duration_filesize+no_sequence_end", "-f", "flv", "pipe:1"),
    )


def test_tracks_are_taken_by_their_number() -> None:
    assert FILM.video is not None
    numbered = replace(FILM, video=replace(FILM.video, index=3))
    assert values_of(argv_of(numbered), "-map") == ["0:3", "0:1"]


def test_what_was_lost_of_mpegts_is_left_out() -> None:
    assert values_of(argv_of(replace(FILM, format="mpegts")), "-fflags") == ["+discardcorrupt"]


def test_sound_alone_gets_black_or_a_picture() -> None:
    black, poster = argv_of(SONG), argv_of(SONG, picture=POSTER)
    assert values_of(black, "-i") == ["file:/srv/song.mp3", "color=black:size=1280x720:rate=25"]
    assert values_of(black, "-map") == values_of(poster, "-map") == ["1:0", "0:0"]
    assert values_of(poster, "-i") == ["file:/srv/song.mp3", "file:/srv/poster.png"]
    assert values_of(poster, "-format_whitelist") == ["mp3", "png_pipe"]
    assert "-shortest" in black
    assert "-shortest" in poster


def test_a_cover_of_its_own_is_preferred() -> None:
    covered = replace(SONG, video=VideoFacts("png", 300, 300, index=1), picture=True)
    argv = argv_of(covered, picture=POSTER)
    assert values_of(argv, "-i") == ["file:/srv/song.mp3"]
    assert values_of(argv, "-map") == ["0:1", "0:0"]


def test_silence_is_added_to_a_copy() -> None:
    argv = argv_of(SILENT, FILM)
    assert values_of(argv, "-i")[1] == "anullsrc=sample_rate=48000:channel_layout=stereo"
    assert values_of(argv, "-c:v") == ["copy"]
    assert "-shortest" in argv


def test_silence_has_the_channels_of_what_it_follows() -> None:
    around = replace(FILM, audio=AudioFacts("aac", 48_000, 6, "LC"))
    assert values_of(argv_of(SILENT, around), "-i")[1].endswith("channel_layout=5.1")


def test_a_picture_without_sound_ends_by_itself() -> None:
    assert values_of(argv_of(POSTER), "-t") == ["10"]
    assert values_of(argv_of(POSTER, FILM), "-t") == ["10"]


def test_what_is_on_air_is_fitted_to() -> None:
    argv = argv_of(OTHER, FILM)
    assert "scale=1280:720:" in values_of(argv, "-vf")[0]
    assert values_of(argv, "-vf")[0].startswith("fps=25,")
    assert values_of(argv, "-profile:v") == ["high"]
    assert values_of(argv, "-c:a") == ["copy"]


def slate(
    facts: MediaFacts, video: VideoFormat | None, audio: AudioFormat | None, fps: float | None
) -> tuple[str, ...]:
    return slate_argv("/usr/bin/ffmpeg", facts, video, audio, fps, "/cache/slate.flv")


def test_a_slate_is_encoded_even_where_it_could_be_copied() -> None:
    argv = slate(FILM, None, None, None)
    assert values_of(argv, "-c:v") == ["libx264"]
    assert values_of(argv, "-c:a") == ["aac"]
    assert argv[-1] == "file:/cache/slate.flv"
    assert "-n" in argv
    assert "-y" not in argv


def test_a_slate_is_numbered_apart_from_encoders() -> None:
    for facts in (FILM, POSTER, SONG):
        assert values_of(slate(facts, None, None, None), "-x264-params") == ["sps-id=7"]


def test_a_slate_is_fitted() -> None:
    argv = slate(FILM, VideoFormat(640, 360, 77, 30, fps=50.0), AudioFormat(44_100, 1), 30.0)
    assert "fps=30,scale=640:360:" in values_of(argv, "-vf")[0]
    assert values_of(argv, "-profile:v") == ["main"]
    assert (values_of(argv, "-ar"), values_of(argv, "-ac")) == (["44100"], ["1"])
    assert (
        "fps=50," in values_of(slate(FILM, VideoFormat(2, 2, 77, 30, 50.0), None, None), "-vf")[0]
    )


def test_a_profile_that_cannot_be_encoded_is_the_next_one() -> None:
    hevc = VideoFormat(640, 360, 1, 93, codec="hevc")
    assert values_of(slate(FILM, hevc, None, None), "-profile:v") == ["high"]


def test_a_slate_has_sound_when_the_stream_has() -> None:
    video, audio = VideoFormat(640, 360, 77, 30), AudioFormat(48_000, 2)
    assert "anullsrc=sample_rate=48000:channel_layout=stereo" in slate(SILENT, video, audio, None)
    assert "-c:a" not in slate(FILM, video, None, None)
    assert "-c:a" in slate(FILM, None, None, None)


def test_a_slate_has_silence_while_nobody_knows_the_sound_of_the_stream() -> None:
    for facts in (SILENT, POSTER):
        argv = slate(facts, None, None, None)
        assert "anullsrc=sample_rate=48000:channel_layout=stereo" in argv
        assert values_of(argv, "-c:a") == ["aac"]


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        (FILM, "60.000"),
        (replace(FILM, duration_s=12.5), "12.500"),
        (replace(FILM, duration_s=7_200.0), f"{LONGEST_SLATE_S:.3f}"),
        (replace(FILM, duration_s=0.0), "10.000"),
        (POSTER, "10.000"),
    ],
)
def test_a_slate_is_short(facts: MediaFacts, seconds: str) -> None:
    assert values_of(slate(facts, None, None, None), "-t") == [seconds]


@given(st.sampled_from([FILM, SONG, POSTER, SILENT, OTHER]), st.booleans(), st.booleans())
def test_no_file_is_read_with_more_than_it_needs(
    facts: MediaFacts, follows: bool, has_picture: bool
) -> None:
    argv = argv_of(facts, FILM if follows else None, POSTER if has_picture else None)
    media = [each for each in values_of(argv, "-i") if each.startswith("file:")]
    assert values_of(argv, "-protocol_whitelist") == ["file"] * len(media)
    formats = values_of(argv, "-format_whitelist")
    assert len(formats) == len(media)
    assert set(formats) <= {"mov", "mp3", "png_pipe"}
    assert argv[-1] == "pipe:1"
    assert "-y" not in argv
