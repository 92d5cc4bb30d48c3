import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.media import AudioFacts, MediaFacts, VideoFacts
from streamd.ffmpeg.media_json import facts_from_json

PICTURE = {
    "index": 0,
    "codec_type": "video",
    "codec_name": "h264",
    "profile": "High",
    "pix_fmt": "yuv420p",
    "width": 1280,
    "height": 720,
    "sample_aspect_ratio": "1:1",
    "field_order": "progressive",
    "has_b_frames": 2,
    "avg_frame_rate": "30000/1001",
    "r_frame_rate": "30/1",
    "color_space": "bt709",
}
SOUND = {
    "index": 1,
    "codec_type": "audio",
    "codec_name": "aac",
    "profile": "LC",
    "sample_rate": "48000",
    "channels": 2,
}
COVER = {
    "index": 2,
    "codec_type": "video",
    "codec_name": "png",
    "width": 300,
    "height": 300,
    "disposition": {"attached_pic": 1},
}
MOV = {"format_name": "mov,mp4,m4a,3gp,3g2,mj2", "duration": "60.5"}


def facts(*streams: Any, container: Any = MOV) -> MediaFacts | None:
    return facts_from_json(json.dumps({"streams": streams, "format": container}), "/srv/f")


def video(**changes: Any) -> VideoFacts:
    found = facts({**PICTURE, **changes})
    assert found is not None
    assert found.video is not None
    return found.video


def test_a_film_is_read() -> None:
    assert facts(PICTURE, SOUND) == MediaFacts(
        path="/srv/f",
        format="mov",
        duration_s=60.5,
        video=VideoFacts(
            codec="h264",
            width=1280,
            height=720,
            fps=30_000 / 1001,
            profile="High",
            pixel_format="yuv420p",
            has_b_frames=True,
            colour_matrix="bt709",
        ),
        audio=AudioFacts("aac", 48_000, 2, "LC", index=1),
    )


def test_a_cover_is_no_video() -> None:
    film = facts(COVER, PICTURE, SOUND)
    song = facts(SOUND, COVER)
    assert film is not None
    assert song is not None
    assert film.video is not None
    assert (film.video.codec, film.picture) == ("h264", False)
    assert song.video is not None
    assert (song.video.codec, song.video.index, song.picture) == ("png", 2, True)


def test_a_picture_lasts_no_time() -> None:
    container = {"format_name": "png_pipe", "duration": "0.04"}
    found = facts({**PICTURE, "codec_name": "png"}, container=container)
    assert found is not None
    assert (found.duration_s, found.picture) == (0.0, True)


def test_a_duration_that_the_file_does_not_say_is_that_of_its_tracks() -> None:
    container = {"format_name": "matroska,webm"}
    found = facts(PICTURE, {**SOUND, "duration": "12.5"}, container=container)
    assert found is not None
    assert (found.format, found.duration_s) == ("matroska", 12.5)


@pytest.mark.parametrize(
    ("changes", "rotation"),
    [
        ({}, 0),
        ({"side_data_list": [{"rotation": -90}]}, 90),
        ({"side_data_list": [{}, {"rotation": 90}]}, 270),
        ({"side_data_list": [{"rotation": 179.6}]}, 180),
        ({"side_data_list": [{"rotation": -90}], "tags": {"rotate": "180"}}, 90),
        ({"tags": {"rotate": "90"}}, 90),
        ({"tags": {"rotate": "upside down"}}, 0),
    ],
)
def test_rotation_is_read_clockwise(changes: dict[str, Any], rotation: int) -> None:
    assert video(**changes).rotation == rotation


@pytest.mark.parametrize(
    ("changes", "fps"),
    [
        ({"avg_frame_rate": "0/0", "r_frame_rate": "25/1"}, 25.0),
        ({"avg_frame_rate": "0/0", "r_frame_rate": "90000/1"}, 0.0),
        ({"avg_frame_rate": "x"}, 30.0),
    ],
)
def test_rates_that_are_none_are_unknown(changes: dict[str, Any], fps: float) -> None:
    assert video(**changes).fps == fps


def test_pixels_and_fields_are_read() -> None:
    assert video(sample_aspect_ratio="64:45").pixel_aspect == pytest.approx(64 / 45)
    assert video(sample_aspect_ratio="0:1").pixel_aspect == 1.0
    assert video(field_order="tt").interlaced
    assert not video(field_order="unknown").interlaced
    assert video(color_space="unknown", pix_fmt="unknown").colour_matrix == ""


@pytest.mark.parametrize(
    "streams",
    [
        (),
        ({"codec_type": "subtitle", "codec_name": "mov_text"},),
        ({**PICTURE, "width": 0},),
        ({**SOUND, "sample_rate": "0"},),
        ({"codec_type": "data"},),
        ({"codec_type": "video", "width": 2, "height": 2},),
    ],
)
def test_what_cannot_be_played_is_nothing(streams: tuple[Any, ...]) -> None:
    assert facts(*streams) is None


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*PICTURE, "disposition", "tags"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.sampled_from([*PICTURE, *SOUND, "disposition", "tags"]), ANY_JSON)),
    ANY_JSON,
)
def test_no_answer_breaks_it(streams: list[Any], container: Any) -> None:
    answer = json.dumps({"streams": streams, "format": container})
    found = facts_from_json(answer, "/srv/f")
    assert found is None or found.video or found.audio


@pytest.mark.parametrize("answer", ["", "[]", "null", '{"streams": 5}', b"\xff"])
def test_what_is_no_answer_is_nothing(answer: str | bytes) -> None:
    assert facts_from_json(answer, "/srv/f") is None
