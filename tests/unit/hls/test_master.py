import posixpath
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd import names
from streamd.desired import AudioSpec, TranscodeSpec, VideoSpec
from streamd.engines.base import LiveStream
from streamd.hls.master import (
    Variant,
    h264_level,
    master_path,
    master_playlist,
    master_stream,
    masters,
    variant,
)

P720 = TranscodeSpec(
    "p720",
    "live/show",
    "live/show-720",
    VideoSpec("h264", height=720, bitrate=2_500_000, fps=30.0),
    AudioSpec("aac", 128_000),
)
LIVE = LiveStream(
    "live/show-720", "7", 1000, 2600, 0, video="H264 High 1280x720", audio="AAC LC 48000"
)
COPIED = replace(P720, video=VideoSpec("copy"), audio=AudioSpec("copy"))
HEARD = replace(P720, video=VideoSpec("none"), audio=AudioSpec("aac", 64_000))


def test_a_rendition_is_described() -> None:
    assert variant(P720, LIVE) == Variant(
        stream="live/show-720",
        bandwidth=3_316_840,
        average_bandwidth=2_801_840,
        codecs=("avc1.64001F", "mp4a.40.2"),
        size=(1280, 720),
        fps=30.0,
    )


def test_the_playlist_is_written_as_the_rfc_has_it() -> None:
    first = variant(P720, LIVE)
    heard = Variant("radio/show", 140_000, 131_000, ("mp4a.40.2",))
    bare = Variant("live/x", 9, 8, (), (640, 360))
    assert first is not None
    assert master_playlist("live/show", (first, heard, bare)) == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:3\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=3316840,AVERAGE-BANDWIDTH=2801840,RESOLUTION=1280x720,"
        'FRAME-RATE=30.000,CODECS="avc1.64001F,mp4a.40.2"\n'
        "../show-720.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=140000,AVERAGE-BANDWIDTH=131000,CODECS="mp4a.40.2"\n'
        "../../radio/show.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8,RESOLUTION=640x360\n"
        "../x.m3u8\n"
    )


def test_players_begin_with_the_best_that_most_connections_carry() -> None:
    rates = {"a": 900, "b": 9_000_000, "c": 3_000_000, "d": 5_000_000}
    variants = [Variant(f"live/{name}", rate, rate, ()) for name, rate in rates.items()]
    text = master_playlist("live/show", variants)
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        *("../c.m3u8", "../a.m3u8", "../b.m3u8", "../d.m3u8"),
    ]


def test_a_stream_has_a_playlist_while_it_has_renditions_on_air() -> None:
    p480 = replace(P720, name="p480", to="live/show-480")
    other = replace(P720, name="other", stream="live/other", to="live/other-720")
    transcodes = (P720, p480, other)
    assert masters(transcodes, {}) == {}
    assert masters(transcodes, {"live/show": LIVE}) == {}
    (text,) = masters(transcodes, {"live/show-480": LIVE, "live/show": LIVE}).values()
    assert text.endswith("../show-480.m3u8\n")
    found = masters(transcodes, {each.to: LIVE for each in transcodes})
    assert set(found) == {"live/show", "live/other"}
    assert found["live/show"].count(".m3u8") == 2


def test_a_rendition_without_a_frame_rate_of_its_own_names_none() -> None:
    described = variant(replace(P720, video=replace(P720.video, fps=None)), LIVE)
    assert described is not None
    assert described.fps is None
    assert described.codecs[0] == "avc1.64001F"


@pytest.mark.parametrize(("kbps", "average"), [(2400, 2_500_000), (2500, 2_500_000)])
def test_a_copy_is_described_by_what_is_measured_in_steps(kbps: int, average: int) -> None:
    described = variant(COPIED, replace(LIVE, kbps=kbps))
    assert described is not None
    assert described.average_bandwidth == round((average + 128_000) * 1.03) + 95_000


@pytest.mark.parametrize(
    ("transcode", "live"),
    [
        (P720, replace(LIVE, video=None, audio=None)),
        (COPIED, replace(LIVE, kbps=0)),
        (P720, replace(LIVE, video="0x0", audio=None)),
    ],
    ids=["nothing yet", "not measured yet", "no picture"],
)
def test_what_is_not_known_yet_is_not_offered(transcode: TranscodeSpec, live: LiveStream) -> None:
    assert variant(transcode, live) is None


def test_sound_alone_has_no_size_and_no_codec_of_video() -> None:
    described = variant(HEARD, replace(LIVE, video=None))
    assert described == Variant("live/show-720", 130_920, 130_920, ("mp4a.40.2",))


def test_a_rendition_of_a_publisher_without_sound_has_none() -> None:
    described = variant(P720, replace(LIVE, audio=None))
    assert described is not None
    assert described.codecs == ("avc1.64001F",)
    assert described.average_bandwidth == 2_605_000


@pytest.mark.parametrize(
    ("video", "audio", "codecs"),
    [
        ("H264 Baseline 640x360", "AAC LC 44100", ("avc1.42C01E", "mp4a.40.2")),
        ("H264 Main 1920x1080", "AAC HE 44100", ("avc1.4D4028", "mp4a.40.5")),
        ("H264 High 854x480", "AAC HEv2 44100", ("avc1.64001F", "mp4a.40.29")),
        ("H264 High 854x480", "AAC 44100", ("avc1.64001F", "mp4a.40.2")),
        ("H264 High422 1920x1080", "AAC LC 44100", ()),
        ("H264 1280x720", "AAC LC 44100", ()),
    ],
)
def test_codecs_are_named_where_all_of_them_are_known(
    video: str, audio: str, codecs: tuple[str, ...]
) -> None:
    described = variant(P720, replace(LIVE, video=video, audio=audio))
    assert described is not None
    assert described.codecs == codecs


@pytest.mark.parametrize(
    ("width", "height", "fps", "bits", "level"),
    [
        (320, 180, 15, 300_000, 12),
        (640, 360, 30, 800_000, 30),
        (1280, 720, 30, 2_500_000, 31),
        (1280, 720, 60, 4_000_000, 32),
        (1920, 1080, 30, 5_000_000, 40),
        (1920, 1080, 30, 30_000_000, 41),
        (1920, 1080, 60, 6_000_000, 42),
        (3840, 2160, 30, 20_000_000, 51),
        (7680, 4320, 60, 80_000_000, 52),
    ],
)
def test_the_level_is_the_lowest_that_allows_a_picture(
    width: int, height: int, fps: float, bits: int, level: int
) -> None:
    assert h264_level(width, height, fps, bits, high=True) == level


sizes = st.integers(16, 4096)


@given(sizes, sizes, st.floats(1, 240), st.integers(0, 10**9), st.booleans())
def test_more_of_anything_never_lowers_the_level(
    width: int, height: int, fps: float, bits: int, high: bool
) -> None:
    level = h264_level(width, height, fps, bits, high=high)
    assert h264_level(width + 16, height, fps, bits, high=high) >= level
    assert h264_level(width, height, fps + 1, bits, high=high) >= level
    assert h264_level(width, height, fps, bits + 10**6, high=high) >= level
    assert h264_level(width, height, fps, bits, high=True) <= level


segments = st.text("ab0-_.~=+@,:", min_size=1, max_size=4).map("a".__add__)
streams = st.lists(segments, min_size=2, max_size=4).map("/".join)


@given(streams, streams)
def test_every_rendition_is_found_from_where_the_playlist_is(stream: str, to: str) -> None:
    (*_, address) = master_playlist(stream, (Variant(to, 2, 1, ()),)).splitlines()
    directory = posixpath.dirname(master_path(stream))
    assert posixpath.normpath(f"{directory}/{address}") == f"{to}.m3u8"


@given(streams)
def test_the_place_of_a_playlist_is_that_of_no_other_stream(stream: str) -> None:
    assert names.is_published_name(stream)
    assert master_path(stream) == f"{master_stream(stream)}.m3u8"
    assert master_path(stream) != f"{stream}.m3u8"
