"""What the media servers are asked, when, and what is made of their silence."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamd import listings as module
from streamd.desired import EngineName
from streamd.engines.base import LiveStream
from streamd.engines.nginx_rtmp import NginxRtmpEngine
from streamd.engines.srs import SrsEngine
from streamd.flow import Flow, flows, is_stalled
from streamd.listings import Listings
from streamd.observe import Listing
from streamd.stalls import SUSPICIOUS_AFTER_S
from tests.support.core import Core, ShiftedTime, core_in
from tests.support.snapshots import SERVER
from tests.support.waiting import wait_until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ShiftedTime:
    shifted = ShiftedTime()
    monkeypatch.setattr(module, "time", shifted)
    return shifted


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Core]:
    """A server that runs, with nobody who looks after it."""
    async with core_in(tmp_path) as made:
        await made.start_server()
        yield made


@pytest.fixture
def listings(core: Core) -> Listings:
    made = Listings(core.servers)
    made.set_running({"main": 1})
    return made


def names(listings: Listings) -> list[str]:
    return [stream.name for stream in listings.latest["main"].streams]


async def test_a_server_tells_who_publishes(core: Core, listings: Listings) -> None:
    await listings.ask()
    assert names(listings) == []
    core.engines.publish("live/a", "c1")
    await listings.ask()
    assert names(listings) == ["live/a"]
    assert listings.errors == {}


async def test_one_that_does_not_answer_keeps_its_listing(core: Core, listings: Listings) -> None:
    core.engines.publish("live/a", "c1")
    await listings.ask()
    core.main.api = "fails"
    await listings.ask()
    assert names(listings) == ["live/a"]
    assert listings.errors == {"main": "the API fails"}
    core.main.api = "works"
    await listings.ask()
    assert listings.errors == {}


async def test_one_that_hangs_is_given_up_after_a_while(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_TIMEOUT_S", 0.01)
    core.main.api = "hangs"
    await listings.ask()
    assert listings.errors["main"].startswith("no answer within")


async def test_one_that_hangs_holds_up_no_other(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_TIMEOUT_S", 60.0)
    await core.start_server(replace(SERVER, name="other"))
    listings.set_running({"main": 1, "other": 2})
    core.main.api = "hangs"
    asking = asyncio.create_task(listings.ask())
    await wait_until(lambda: listings.latest.get("other"), 10)
    asking.cancel()


async def test_events_of_one_are_seen_while_another_hangs(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK_TIMEOUT_S", 60.0)
    monkeypatch.setattr(module, "SOON_S", 0.01)
    await core.start_server(replace(SERVER, name="other"))
    listings.set_running({"main": 1, "other": 2})
    listings.set_pace(60.0)
    core.main.api = "hangs"
    changes = listings.changes()
    async with asyncio.timeout(10):
        await anext(changes)
        for number in range(3):
            core.engines.publish(f"live/{number}", f"c{number}", server="other")
            listings.ask_soon()
            while len(listings.latest["other"].streams) <= number:
                await anext(changes)
    assert "main" not in listings.latest
    await changes.aclose()


async def test_an_error_in_asking_one_ends_no_asking(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.01)
    core.main.api = "breaks"
    changes = listings.changes()
    async with asyncio.timeout(10):
        await anext(changes)
        assert listings.latest == {}
        core.main.api = "works"
        listings.ask_soon()
        while not listings.latest:
            await anext(changes)
    await changes.aclose()


async def test_a_server_that_comes_later_is_asked_at_once(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.01)
    listings.set_pace(60.0)
    changes = listings.changes()
    async with asyncio.timeout(10):
        await anext(changes)
        await core.start_server(replace(SERVER, name="other"))
        listings.set_running({"main": 1, "other": 2})
        listings.ask_soon()
        while "other" not in listings.latest:
            await anext(changes)
    await changes.aclose()


async def test_a_server_that_does_not_run_is_not_asked(core: Core, listings: Listings) -> None:
    core.engines.publish("live/a", "c1")
    await listings.ask()
    listings.set_running({})
    core.main.api = "fails"
    await listings.ask()
    assert names(listings) == []
    assert listings.errors == {}


async def test_a_server_that_is_not_configured_any_more_is_dropped(
    core: Core, listings: Listings
) -> None:
    await listings.ask()
    for engine in core.servers.adopt({}, ()):
        await engine.close()
    await listings.ask()
    assert listings.latest == {}


async def test_an_answer_from_before_its_end_is_not_believed(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing was asked for while it ran, and arrives when it does not."""
    core.engines.publish("live/a", "c1")
    engine = core.servers.engines["main"]
    answers = engine.streams
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slowly() -> object:
        streams = await answers()
        asked.set()
        await answer.wait()
        return streams

    monkeypatch.setattr(engine, "streams", slowly)
    asking = asyncio.create_task(listings.ask())
    await asked.wait()
    listings.set_running({})
    answer.set()
    await asking
    assert names(listings) == []


# Silence


async def test_silence_of_one_that_runs_is_a_hang(
    core: Core, listings: Listings, clock: ShiftedTime
) -> None:
    core.main.api = "fails"
    await listings.ask()
    clock.shift(module.SILENT_S - 1)
    assert not listings.hangs("main")
    clock.shift(1)
    assert listings.hangs("main")


async def test_an_answer_ends_silence(core: Core, listings: Listings, clock: ShiftedTime) -> None:
    core.main.api = "fails"
    await listings.ask()
    clock.shift(module.SILENT_S - 1)
    core.main.api = "works"
    await listings.ask()
    core.main.api = "fails"
    await listings.ask()
    clock.shift(2)
    assert not listings.hangs("main")


async def test_silence_does_not_count_while_the_process_does_not_run(
    core: Core, listings: Listings, clock: ShiftedTime
) -> None:
    core.main.api = "fails"
    listings.set_running({})
    await listings.ask()
    clock.shift(module.SILENT_S)
    listings.set_running({"main": 1})
    assert not listings.hangs("main")
    await listings.ask()
    assert not listings.hangs("main")


async def test_silence_from_before_it_is_known_what_runs_does_not_count(
    core: Core, clock: ShiftedTime
) -> None:
    fresh = Listings(core.servers)
    core.main.api = "fails"
    await fresh.ask()
    clock.shift(module.SILENT_S)
    fresh.set_running({"main": 1})
    assert not fresh.hangs("main")


# Ports


async def test_ports_are_probed_from_time_to_time(
    core: Core, listings: Listings, clock: ShiftedTime
) -> None:
    await listings.ask()
    await listings.ask()
    assert core.main.probes == 1
    assert listings.ports == {"main": {"rtmp": True, "http": True, "api": True}}
    assert listings.versions == {"main": "6.0.157"}
    clock.shift(module.PROBE_S)
    await listings.ask()
    assert core.main.probes == 2


async def test_a_port_that_stays_dead_is_a_hang(
    core: Core, listings: Listings, clock: ShiftedTime
) -> None:
    await listings.ask()
    clock.shift(module.PROBE_S)
    core.main.dead = frozenset({"rtmp"})
    for count in range(1, module.DEAD_AFTER_PROBES + 1):
        assert not listings.hangs("main")
        await listings.ask()
        assert core.main.probes == 1 + count
        clock.shift(module.PROBE_S)
    assert listings.hangs("main")
    core.main.dead = frozenset()
    await listings.ask()
    assert not listings.hangs("main")


async def test_a_port_that_never_listened_is_told_and_no_reason_to_drop_everybody(
    core: Core, listings: Listings, clock: ShiftedTime
) -> None:
    core.main.dead = frozenset({"http"})
    with capture_logs() as logs:
        for _ in range(module.DEAD_AFTER_PROBES + 1):
            await listings.ask()
            clock.shift(module.PROBE_S)
    assert not listings.hangs("main")
    assert {(each["event"], *each["ports"]) for each in logs} == {("server.port_closed", "http")}


async def test_a_server_that_was_started_anew_has_no_dead_ports(
    core: Core, listings: Listings, clock: ShiftedTime
) -> None:
    await listings.ask()
    clock.shift(module.PROBE_S)
    core.main.dead = frozenset({"rtmp"})
    for _ in range(module.DEAD_AFTER_PROBES):
        await listings.ask()
        clock.shift(module.PROBE_S)
    listings.set_running({"main": 2})
    assert listings.ports == {}
    assert not listings.hangs("main")


async def test_files_that_cannot_be_removed_do_not_keep_ports_from_being_probed(
    core: Core, listings: Listings
) -> None:
    core.main.tidy = "fails"
    await listings.ask()
    assert core.main.probes == 1


# When


async def test_what_happened_is_asked_about_soon(
    core: Core, listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.01)
    listings.set_pace(60.0)
    changes = listings.changes()
    async with asyncio.timeout(10):
        await anext(changes)
        core.engines.publish("live/a", "c1")
        listings.ask_soon()
        await anext(changes)
    assert names(listings) == ["live/a"]


async def test_a_shorter_pace_holds_at_once(
    listings: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.01)
    listings.set_pace(60.0)
    changes = listings.changes()
    async with asyncio.timeout(10):
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        listings.set_pace(0.02)
        await waiting
        await anext(changes)


# What listings say of an input


@dataclass(frozen=True)
class Course:
    """What happens in 40 s of one publisher and its target.

    Attributes:
        counter_s, counted_at: how often the server counts its bytes, and when first.
        reported_at: when the target first reports, which it does every second.
        latency_s: how long the target takes to send on what came in.
        listed_at: when the server is first asked.
        watched: the server is asked often all the time, for the sake of another target.
        silent: from when to when the publisher sends nothing.
        stuck_from: when the target stops sending on.
    """

    counter_s: float
    counted_at: float
    reported_at: float
    latency_s: float
    listed_at: float
    watched: bool
    silent: tuple[float, float] = (0.0, 0.0)
    stuck_from: float = 1e9

    def came(self, now: float) -> float:
        """Return how many seconds of media came."""
        begin, end = self.silent
        return max(0.0, min(now, begin) + max(0.0, now - end))

    def counted(self, now: float) -> int:
        """Return how many bytes the server says that it got."""
        counts = (now - self.counted_at) // self.counter_s
        return int(1000 * self.came(self.counted_at + counts * self.counter_s))

    def stalled_at(self) -> list[float]:
        """Return at which seconds the target counts as stalled."""
        flow: dict[tuple[str, str], Flow] = {}
        stalled, advanced_at, out = [], None, 0.0
        list_at, report_at = self.listed_at, self.reported_at
        for tenth in range(400):
            now = tenth / 10
            if now >= report_at:
                report_at += 1
                sent = self.came(min(now - self.latency_s, self.stuck_from))
                if sent > out:
                    out, advanced_at = sent, now
            silent_s = 0.0 if advanced_at is None else now - advanced_at
            if silent_s >= SUSPICIOUS_AFTER_S or self.watched:
                list_at = min(list_at, now + module.SUSPICIOUS_S)
            if now >= list_at:
                list_at = now + module.IDLE_S
                stream = LiveStream("live/a", "c1", self.counted(now), 0, 0)
                flow = flows(flow, {"main": Listing(now, (stream,), self.counter_s)})
            if is_stalled(0.0, advanced_at, flow.get(("main", "c1")), now):
                stalled.append(now)
        return stalled


def courses(engine: EngineName, **fixed: st.SearchStrategy[object]) -> st.SearchStrategy[Course]:
    counter_s = SrsEngine.counter_s if engine == "srs" else NginxRtmpEngine.counter_s
    return st.builds(
        Course,
        counter_s=st.just(counter_s),
        counted_at=st.floats(0, counter_s),
        reported_at=st.floats(0, 1),
        latency_s=st.floats(0, 0.5),
        listed_at=st.floats(0, module.IDLE_S),
        watched=st.booleans(),
        **fixed,
    )


@pytest.mark.parametrize("engine", ["srs", "nginx-rtmp"])
@given(data=st.data())
def test_a_silence_of_the_publisher_is_no_stall(engine: EngineName, data: st.DataObject) -> None:
    silences = st.builds(
        lambda begin, lasts: (begin, begin + lasts), st.floats(8, 14), st.floats(0, 15)
    )
    course = data.draw(courses(engine, silent=silences))
    assert course.stalled_at() == []


@pytest.mark.parametrize(("engine", "within_s"), [("srs", 11), ("nginx-rtmp", 7)])
@given(data=st.data())
def test_a_stuck_target_is_found_within_a_few_seconds(
    engine: EngineName, within_s: float, data: st.DataObject
) -> None:
    course = data.draw(courses(engine, stuck_from=st.floats(8, 14)))
    found = course.stalled_at()
    assert found
    assert course.stuck_from < found[0] <= course.stuck_from + within_s
