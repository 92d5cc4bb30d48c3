"""A media server's start, reload and stop, step by step."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamd import servers as module
from streamd.desired import reload_identity, restart_identity
from streamd.errors import EngineError, SupervisorError
from streamd.jobs import ServerJob
from tests.support.core import Core, ShiftedTime, core_in
from tests.support.snapshots import SERVER

JOB = ServerJob("server.main", SERVER)
MOVED = replace(SERVER, api=1999)
LONGER = replace(SERVER, hls_fragment_s=4.0)


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    async with core_in(tmp_path) as made:
        made.servers.adopt({"main": SERVER}, ())
        yield made


# Which engine is asked


async def test_an_unchanged_server_keeps_its_engine(core: Core) -> None:
    engine = core.servers.engines["main"]
    assert core.servers.adopt({"main": SERVER}, {"main"}) == []
    assert core.servers.engines["main"] is engine


async def test_what_runs_is_asked_through_the_engine_that_it_was_started_from(core: Core) -> None:
    old = core.servers.engines["main"]
    assert core.servers.adopt({"main": MOVED}, {"main"}) == []
    assert core.servers.running_engine("main") is old
    assert core.servers.engines["main"] is not old
    between = core.servers.engines["main"]
    assert core.servers.adopt({"main": replace(SERVER, api=1998)}, {"main"}) == [between]
    assert core.servers.running_engine("main") is old


async def test_what_does_not_run_has_no_engine_of_the_past(core: Core) -> None:
    old = core.servers.engines["main"]
    assert core.servers.adopt({"main": MOVED}, ()) == [old]
    assert core.servers.running_engine("main") is core.servers.engines["main"]


async def test_a_removed_server_is_asked_until_it_is_stopped(core: Core) -> None:
    await core.servers.start(JOB)
    old = core.servers.engines["main"]
    core.servers.adopt({}, {"main"})
    assert core.servers.running_engine("main") is old
    await core.servers.stop("server.main")
    assert core.servers.running_engine("main") is None
    assert core.main.closed == 1


async def test_a_change_that_is_taken_by_a_reload_makes_a_new_engine_at_once(core: Core) -> None:
    old = core.servers.engines["main"]
    assert core.servers.adopt({"main": LONGER}, {"main"}) == [old]
    assert core.servers.running_engine("main") is core.servers.engines["main"]


async def test_a_start_ends_what_was_known_of_the_run_before(core: Core) -> None:
    core.servers.adopt({"main": MOVED}, {"main"})
    await core.servers.start(ServerJob("server.main", MOVED))
    assert core.servers.running_engine("main") is core.servers.engines["main"]
    assert core.main.closed == 1


# Start


async def test_a_start_writes_the_files_and_waits_until_the_server_answers(core: Core) -> None:
    core.main.api = "fails"
    starting = asyncio.create_task(core.servers.start(JOB))
    await core.until_runs("server.main")
    assert not starting.done()
    core.main.api = "works"
    await starting
    (path, text), *_ = core.servers.engines["main"].render().files.items()
    assert path.read_text() == text
    assert core.runner.now("server.main").identity == restart_identity(SERVER)
    assert core.state.loaded("main") == reload_identity(SERVER)


async def test_files_that_the_server_refuses_are_not_written(core: Core) -> None:
    core.main.refused = "unknown directive"
    with pytest.raises(EngineError, match="unknown directive"):
        await core.servers.start(JOB)
    assert core.runner.started == []
    assert not core.engines.directory.exists()


async def test_files_that_stand_are_not_tested_again(core: Core) -> None:
    await core.servers.engines["main"].write()
    core.main.refused = "asked twice"
    await core.servers.start(JOB)
    assert core.runner.runs("server.main")


async def test_a_taken_port_starts_nothing(core: Core) -> None:
    core.main.busy = "TCP port 1935 is taken by nginx (pid 7)"
    with pytest.raises(EngineError, match="taken by nginx"):
        await core.servers.start(JOB)
    assert core.runner.started == []


async def test_a_server_that_exits_as_it_starts_is_left_to_whoever_judges_exits(
    core: Core,
) -> None:
    core.main.api = "fails"
    starting = asyncio.create_task(core.servers.start(JOB))
    await core.until_runs("server.main")
    core.runner.exit("server.main", 255)
    await starting


async def test_a_server_that_never_answers_has_failed(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ShiftedTime()
    monkeypatch.setattr(module, "time", clock)
    core.main.api = "fails"
    starting = asyncio.create_task(core.servers.start(JOB))
    await core.until_runs("server.main")
    clock.shift(module.ANSWER_TIMEOUT_S + 1)
    with pytest.raises(EngineError, match=r"does not answer at its API port \(the API fails\)"):
        await starting


async def test_secrets_are_masked_in_its_log(core: Core) -> None:
    core.servers.redact = ("SECRET",)
    await core.servers.start(JOB)
    assert core.runner.started[0].redact == ("SECRET",)


async def test_what_was_loaded_is_known_though_it_cannot_be_written_down(core: Core) -> None:
    core.engines.directory.parent.mkdir(exist_ok=True)
    await core.servers.engines["main"].write()
    directory = core.state.server_directory("main")
    (directory / "loaded").mkdir()  # nothing can be written there, also not by root
    await core.servers.start(JOB)
    assert core.state.loaded("main") == reload_identity(SERVER)


# Reload


async def test_a_reload_leaves_the_process_and_notes_what_it_loaded(core: Core) -> None:
    await core.servers.start(JOB)
    core.servers.adopt({"main": LONGER}, {"main"})
    await core.servers.reload(ServerJob("server.main", LONGER))
    assert (core.main.reloads, core.runner.starts("server.main")) == (1, 1)
    assert core.state.loaded("main") == reload_identity(LONGER) != reload_identity(SERVER)


async def test_a_refused_reload_changes_nothing(core: Core) -> None:
    await core.servers.start(JOB)
    core.servers.adopt({"main": LONGER}, {"main"})
    core.main.refused = "no such value"
    with pytest.raises(EngineError, match="no such value"):
        await core.servers.reload(ServerJob("server.main", LONGER))
    assert core.main.reloads == 0
    assert core.state.loaded("main") == reload_identity(SERVER)


# Stop


async def test_a_stop_disconnects_publishers_first_and_lets_nobody_in(core: Core) -> None:
    await core.servers.start(JOB)
    core.engines.publish("live/a", "c1")
    left: list[str] = []

    def gone(_server: str, client_id: str) -> None:
        assert "main" in core.servers.quiesced
        assert core.runner.runs("server.main")
        left.append(client_id)

    core.engines.on_gone = gone
    await core.servers.stop("server.main")
    assert left == ["c1"]
    assert not core.runner.runs("server.main")
    await core.servers.start(JOB)
    assert core.servers.quiesced == set()


@pytest.mark.parametrize("api", ["fails", "hangs"])
async def test_a_server_that_does_not_answer_is_stopped_anyway(
    core: Core, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_TIMEOUT_S", 0.05)
    await core.servers.start(JOB)
    core.main.api = "hangs" if api == "hangs" else "fails"
    await core.servers.stop("server.main")
    assert core.runner.stopped == ["server.main"]


async def test_a_publisher_who_cannot_be_disconnected_does_not_hold_up_the_stop(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_TIMEOUT_S", 0.05)
    await core.servers.start(JOB)
    core.engines.publish("live/a", "c1")
    core.main.kick_works = False
    await core.servers.stop("server.main")
    assert core.runner.stopped == ["server.main"]


async def test_a_server_that_could_not_be_stopped_lets_publishers_in_again(core: Core) -> None:
    await core.servers.start(JOB)
    core.runner.away = True
    with pytest.raises(SupervisorError):
        await core.servers.stop("server.main")
    assert core.servers.quiesced == set()


async def test_operations_on_two_servers_go_on_side_by_side(core: Core) -> None:
    other = replace(SERVER, name="other")
    core.servers.adopt({"main": SERVER, "other": other}, ())
    core.main.api = "hangs"
    hanging = asyncio.create_task(core.servers.start(JOB))
    await core.until_runs("server.main")
    await core.servers.start(ServerJob("server.other", other))
    assert not hanging.done()
    hanging.cancel()


# Tests of what is not applied yet


async def test_a_test_touches_nothing_that_runs(core: Core) -> None:
    await core.servers.start(JOB)
    engine = core.servers.engines["main"]
    await core.servers.test(MOVED)
    assert core.servers.running_engine("main") is engine
    assert core.main.made - core.main.closed == 1
    core.main.refused = "unknown directive"
    with pytest.raises(EngineError, match="unknown directive"):
        await core.servers.test(MOVED)
    assert core.main.made - core.main.closed == 1


async def test_a_port_that_somebody_else_has_fails_the_test_of_a_save(core: Core) -> None:
    core.main.busy = "TCP port 1999 is taken"
    with pytest.raises(EngineError, match="1999"):
        await core.servers.test(MOVED, [SERVER])
    await core.servers.test(MOVED)  # at a start its own server may have it
