import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.desired import AudioSpec, OverlaySpec, VideoSpec
from streamd.ffmpeg.transcode_options import (
    audio_arguments,
    device_arguments,
    encoder_of,
    video_arguments,
    video_filters,
)

VIDEO = VideoSpec("h264", height=720, bitrate=2_500_000)
LOGO = OverlaySpec("/srv/logo.png", "top-right", margin=16, width=None)
EVERY_2_S = "expr:if(isnan(prev_forced_t),1,gt(floor(t/2),floor(prev_forced_t/2)))"


def value_of(argv: tuple[str, ...], option: str) -> str | None:
    return argv[argv.index(option) + 1] if option in argv else None


def test_video_is_encoded_within_its_bit_rate() -> None:
    assert video_arguments(VIDEO) == (
        *("-map", "0:v:0?", "-vf", "scale=w=-2:h=720,format=yuv420p"),
        *("-enc_time_base", "1:1000", "-c:v", "libx264", "-preset", "veryfast"),
        *("-sc_threshold", "0"),
        *("-b:v", "2500000", "-maxrate:v", "2500000", "-bufsize:v", "2500000"),
        *("-force_key_frames", EVERY_2_S, "-g", "241"),
    )


def test_a_frame_rate_that_is_given_needs_no_finer_clock() -> None:
    argv = video_arguments(replace(VIDEO, fps=29.97))
    assert value_of(argv, "-vf") == "fps=30000/1001,scale=w=-2:h=720,format=yuv420p"
    assert "-enc_time_base" not in argv


def test_what_is_copied_or_dropped_is_not_encoded() -> None:
    assert video_arguments(VideoSpec("copy")) == ("-map", "0:v:0?", "-c:v", "copy")
    assert video_arguments(VideoSpec("none")) == ("-vn",)
    assert audio_arguments(AudioSpec("copy")) == ("-map", "0:a:0?", "-c:a", "copy")
    assert audio_arguments(AudioSpec("none")) == ("-an",)


def test_sound_is_encoded() -> None:
    assert audio_arguments(AudioSpec("aac", 96_000, sample_rate=48_000, channels=2)) == (
        *("-map", "0:a:0?", "-c:a", "aac", "-b:a", "96000", "-ar", "48000", "-ac", "2"),
        *("-af", "aresample=async=1"),
    )


@pytest.mark.parametrize(
    ("width", "height", "scaled"),
    [
        (None, 720, "scale=w=-2:h=720"),
        (1280, None, "scale=w=1280:h=-2"),
        (None, None, "scale=w=trunc(iw/2)*2:h=trunc(ih/2)*2"),
        (
            1280,
            720,
            "scale=w=1280:h=720:force_original_aspect_ratio=decrease:force_divisible_by=2,"
            "pad=w=1280:h=720:x=-1:y=-1",
        ),
    ],
)
def test_a_picture_is_scaled_and_keeps_its_shape(
    width: int | None, height: int | None, scaled: str
) -> None:
    video = replace(VIDEO, width=width, height=height)
    assert video_filters(video) == f"{scaled},format=yuv420p"


@pytest.mark.parametrize(
    ("codec", "wanted"),
    [
        ("h264", ("-preset", "fast", "-profile:v", "baseline", "-sc_threshold", "0")),
        (
            "h264_nvenc",
            (
                *("-preset", "fast", "-profile:v", "baseline"),
                *("-rc", "cbr", "-no-scenecut", "1", "-forced-idr", "1"),
            ),
        ),
        ("h264_qsv", ("-preset", "fast", "-profile:v", "baseline", "-forced_idr", "1")),
        ("h264_vaapi", ("-profile:v", "constrained_baseline")),
    ],
)
def test_each_encoder_is_tuned_in_its_own_words(codec: str, wanted: tuple[str, ...]) -> None:
    video = replace(VIDEO, codec=codec, preset="fast", profile="baseline")  # type: ignore[arg-type]
    argv = video_arguments(video)
    at = argv.index("-c:v") + 2
    assert argv[at : argv.index("-b:v")] == wanted


def test_only_vaapi_opens_a_device_and_uploads_pictures_to_it() -> None:
    assert device_arguments({"h264", "h264_nvenc", "h264_qsv", "copy", "none"}) == ()
    assert device_arguments({"h264", "h264_vaapi"}) == (
        *("-init_hw_device", "vaapi=gpu:/dev/dri/renderD128", "-filter_hw_device", "gpu"),
    )
    assert video_filters(replace(VIDEO, codec="h264_vaapi")) == (
        "scale=w=-2:h=720,format=nv12,hwupload"
    )
    assert video_filters(replace(VIDEO, codec="h264_qsv")) == "scale=w=-2:h=720,format=nv12"


@pytest.mark.parametrize(
    ("position", "place"),
    [
        ("top-left", "x=16:y=16"),
        ("top-right", "x=W-w-16:y=16"),
        ("bottom-left", "x=16:y=H-h-16"),
        ("bottom-right", "x=W-w-16:y=H-h-16"),
    ],
)
def test_a_picture_is_laid_into_a_corner(position: str, place: str) -> None:
    overlay = replace(LOGO, position=position)  # type: ignore[arg-type]
    assert video_filters(replace(VIDEO, overlay=overlay)) == (
        "scale=w=-2:h=720[video];movie=filename=/srv/logo.png[over];"
        f"[video][over]overlay={place},format=yuv420p"
    )


def test_a_picture_over_the_video_has_the_width_that_is_given() -> None:
    filters = video_filters(replace(VIDEO, codec="h264_vaapi", overlay=replace(LOGO, width=120)))
    assert "movie=filename=/srv/logo.png,scale=w=120:h=-1[over]" in filters
    assert filters.endswith("overlay=x=W-w-16:y=16,format=nv12,hwupload")


def unquoted(text: str) -> str:
    """Take one level of backslashes away, as FFmpeg's av_get_token does."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_no_file_name_breaks_out_of_its_filter(name: str) -> None:
    filters = video_filters(replace(VIDEO, overlay=replace(LOGO, file=f"/srv/{name}")))
    before, after = "[video];movie=filename=", "[over];[video]"
    quoted = filters[filters.index(before) + len(before) : filters.rindex(after)]
    assert not re.search(r"(?<!\\)(?:\\\\)*[\[\],;' ]", quoted)
    inner = unquoted(quoted)
    assert not re.search(r"(?<!\\)(?:\\\\)*[:' ]", inner)
    assert unquoted(inner) == f"/srv/{name}"


def test_keyframes_follow_the_publisher_where_that_is_asked_for() -> None:
    argv = video_arguments(VIDEO, follow_source=True)
    assert value_of(argv, "-force_key_frames") == "source"
    changed = video_arguments(replace(VIDEO, fps=25.0), follow_source=True)
    assert value_of(changed, "-force_key_frames") == EVERY_2_S


@given(
    st.floats(0.5, 20),
    st.one_of(st.none(), st.floats(1, 240)),
    st.one_of(st.none(), st.integers(8, 4096).map(lambda half: half * 2)),
)
def test_renditions_have_keyframes_alike_whatever_else_they_differ_in(
    interval_s: float, fps: float | None, height: int | None
) -> None:
    video = replace(VIDEO, keyframe_interval_s=interval_s, fps=fps, height=height)
    plain = replace(VIDEO, keyframe_interval_s=interval_s)
    one, other = video_arguments(video), video_arguments(plain)
    assert value_of(one, "-force_key_frames") == value_of(other, "-force_key_frames")
    frames_between = interval_s * (fps or 60)
    assert int(value_of(one, "-g") or 0) > frames_between


def test_encoders_go_by_ffmpegs_names() -> None:
    assert [encoder_of(codec) for codec in ("h264", "h264_nvenc", "aac", "copy", "none")] == [
        *("libx264", "h264_nvenc", "aac", None, None),
    ]
