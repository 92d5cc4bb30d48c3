"""How FFmpeg is told to join segments, and how what it made is judged."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.joining import (
    concat_list,
    is_damaged,
    join_argv,
    judge,
    look_argv,
    sample_list,
)
from streamd.archive.tracks import AudioTrack, Format, VideoTrack
from tests.unit.archive.values import FORMAT, NOW, segment

VIDEO = {
    "codec_type": "video",
    "codec_name": "h264",
    "profile": "High",
    "width": 160,
    "height": 120,
    "avg_frame_rate": "30000/1001",
    "duration": "12.0",
    "nb_frames": "360",
}
AUDIO = {
    "codec_type": "audio",
    "codec_name": "aac",
    "sample_rate": "44100",
    "channels": 2,
    "duration": "11.9",
}


def answer(*streams: dict[str, object], duration: str = "12.1") -> str:
    return json.dumps({"streams": streams, "format": {"duration": duration}})


def test_ffmpeg_is_told_how_long_each_segment_is() -> None:
    listed = concat_list("/rec/it's", [segment(0), segment(1), segment(3)])
    assert listed.splitlines() == [
        "ffconcat version 1.0",
        "file 'file:/rec/it'\\''s/20261123T013000.000000Z-1-000000.ts'",
        "duration 6.000000",
        "file 'file:/rec/it'\\''s/20261123T013000.000000Z-1-000001.ts'",
        "duration 6.000000",
        "file 'file:/rec/it'\\''s/20261123T013000.000000Z-1-000003.ts'",
        "duration 6.000000",
    ]


def test_what_is_looked_at_is_the_first_of_each_segment_and_all_of_the_last_of_a_run() -> None:
    segments = [segment(0), segment(1), segment(0, run_at=NOW + 60)]
    listed, chosen = sample_list("/rec", segments)
    assert chosen == segments
    assert [line for line in listed.splitlines() if line.startswith("outpoint")] == [
        "outpoint 1.600000"
    ]


def test_of_a_long_recording_some_segments_are_looked_at() -> None:
    _, chosen = sample_list("/rec", [segment(number) for number in range(2500)])
    assert 250 <= len(chosen) <= 300


def test_a_file_has_the_tracks_that_were_seen_and_no_others() -> None:
    def mapped(format_: Format) -> list[str]:
        argv = join_argv("/ffmpeg", "/rec/-x.mp4", format_, NOW)
        return [argv[at + 1] for at, text in enumerate(argv) if text == "-map"]

    assert mapped(FORMAT) == ["0:v:0", "0:a:0"]
    assert mapped(replace(FORMAT, video=None)) == ["0:a:0"]
    assert mapped(replace(FORMAT, audio=None)) == ["0:v:0"]


def test_a_file_plays_before_all_of_it_has_arrived_and_knows_when_it_was_made() -> None:
    hevc = Format(("hevc",), VideoTrack("hevc", 1920, 1080, 1, 10))
    argv = join_argv("/ffmpeg", "/rec/x.mp4", hevc, NOW)
    assert argv[0] == "/ffmpeg"
    assert argv[argv.index("-movflags") + 1] == "+faststart"
    assert argv[argv.index("-tag:v") + 1] == "hvc1"
    assert "creation_time=2026-11-23T01:30:00.000Z" in argv
    assert argv[-1] == "file:/rec/x.mp4"
    assert "-tag:v" not in join_argv("/ffmpeg", "/rec/x.mp4", FORMAT, NOW)
    assert "-skip_frame" in look_argv("/ffmpeg")


def test_a_file_that_is_whole_is_described() -> None:
    verdict = judge(answer(VIDEO, AUDIO), FORMAT, 12.5)
    assert verdict.fault is None
    assert verdict.seconds == 12.1
    assert verdict.video == {
        "codec": "h264",
        "profile": "High",
        "seconds": 12.0,
        "frames": 360,
        "width": 160,
        "height": 120,
        "fps": 29.97,
    }
    assert verdict.audio is not None
    assert (verdict.audio["sample_rate"], verdict.audio["channels"]) == (44_100, 2)
    assert verdict.notes == ()


@pytest.mark.parametrize(
    ("text", "expected_s", "fault"),
    [
        (answer(VIDEO, AUDIO), 14.0, "it plays 12.1 s, and its segments are 14.0 s long"),
        (answer(VIDEO, AUDIO), 10.0, "it plays 12.1 s, and its segments are 10.0 s long"),
        (answer(VIDEO), 12.0, "FFmpeg left out the audio"),
        (answer(), 12.0, "FFmpeg left out the video and the audio"),
        ("", 12.0, "ffprobe cannot read"),
        ("{}", 12.0, "ffprobe cannot read"),
        ('{"streams": [], "format": {}}', 12.0, "ffprobe cannot read"),
        ('{"streams": [3], "format": {"duration": "1"}}', 12.0, "ffprobe cannot read"),
        (answer(VIDEO, AUDIO, duration="N/A"), 12.0, "ffprobe cannot read"),
        (answer(VIDEO, AUDIO, duration="nan"), 0.0, "ffprobe cannot read"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(text: str, expected_s: float, fault: str) -> None:
    verdict = judge(text, FORMAT, expected_s)
    assert verdict.fault is not None
    assert verdict.fault.startswith(fault)


def test_a_track_that_ends_early_is_told() -> None:
    verdict = judge(answer({**VIDEO, "duration": "3.0"}, AUDIO), FORMAT, 12.0)
    assert verdict.fault is None
    assert verdict.notes == ("the picture ends after 3.0 s of 12.1 s",)


def test_a_track_that_was_never_recorded_is_not_missed() -> None:
    silent = Format(("h264", "aac"), FORMAT.video, None)
    assert judge(answer(VIDEO), silent, 12.0).fault is None
    deaf = Format(("aac",), None, AudioTrack("aac"))
    assert judge(answer(AUDIO), deaf, 12.0).video is None
    assert judge(answer(AUDIO), None, None).audio is not None


@given(st.text())
def test_any_answer_is_judged(text: str) -> None:
    assert judge(text, FORMAT, 1.0).fault is not None


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        ("[warning] pipe:0: corrupt decoded frame in stream 0", True),
        ("[vist#0:0/h264 @ 0x5] [dec:h264 @ 0x5] [warning] corrupt decoded frame", True),
        ("[error] Error while decoding stream #0:0: Invalid data found", True),
        ("[h264 @ 0x5] [error] mmco: unref short failure", False),
        ("[mpegts @ 0x5] [warning] Packet corrupt (stream = 0, dts = 1)", False),
    ],
)
def test_what_says_that_a_picture_is_broken(line: str, damaged: bool) -> None:
    assert is_damaged(line) is damaged
