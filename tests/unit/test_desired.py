"""From a file to what shall exist: rules, sources, transcodes, and what is the same process."""

from dataclasses import field, make_dataclass, replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.defaults import Machine
from streamd.config.models import Config
from streamd.desire import desire
from streamd.desired import (
    AudioSpec,
    Desired,
    OverlaySpec,
    SourceSpec,
    StreamRule,
    TranscodeSpec,
    VideoSpec,
    identity,
)
from streamd.jobs import PlayoutJob, TranscodeJob
from streamd.playout.spec import (
    FilesInput,
    IngestInput,
    PlayoutInput,
    PullInput,
    SlateInput,
)
from streamd.schedule import DailyWindow

MACHINE = Machine(
    engines={"srs": Path("/srs")}, ffmpeg=Path("/ffmpeg"), state_directory=Path("/var/state")
)
DIRECTORIES = ("/srv", "/var/state")


def desired(**sections: Any) -> Desired:
    return desire(Config.model_validate({"version": 1, **sections}), MACHINE)


def stream(name: str, **fields: Any) -> Desired:
    return desired(keys={"k": {"secret": "0123456789"}}, streams={name: fields})


def internal(pattern: str, ingest: str | None = None) -> StreamRule:
    return StreamRule(pattern, frozenset(), internal=True, ingest=ingest)


class TestRules:
    def test_a_stream_that_others_publish_is_theirs(self) -> None:
        assert stream("a", keys=["k"], key_in_name=True).rules == {
            "live/a": StreamRule("live/a", frozenset({"k"}), key_in_name=True)
        }
        assert stream("rooms/*", keys="any").rules == {"rooms/*": StreamRule("rooms/*", None)}

    def test_what_has_a_source_alone_nobody_else_publishes(self) -> None:
        of = stream("a", source={"files": ["/srv/a.mp4"]}, fallback="/srv/s.mp4")
        assert of.rules == {"live/a": internal("live/a")}

    def test_what_has_a_fallback_is_published_by_its_keys_at_the_ingest(self) -> None:
        assert stream("lot/a", keys=["k"], fallback="/srv/s.mp4").rules == {
            "lot/a": internal("lot/a", ingest="in/lot/a"),
            "in/lot/a": StreamRule("in/lot/a", frozenset({"k"}), ingest_of="lot/a"),
        }

    def test_what_has_a_fallback_and_no_authentication_is_published_by_anybody_there(self) -> None:
        of = stream("a", keys="any", fallback="/srv/s.mp4")
        assert of.rules["in/a"] == StreamRule("in/a", None, ingest_of="live/a")
        assert of.rules["live/a"].keys == frozenset()

    @pytest.mark.parametrize("enabled", [True, False])
    def test_what_a_transcode_makes_nobody_else_publishes(self, enabled: bool) -> None:
        of = desired(
            streams={"a": {"keys": "any"}},
            transcodes={"p": {"stream": "a", "to": "b", "enabled": enabled}},
        )
        assert of.rules["live/b"] == internal("live/b")
        assert set(of.transcodes) == ({"p"} if enabled else set())

    def test_every_app_of_theirs_is_declared_to_an_engine_that_has_to_know(self) -> None:
        of = desired(
            servers={"main": {"engine": "nginx-rtmp", "binary": "/nginx"}},
            streams={"lot/a": {"keys": "any", "fallback": "/srv/s.mp4"}},
            transcodes={"p": {"stream": "lot/a", "to": "made/a"}},
        )
        assert of.servers["main"].apps == ("in/lot", "live", "lot", "made")

    def test_an_engine_that_has_to_know_is_told_where_players_wait_for_what_comes_on_demand(
        self,
    ) -> None:
        nginx = {"engine": "nginx-rtmp", "binary": "/nginx"}
        door = {"url": "rtsp://10.0.0.9/h264", "on_demand": True}
        of = desired(
            servers={"main": nginx, "two": nginx, "srs": {"engine": "srs", "binary": "/srs"}},
            streams={
                "doors/a": {"source": door},
                "gates/a": {"source": {**door, "on_demand": False}},
                "halls/a": {"source": door, "server": "two"},
                "lots/a": {"source": door, "server": "srs"},
            },
        )
        assert {name: server.waiting_apps for name, server in of.servers.items()} == {
            "main": ("doors",),
            "two": ("halls",),
            "srs": (),
        }


class TestSources:
    def test_files(self) -> None:
        of = stream(
            "a",
            source={
                "files": ["/srv/a.mp4", "/srv/b.mp4"],
                "loop": False,
                "shuffle": True,
                "picture": "/srv/p.png",
            },
        )
        files = ("/srv/a.mp4", "/srv/b.mp4")
        assert of.sources == {
            "live/a": SourceSpec(
                "live/a", "main", (FilesInput(files, False, True, "/srv/p.png", DIRECTORIES),)
            )
        }

    def test_what_is_pulled_and_its_backup_with_the_slate_last(self) -> None:
        of = stream(
            "a",
            source={
                "url": "rtsp://h/1",
                "backup_url": "rtsp://h/2",
                "transport": "udp",
                "audio": "silent",
                "on_demand": True,
            },
            fallback="/srv/s.mp4",
        )
        assert of.sources["live/a"] == SourceSpec(
            "live/a",
            "main",
            (
                PullInput("rtsp://h/1", "udp", "silent"),
                PullInput("rtsp://h/2", "udp", "silent"),
                SlateInput("/srv/s.mp4", DIRECTORIES),
            ),
            on_demand=True,
        )

    def test_a_fallback_follows_what_is_published_at_the_ingest(self) -> None:
        assert stream("a", keys=["k"], fallback="/srv/s.mp4").sources["live/a"].inputs == (
            IngestInput("rtmp://127.0.0.1:1935/in/a"),
            SlateInput("/srv/s.mp4", DIRECTORIES),
        )

    def test_times_of_day_are_a_window(self) -> None:
        times = {"start": "22:00", "end": "2:30", "timezone": "Europe/Berlin"}
        of = stream("a", source={"files": ["/srv/a.mp4"], **times})
        assert of.sources["live/a"].window == DailyWindow(time(22), time(2, 30), "Europe/Berlin")

    def test_a_stream_is_on_the_server_that_it_names_or_on_the_first(self) -> None:
        servers = {"one": {}, "two": {"listen": {"rtmp": 1936, "api": 1986}}}
        fields = {"keys": "any", "fallback": "/srv/s.mp4"}
        of = desired(servers=servers, streams={"a": fields, "b": {**fields, "server": "two"}})
        assert {name: source.server for name, source in of.sources.items()} == {
            "live/a": "one",
            "live/b": "two",
        }
        assert of.sources["live/b"].inputs[0] == IngestInput("rtmp://127.0.0.1:1936/in/b")

    def test_the_directories_of_files_are_those_of_the_file_and_streamds_own(self) -> None:
        of = desired(
            daemon={"source_directories": ["/media", "/home/tv"]},
            streams={"a": {"source": {"files": ["/media/a.mp4"]}}},
        )
        (files,) = of.sources["live/a"].inputs
        assert isinstance(files, FilesInput)
        assert files.directories == ("/media", "/home/tv", "/var/state")

    def test_what_others_publish_is_none(self) -> None:
        assert stream("a", keys=["k"]).sources == {}


class TestTranscodes:
    def made(self, **fields: Any) -> TranscodeSpec:
        of = desired(
            streams={"a": {"keys": "any"}},
            transcodes={"p": {"stream": "a", "to": "lot/b", **fields}},
        )
        return of.transcodes["p"]

    def test_everything_is_filled_in(self) -> None:
        video = {
            "width": 1280,
            "height": 720,
            "bitrate": "2.5M",
            "fps": 25,
            "keyframe_interval": "500ms",
            "preset": "fast",
            "profile": "high",
            "overlay": {"file": "/srv/l.png", "position": "top-left", "width": 200},
        }
        audio = {"codec": "aac", "bitrate": "96k", "sample_rate": 44100, "channels": 1}
        assert self.made(video=video, audio=audio) == TranscodeSpec(
            "p",
            "live/a",
            "lot/b",
            VideoSpec(
                codec="h264",
                width=1280,
                height=720,
                bitrate=2_500_000,
                fps=25.0,
                keyframe_interval_s=0.5,
                preset="fast",
                profile="high",
                overlay=OverlaySpec("/srv/l.png", "top-left", 20, 200),
            ),
            AudioSpec("aac", 96_000, 44_100, 1),
        )

    def test_what_is_left_out_is_as_it_comes(self) -> None:
        assert self.made(audio={"codec": "aac"}).audio == AudioSpec("aac", 128_000, None, None)
        made = self.made()
        assert (made.video, made.audio) == (VideoSpec("copy"), AudioSpec("copy"))

    @pytest.mark.parametrize("codec", ["copy", "none"])
    def test_what_does_not_count_makes_no_difference(self, codec: str) -> None:
        made = self.made(video={"codec": codec, "keyframe_interval": "9s"}, audio={"codec": codec})
        assert made == self.made(video={"codec": codec}, audio={"codec": codec})


TEXTS = st.sampled_from(["/srv/a", "/srv/b"])
INPUTS: st.SearchStrategy[PlayoutInput] = st.one_of(
    st.builds(IngestInput, st.sampled_from(["rtmp://h/in/a", "rtmp://h/in/b"])),
    st.builds(
        PullInput,
        st.sampled_from(["rtsp://u:one@h/a", "rtsp://u:two@h/a"]),
        st.sampled_from(["tcp", "udp"]),
        st.sampled_from(["keep", "silent"]),
    ),
    st.builds(
        FilesInput,
        st.lists(TEXTS, min_size=1, max_size=2).map(tuple),
        st.booleans(),
        st.booleans(),
        st.none() | TEXTS,
        st.lists(TEXTS, max_size=1).map(tuple),
    ),
    st.builds(SlateInput, TEXTS, st.lists(TEXTS, max_size=1).map(tuple)),
)
PLAYOUTS = st.builds(
    PlayoutJob,
    process=st.just("playout.live/a"),
    stream=st.just("live/a"),
    publish_url=st.sampled_from(["rtmp://h/live/a", "rtmp://h:1936/live/a"]),
    inputs=st.lists(INPUTS, min_size=1, max_size=2).map(tuple),
    ffmpeg=st.just("ffmpeg"),
    progress=st.just("h:1"),
)
OVERLAYS = st.builds(
    OverlaySpec, TEXTS, st.sampled_from(["top-left", "top-right"]), st.just(20), st.none()
)
RENDITIONS = st.builds(
    TranscodeSpec,
    st.sampled_from(["p", "q"]),
    st.just("live/a"),
    st.sampled_from(["live/b", "live/c"]),
    st.builds(
        VideoSpec,
        st.sampled_from(["h264", "copy"]),
        height=st.sampled_from([None, 720]),
        overlay=st.none() | OVERLAYS,
    ),
    st.builds(AudioSpec, st.sampled_from(["aac", "copy"]), st.sampled_from([96_000, 128_000])),
)
LADDERS = st.builds(
    TranscodeJob,
    process=st.just("transcode.live/a"),
    stream=st.just("live/a"),
    input_url=st.sampled_from(["rtmp://h/live/a-one", "rtmp://h/live/a-two"]),
    publish_url=st.just("rtmp://h"),
    transcodes=st.lists(RENDITIONS, min_size=1, max_size=2).map(tuple),
    publisher=st.sampled_from(["c1", "c2"]),
    ffmpeg=st.just("ffmpeg"),
    progress=st.just("h:1"),
)


class TestIdentity:
    @given(PLAYOUTS, PLAYOUTS)
    def test_two_playouts_are_one_process_just_when_they_are_equal(
        self, one: PlayoutJob, other: PlayoutJob
    ) -> None:
        assert (identity(one) == identity(other)) == (one == other)

    @given(LADDERS, LADDERS)
    def test_two_ladders_are_one_process_just_when_they_are_equal(
        self, one: TranscodeJob, other: TranscodeJob
    ) -> None:
        assert (identity(one) == identity(other)) == (one == other)

    def test_a_password_counts_though_it_is_not_shown(self) -> None:
        job = PlayoutJob(
            "playout.live/a", "live/a", "rtmp://h", (PullInput("rtsp://u:one@h/a"),), "f", "h:1"
        )
        other = replace(job, inputs=(PullInput("rtsp://u:two@h/a"),))
        assert repr(job) == repr(other)
        assert identity(job) != identity(other)

    def test_kinds_of_inputs_are_told_apart(self) -> None:
        one, other = (
            PlayoutJob("p", "live/a", "rtmp://h", (each,), "f", "h:1")
            for each in (IngestInput("rtmp://h/x"), PullInput("rtmp://h/x"))
        )
        assert identity(one) != identity(other)

    def test_a_release_that_adds_a_field_with_a_default_leaves_what_runs_alone(self) -> None:
        before = make_dataclass("Input", [("url", str)], frozen=True)
        after = make_dataclass(
            "Input", [("url", str), ("new", bool, field(default=False))], frozen=True
        )

        def job(each: object) -> PlayoutJob:
            return PlayoutJob("p", "live/a", "rtmp://h", (each,), "f", "h:1")  # type: ignore[arg-type] # of no release

        assert identity(job(before("x"))) == identity(job(after("x")))
        assert identity(job(before("x"))) != identity(job(after("x", new=True)))
