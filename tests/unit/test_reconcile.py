"""The daemon's loop, on a machine in memory whose every part can go wrong."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd import apply, demand, flow, listings, operations, reconcile, stalls, wanted
from streamd.desired import SourceSpec, StreamRule
from streamd.jobs import ServerJob, job_identity
from streamd.playout.spec import PullInput
from streamd.process_names import archive_process_name
from streamd.wanted import archive_jobs
from tests.support.core import OUT, Core, ShiftedTime, core_in, desired, running
from tests.support.snapshots import SERVER
from tests.support.waiting import wait_until
from tests.unit.recording_values import RULE

OTHER = replace(SERVER, name="other", rtmp=1936, http=8081, api=1986)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ShiftedTime:
    """The clock of what is known of servers, to let one be silent for long."""
    shifted = ShiftedTime()
    monkeypatch.setattr(listings, "time", shifted)
    return shifted


@pytest.fixture
async def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Core]:
    """A core whose waits are short, and whose pauses are so long that nothing may rely on them."""
    monkeypatch.setattr(listings, "SOON_S", 0.01)
    monkeypatch.setattr(reconcile, "IDLE_PASS_S", 60.0)
    monkeypatch.setattr(reconcile, "RETRY_PASS_S", 0.05)
    monkeypatch.setattr(reconcile, "TICK_S", 0.02)
    monkeypatch.setattr(reconcile, "CONNECTING_TICK_S", 0.02)
    async with core_in(tmp_path) as made, running(made):
        yield made


@pytest.fixture
def listed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask servers for their streams without a pause worth the name."""
    for module in (listings, reconcile):
        for name in ("IDLE_S", "CONNECTING_S", "SUSPICIOUS_S"):
            monkeypatch.setattr(module, name, 0.02)


async def passes(core: Core, count: int) -> None:
    """Let so many passes be made."""
    until = core.runner.listed + count

    def made() -> bool:
        core.reconciler.wake()
        return core.runner.listed >= until

    await wait_until(made, 10, f"{count} passes")


async def live(core: Core, **changes: object) -> None:
    """Bring the server up, and the target of live/a."""
    await core.desire(desired(**changes))
    await core.until_runs("server.main")
    core.publish()
    await core.until_runs("target.out")
    await core.settled()


# What shall run runs


async def test_a_server_runs_and_a_target_while_its_stream_is_published(core: Core) -> None:
    await live(core)
    core.leave()
    await wait_until(lambda: not core.runner.knows("target.out"), 30)
    await core.settled()
    assert core.runner.runs("server.main")
    assert core.runner.starts("server.main") == core.runner.starts("target.out") == 1


async def test_waiting_on_an_idle_machine_returns_without_the_next_pause(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "IDLE_S", 60.0)
    monkeypatch.setattr(reconcile, "IDLE_S", 60.0)
    await core.desire(desired(targets={}))
    await core.until_runs("server.main")
    for _ in range(3):
        await core.settled()


async def test_another_publisher_of_a_stream_gets_a_target_of_its_own(core: Core) -> None:
    await live(core)
    core.leave()
    core.publish(client_id="c2")
    await wait_until(lambda: core.runner.starts("target.out") == 2, 30)
    await core.until_runs("target.out")
    assert [spec.publisher for spec in core.runner.started if spec.name == "target.out"] == [
        "c1",
        "c2",
    ]
    assert core.failures("target.out") == 0


async def test_a_server_that_ends_takes_its_publishers_along_and_comes_back(core: Core) -> None:
    await live(core)
    core.runner.exit("server.main")
    await wait_until(lambda: core.runner.starts("server.main") == 2, 30)
    await wait_until(lambda: not core.runner.knows("target.out"), 30)
    await core.settled()
    assert core.reconciler.observed.publishers == {}
    assert core.failures("server.main") == 1


async def test_what_happened_while_supervisord_was_away_is_made_up_for(core: Core) -> None:
    await live(core, targets={"out": OUT, "next": replace(OUT, name="next", streams=("live/b",))})
    core.runner.away = True
    core.leave()
    core.publish("live/b", "c2")
    core.runner.exit("server.main")
    await wait_until(lambda: not core.reconciler.converged, 30)
    core.runner.away = False
    await wait_until(lambda: core.runner.starts("server.main") == 2, 30)
    await core.until_runs("server.main")
    core.publish("live/b", "c3")
    await core.until_runs("target.next")
    await core.settled()
    assert not core.runner.knows("target.out")


# Failures and their waits


async def test_every_exit_is_counted_once_however_often_it_is_seen(core: Core) -> None:
    await live(core)
    for count in range(1, 4):
        core.runner.exit("target.out")
        await wait_until(lambda n=count: core.failures("target.out") == n, 30)  # type: ignore[misc] # bound in the loop
        await passes(core, 3)
        assert core.failures("target.out") == count
        await core.until_runs("target.out")
    history = core.reconciler.histories.by_process["target.out"]
    assert (history.failures, history.restarts) == (3, 3)


async def test_a_stop_that_was_asked_for_is_no_failure(core: Core) -> None:
    await live(core)
    moved = replace(OUT, urls=("rtmp://elsewhere/app/KEY",))
    await core.desire(desired(targets={"out": moved}))
    await wait_until(lambda: core.runner.starts("target.out") == 2, 30)
    await core.settled()
    assert core.failures("target.out") == 0


async def test_the_backup_is_taken_after_failures_and_given_up_once_the_first_heals(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wanted, "BACKUP_GIVEN_UP_AFTER_S", 0.1)
    both = replace(OUT, urls=("rtmp://one/app/K", "rtmp://two/app/K"))
    await live(core, targets={"out": both})
    for count in range(1, wanted.BACKUP_AFTER_FAILURES + 1):
        assert not core.runner.knows("target.out~backup")
        core.runner.exit("target.out")
        await wait_until(lambda n=count: core.failures("target.out") >= n, 30)  # type: ignore[misc] # bound in the loop
        if count < wanted.BACKUP_AFTER_FAILURES:
            await core.until_runs("target.out")
    await core.until_runs("target.out~backup", "target.out")

    def is_given_up() -> bool:
        core.report("target.out", int(time.monotonic() * 1e6))
        return not core.runner.knows("target.out~backup")

    await wait_until(is_given_up, 30)
    assert core.runner.runs("target.out")


async def test_a_server_that_was_down_for_long_comes_back_and_stays(
    core: Core, clock: ShiftedTime, listed_often: None
) -> None:
    core.main.busy = "TCP port 1935 is taken"
    core.main.api = "fails"
    await core.desire(desired())
    await wait_until(lambda: core.failures("server.main") >= 2, 30)
    clock.shift(listings.SILENT_S + 5)
    core.main.busy = None
    await core.until_runs("server.main")
    await wait_until(lambda: "server.main" in core.reconciler.observed.processes, 30)
    await passes(core, 2)
    core.main.api = "works"
    await core.settled()
    assert core.runner.starts("server.main") == 1


async def test_a_server_that_runs_and_is_silent_for_long_is_started_anew(
    core: Core, clock: ShiftedTime, listed_often: None
) -> None:
    await live(core)
    core.main.api = "fails"
    await wait_until(lambda: "main" in core.reconciler.listings.errors, 30)
    await passes(core, 5)
    assert core.runner.starts("server.main") == 1
    clock.shift(listings.SILENT_S)
    await wait_until(lambda: core.failures("server.main") == 1, 30)
    core.main.api = "works"
    await core.until_runs("server.main")
    await core.settled()
    error = core.reconciler.histories.by_process["server.main"].last_error
    assert error == stalls.HANGS


async def test_a_save_while_a_server_is_down_leaves_no_engine_of_the_past(
    core: Core, clock: ShiftedTime, listed_often: None
) -> None:
    core.main.busy = "TCP port 1935 is taken"
    await core.desire(desired())
    await wait_until(lambda: core.failures("server.main") >= 1, 30)
    changed = replace(SERVER, api=1999)
    await core.desire(desired(servers={"main": changed}))
    tried = job_identity(ServerJob("server.main", changed))  # not the one before it any more
    await wait_until(lambda: core.reconciler.histories.by_process["server.main"].job == tried, 30)
    core.main.busy = None
    await core.until_runs("server.main")
    core.publish()
    await core.until_runs("target.out")
    clock.shift(listings.SILENT_S + 5)
    await passes(core, 5)
    await wait_until(lambda: core.main.probes > 0, 30)
    await core.settled()
    assert core.runner.starts("server.main") == 1
    assert core.reconciler.listings.errors == {}
    assert core.main.made - core.main.closed == 1


async def test_a_server_that_ends_after_it_was_changed_is_asked_through_its_new_engine(
    core: Core, listed_often: None
) -> None:
    await core.desire(desired())
    await core.until_runs("server.main")
    core.runner.away = True
    core.runner.exit("server.main")
    await core.desire(desired(servers={"main": replace(SERVER, api=1999)}))
    core.runner.away = False
    await wait_until(lambda: core.runner.starts("server.main") == 2, 30)
    await core.until_runs("server.main")
    core.publish()
    await core.until_runs("target.out")
    await wait_until(lambda: not core.reconciler.listings.errors, 30)


async def test_what_nobody_foresaw_in_a_start_is_counted_and_tried_again(core: Core) -> None:
    core.main.start = "breaks"
    await core.desire(desired())
    await wait_until(lambda: core.failures("server.main") >= 2, 30)
    history = core.reconciler.histories.by_process["server.main"]
    assert history.retry_at > time.monotonic() - 1
    assert "the start breaks" in (history.last_error or "")
    core.main.start = "works"
    await core.until_runs("server.main")
    await core.settled()


async def test_a_process_that_cannot_be_started_is_a_failure_with_its_reason(core: Core) -> None:
    core.runner.not_startable["target.out"] = "No such file or directory: /bin/ffmpeg"
    await core.desire(desired())
    await core.until_runs("server.main")
    core.publish()
    await wait_until(lambda: core.failures("target.out") >= 1, 30)
    error = core.reconciler.histories.by_process["target.out"].last_error
    assert error == "No such file or directory: /bin/ffmpeg"


# Nothing holds up what it is not part of


async def test_a_server_that_hangs_as_it_starts_holds_up_no_other(core: Core) -> None:
    core.engines.server("other").start = "hangs"
    await core.desire(desired(servers={"main": SERVER, "other": OTHER}))
    await core.until_runs("server.main")
    core.publish()
    await core.until_runs("target.out")
    core.leave()
    await wait_until(lambda: not core.runner.knows("target.out"), 30)
    assert core.runner.starts("server.other") == 0
    assert not core.reconciler.converged


async def test_a_kick_that_hangs_holds_up_nothing(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "KICK_TIMEOUT_S", 60.0)
    core.main.kick = "hangs"
    await live(core)
    core.engines.publish("else/where", "c9")  # nothing allows it
    core.reconciler.listings.ask_soon()
    await wait_until(lambda: core.main.kicked == ["c9"], 30)
    core.leave()
    await wait_until(lambda: not core.runner.knows("target.out"), 30)
    assert core.main.kicked == ["c9"]


async def test_one_who_may_not_publish_any_more_is_disconnected(
    core: Core, listed_often: None
) -> None:
    await live(core)
    await core.desire(desired(rules={"live/*": StreamRule("live/*", frozenset())}))
    await wait_until(lambda: not core.runner.knows("target.out"), 30)
    await core.settled()
    assert core.main.kicked == ["c1"]
    assert core.main.live == {}


async def test_a_process_that_does_not_die_is_not_killed_in_every_pass(
    core: Core, clock: ShiftedTime, listed_often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(apply, "_kill", killed.append)
    monkeypatch.setattr(operations, "END_AGAIN_S", 60.0)
    await core.desire(desired())
    await core.until_runs("server.main")
    await core.settled()
    core.main.api = "fails"
    await wait_until(lambda: "main" in core.reconciler.listings.errors, 30)
    clock.shift(listings.SILENT_S)
    await wait_until(lambda: killed, 30)
    await passes(core, 30)
    assert killed == [core.runner.now("server.main").pid]
    assert not core.reconciler.converged


# What is called converged


async def test_a_server_that_waits_for_its_next_try_is_not_converged(core: Core) -> None:
    core.main.busy = "TCP port 1935 is taken"
    await core.desire(desired())
    await wait_until(lambda: core.failures("server.main") >= 4, 30)
    await passes(core, 5)
    assert not core.reconciler.converged


async def test_a_kick_without_effect_is_not_converged(
    core: Core, listed_often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "END_AGAIN_S", 60.0)
    core.main.kick_works = False
    await live(core)
    await core.desire(desired(rules={}))
    await wait_until(lambda: core.main.kicked, 30)
    await passes(core, 30)
    assert not core.reconciler.converged
    assert core.main.kicked == ["c1"]


async def test_a_target_that_waits_for_its_next_try_is_converged(core: Core) -> None:
    await live(core)
    for count in range(1, 4):
        await core.until_runs("target.out")
        core.runner.exit("target.out")
        await wait_until(lambda n=count: core.failures("target.out") == n, 30)  # type: ignore[misc] # bound in the loop
    assert not core.runner.runs("target.out")
    await core.settled()


# Saves at any moment


async def test_a_save_while_a_pass_waits_for_supervisord_is_not_mixed_with_the_one_before(
    core: Core,
) -> None:
    await live(core)
    core.runner.held = asyncio.Event()
    listed = core.runner.listed
    core.reconciler.wake()
    await wait_until(lambda: core.runner.listed > listed, 30)
    await core.desire(desired(servers={"other": OTHER}))
    held, core.runner.held = core.runner.held, None
    held.set()
    await core.until_runs("server.other")
    await wait_until(
        lambda: not core.runner.knows("server.main") and not core.runner.knows("target.out"), 10
    )
    await core.settled()
    assert core.runner.starts("server.main") == core.runner.starts("target.out") == 1


async def test_settings_that_a_server_takes_while_it_runs_drop_nobody(core: Core) -> None:
    await live(core)
    await core.desire(desired(servers={"main": replace(SERVER, hls_fragment_s=4.0)}))
    await wait_until(lambda: core.main.reloads == 1, 30)
    await core.settled()
    assert core.main.reloads == core.runner.starts("server.main") == 1
    assert core.runner.starts("target.out") == 1


async def test_a_server_of_which_it_is_not_known_what_it_loaded_is_left_alone(core: Core) -> None:
    await live(core)
    core.state.set_loaded("main", "")
    await passes(core, 3)
    await core.settled()
    assert core.main.reloads == 0


async def test_nginx_is_never_reloaded(core: Core) -> None:
    nginx = replace(SERVER, engine="nginx-rtmp", srt=None, webrtc=None, apps=("live",))
    await live(core, servers={"main": nginx})
    core.state.set_loaded("main", "written by another release")
    await core.desire(desired(servers={"main": replace(nginx, host="elsewhere")}))
    await passes(core, 3)
    await core.settled()
    assert (core.main.reloads, core.runner.starts("server.main")) == (0, 1)


# Stalls


async def test_a_target_that_sends_nothing_while_its_input_goes_on_is_started_anew(
    core: Core, listed_often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "STALL_S", 0.2)
    monkeypatch.setattr(flow, "DELIVERY_S", 0.1)
    monkeypatch.setattr(flow, "HELD_BACK_S", 0.1)
    await live(core)
    core.report("target.out", 1_000_000)
    await wait_until(lambda: core.heard("target.out"), 30)

    def killed() -> bool:
        core.engines.publish("live/a", "c1", sent=int(time.monotonic() * 1e6))
        return core.failures("target.out") == 1

    await wait_until(killed, 30)
    assert core.reconciler.histories.by_process["target.out"].last_error == stalls.STALLED


async def test_a_target_whose_input_stands_still_is_left_alone(
    core: Core, listed_often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "STALL_S", 0.0)
    monkeypatch.setattr(flow, "DELIVERY_S", 0.0)
    monkeypatch.setattr(flow, "HELD_BACK_S", 0.0)
    await live(core)
    core.report("target.out", 1_000_000)
    await wait_until(lambda: core.heard("target.out"), 30)
    await passes(core, 5)
    assert core.runner.starts("target.out") == 1
    assert core.failures("target.out") == 0


# Archives


async def test_an_archive_whose_rule_is_gone_stays_for_its_work_unless_all_is_to_end(
    core: Core,
) -> None:
    wanted = {"archive": RULE}
    archive = archive_process_name(RULE)
    jobs = archive_jobs(desired(recordings=wanted))
    await live(core, recordings=wanted)
    await core.until_runs(archive)
    await core.reconciler.leaving.change(jobs, {}, {})
    await core.desire(desired())
    await core.settled()
    await passes(core, 3)
    assert core.runner.starts(archive) == 2  # it does not wait for who comes back any more
    core.runner.exit(archive)
    await wait_until(lambda: core.runner.starts(archive) == 3, 30)
    await core.reconciler.leaving.change({}, jobs, {})
    await core.desire(desired(recordings=wanted))
    await core.settled()
    assert core.reconciler.leaving.jobs == {}
    await core.reconciler.leaving.change(jobs, {}, {})
    await core.desire(desired())
    await core.settled()
    core.reconciler.desire_nothing()
    await wait_until(lambda: not core.runner.knows(archive), 30)
    assert set(core.reconciler.leaving.jobs) == {archive}  # for the next streamd


async def test_who_is_disconnected_because_streamd_stops_is_told_so(core: Core) -> None:
    await core.desire(desired())
    await core.until_runs("server.main")
    core.publish()
    await core.until_runs("target.out")
    with capture_logs() as logs:
        core.reconciler.desire_nothing()
        await wait_until(lambda: not core.runner.knows("server.main"), 30)
    reasons = {each["reason"] for each in logs if each["event"] == "publisher.kicked"}
    assert reasons == {reconcile.STOPPING}


# Sources on demand


async def test_a_stream_on_demand_is_pulled_while_somebody_asks_for_it_and_for_a_while_after(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "ON_CALL_S", 0.02)
    door = SourceSpec("live/door", "main", (PullInput("rtsp://10.0.0.9/h264"),), on_demand=True)
    await core.desire(desired(targets={}, sources={"live/door": door}))
    await core.until_runs("server.main")
    await passes(core, 3)
    assert not core.runner.knows("playout.live/door")
    core.main.waited.add("live/door")
    await core.until_runs("playout.live/door")
    core.main.waited.clear()
    monkeypatch.setattr(demand, "HELD_S", 0.2)

    def has_ended() -> bool:
        core.reconciler.wake()
        return not core.runner.knows("playout.live/door")

    await wait_until(has_ended, 30)
    assert core.runner.starts("playout.live/door") == 1
