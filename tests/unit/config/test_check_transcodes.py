"""Checks of `transcodes`: the exact lines."""

from pathlib import Path

import pytest

from tests.unit.config.loading import problems_of

HEAD = (
    "version: 1\nstreams:\n  a: {keys: any}\n  rooms/*: {keys: any}\n"
    "  lobby: {source: {files: [/srv/a.mp4]}}\n"
    "  always: {keys: any, fallback: /srv/s.mp4}\n"
    "  tv: {source: {url: 'rtsp://h/x'}, fallback: /srv/s.mp4}\ntranscodes:\n"
)
VIDEO = "video: {height: 720, bitrate: 2M}"

CASES: dict[str, tuple[str, list[str]]] = {
    "in order": (
        "  p720: {stream: a, to: a-720, video: {height: 720, bitrate: 2500k, fps: 25, "
        "keyframe_interval: 500ms, preset: veryfast, profile: high, overlay: {file: /srv/l.png, "
        "position: top-left, margin: 10, width: 200}}, audio: {codec: aac, bitrate: 96k, "
        "sample_rate: 44100, channels: 2}}\n"
        "  sound: {stream: a, to: a-sound, video: {codec: none}}\n"
        "  silent: {stream: rooms/x, to: rooms/x-silent, audio: {codec: none}}\n"
        f"  room: {{stream: rooms/1, to: made/1, {VIDEO}}}\n"
        f"  lobby: {{stream: lobby, to: lobby-720, {VIDEO}}}\n"
        f"  always: {{stream: always, to: always-720, {VIDEO}}}\n"
        # Another transcode's stream, and the name that a stream without an ingest leaves free.
        f"  again: {{stream: a-720, to: a-720-again, {VIDEO}}}\n"
        f"  free: {{stream: tv, to: in/tv, {VIDEO}}}\n"
        "  long: {stream: a, to: long, video: {bitrate: 8k, keyframe_interval: 20s}}\n",
        [],
    ),
    "streams that nothing publishes": (
        f"  one: {{stream: b, to: b-720, {VIDEO}}}\n"
        f"  two: {{stream: lobbi, to: c-720, {VIDEO}}}\n"
        f"  three: {{stream: other/x, to: d-720, {VIDEO}, enabled: false}}\n",
        [
            "config.yaml:9:17: transcodes.one.stream: nothing under `streams` lets b be "
            "published; add it under `streams`",
            "config.yaml:10:17: transcodes.two.stream: nothing under `streams` lets lobbi be "
            "published; did you mean lobby?",
            "config.yaml:11:19: transcodes.three.stream: nothing under `streams` lets other/x be "
            "published; add it under `streams`",
        ],
    ),
    "what others make already": (
        f"  one: {{stream: rooms/x, to: a, {VIDEO}}}\n"
        f"  two: {{stream: a, to: live/lobby, {VIDEO}}}\n"
        f"  three: {{stream: a, to: b, {VIDEO}}}\n"
        f"  four: {{stream: a, to: live/b, {VIDEO}}}\n"
        f"  five: {{stream: a, to: in/always, {VIDEO}}}\n",
        [
            "config.yaml:9:30: transcodes.one.to: is streams.a, which others publish; remove "
            "that, or choose another name",
            "config.yaml:10:24: transcodes.two.to: is streams.lobby, which others publish; remove "
            "that, or choose another name",
            "config.yaml:12:25: transcodes.four.to: is made by transcodes.three already; choose "
            "another name",
            "config.yaml:13:25: transcodes.five.to: is where streams.always is published, as it "
            "has a fallback; choose another name",
        ],
    ),
    "video that cannot be": (
        "  one: {stream: a, to: b, video: {height: 720}}\n"
        "  two: {stream: a, to: c, video: {codec: h264_nvenc, width: 853, height: 479, bitrate: "
        "1M}}\n"
        "  three: {stream: a, to: d, video: {bitrate: 1M, keyframe_interval: 400ms}}\n"
        "  four: {stream: a, to: e, video: {bitrate: 1M, keyframe_interval: 21s}}\n",
        [
            "config.yaml:9:27: transcodes.one.video: needs `bitrate` to encode; write for example "
            "2500k",
            "config.yaml:10:61: transcodes.two.video.width: is odd, which H.264 cannot be; write "
            "854",
            "config.yaml:10:74: transcodes.two.video.height: is odd, which H.264 cannot be; write "
            "480",
            "config.yaml:11:69: transcodes.three.video.keyframe_interval: is out of range; write "
            "0.5s to 20s",
            "config.yaml:12:68: transcodes.four.video.keyframe_interval: is out of range; write "
            "0.5s to 20s",
        ],
    ),
    "what does not count": (
        "  one: {stream: a, to: b, video: {codec: none, height: 720, bitrate: 1M, fps: 25}}\n"
        "  two: {stream: a, to: c, video: {codec: copy, keyframe_interval: 2s, preset: fast, "
        "profile: main, overlay: {file: /srv/l.png}}, audio: {codec: aac}}\n"
        f"  three: {{stream: a, to: d, {VIDEO}, audio: {{bitrate: 96k}}}}\n"
        f"  four: {{stream: a, to: e, {VIDEO}, audio: {{codec: none, sample_rate: 48000, channels: "
        "1}}\n",
        [
            *(
                f"config.yaml:9:{column}: transcodes.one.video.{field}: has no meaning with "
                "`codec: none`; remove it"
                for column, field in ((56, "height"), (70, "bitrate"), (79, "fps"))
            ),
            *(
                f"config.yaml:10:{column}: transcodes.two.video.{field}: has no meaning with "
                "`codec: copy`; remove it"
                for column, field in (
                    (67, "keyframe_interval"),
                    (79, "preset"),
                    (94, "profile"),
                    (109, "overlay"),
                )
            ),
            "config.yaml:11:81: transcodes.three.audio.bitrate: has no meaning with `codec: "
            "copy`; remove it",
            *(
                f"config.yaml:12:{column}: transcodes.four.audio.{field}: has no meaning with "
                "`codec: none`; remove it"
                for column, field in ((97, "sample_rate"), (114, "channels"))
            ),
        ],
    ),
    "nothing is left": (
        "  one: {stream: a, to: b, video: {codec: none}, audio: {codec: none}}\n",
        ["config.yaml:9:3: transcodes.one: has neither video nor sound; keep one"],
    ),
    "nothing is changed": (
        "  one: {stream: a, to: b}\n",
        [
            "config.yaml:9:3: transcodes.one: warning: copies everything as it is; set `video` or "
            "`audio`"
        ],
    ),
    "one that feeds itself": (
        f"  one: {{stream: rooms/x, to: rooms/x, {VIDEO}}}\n"
        f"  two: {{stream: b, to: c, {VIDEO}}}\n"
        f"  three: {{stream: c, to: b, {VIDEO}}}\n"
        f"  four: {{stream: rooms/y, to: rooms/y, {VIDEO}, enabled: false}}\n",
        [
            "config.yaml:9:30: transcodes.one.to: feeds itself without end: transcodes.one -> "
            "transcodes.one; let one of them publish another stream, or elsewhere",
            "config.yaml:10:24: transcodes.two.to: feeds itself without end: transcodes.two -> "
            "transcodes.three -> transcodes.two; let one of them publish another stream, or "
            "elsewhere",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_transcodes_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text, lines = CASES[name]
    # The machine is left out, and with it whether the files are there.
    assert problems_of(tmp_path, HEAD + text, machine=None) == lines


def test_a_target_may_send_what_a_transcode_makes(tmp_path: Path) -> None:
    text = f"  one: {{stream: a, to: b, {VIDEO}}}\n"
    targets = "targets:\n  t: {stream: b, url: 'rtmp://h/a/k'}\n"
    assert problems_of(tmp_path, HEAD + text + targets, machine=None) == []
