"""What is said of streams that streamd publishes itself."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.auth.refusal import Refusal
from streamd.desired import StreamRule
from streamd.ffmpeg.track import Playing
from streamd.observed import JobHistory, ObservedProcess
from streamd.playout.spec import PullInput
from streamd.schedule import DailyWindow
from streamd.status.metrics import exposition, sample
from streamd.status.page import page
from streamd.status.report import reasons, report, status_of
from streamd.status.snapshot import Memory, Snapshot
from streamd.status.streams import SourceStatus, StreamStatus, stream_statuses
from streamd.status.targets import target_statuses
from streamd.status.text import status_text
from tests.support.snapshots import MONOTONIC, NOW, ROOMS, history, running
from tests.unit.status.media import (
    CLOSED,
    DOOR,
    LOBBY,
    OPEN,
    OWN,
    STUDIO,
    by_streamd,
    listed,
    own_snapshot,
    playout,
    said,
)

ON_SLATE = Playing(input=1, item="/srv/slate.mp4")


def told(stream: str, snapshot: Snapshot) -> StreamStatus:
    return stream_statuses(snapshot)[stream]


def source_of(stream: str, snapshot: Snapshot) -> SourceStatus:
    source = told(stream, snapshot).source
    assert source is not None
    return source


class TestFallback:
    PLAYOUT = playout("live/shown", 9)

    def test_while_the_studio_is_there_it_is_the_studio_that_is_told_of(self) -> None:
        publishers = (by_streamd("live/shown"), STUDIO)
        live = own_snapshot(
            self.PLAYOUT,
            publishers=publishers,
            tracks={9: said(Playing(input=0))},
            live=listed("live/shown"),
        )
        assert told("live/shown", live) == StreamStatus(
            state="live",
            since=STUDIO.since,
            server="main",
            publisher="198.51.100.7",
            protocol="srt",
            video="H264 High 1280x720",
            audio="AAC LC 44100",
            kbps=2000,
            viewers=3,
            key="studio",
            last_error=None,
            source=SourceStatus(
                kinds=("ingest", "slate"),
                on_air="ingest",
                place=0,
                playing=None,
                mode=None,
                skipped=(),
                pid=9,
                restarts=0,
                retry_at=None,
                last_error=None,
            ),
        )

    def test_without_the_studio_it_is_on_its_slate(self) -> None:
        fallback = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/shown"),),
            tracks={9: said(ON_SLATE)},
            live=listed("live/shown"),
        )
        status = told("live/shown", fallback)
        assert (status.state, status.publisher, status.protocol, status.key) == (
            "fallback", None, None, None,
        )  # fmt: skip
        assert (status.kbps, status.viewers) == (2000, 3)
        assert status.source is not None
        assert (status.source.on_air, status.source.place, status.source.playing) == (
            "slate", 1, "/srv/slate.mp4",
        )  # fmt: skip

    def test_a_studio_that_is_frozen_is_told_of_beside_the_slate(self) -> None:
        frozen = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/shown"), STUDIO),
            tracks={9: said(ON_SLATE)},
        )
        status = told("live/shown", frozen)
        assert (status.state, status.publisher, status.key) == (
            "fallback", "198.51.100.7", "studio",
        )  # fmt: skip

    def test_it_is_dated_by_when_it_came_into_that_state(self) -> None:
        fell = NOW - timedelta(seconds=42)
        on_slate = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/shown"), STUDIO),
            tracks={9: said(ON_SLATE)},
            memory=Memory(since={"stream:live/shown": ("fallback", fell)}),
        )
        assert told("live/shown", on_slate).since == fell
        live = replace(on_slate, tracks={9: said(Playing(input=0))})
        assert told("live/shown", live).since == STUDIO.since

    def test_an_ingest_has_no_row_of_its_own(self) -> None:
        with_studio = own_snapshot(publishers=(STUDIO,))
        assert "in/shown" not in stream_statuses(with_studio)
        assert "in/shown" not in stream_statuses(own_snapshot())
        assert told("live/shown", with_studio).state == "idle"

    def test_nothing_is_sent_from_an_ingest_whatever_its_target_matches(self) -> None:
        every = replace(ROOMS, name="every", streams=("*/*",))
        desired = replace(OWN, targets={"every": every})
        publishers = (by_streamd("live/shown"), STUDIO)
        found = target_statuses(own_snapshot(publishers=publishers, desired=desired))
        assert list(found) == ["every@live/shown"]

    def test_who_is_refused_at_the_ingest_is_told_with_the_stream(self) -> None:
        refusals = {"in/shown": Refusal(NOW - timedelta(seconds=5), "no secret was sent")}
        status = told("live/shown", own_snapshot(refusals=refusals))
        assert (status.state, status.last_error) == ("refused", "no secret was sent")

    @pytest.mark.parametrize("published_as", ["in/shown", "live/shown"])
    def test_who_is_refused_while_the_slate_is_on_air_is_told_beside_it(
        self, published_as: str
    ) -> None:
        refusals = {
            "in/shown": Refusal(NOW - timedelta(seconds=30), "an older reason"),
            published_as: Refusal(NOW - timedelta(seconds=5), "no secret was sent"),
        }
        on_slate = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/shown"),),
            tracks={9: said(ON_SLATE)},
            refusals=refusals,
        )
        status = told("live/shown", on_slate)
        assert (status.state, status.last_error) == ("fallback", "no secret was sent")

    def test_who_is_refused_while_the_studio_is_on_air_is_not_told(self) -> None:
        on_air = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/shown"), STUDIO),
            tracks={9: said(Playing(input=0))},
            refusals={"live/shown": Refusal(NOW, "publish to app in")},
        )
        status = told("live/shown", on_air)
        assert (status.state, status.last_error) == ("live", None)


class TestFiles:
    PLAYOUT = playout("live/lobby", 9)

    def test_what_is_played_and_how_and_what_is_not(self) -> None:
        playing = Playing(
            0, "/srv/b.mp4", "transcode: its video is HEVC", ("/srv/a.mp4: is empty",)
        )
        source = source_of(
            "live/lobby",
            own_snapshot(
                self.PLAYOUT,
                publishers=(by_streamd("live/lobby"),),
                tracks={9: said(playing)},
                histories={"playout.live/lobby": JobHistory(restarts=2)},
            ),
        )
        assert source == SourceStatus(
            kinds=("files",),
            on_air="files",
            place=0,
            playing="/srv/b.mp4",
            mode="transcode: its video is HEVC",
            skipped=("/srv/a.mp4: is empty",),
            pid=9,
            restarts=2,
            retry_at=None,
            last_error=None,
        )

    def test_nobody_publishes_it_but_streamd(self) -> None:
        live = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/lobby"),),
            tracks={9: said(Playing(0, "/srv/a.mp4"))},
        )
        status = told("live/lobby", live)
        assert (status.state, status.publisher, status.key) == ("live", None, None)

    @pytest.mark.parametrize(
        ("process", "state"),
        [
            (None, "idle"),
            (PLAYOUT, "idle"),
            (replace(PLAYOUT, state="exited", pid=0, exit_status=0), "finished"),
            (replace(PLAYOUT, state="exited", pid=0, exit_status=1), "idle"),
            (replace(PLAYOUT, state="exited", pid=0, exit_status=-15), "idle"),
            (replace(PLAYOUT, state="stopping"), "idle"),
        ],
    )
    def test_it_is_finished_when_its_playlist_is_over(
        self, process: ObservedProcess | None, state: str
    ) -> None:
        processes = () if process is None else (process,)
        assert told("live/lobby", own_snapshot(*processes)).state == state

    @pytest.mark.parametrize(("window", "state"), [(OPEN, "idle"), (CLOSED, "scheduled")])
    def test_outside_of_its_times_it_is_scheduled(self, window: DailyWindow, state: str) -> None:
        source = replace(LOBBY, window=window)
        desired = replace(OWN, sources={**OWN.sources, "live/lobby": source})
        assert told("live/lobby", own_snapshot(desired=desired)).state == state

    def test_one_that_failed_says_why_and_when_it_is_tried_again(self) -> None:
        failed = {
            "playout.live/lobby": history(2, MONOTONIC + 9, "/srv/a.mp4 is empty", restarts=1)
        }
        status = told("live/lobby", own_snapshot(histories=failed))
        assert (status.state, status.last_error) == ("idle", "/srv/a.mp4 is empty")
        assert status.source is not None
        assert (status.source.pid, status.source.restarts) == (0, 1)
        assert status.source.retry_at == NOW + timedelta(seconds=9)

    def test_one_that_runs_waits_for_nothing(self) -> None:
        failed = {"playout.live/lobby": history(2, MONOTONIC + 9, "/srv/a.mp4 is empty")}
        assert (
            source_of("live/lobby", own_snapshot(self.PLAYOUT, histories=failed)).retry_at is None
        )

    def test_what_is_over_is_not_wrong(self) -> None:
        over = replace(self.PLAYOUT, state="exited", pid=0, exit_status=0)
        earlier = {"playout.live/lobby": history(0, 0.0, "an error from before")}
        assert told("live/lobby", own_snapshot(over, histories=earlier)).last_error is None


class TestPull:
    PLAYOUT = playout("live/door", 9)

    @pytest.mark.parametrize(
        ("place", "kind", "shown"),
        [
            (0, "pull", "rtsp://***@10.0.0.9/h264"),
            (1, "pull", "rtsp://10.0.0.8/b"),
            (2, "slate", "/srv/slate.mp4"),
            (-1, None, None),
            (3, None, None),
        ],
    )
    def test_what_is_on_air_is_told_without_its_password(
        self, place: int, kind: str | None, shown: str | None
    ) -> None:
        snapshot = own_snapshot(self.PLAYOUT, tracks={9: said(Playing(place))})
        source = source_of("live/door", snapshot)
        assert source.kinds == ("pull", "pull", "slate")
        assert (source.on_air, source.playing) == (kind, shown)
        assert source.place == (place if kind else None)

    def test_what_is_wrong_with_the_camera_is_told_while_the_slate_is_on_air(self) -> None:
        error = "rtsp://user:hunter2hunter2@10.0.0.9/h264 does not answer (hunter2hunter2)"
        snapshot = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/door"),),
            tracks={9: said(Playing(2, error=error))},
        )
        status = told("live/door", snapshot)
        assert status.state == "fallback"
        assert status.last_error == "rtsp://***@10.0.0.9/h264 does not answer (***)"

    @pytest.mark.parametrize("place", [0, 2])
    def test_what_the_server_does_not_take_is_not_live_though_it_was_let_in(
        self, place: int
    ) -> None:
        error = "the media server hangs up on every publish to this name"
        snapshot = own_snapshot(
            self.PLAYOUT,
            publishers=(by_streamd("live/door"),),
            tracks={9: said(Playing(place, error=error, publishes=False))},
        )
        status = told("live/door", snapshot)
        assert (status.state, status.last_error) == ("idle", error)

    def test_what_a_playout_says_goes_before_what_ended_the_one_before(self) -> None:
        snapshot = own_snapshot(
            self.PLAYOUT,
            tracks={9: said(Playing(error="the camera does not answer"))},
            histories={"playout.live/door": history(1, 0.0, "it reported nothing for 10 s")},
        )
        assert source_of("live/door", snapshot).last_error == "the camera does not answer"

    def test_before_it_has_reported_nothing_is_known(self) -> None:
        source = source_of("live/door", own_snapshot(self.PLAYOUT))
        assert (source.on_air, source.place, source.playing, source.pid) == (None, None, None, 9)


def test_a_stream_that_others_publish_has_no_source() -> None:
    assert told("live/show", own_snapshot()).source is None


def test_a_stream_that_a_transcode_makes_is_a_stream_like_any() -> None:
    made = own_snapshot(publishers=(by_streamd("live/shown-720"),), live=listed("live/shown-720"))
    status = told("live/shown-720", made)
    assert (status.state, status.source, status.kbps) == ("live", None, 2000)
    assert told("live/shown-360", made).state == "idle"


def test_the_report_is_plain_json_with_the_source_in_it() -> None:
    snapshot = own_snapshot(
        playout("live/lobby", 9), tracks={9: said(Playing(0, "/srv/a.mp4", "copy"))}
    )
    streams = json.loads(json.dumps(report(snapshot)))["streams"]
    assert streams["live/lobby"]["source"] == {
        "kinds": ["files"],
        "on_air": "files",
        "place": 0,
        "playing": "/srv/a.mp4",
        "mode": "copy",
        "skipped": [],
        "pid": 9,
        "restarts": 0,
        "retry_at": None,
        "last_error": None,
    }
    assert streams["live/show"]["source"] is None


def test_patterns_without_anybody_have_no_row() -> None:
    desired = replace(OWN, rules={**OWN.rules, "in/*": StreamRule("in/*", None)})
    assert not any("*" in name for name in stream_statuses(own_snapshot(desired=desired)))


secret_texts = st.text("BCDFGHJKLMNPQRSTVWXZ23456789", min_size=12, max_size=24)


@given(st.lists(secret_texts, min_size=4, max_size=4, unique=True))
def test_no_secret_of_a_source_is_ever_told(secrets: list[str]) -> None:
    password, passphrase, stream_id, stream_key = secrets
    urls = (
        f"rtsp://user:{password}@10.0.0.9/h264",
        f"srt://h:9000?streamid=#!::r=x,secret={stream_id}&passphrase={passphrase}",
        f"rtmp://h/app/{stream_key}",
    )
    pulls = tuple(map(PullInput, urls))
    desired = replace(OWN, sources={"live/door": replace(DOOR, inputs=pulls)})
    told = ""
    for place, url in enumerate(urls):
        error = f"{url}: refused; {url!r} with {password}, {passphrase} and {stream_key}"
        snapshot = own_snapshot(
            playout("live/door", 9),
            running("transcode.live/shown", 10),
            publishers=(by_streamd("live/door"),),
            tracks={9: said(Playing(place, error=error))},
            histories={"transcode.live/shown": history(1, MONOTONIC + 9, f"cannot play {url}")},
            desired=desired,
            converged=False,
        )
        status = status_of(snapshot)
        told += repr((status, reasons(status))) + page(status) + status_text(report(snapshot))
        told += json.dumps(report(snapshot)) + exposition(sample(snapshot)).decode()
    assert [secret for secret in secrets if secret in told] == []
