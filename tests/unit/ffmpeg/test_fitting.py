from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.fitting import (
    audio_encoder,
    live_video_encoder,
    rate,
    video_encoder,
    video_filter,
    video_kbps,
)
from streamd.ffmpeg.media import AudioFacts, VideoFacts

SENT = VideoFacts("h264", 1280, 720, 30_000 / 1001, "Main")
SOURCE = VideoFacts("hevc", 720, 576, 25.0, "Main")


def value_of(argv: tuple[str, ...], option: str) -> str:
    return argv[argv.index(option) + 1]


@pytest.mark.parametrize(
    ("fps", "written"),
    [
        (25.0, "25"),
        (29.97, "30000/1001"),
        (30_000 / 1001, "30000/1001"),
        (23.976, "24000/1001"),
        (59.94, "60000/1001"),
        (12.5, "25/2"),
        (7.3, "73/10"),
    ],
)
def test_rates_are_written_without_loss(fps: float, written: str) -> None:
    assert rate(fps) == written


@given(st.floats(1, 240))
def test_a_rate_is_what_it_was(fps: float) -> None:
    assert float(Fraction(rate(fps))) == pytest.approx(fps, rel=1e-3)


def test_bit_rates_grow_with_the_picture() -> None:
    assert video_kbps(640, 360, 25) == 800
    assert video_kbps(1280, 720, 30) == 2800
    assert video_kbps(1280, 720, 60) == 4200
    assert video_kbps(1080, 1920, 25) == 5000
    assert video_kbps(3840, 2160, 25) == 16_000


def test_a_picture_has_a_keyframe_every_two_seconds_and_none_between() -> None:
    argv = video_encoder(SENT)
    assert value_of(argv, "-g") == value_of(argv, "-keyint_min") == "60"
    assert value_of(argv, "-sc_threshold") == value_of(argv, "-bf") == "0"
    assert value_of(argv, "-profile:v") == "main"
    assert value_of(argv, "-maxrate") == "2800k"
    assert "-tune" not in argv
    assert "-x264-params" not in argv


def test_an_encoder_can_end_at_once_and_number_its_parameter_sets() -> None:
    argv = video_encoder(SENT, at_once=True, parameter_sets=7)
    assert value_of(argv, "-tune") == "zerolatency"
    assert value_of(argv, "-x264-params") == "sps-id=7"


def test_a_picture_is_made_to_fit() -> None:
    assert video_filter(SOURCE, SENT, still=False) == (
        "fps=30000/1001,"
        "scale=1280:720:force_original_aspect_ratio=decrease:force_divisible_by=2"
        ":in_color_matrix=bt601:out_color_matrix=bt709:out_range=tv,"
        "format=yuv420p,pad=1280:720:(ow-iw)/2:(oh-ih)/2,setsar=1"
    )


def test_a_picture_is_made_progressive_before_its_rate_changes() -> None:
    steps = video_filter(replace(SOURCE, interlaced=True), SENT, still=False).split(",")
    assert steps[:2] == ["yadif=deint=interlaced", "fps=30000/1001"]


def test_odd_pixels_are_made_square_first() -> None:
    anamorphic = replace(SOURCE, pixel_aspect=64 / 45)
    assert "scale=trunc(iw*sar/2)*2:ih,scale=" in video_filter(anamorphic, SENT, still=False)


@pytest.mark.parametrize(
    ("height", "named", "taken"), [(576, "", "bt601"), (720, "", "bt709"), (720, "bt470bg", "auto")]
)
def test_colours_that_are_not_named_are_those_of_the_size(
    height: int, named: str, taken: str
) -> None:
    video = replace(SOURCE, height=height, colour_matrix=named)
    assert f":in_color_matrix={taken}:" in video_filter(video, SENT, still=False)


def test_a_still_picture_is_shaped_once_and_repeated() -> None:
    steps = video_filter(SOURCE, SENT, still=True).split(",")
    assert steps[0].startswith("scale=1280:720")
    assert steps[-4:] == ["loop=loop=-1:size=1", "settb=1001/30000", "setpts=N", "fps=30000/1001"]


def test_what_is_live_is_encoded_without_knowing_it() -> None:
    argv = live_video_encoder()
    assert value_of(argv, "-force_key_frames") == "expr:gte(t,n_forced*2)"
    assert value_of(argv, "-tune") == "zerolatency"
    assert "min(iw,1920):min(ih,1080)" in value_of(argv, "-vf")


def test_sound_gets_64_kbps_a_channel() -> None:
    argv = audio_encoder(AudioFacts("aac", 48_000, 2))
    assert argv == ("-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2")
    assert value_of(audio_encoder(AudioFacts("aac", 44_100, 1)), "-b:a") == "64k"
