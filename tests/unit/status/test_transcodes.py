"""What is said of transcodes, and of how they keep up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from streamd.desired import VideoSpec
from streamd.ffmpeg.track import Track
from streamd.observed import ObservedProcess
from streamd.status.report import reasons, remember, status_of
from streamd.status.snapshot import Memory, Snapshot
from streamd.status.transcodes import TranscodeStatus, transcode_statuses
from tests.support.snapshots import MONOTONIC, NOW, history, reported, running
from tests.unit.status.media import OWN, by_streamd, own_snapshot, rendition

LADDER = running("transcode.live/shown", 9)
ALL_LIVE = tuple(map(by_streamd, ("live/shown", "live/shown-720", "live/shown-360")))


def told(name: str, snapshot: Snapshot) -> TranscodeStatus:
    return transcode_statuses(snapshot)[name]


def on_air(*processes: ObservedProcess, track: Track | None = None, **more: object) -> Snapshot:
    tracks = {9: track} if track is not None else {}
    return own_snapshot(*(processes or (LADDER,)), publishers=ALL_LIVE, tracks=tracks, **more)


def test_each_rendition_is_told_whole() -> None:
    snapshot = on_air(
        track=reported(speed=1.004),
        histories={"transcode.live/shown": history(0, 0.0, "", restarts=2)},
        memory=Memory(since={"transcode:720": ("live", NOW - timedelta(minutes=1))}),
    )
    assert list(transcode_statuses(snapshot)) == ["360", "720"]
    assert told("720", snapshot) == TranscodeStatus(
        state="live",
        since=NOW - timedelta(minutes=1),
        stream="live/shown",
        to="live/shown-720",
        pid=9,
        restarts=2,
        speed=1.0,
        retry_at=None,
        last_error=None,
    )


def test_without_a_configuration_there_are_none() -> None:
    assert transcode_statuses(own_snapshot(desired=None)) == {}


@pytest.mark.parametrize(
    ("track", "state"),
    [
        (None, "connecting"),
        (reported(out_time_us=None, bytes=0, advanced_at=None), "connecting"),
        (reported(), "live"),
        (reported(advanced_at=MONOTONIC - 6), "stalled"),
    ],
)
def test_it_is_live_when_media_advances(track: Track | None, state: str) -> None:
    assert told("720", on_air(track=track)).state == state


def test_a_rendition_that_is_not_published_is_not_live_yet() -> None:
    both = ALL_LIVE[:2]
    snapshot = own_snapshot(LADDER, publishers=both, tracks={9: reported()})
    assert told("720", snapshot).state == "live"
    assert told("360", snapshot).state == "connecting"


def test_they_wait_while_their_stream_is_not_live() -> None:
    failed = {"transcode.live/shown": history(3, MONOTONIC + 9, "refused")}
    status = told("720", own_snapshot(histories=failed))
    assert (status.state, status.pid, status.retry_at) == ("waiting", 0, None)


@pytest.mark.parametrize("blocked", [True, False])
def test_those_of_one_stream_fail_together(blocked: bool) -> None:
    error = "h264_nvenc: no capable device; cannot publish to rtmp://127.0.0.1/x/y?secret=hunter22"
    failed = history(1, MONOTONIC + 9, error, blocked=blocked)
    snapshot = own_snapshot(publishers=ALL_LIVE[:1], histories={"transcode.live/shown": failed})
    for name in ("720", "360"):
        status = told(name, snapshot)
        assert status.state == ("blocked" if blocked else "backoff")
        assert status.retry_at == NOW + timedelta(seconds=9)
        assert (status.last_error or "").startswith("h264_nvenc: no capable device")
        assert "hunter22" not in (status.last_error or "")


def test_one_that_falls_behind_says_so_and_what_to_do() -> None:
    behind = frozenset({"transcode.live/shown"})
    slow = on_air(track=reported(speed=0.8), behind=behind)
    assert (told("720", slow).state, told("720", slow).speed) == ("live", 0.8)
    assert (told("720", slow).last_error or "").startswith(
        "encoding falls behind at 0.80 times real time; lower the size"
    )
    assert told("720", on_air(track=reported(speed=0.8))).last_error is None
    assert told("720", on_air(track=reported(), behind=behind)).last_error is None


def test_what_ended_it_goes_before_that_it_is_slow() -> None:
    snapshot = on_air(
        track=reported(speed=0.8),
        behind=frozenset({"transcode.live/shown"}),
        histories={"transcode.live/shown": history(1, 0.0, "Connection refused")},
    )
    assert told("720", snapshot).last_error == "Connection refused"


def test_what_is_of_sound_alone_has_a_process_of_its_own() -> None:
    sound = replace(rendition("sound"), video=VideoSpec("none"))
    desired = replace(OWN, transcodes={**OWN.transcodes, "sound": sound})
    snapshot = on_air(LADDER, running("transcode.live/shown~sound", 10), desired=desired)
    assert [told(name, snapshot).pid for name in ("720", "360", "sound")] == [9, 9, 10]


def test_its_state_is_remembered_and_named_among_the_reasons() -> None:
    failed = {"transcode.live/shown": history(1, MONOTONIC + 9, "Connection refused")}
    snapshot = own_snapshot(publishers=ALL_LIVE[:1], histories=failed, converged=False)
    assert remember(snapshot).since["transcode:720"] == ("backoff", NOW)
    assert "transcode 720: backoff: Connection refused" in reasons(status_of(snapshot))
    assert not [
        why for why in reasons(status_of(own_snapshot(converged=False))) if "transcode" in why
    ]
