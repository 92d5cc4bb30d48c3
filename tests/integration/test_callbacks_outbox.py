"""Sending from the outbox: durable, in order, and no callback waits for another."""

import asyncio
import contextlib
import errno
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamd.callbacks import events, outbox, retry
from streamd.callbacks.events import Event
from streamd.callbacks.post import Poster
from streamd.callbacks.sender import Sender
from streamd.callbacks.teller import Teller
from streamd.callbacks.told import Client, Present
from streamd.desired import CallbackSpec
from tests.support.app import YES, Answer, App, Received, app, silent
from tests.support.ports import free_port
from tests.support.waiting import wait_until

EVENTS = frozenset(events.ACTIONS)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again after hundredths of seconds."""
    monkeypatch.setattr(retry, "FIRST_S", 0.02)
    monkeypatch.setattr(retry, "LIMIT_S", 0.2)


def spec(hook: App | str, name: str = "billing", timeout_s: float = 10.0) -> CallbackSpec:
    url = hook if isinstance(hook, str) else hook.url
    return CallbackSpec(name, url, EVENTS, "mytoken", timeout_s)


def event(number: int, stream: str = "live/a") -> Event:
    client = {"client_id": str(number)}
    return events.on_unpublish(f"id-{number}", stream, time.time(), seconds=0.0, client=client)


@contextlib.asynccontextmanager
async def sending(directory: Path, *specs: CallbackSpec) -> AsyncIterator[Sender]:
    """Send from an outbox until the block ends, as abruptly as a kill does."""
    poster = Poster()
    sender = Sender(directory, poster, "edge-1")
    sender.desire({each.name: each for each in specs})
    task = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await poster.close()


def ids(hook: App) -> list[str]:
    return [each["request_id"] for each in hook.received]


def waiting(directory: Path) -> list[str]:
    return [kept.event.request_id for kept in outbox.pending(directory)[0]]


async def until_sent(sender: Sender, count: int, name: str = "billing") -> None:
    await wait_until(lambda: sender.facts()[name].sent >= count, what=f"{count} events to be sent")


async def test_events_of_this_and_of_other_processes_are_sent_in_order(
    tmp_path: Path, hook: App
) -> None:
    async with sending(tmp_path, spec(hook)) as sender:
        await sender.keep([event(1), event(2)])
        await until_sent(sender, 2)
        outbox.drop(tmp_path, [event(3)])
        await sender.keep([event(4)])
        await until_sent(sender, 4)
        assert ids(hook) == ["id-1", "id-2", "id-3", "id-4"]
        assert hook.received[0]["opaque"] == "mytoken"
        assert hook.received[0]["node"] == "edge-1"
        await wait_until(lambda: waiting(tmp_path) == [])
        facts = sender.facts()["billing"]
        assert (facts.pending, facts.is_failing, facts.last_error) == (0, False, None)
        assert facts.last_success is not None


async def test_what_fails_is_sent_again_as_it_was_and_what_follows_waits(
    tmp_path: Path, hook: App
) -> None:
    answers = iter([Answer(body=b"nonsense"), Answer(body=b'{"code": 3}'), YES])

    def answer(told: Received) -> Answer:
        if told["request_id"] != "id-1":
            return YES
        return next(answers) if "id-3" in ids(hook) else Answer(500)

    hook.answer = answer
    with capture_logs() as logs:
        async with sending(tmp_path, spec(hook)) as sender:
            await sender.keep([event(1), event(2), event(3, "live/b")])
            await until_sent(sender, 3)
    of_a = [each for each in hook.received if each["stream"] == "a"]
    assert [each["request_id"] for each in of_a] == ["id-1"] * (len(of_a) - 1) + ["id-2"]
    assert len(of_a) >= 4
    assert len({each.body for each in of_a[:-1]}) == 1
    told = [entry["event"] for entry in logs if entry["log_level"] != "debug"]
    told = [name for name in told if "outbox" not in name]
    assert told == ["callback.failed", "callback.recovered"]


async def test_a_dead_and_a_slow_callback_hold_up_no_other(tmp_path: Path, hook: App) -> None:
    never = threading.Event()
    with silent() as dead, app() as slow:
        slow.answer = lambda _: Answer(after=never)
        others = (spec(dead, "dead"), spec(slow, "slow"), spec("http://127.0.0.1:9/", "refusing"))
        async with sending(tmp_path, spec(hook), *others) as sender:
            await sender.keep([event(n, f"live/{n % 5}") for n in range(50)])
            await until_sent(sender, 50)
            assert sender.facts()["dead"].pending == 50
            assert sender.facts()["refusing"].is_failing
    for stream in range(5):
        of_stream = [each["request_id"] for each in hook.received if each["stream"] == str(stream)]
        assert of_stream == [f"id-{n}" for n in range(stream, 50, 5)]


async def test_a_stream_whose_events_hang_holds_up_no_other(tmp_path: Path, hook: App) -> None:
    never = threading.Event()
    hook.answer = lambda told: Answer(after=never) if told["stream"] == "stuck" else YES
    async with sending(tmp_path, spec(hook)) as sender:
        await sender.keep([event(1, "live/stuck"), *(event(n, f"live/{n}") for n in range(2, 30))])
        await until_sent(sender, 28)


async def test_the_next_streamd_sends_what_was_left_with_the_same_ids(
    tmp_path: Path, hook: App
) -> None:
    hook.answer = lambda _: Answer(503)
    async with sending(tmp_path, spec(hook)) as sender:
        await sender.keep([event(1), event(2), event(3, "live/b")])
        await wait_until(lambda: set(ids(hook)) == {"id-1", "id-3"})
    hook.received.clear()
    hook.answer = lambda _: YES
    async with sending(tmp_path, spec(hook)) as sender:
        await until_sent(sender, 3)
    assert sorted(ids(hook)) == ["id-1", "id-2", "id-3"]
    assert ids(hook).index("id-1") < ids(hook).index("id-2")


async def test_a_server_that_comes_back_gets_everything_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_S", 0.2)
    monkeypatch.setattr(retry, "LIMIT_S", 3600.0)
    port = free_port()
    async with sending(tmp_path, spec(f"http://127.0.0.1:{port}/")) as sender:
        await sender.keep([event(n, f"live/{n}") for n in range(30)])
        await wait_until(lambda: sender.facts()["billing"].failures >= 90)
        with app(port=port) as hook:
            await sender.keep([event(30, "live/new")])
            await until_sent(sender, 31)
            assert not sender.facts()["billing"].is_failing
            assert len(hook.received) == 31


async def test_an_address_that_is_corrected_gets_what_the_wrong_one_did_not(
    tmp_path: Path, hook: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_S", 3600.0)
    monkeypatch.setattr(retry, "LIMIT_S", 3600.0)
    wrong = spec(f"http://127.0.0.1:{free_port()}/")
    async with sending(tmp_path, wrong) as sender:
        await sender.keep([event(1)])
        await wait_until(lambda: sender.facts()["billing"].is_failing)
        sender.desire({"billing": spec(hook)})
        await until_sent(sender, 1)


async def test_a_callback_that_is_gone_for_a_moment_misses_nothing(
    tmp_path: Path, hook: App
) -> None:
    hook.answer = lambda _: Answer(503)
    async with sending(tmp_path, spec(hook)) as sender:
        await sender.keep([event(1)])
        await hook.told(1)
        sender.desire({})
        await sender.keep([event(2)])  # nobody is told of it
        hook.answer = lambda _: YES
        sender.desire({"billing": spec(hook)})
        await until_sent(sender, 1)
        assert set(ids(hook)) == {"id-1"}


async def test_only_who_asked_for_an_event_is_told_and_only_whom_it_is_for(
    tmp_path: Path, hook: App
) -> None:
    with app() as other:
        some = replace(spec(other, "some"), events=frozenset({"on_stop"}))
        async with sending(tmp_path, spec(hook), some) as sender:
            await sender.keep([event(1), replace(event(2), action="on_stop")])
            await sender.keep([replace(event(3), action="on_stop", to=("some",))])
            await until_sent(sender, 2)
            await until_sent(sender, 2, "some")
            assert ids(hook) == ["id-1", "id-2"]
            assert ids(other) == ["id-2", "id-3"]


async def test_a_full_disk_loses_nothing_and_is_written_when_there_is_room(
    tmp_path: Path, hook: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    real = outbox.write

    def write(path: Path, kept: Event) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, kept)

    monkeypatch.setattr(outbox, "write", write)
    hook.answer = lambda told: YES if told["request_id"] == "id-1" else Answer(503)
    with capture_logs() as logs:
        async with sending(tmp_path, spec(hook)) as sender:
            await sender.keep([event(1), event(2), event(3)])
            await until_sent(sender, 1)
            assert waiting(tmp_path) == []
            assert sender.facts()["billing"].pending == 2
            full[0] = False
            await wait_until(lambda: waiting(tmp_path) == ["id-2", "id-3"])
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "callback.outbox_failed"
    ]
    hook.answer = lambda _: YES
    hook.received.clear()
    async with sending(tmp_path, spec(hook)) as sender:
        await until_sent(sender, 2)
    # A try of the first outbox may be on its way still.
    assert [*dict.fromkeys(ids(hook))] == ["id-2", "id-3"]


async def test_of_too_many_the_oldest_are_dropped_loudly(
    tmp_path: Path, hook: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamd.callbacks.sender.LIMIT", 3)
    never = threading.Event()
    hook.answer = lambda _: Answer(after=never)
    with capture_logs() as logs:
        async with sending(tmp_path, spec(hook)) as sender:
            await sender.keep([event(0)])
            await hook.told(1)
            await sender.keep([event(n) for n in range(1, 6)])
            await wait_until(lambda: sender.facts()["billing"].dropped == 3)
            assert waiting(tmp_path) == ["id-0", "id-4", "id-5"]  # the first is being sent
    (entry,) = [entry for entry in logs if entry["event"] == "callback.dropped"]
    assert (entry["callback"], entry["events"], entry["log_level"]) == ("billing", 3, "error")


async def test_what_is_not_taken_for_a_day_is_dropped_loudly(
    tmp_path: Path, hook: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamd.callbacks.sender.SWEEP_S", 0.0)
    monkeypatch.setattr(retry, "TRIED_AT_LEAST_S", 0.1)
    hook.answer = lambda _: Answer(500)
    old = replace(event(1), at=time.time() - 100_000)
    with capture_logs() as logs:
        async with sending(tmp_path, spec(hook)) as sender:
            await sender.keep([old, event(2)])
            await wait_until(lambda: sender.facts()["billing"].dropped == 1)
            assert waiting(tmp_path) == ["id-2"]
            assert len(hook.of("on_unpublish")) >= 1
    assert [entry["events"] for entry in logs if entry["event"] == "callback.dropped"] == [1]


async def test_a_no_to_a_publisher_who_is_there_already_is_taken_as_told(
    tmp_path: Path, hook: App
) -> None:
    hook.answer = lambda _: Answer(403)
    asked = events.on_publish("id-9", "live/a", time.time(), param="", client={})
    async with sending(tmp_path, spec(hook)) as sender:
        await sender.keep([replace(asked, to=("billing",))])
        await until_sent(sender, 1)


# What there is to tell, on its way into the outbox


class There:
    """Who publishes."""

    def __init__(self) -> None:
        self.clients: dict[str, Client] = {}
        self.looks = 0

    def come(self, name: str) -> None:
        self.clients[f"main {name}"] = Client("live/a", "main", name, since=time.time())

    def look(self, _actions: object, _whole: bool) -> Present:
        self.looks += 1
        return Present(dict(self.clients))


@contextlib.asynccontextmanager
async def telling(directory: Path, there: There, kept: list[Event]) -> AsyncIterator[Teller]:
    async def keep(found: object) -> None:
        kept.extend(found)  # type: ignore[arg-type] # events

    teller = Teller(directory / "told.json", there.look, keep)
    teller.desire(frozenset({"on_unpublish"}))
    task = asyncio.create_task(teller.run())
    try:
        async with asyncio.timeout(20):
            await teller.up_to_date()
        yield teller
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_was_told_is_remembered_over_a_kill(tmp_path: Path) -> None:
    there, kept = There(), list[Event]()
    there.come("c1")
    there.come("c2")
    async with telling(tmp_path, there, kept) as teller:
        del there.clients["main c1"]
        await teller.up_to_date()
        assert [each.fields["client_id"] for each in kept] == ["c1"]
    there.clients.clear()
    async with telling(tmp_path, there, kept):
        assert [each.fields["client_id"] for each in kept] == ["c1", "c2"]
    async with telling(tmp_path, there, kept):
        assert len(kept) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"epoch": "x"}', b"\xff"])
async def test_a_damaged_note_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "told.json").write_bytes(content)
    there, kept = There(), list[Event]()
    there.come("c1")
    with capture_logs() as logs:
        async with telling(tmp_path, there, kept) as teller:
            there.clients.clear()
            await teller.up_to_date()
    assert [each.action for each in kept] == ["on_unpublish"]
    assert [entry["event"] for entry in logs] == ["callback.told_not_read"]


async def test_what_is_told_by_others_goes_before_what_is_seen(tmp_path: Path) -> None:
    there, kept = There(), list[Event]()
    there.come("c1")
    async with telling(tmp_path, there, kept) as teller:
        there.clients.clear()
        teller.tell(event(7))
        await teller.up_to_date()
        assert [each.fields["client_id"] for each in kept] == ["7", "c1"]


async def test_a_disk_that_takes_no_notes_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("streamd.callbacks.teller.write_whole", full)
    there, kept = There(), list[Event]()
    with capture_logs() as logs:
        async with telling(tmp_path, there, kept) as teller:
            for name in ("c1", "c2"):
                there.come(name)
                await teller.up_to_date()
                there.clients.clear()
                await teller.up_to_date()
    assert [each.fields["client_id"] for each in kept] == ["c1", "c2"]
    assert [entry["event"] for entry in logs] == ["callback.told_not_written"]
