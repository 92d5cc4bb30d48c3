"""What a new configuration changes, in the words of the file, and what the guard refuses."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from streamd.changes.change import Change, Touched
from streamd.changes.compare import changes
from streamd.config.models import Daemon
from streamd.desired import (
    CallbackSpec,
    Desired,
    KeySpec,
    ServerSpec,
    StreamRule,
    TargetSpec,
)
from streamd.errors import PlanRefusedError
from streamd.guard import guard
from streamd.observed import Observed, ObservedProcess, Publisher

CLOCK = datetime(2026, 6, 1, tzinfo=UTC)
SERVER = ServerSpec(
    name="main", engine="srs", binary="/srs", host="h", rtmp=1935, http=8080, srt=None,
    webrtc=None, api=1985, hls_fragment_s=2.0, hls_window_s=20.0, webrtc_candidate=None,
    hooks="127.0.0.1:2023", apps=(),
)  # fmt: skip
STUDIO = KeySpec("studio", "a" * 64)


def target(name: str, url: str = "rtmp://x/app/SECRETKEY") -> TargetSpec:
    return TargetSpec(name, ("live/a",), False, "custom", (url,))


def desired(**fields: object) -> Desired:
    base = Desired(
        ffmpeg="/ffmpeg",
        daemon=Daemon(),
        servers={"main": SERVER},
        keys={"studio": STUDIO},
        rules={"live/a": StreamRule("live/a", frozenset({"studio"}))},
        targets={name: target(name) for name in ("t1", "t2", "t3", "t4")},
    )
    return replace(base, **fields)  # type: ignore[arg-type] # fields by name


def running(*names: str) -> Observed:
    processes = {
        name: ObservedProcess(name, "running", 1, "", publisher="c1")
        for name in ("server.main", *names)
    }
    live = Publisher("main", "live/a", "live/a", "c1", "studio", STUDIO.sha256)
    return Observed(processes, {"live/a": live})


LIVE = frozenset({"live/a"})
ALL = frozenset({"target.t1", "target.t2", "target.t3", "target.t4"})
ALL_LIVE = running("target.t1", "target.t2", "target.t3", "target.t4")


def changed(new: Desired, observed: Observed = ALL_LIVE) -> tuple[Change, ...]:
    return changes(desired(), new, observed, {"main": 3}, CLOCK)


def test_the_same_changes_nothing() -> None:
    assert changed(desired()) == ()


def test_everything_is_new_when_nothing_is_applied() -> None:
    found = changes(None, desired(), Observed(), {}, CLOCK)
    assert {(change.kind, change.action) for change in found} == {
        ("server", "create"), ("key", "create"), ("stream", "create"), ("target", "create"),
    }  # fmt: skip


def test_an_edited_live_target_restarts_and_its_key_is_not_shown() -> None:
    edited = {**desired().targets, "t1": target("t1", "rtmp://x/app/OTHERSECRET")}
    found = changed(desired(targets=edited))
    assert found == (
        Change(
            "target", "t1", "restart", ("url or key",), Touched(processes=frozenset({"target.t1"}))
        ),
    )
    assert str(found[0]) == "! target t1: restart (url or key); 1 live target"
    assert "SECRET" not in repr(found)


def test_an_edited_target_that_is_not_live_is_updated() -> None:
    edited = {**desired().targets, "t1": target("t1", "rtmp://x/app/OTHER")}
    (found,) = changed(desired(targets=edited), running())
    assert str(found) == "~ target t1: update (url or key); touches nothing live"


def test_a_removed_key_puts_its_publishers_off_and_an_added_one_nobody() -> None:
    removed = changed(desired(keys={}))
    assert removed == (Change("key", "studio", "remove", (), Touched(LIVE, processes=ALL)),)
    added = changed(desired(keys={"studio": STUDIO, "new": KeySpec("new", "b" * 64)}))
    assert added == (Change("key", "new", "create", (), Touched()),)


def test_a_server_says_whether_it_restarts_and_whom_it_drops() -> None:
    port = changed(desired(servers={"main": replace(SERVER, rtmp=1936)}))
    assert port == (Change("server", "main", "restart", ("listen.rtmp",), Touched(LIVE, 3, ALL)),)
    fragment = changed(desired(servers={"main": replace(SERVER, hls_fragment_s=4.0)}))
    assert fragment == (Change("server", "main", "update", ("hls.fragment",), Touched()),)


def test_another_ffmpeg_restarts_every_live_target() -> None:
    assert changed(desired(ffmpeg="/other")) == (
        Change("daemon", "ffmpeg", "restart", ("ffmpeg",), Touched(processes=ALL)),
    )


def test_the_guard_refuses_to_stop_more_than_its_share() -> None:
    few = changed(desired(targets={"t4": target("t4")}))
    with pytest.raises(PlanRefusedError, match=r"stop 3 of 5 .*target t1.*reload --force"):
        guard(few, live=5, max_stop=0.5)
    guard(few, live=5, max_stop=0.6)


def test_the_guard_lets_small_machines_and_restarts_of_targets_pass() -> None:
    guard(changed(desired(targets={})), live=3, max_stop=0.5)
    edited = {name: target(name, "rtmp://y/app/k") for name in desired().targets}
    guard(changed(desired(targets=edited)), live=5, max_stop=0.5)


def test_the_guard_counts_a_server_that_drops_everybody() -> None:
    port = changed(desired(servers={"main": replace(SERVER, rtmp=1936)}))
    with pytest.raises(PlanRefusedError, match="server main"):
        guard(port, live=5, max_stop=0.5)


def test_disabling_counts_as_stopping() -> None:
    disabled = {name: replace(spec, enabled=False) for name, spec in desired().targets.items()}
    with pytest.raises(PlanRefusedError):
        guard(changed(desired(targets=disabled)), live=5, max_stop=0.5)


def test_the_guard_counts_what_hangs_on_a_publisher_and_nothing_twice() -> None:
    gone = changed(desired(keys={}, rules={}, targets={"t4": target("t4")}))
    with pytest.raises(PlanRefusedError, match="stop 5 of 5"):
        guard(gone, live=5, max_stop=0.5)


def test_an_edit_that_changes_no_running_job_touches_nothing() -> None:
    shown = {**desired().targets, "t1": replace(target("t1"), platform="youtube")}
    assert changed(desired(targets=shown)) == (
        Change("target", "t1", "update", ("platform",), Touched()),
    )


def test_callbacks_touch_nothing_and_show_no_token() -> None:
    told = CallbackSpec("billing", "https://app/TOKEN", frozenset({"on_publish"}))
    edited = replace(told, url="https://app/OTHERTOKEN", timeout_s=1.0)
    found = [
        changes(desired(callbacks=before), desired(callbacks=after), ALL_LIVE, {}, CLOCK)
        for before, after in (({}, {"billing": told}), ({"billing": told}, {"billing": edited}),
                              ({"billing": told}, {}))
    ]  # fmt: skip
    assert [str(change) for (change,) in found] == [
        "+ callback billing: create; touches nothing live",
        "~ callback billing: update (url, timeout); touches nothing live",
        "- callback billing: remove; touches nothing live",
    ]
    assert "TOKEN" not in repr(found)


def test_the_guard_lets_sources_restart_and_not_disappear() -> None:
    live = Touched(publishers=frozenset(f"live/{n}" for n in range(4)))
    restarted = Change("stream", "live/0", "restart", ("source",), live)
    guard([restarted], live=4, max_stop=0.5)
    with pytest.raises(PlanRefusedError):
        guard([replace(restarted, action="remove")], live=4, max_stop=0.5)
