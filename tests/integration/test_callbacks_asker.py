"""Asking callbacks whether a publisher may come: all at once, in order, within their timeouts."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from streamd.auth.decide import Allowed
from streamd.auth.gate import Consent
from streamd.callbacks import asker, events
from streamd.callbacks.asker import PARAM_CHARACTERS, Asker, Newcomer
from streamd.callbacks.events import Event
from streamd.callbacks.post import Poster
from streamd.callbacks.sender import Sender
from streamd.desired import CallbackSpec
from streamd.engines.base import HookRequest
from tests.support.app import NO, YES, Answer, App, app, silent
from tests.support.waiting import wait_until

HOOK = HookRequest("publish", "live", "a", ("hush",), "c1", "192.0.2.9", param="?secret=hush")
ALLOWED = Allowed("live/a", "live/a", "studio")


@dataclass
class Asking:
    """An asker with all that it needs."""

    asker: Asker
    sender: Sender
    told: list[Event]
    up_to_date: asyncio.Event

    def desire(self, *specs: CallbackSpec) -> None:
        named = {each.name: each for each in specs}
        self.sender.desire(named)
        self.asker.desire(named)

    async def ask(self, hook: HookRequest = HOOK, allowed: Allowed = ALLOWED) -> Consent:
        async with asyncio.timeout(30):
            return await self.asker.ask("main", hook, allowed)


@contextlib.asynccontextmanager
async def asking(directory: Path) -> AsyncIterator[Asking]:
    poster = Poster()
    sender = Sender(directory, poster, "edge-1")

    def describe(server: str, hook: HookRequest, allowed: Allowed) -> Newcomer:
        client = {"client_id": hook.client_id, "server": server}
        return Newcomer(allowed.stream, "live/*", client, hook.param)

    told: list[Event] = []
    up_to_date = asyncio.Event()

    async def is_up_to_date() -> None:
        await up_to_date.wait()

    made = Asking(
        Asker(
            sender,
            poster,
            "edge-1",
            describe=describe,
            up_to_date=is_up_to_date,
            tell=told.append,
        ),
        sender,
        told,
        up_to_date,
    )
    up_to_date.set()
    task = asyncio.create_task(sender.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await poster.close()


def spec(hook: App | str, name: str = "billing", timeout_s: float = 10.0) -> CallbackSpec:
    url = hook if isinstance(hook, str) else hook.url
    return CallbackSpec(name, url, frozenset({"on_publish", "on_unpublish"}), "", timeout_s)


async def test_all_that_want_to_be_asked_are_asked_at_once(tmp_path: Path, hook: App) -> None:
    meeting = threading.Barrier(2)

    def answer(_: object) -> Answer:
        meeting.wait(20)
        return YES

    with app() as other:
        hook.answer = other.answer = answer
        deaf = replace(spec("http://127.0.0.1:9/", "deaf"), events=frozenset({"on_stop"}))
        async with asking(tmp_path) as made:
            made.desire(deaf)
            nobody = made.asker.asks
            made.desire(spec(hook), spec(other, "second"), deaf)
            assert (nobody, made.asker.asks) == (False, True)
            consent = await made.ask()
            consent.finish(True)
    assert consent.refused is None
    assert made.told == []
    assert hook.received[0].told | {"param": "?secret=hush", "client_id": "c1"} == (
        hook.received[0].told
    )
    assert hook.received[0]["request_id"] == other.received[0]["request_id"]


async def test_a_no_refuses_and_the_others_are_told(tmp_path: Path, hook: App) -> None:
    with app() as other:
        other.answer = lambda _: NO
        async with asking(tmp_path) as made:
            made.desire(spec(hook), spec(other, "second"))
            consent = await made.ask()
            assert made.sender.facts()["second"].refused == 1
    assert consent.refused is not None
    assert (consent.refused.kind, consent.refused.pattern) == ("vetoed", "live/*")
    assert consent.refused.reason == "callback second refuses it: HTTP 200, code 403"
    assert "hush" not in repr(consent.refused)
    consent.finish(False)
    assert [(each.action, each.to) for each in made.told] == [("on_unpublish", ("billing",))]
    assert made.told[0].fields["client_id"] == "c1"


async def test_one_who_does_not_come_for_another_reason_is_told_off(
    tmp_path: Path, hook: App
) -> None:
    async with asking(tmp_path) as made:
        made.desire(spec(hook))
        consent = await made.ask()
        assert consent.refused is None
        consent.finish(False)
    assert [each.action for each in made.told] == ["on_unpublish"]


@pytest.mark.parametrize("on_error", ["refuse", "allow"])
async def test_no_answer_is_what_on_error_makes_of_it_within_the_timeout(
    tmp_path: Path, on_error: str
) -> None:
    with silent() as url:
        async with asking(tmp_path) as made:
            made.desire(replace(spec(url, timeout_s=0.3), on_error=on_error))  # type: ignore[arg-type] # one of them
            consent = await made.ask()
            assert made.sender.facts()["billing"].is_failing
    if on_error == "refuse":
        assert consent.refused is not None
        assert consent.refused.kind == "unasked"
        assert "no answer within 0.3 s" in consent.refused.reason
    else:
        assert consent.refused is None
        consent.finish(True)
        (late,) = made.told
        assert (late.action, late.to, late.fields["param"]) == (
            "on_publish", ("billing",), "?secret=hush",
        )  # fmt: skip


async def test_what_happened_before_on_the_stream_is_sent_first(tmp_path: Path, hook: App) -> None:
    async with asking(tmp_path) as made:
        made.desire(spec(hook))
        for number in range(5):
            gone = events.on_unpublish(f"id-{number}", "live/a", 0.0, seconds=0, client={})
            await made.sender.keep([replace(gone, at=time.time())])
        assert (await made.ask()).refused is None
    assert hook.actions() == ["on_unpublish"] * 5 + ["on_publish"]


async def test_what_cannot_be_sent_first_is_not_waited_for(tmp_path: Path, hook: App) -> None:
    hook.answer = lambda told: YES if told["action"] == "on_publish" else Answer(500)
    async with asking(tmp_path) as made:
        made.desire(spec(hook))
        gone = events.on_unpublish("id", "live/a", time.time(), seconds=0, client={})
        await made.sender.keep([gone])
        await wait_until(lambda: made.sender.facts()["billing"].failures > 0)
        assert (await made.ask()).refused is None


async def test_an_outbox_that_hangs_is_not_waited_for(
    tmp_path: Path, hook: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "ORDER_LIMIT_S", 0.1)
    async with asking(tmp_path) as made:
        made.up_to_date.clear()
        made.desire(spec(hook))
        assert (await made.ask()).refused is None


async def test_of_a_crowd_some_are_asked_about_at_a_time_and_all_in_the_end(
    tmp_path: Path, hook: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "AT_ONCE", 2)
    let_go = threading.Event()
    hook.answer = lambda _: Answer(after=let_go)
    async with asking(tmp_path) as made:
        made.desire(spec(hook, timeout_s=20))
        crowd = [asyncio.create_task(made.ask()) for _ in range(10)]
        await hook.told(2)
        assert len(hook.received) == 2
        let_go.set()
        assert [each.refused for each in await asyncio.gather(*crowd)] == [None] * 10
    assert len(hook.received) == 10


async def test_a_crowd_that_a_dead_callback_holds_up_waits_no_longer_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "AT_ONCE", 1)
    with silent() as url:
        async with asking(tmp_path) as made:
            made.desire(spec(url, timeout_s=0.5))
            crowd = await asyncio.gather(*(made.ask() for _ in range(10)))
    assert all(each.refused and each.refused.kind == "unasked" for each in crowd)


async def test_a_long_parameter_is_cut(tmp_path: Path, hook: App) -> None:
    async with asking(tmp_path) as made:
        made.desire(spec(hook))
        await made.ask(replace(HOOK, param="secret=" + "x" * 100_000))
    assert len(hook.received[0]["param"]) == PARAM_CHARACTERS
    assert hook.received[0]["param"].startswith("?secret=x")
