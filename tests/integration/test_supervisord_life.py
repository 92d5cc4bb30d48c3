"""supervisord itself: how it comes up, is adopted, is killed, and ends."""

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streamd.errors import SupervisorError
from streamd.supervision import supervisord as client_module
from streamd.supervision.orphans import Leader, find_orphans, sweep_orphans
from streamd.supervision.protocol import MARKER
from streamd.supervision.start import LOCKED
from streamd.supervision.supervisord import Supervisord
from tests.support.pids import children_of, is_alive, wait_until_gone
from tests.support.ports import free_port
from tests.support.supervisord import (
    SLEEPER,
    STUBBORN,
    RunningSupervisord,
    running_supervisord,
)
from tests.support.waiting import wait_until, wait_until_sync


@pytest.fixture
async def supervisord() -> AsyncGenerator[RunningSupervisord]:
    async with running_supervisord() as running:
        yield running


@pytest.fixture
def directory() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="streamd-"))
    yield root
    shutil.rmtree(root)


def entry(root: Path) -> list[str]:
    module = [sys.executable, "-m", "streamd.supervision.start"]
    return [*module, str(root / "run"), str(root / "log")]


async def test_a_killed_supervisord_takes_everything_along_and_a_new_one_comes_up(
    supervisord: RunningSupervisord,
) -> None:
    pids = await supervisord.start([supervisord.spec(f"p{n}", STUBBORN) for n in range(10)])
    killed = supervisord.pid()
    os.kill(killed, signal.SIGKILL)
    for pid in pids.values():
        await wait_until_gone(pid)
    with pytest.raises(SupervisorError, match=r"nobody answers on .*sock: Connection refused$"):
        await supervisord.list()
    assert await supervisord.ensure_running(external=False) != killed
    assert await supervisord.list() == {}
    assert (await supervisord.start([supervisord.spec("p1")]))["p1"] > 0


async def test_two_daemons_at_once_start_one_supervisord(directory: Path) -> None:
    clients = [Supervisord(directory / "run", directory / "log") for _ in range(3)]
    try:
        pids = await asyncio.gather(*(c.ensure_running(external=False) for c in clients))
        assert len(set(pids)) == 1
    finally:
        await clients[0].shutdown()
        for client in clients:
            await client.close()
    assert not is_alive(pids[0])


async def test_a_supervisord_that_just_comes_up_is_shut_down_too(directory: Path) -> None:
    client = Supervisord(directory / "run", directory / "log")
    starting = asyncio.create_task(client.ensure_running(external=False))
    launched = await wait_until(lambda: client._launched)
    assert launched is not None
    starting.cancel()
    await client.shutdown()
    await client.close()
    assert not is_alive(launched)
    assert client._launched is None


async def test_a_second_supervisord_on_the_same_directory_is_refused(
    supervisord: RunningSupervisord,
) -> None:
    child = (await supervisord.start([supervisord.spec("x")]))["x"]
    second = await asyncio.create_subprocess_exec(
        *entry(supervisord.runtime_dir.parent), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await second.communicate()
    assert second.returncode == LOCKED
    assert f"held by another supervisord (pid {supervisord.pid()})" in stderr.decode()
    assert (await supervisord.list())["x"].pid == child


async def test_a_removed_lock_file_lets_no_second_supervisord_take_over(
    supervisord: RunningSupervisord,
) -> None:
    child = (await supervisord.start([supervisord.spec("x")]))["x"]
    (supervisord.runtime_dir / "supervisord.lock").unlink()
    second = await asyncio.create_subprocess_exec(
        *entry(supervisord.runtime_dir.parent), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await second.communicate()
    assert second.returncode == LOCKED
    assert "another supervisord answers there" in stderr.decode()
    assert (await supervisord.list())["x"].pid == child
    os.kill(supervisord.pid(), signal.SIGTERM)  # without its lock it is not found otherwise
    await wait_until_gone(supervisord.pid())


async def test_a_supervisord_of_the_system_is_waited_for(directory: Path) -> None:
    client = Supervisord(directory / "run", directory / "log")
    waiting = asyncio.create_task(client.ensure_running(external=True))
    await asyncio.sleep(0)
    service = await asyncio.create_subprocess_exec(*entry(directory))
    try:
        assert await waiting == service.pid
    finally:
        await client.shutdown()
        await client.close()
    assert await service.wait() == 0
    assert not (directory / "run" / "supervisord.sock").exists()


async def test_a_supervisord_of_the_system_that_does_not_come_is_an_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "EXTERNAL_TIMEOUT_S", 0.2)
    client = Supervisord(directory / "run", directory / "log")
    try:
        with pytest.raises(SupervisorError, match=r"within 0.2 s .*nobody answers.*its service"):
            await client.ensure_running(external=True)
    finally:
        await client.close()
    assert not (directory / "run").exists()


async def test_a_directory_that_cannot_be_used_is_an_error_with_the_log_to_see(
    directory: Path,
) -> None:
    (directory / "run").write_text("in the way")
    client = Supervisord(directory / "run", directory / "log")
    try:
        with pytest.raises(SupervisorError, match=r"exit status 1\); see .*supervisord.log"):
            await client.ensure_running(external=False)
    finally:
        await client.close()
    assert "File exists" in (directory / "log" / "supervisord.log").read_text()


async def test_a_log_that_cannot_be_written_is_an_error_that_names_it(directory: Path) -> None:
    (directory / "log").write_text("in the way")
    client = Supervisord(directory / "run", directory / "log")
    try:
        with pytest.raises(SupervisorError, match=r"cannot be started: .*log/supervisord\.log$"):
            await client.ensure_running(external=False)
    finally:
        await client.close()


async def test_a_supervisord_of_another_protocol_is_left_alone(
    supervisord: RunningSupervisord, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = (await supervisord.start([supervisord.spec("x")]))["x"]
    with monkeypatch.context() as patch:
        patch.setattr(client_module, "PROTOCOL", 2)
        newer = Supervisord(supervisord.runtime_dir, supervisord.log_dir)
        with pytest.raises(SupervisorError, match="protocol 1, this streamd protocol 2; it was"):
            await newer.ensure_running(external=False)
        await newer.close()
    assert (await supervisord.list())["x"].pid == child


ENDS_WITH_ALL = """
import pathlib, signal, sys, time
own, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGTERM, lambda *_: own.touch())
print("ready", flush=True)
while len(list(own.parent.iterdir())) < count:
    time.sleep(0.01)
print("all were asked", flush=True)
"""


async def test_a_shutdown_stops_everything_at_the_same_time(
    supervisord: RunningSupervisord,
) -> None:
    names = [f"p{number}" for number in range(5)]
    together = supervisord.log_dir / "together"
    together.mkdir()
    specs = [
        supervisord.spec(name, ENDS_WITH_ALL, str(together / name), "5", stop_timeout_s=60.0)
        for name in names
    ]
    pids = await supervisord.start(specs)
    for name in names:
        await supervisord.wait_for_log(name, "ready")
    await supervisord.shutdown()
    assert not any(map(is_alive, [*pids.values(), supervisord.pid()]))
    assert all("all were asked" in supervisord.log_text(name) for name in names)
    await supervisord.shutdown()  # once more: nothing is left to do


async def test_a_supervisord_that_hangs_is_killed_at_shutdown(
    supervisord: RunningSupervisord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CALL_TIMEOUT_S", 0.5)
    monkeypatch.setattr(client_module, "UNKNOWN_STOP_S", 0.0)
    monkeypatch.setattr(client_module, "SHUTDOWN_MARGIN_S", 0.5)
    pid = supervisord.pid()
    child = (await supervisord.start([supervisord.spec("x")]))["x"]
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(SupervisorError, match=r"did not answer list on .* within 0.5 s"):
        await supervisord.list()
    await supervisord.shutdown()
    assert not is_alive(pid)
    await wait_until_gone(child)


async def test_a_supervisord_that_is_about_to_end_is_not_adopted(
    supervisord: RunningSupervisord,
) -> None:
    ending = supervisord.pid()
    await supervisord.start([supervisord.spec("x", STUBBORN, stop_timeout_s=1.0)])
    await supervisord.wait_for_log("x", "ready")
    os.kill(ending, signal.SIGTERM)
    await supervisord.wait_for_state("x", "stopping")
    with pytest.raises(SupervisorError, match="about to end"):
        await supervisord.start([supervisord.spec("y")])
    assert await supervisord.ensure_running(external=False) != ending
    assert not is_alive(ending)
    assert await supervisord.list() == {}


async def test_without_free_descriptors_starts_fail_and_supervisord_answers(
    supervisord: RunningSupervisord,
) -> None:
    limits = resource.prlimit(supervisord.pid(), resource.RLIMIT_NOFILE)
    resource.prlimit(supervisord.pid(), resource.RLIMIT_NOFILE, (100, limits[1]))
    pids = await supervisord.start([supervisord.spec(f"p{n}") for n in range(60)])
    failed = [name for name, pid in pids.items() if not pid]
    assert 0 < len(failed) < 60
    listed = await supervisord.list()
    assert {listed[name].error for name in failed} == {
        f"too many open files to spawn '{name}'" for name in failed
    }
    resource.prlimit(supervisord.pid(), resource.RLIMIT_NOFILE, limits)
    again = await supervisord.start([supervisord.spec(name) for name in failed])
    assert all(again.values())


async def test_a_runtime_directory_that_others_can_write_is_refused(directory: Path) -> None:
    (directory / "run").mkdir()
    (directory / "run").chmod(0o777)
    client = Supervisord(directory / "run", directory / "log")
    try:
        with pytest.raises(SupervisorError, match="exit status 1"):
            await client.ensure_running(external=False)
    finally:
        await client.close()
    assert "others can write there" in (directory / "log" / "supervisord.log").read_text()
    assert list((directory / "run").iterdir()) == []


async def test_sighup_restarts_nothing(supervisord: RunningSupervisord) -> None:
    child = (await supervisord.start([supervisord.spec("x")]))["x"]
    os.kill(supervisord.pid(), signal.SIGHUP)
    assert (await supervisord.list())["x"].pid == child
    assert is_alive(child)


async def test_sigusr2_lets_logs_be_taken_away(supervisord: RunningSupervisord) -> None:
    code = "import time\nfor n in range(10000): print('line', n, flush=True); time.sleep(0.02)"
    spec = supervisord.spec("x", code)
    await supervisord.start([spec])
    await supervisord.wait_for_log("x", "line 2\n")
    path = Path(spec.log_path)
    os.rename(path, path.with_suffix(".taken"))  # noqa: PTH104 - at once, in the event loop
    os.kill(supervisord.pid(), signal.SIGUSR2)
    await wait_until(path.exists)
    await wait_until(lambda: "line" in path.read_text())


def open_files(pid: int) -> set[str]:
    files = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # what the process closed meanwhile
            files.add(str(link.readlink()))
    return files


async def test_supervisord_hands_no_open_file_of_its_starter_on(directory: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    client = RunningSupervisord(directory)
    try:
        pid = await client.ensure_running(external=False)
        assert f"pipe:[{os.fstat(writer).st_ino}]" not in open_files(pid)
    finally:
        await client.shutdown()
        await client.close()
        os.close(reader)
        os.close(writer)


def marked(runtime_dir: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-I", "-c", STUBBORN]
    environment = {MARKER: str(runtime_dir)}
    return subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL)


async def test_an_orphan_is_swept_before_a_new_supervisord_starts_anything(
    directory: Path,
) -> None:
    orphan = marked(directory / "run")
    stranger = marked(directory / "running")
    client = RunningSupervisord(directory)
    try:
        wait_until_sync(lambda: orphan.pid in find_orphans(directory / "run", None))
        await client.ensure_running(external=False)
        assert orphan.wait(timeout=10) == -signal.SIGKILL
        assert stranger.poll() is None
        assert f"killed orphan {orphan.pid}" in (client.log_dir / "supervisord.log").read_text()
    finally:
        await client.shutdown()
        await client.close()
        for process in (orphan, stranger):
            process.kill()
            process.wait()


NGINX = """
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log stderr;
events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}
"""


def raw_environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


async def test_workers_that_outlive_a_killed_supervisord_are_swept(
    supervisord: RunningSupervisord,
) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx is not None, "nginx is needed for this test"
    config = supervisord.log_dir / "nginx.conf"
    config.write_text(NGINX.format(root=supervisord.log_dir, port=free_port()))
    argv = (nginx, "-e", "stderr", "-c", str(config))
    master = (await supervisord.start([supervisord.spec("server.main", argv=argv)]))["server.main"]
    (worker,) = await wait_until(lambda: children_of(master))
    assert MARKER not in raw_environment(worker)  # nginx writes its title over it
    os.kill(supervisord.pid(), signal.SIGKILL)
    await wait_until_gone(master)
    assert is_alive(worker)
    await supervisord.ensure_running(external=False)
    assert not is_alive(worker)


LEADER = """
import os, subprocess, sys, time
from streamd.supervision.orphans import Leader
child = subprocess.Popen([sys.executable, "-I", "-c", sys.argv[1]], env={})
print(Leader.this_process(), child.pid, sep="|", flush=True)
time.sleep(600)
"""


def test_what_wiped_its_environment_is_known_by_the_session_of_the_dead(directory: Path) -> None:
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, SLEEPER],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert leader.stdout is not None
    with leader.stdout as stdout:
        text, child = stdout.readline().split("|")
    former = Leader.parse(text)
    assert former is not None
    try:
        assert find_orphans(directory, former) == []  # the leader lives
        leader.kill()
        leader.wait()
        assert find_orphans(directory, None) == []
        for uncertain in (
            Leader(former.pid, former.started, "another boot", leads=True),
            Leader(former.pid, former.started, former.boot, leads=False),
        ):
            assert find_orphans(directory, uncertain) == []
        assert sweep_orphans(directory, former) == [int(child)]
    finally:
        leader.kill()
        leader.wait()
    assert not is_alive(int(child))
