import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from streamd.supervision import exits
from streamd.supervision.exits import ExitWatcher
from tests.support.supervisord import SLEEPER, running_supervisord
from tests.support.waiting import wait_until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", SLEEPER])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def watcher() -> Iterator[ExitWatcher]:
    watcher = ExitWatcher()
    yield watcher
    assert not watcher._pidfds


async def test_an_exit_is_told_once(sleeper: subprocess.Popen[bytes], watcher: ExitWatcher) -> None:
    calls: list[str] = []
    watcher.watch(sleeper.pid, lambda: calls.append("first"))
    watcher.watch(sleeper.pid, lambda: calls.append("second"))
    await asyncio.sleep(0)
    assert calls == []
    sleeper.kill()
    await wait_until(lambda: calls)
    assert calls == ["first"]


async def test_one_that_is_gone_already_is_told_of_soon(
    sleeper: subprocess.Popen[bytes], watcher: ExitWatcher
) -> None:
    sleeper.kill()
    sleeper.wait()
    told = asyncio.Event()
    watcher.watch(sleeper.pid, told.set)
    assert not told.is_set()
    async with asyncio.timeout(30):
        await told.wait()


async def test_nobody_is_called_after_unwatch_and_close(
    sleeper: subprocess.Popen[bytes], watcher: ExitWatcher
) -> None:
    calls: list[int] = []
    watcher.watch(sleeper.pid, lambda: calls.append(1))
    watcher.unwatch(sleeper.pid)
    watcher.watch(sleeper.pid, lambda: calls.append(2))
    watcher.close()
    other = asyncio.Event()
    watcher.watch(sleeper.pid, other.set)
    sleeper.kill()
    async with asyncio.timeout(30):
        await other.wait()
    assert calls == []


async def test_without_free_descriptors_exits_are_looked_for(
    sleeper: subprocess.Popen[bytes], watcher: ExitWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    kill, looks = os.kill, 0

    def look(pid: int, signal_number: int) -> None:
        nonlocal looks
        looks += 1
        kill(pid, signal_number)

    monkeypatch.setattr(exits, "POLL_INTERVAL_S", 0.02)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", refuse)
        patch.setattr(os, "kill", look)
        told = asyncio.Event()
        watcher.watch(sleeper.pid, told.set)
        await wait_until(lambda: looks >= 3, what="it to be looked for")
        assert not told.is_set()
        sleeper.kill()
        sleeper.wait()
        async with asyncio.timeout(30):
            await told.wait()


async def test_supervisord_lists_an_exit_as_soon_as_it_is_told(watcher: ExitWatcher) -> None:
    async with running_supervisord() as supervisord:
        for number in range(10):
            name = f"p{number}"
            pid = (await supervisord.start([supervisord.spec(name)]))[name]
            told = asyncio.Event()
            watcher.watch(pid, told.set)
            os.kill(pid, signal.SIGUSR1)
            async with asyncio.timeout(30):
                await told.wait()
            process = (await supervisord.list())[name]
            assert (process.state, process.exit_status) == ("exited", -signal.SIGUSR1)
