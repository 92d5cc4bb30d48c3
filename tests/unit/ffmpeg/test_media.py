from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.media import (
    BLACK,
    AudioFacts,
    MediaFacts,
    VideoFacts,
    as_sent,
    handling,
    lent_sound,
    standard_fps,
)

VIDEO = VideoFacts("h264", 1280, 720, 25.0, "High")
AUDIO = AudioFacts("aac", 48_000, 2, "LC")
FILM = MediaFacts("/srv/film.mp4", "mov", 60.0, VIDEO, AUDIO)

RATES = st.one_of(st.just(0.0), st.floats(1.0, 240.0), st.sampled_from([23.976, 25.0, 29.97, 60.0]))
VIDEOS = st.builds(
    VideoFacts,
    codec=st.sampled_from(["h264", "hevc", "vp9"]),
    width=st.integers(2, 8000),
    height=st.integers(2, 8000),
    fps=RATES,
    profile=st.sampled_from(["High", "Main", "Baseline", "Constrained Baseline", "High 10", ""]),
    pixel_format=st.sampled_from(["yuv420p", "yuvj420p", "yuv422p", ""]),
    interlaced=st.booleans(),
    rotation=st.sampled_from([0, 90, 180, 270]),
    pixel_aspect=st.sampled_from([1.0, 64 / 45, 1.001]),
)
AUDIOS = st.builds(
    AudioFacts,
    codec=st.sampled_from(["aac", "mp3", "opus"]),
    sample_rate=st.sampled_from([8_000, 44_100, 48_000]),
    channels=st.integers(1, 8),
    profile=st.sampled_from(["LC", "HE-AAC", "Main", ""]),
)
MEDIA = st.builds(
    MediaFacts,
    path=st.just("/srv/x"),
    format=st.sampled_from(["mov", "mpegts", "matroska", "flv", "avi", "aac", "png_pipe"]),
    duration_s=st.floats(0, 10_000),
    video=st.none() | VIDEOS,
    audio=st.none() | AUDIOS,
    picture=st.booleans(),
).filter(lambda facts: bool(facts.video or facts.audio) and not (facts.picture and not facts.video))


def film(**changes: Any) -> MediaFacts:
    video = {name: changes.pop(name) for name in tuple(changes) if name in VideoFacts.__slots__}
    audio = {name: changes.pop(name) for name in tuple(changes) if name in AudioFacts.__slots__}
    return replace(FILM, video=replace(VIDEO, **video), audio=replace(AUDIO, **audio), **changes)


@pytest.mark.parametrize("container", ["mov", "mpegts", "matroska", "flv"])
def test_what_players_take_is_copied(container: str) -> None:
    how = handling(replace(FILM, format=container))
    assert (how.mode, how.copies_video, how.copies_audio) == ("copy", True, True)
    assert how.reason == "it is H.264 with AAC or without sound"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pixel_format": "yuv420p10le"}, "its pixels are yuv420p10le, not yuv420p"),
        ({"profile": "High 4:2:2"}, "its H.264 profile is High 4:2:2"),
        ({"profile": ""}, "its H.264 profile is unknown"),
        ({"interlaced": True}, "its video is interlaced"),
        ({"rotation": 90}, "its video has to be turned by 90 degrees"),
        ({"pixel_aspect": 64 / 45}, "its pixels are not square"),
    ],
)
def test_a_picture_that_some_player_cannot_show_is_transcoded(
    changes: dict[str, Any], reason: str
) -> None:
    how = handling(film(**changes))
    assert (how.mode, how.reason) == ("transcode", reason)
    assert (how.copies_video, how.copies_audio) == (False, True)


def test_pixels_that_are_nearly_square_are_copied() -> None:
    assert handling(film(pixel_aspect=1279 / 1280)).mode == "copy"


def test_sound_is_transcoded_alone() -> None:
    how = handling(replace(FILM, audio=AudioFacts("ac3", 48_000, 6)))
    assert (how.mode, how.reason) == ("transcode", "its sound is ac3, not AAC")
    assert (how.copies_video, how.copies_audio) == (True, False)


def test_a_film_without_sound_is_copied() -> None:
    how = handling(replace(FILM, audio=None))
    assert (how.mode, how.copies_audio) == ("copy", False)


def test_every_reason_is_given() -> None:
    facts = replace(FILM, video=replace(VIDEO, codec="hevc"), audio=AudioFacts("opus", 48_000, 2))
    assert handling(facts).reason == "its video is hevc, not H.264, and its sound is opus, not AAC"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 1920, "height": 1080}, "its size is 1920x1080, not 1280x720"),
        ({"fps": 50.0}, "its rate is 50 frames a second, not 25"),
        ({"profile": "Main"}, "its H.264 profile is Main, not High"),
        ({"sample_rate": 44_100}, "its sound has 44100 Hz, not 48000"),
        ({"channels": 1}, "its sound has 1 channels, not 2"),
    ],
)
def test_what_differs_from_what_is_on_air_is_transcoded(
    changes: dict[str, Any], reason: str
) -> None:
    how = handling(film(**changes), FILM)
    assert (how.mode, how.reason) == ("transcode", reason)


def test_rates_within_a_percent_are_the_same() -> None:
    assert handling(film(fps=24.99), FILM).mode == "copy"
    assert handling(film(fps=25.3), FILM).mode == "transcode"


def test_silence_is_made_where_there_was_sound() -> None:
    silent = replace(FILM, audio=None)
    how = handling(silent, FILM)
    assert (how.mode, how.reason) == ("transcode", "it has no sound, and other files have")
    assert how.copies_video
    assert as_sent(silent, FILM).audio == AUDIO


def test_a_first_file_without_sound_gets_that_of_another_in_silence() -> None:
    silent, other = replace(FILM, audio=None), replace(FILM, audio=AudioFacts("mp3", 44_100, 2))
    like = lent_sound(silent, other)
    assert like is not None
    assert handling(silent, like).copies_video
    assert as_sent(silent, like).audio == as_sent(other).audio
    assert lent_sound(FILM, other) is None
    assert lent_sound(silent, None) is None


def test_sound_is_kept_where_there_was_none() -> None:
    assert handling(FILM, replace(FILM, audio=None)).mode == "copy"
    assert as_sent(FILM, replace(FILM, audio=None)).audio == AUDIO


def test_sound_alone_is_sent_with_a_picture() -> None:
    song = replace(FILM, video=None)
    poster = MediaFacts("/p.png", "png_pipe", 0.0, VideoFacts("png", 801, 601), None, picture=True)
    assert handling(song).reason == "it has no picture"
    black, given_one, fitted = as_sent(song), as_sent(song, None, poster), as_sent(song, FILM)
    assert [
        facts.video and (facts.video.width, facts.video.height, facts.video.fps)
        for facts in (black, given_one, fitted)
    ] == [(*BLACK, 25.0), (800, 600, 25.0), (1280, 720, 25.0)]
    assert handling(replace(song, audio=AudioFacts("mp3", 44_100, 2))).reason == (
        "it has no picture, and its sound is mp3, not AAC"
    )


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ((3840, 2160), (1920, 1080)),
        ((2160, 3840), (1080, 1920)),
        ((1921, 1081), (1918, 1080)),
        ((641, 481), (640, 480)),
        ((7680, 1080), (1920, 270)),
        ((2, 8000), (2, 1920)),
    ],
)
def test_what_is_transcoded_is_1080p_at_most_and_even(
    size: tuple[int, int], sent: tuple[int, int]
) -> None:
    video = as_sent(film(codec="hevc", width=size[0], height=size[1])).video
    assert video is not None
    assert (video.width, video.height) == sent


def test_what_is_shown_is_turned_and_in_square_pixels() -> None:
    video = replace(VIDEO, width=720, height=576, pixel_aspect=64 / 45)
    assert video.shown_size == (1024, 576)
    assert replace(video, rotation=90).shown_size == (576, 1024)
    assert replace(video, rotation=180).shown_size == (1024, 576)


@pytest.mark.parametrize(
    ("measured", "meant"),
    [
        (0.0, 25.0),
        (24.99, 25.0),
        (23.98, 24_000 / 1001),
        (29.97, 30_000 / 1001),
        (30.0, 30.0),
        (27.0, 27.0),
        (119.88, 60.0),
    ],
)
def test_measured_rates_become_usual_ones(measured: float, meant: float) -> None:
    assert standard_fps(measured) == pytest.approx(meant, abs=1e-9)
    assert standard_fps(standard_fps(measured)) == standard_fps(measured)


@given(MEDIA, MEDIA)
def test_whatever_is_sent_is_like_what_was_sent_before(
    first: MediaFacts, other: MediaFacts
) -> None:
    before = as_sent(first)
    sent = replace(as_sent(other, before), format="mov")
    assert handling(sent, before).mode == "copy"


@given(MEDIA)
def test_whatever_is_sent_could_be_copied(facts: MediaFacts) -> None:
    sent = replace(as_sent(facts), format="mov")
    assert handling(sent).mode == "copy"
    assert as_sent(sent) == sent


@given(MEDIA, st.none() | MEDIA)
def test_what_is_copied_is_sent_as_it_is(facts: MediaFacts, like: MediaFacts | None) -> None:
    how = handling(facts, like)
    sent = as_sent(facts, like)
    assert not how.copies_video or sent.video == facts.video
    assert not how.copies_audio or sent.audio == facts.audio
    assert (how.mode == "copy") <= how.copies_video
