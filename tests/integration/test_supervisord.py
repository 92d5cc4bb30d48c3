import asyncio
import json
import os
import signal
import stat
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from streamd.archive.layout import run_started_at
from streamd.errors import SupervisorError
from streamd.supervision.protocol import PID_ADDRESS, SPAWNED, pid_address
from streamd.supervision.supervisord import START_BATCH, Supervisord
from tests.support.pids import command_line, environment, is_alive, wait_until_gone
from tests.support.supervisord import (
    SLEEPER,
    STUBBORN,
    RunningSupervisord,
    running_supervisord,
)
from tests.support.waiting import wait_until


@pytest.fixture
async def supervisord() -> AsyncGenerator[RunningSupervisord]:
    async with running_supervisord() as running:
        yield running


async def test_many_processes_start_stop_and_are_forgotten(supervisord: RunningSupervisord) -> None:
    names = [f"target.t{number}" for number in range(2 * START_BATCH)]
    pids = await supervisord.start([supervisord.spec(name) for name in names])
    assert sorted(pids) == sorted(names)
    assert len(set(pids.values())) == len(names)
    listed = await supervisord.list()
    assert {name: process.pid for name, process in listed.items()} == pids
    assert {process.state for process in listed.values()} == {"running"}

    stopped, kept = names[:40], names[40:]
    await supervisord.stop(stopped)
    await supervisord.forget(names)  # those that still run stay
    for name in stopped:
        await wait_until_gone(pids[name])
    after = await supervisord.list()
    assert all(after[name].exit_status == -signal.SIGTERM for name in stopped if name in after)
    assert [after[name].pid for name in kept] == [pids[name] for name in kept]
    await supervisord.forget(stopped)
    assert sorted(await supervisord.list()) == sorted(kept)


async def test_a_process_that_ignores_sigterm_is_killed_when_its_time_is_over(
    supervisord: RunningSupervisord,
) -> None:
    spec = supervisord.spec("server.stubborn", STUBBORN, stop_timeout_s=0.3)
    pid = (await supervisord.start([spec, supervisord.spec("bystander")]))["server.stubborn"]
    await supervisord.wait_for_log("server.stubborn", "ready")
    await supervisord.stop(["server.stubborn"])
    listed = (await supervisord.list())["server.stubborn"]
    assert (listed.state, listed.pid) == ("stopping", pid)
    await supervisord.stop(["server.stubborn"])  # again: no second signal, no more time
    ended = await supervisord.wait_for_state("server.stubborn", "exited")
    assert ended.exit_status == -signal.SIGKILL
    assert (await supervisord.list())["bystander"].state == "running"


async def test_the_exit_status_is_told(supervisord: RunningSupervisord) -> None:
    await supervisord.start(
        [
            supervisord.spec("three", "raise SystemExit(3)"),
            supervisord.spec("none", "pass"),
            supervisord.spec("crash", "import os; os.kill(os.getpid(), 11)"),
        ]
    )
    for name, status in (("three", 3), ("none", 0), ("crash", -11)):
        ended = await supervisord.wait_for_state(name, "exited")
        assert (ended.pid, ended.exit_status, ended.error) == (0, status, None)


async def test_a_running_process_is_left_alone_and_an_exited_one_takes_the_new_spec(
    supervisord: RunningSupervisord,
) -> None:
    first = supervisord.spec("x", publisher="client 1")
    pid = (await supervisord.start([first]))["x"]
    other = supervisord.spec("x", SLEEPER, "again", identity="other", publisher="client 2")
    assert await supervisord.start([other]) == {"x": pid}
    listed = (await supervisord.list())["x"]
    assert (listed.identity, listed.publisher) == ("identity of x", "client 1")

    os.kill(pid, signal.SIGKILL)
    await wait_until_gone(pid)
    second = (await supervisord.start([other]))["x"]
    listed = (await supervisord.list())["x"]
    assert (listed.state, listed.pid) == ("running", second)
    assert (listed.identity, listed.publisher) == ("other", "client 2")
    assert listed.exit_status == -signal.SIGKILL  # of the run before
    await wait_until(lambda: "again" in command_line(second))


async def test_what_runs_is_known_to_the_next_client_as_it_was(
    supervisord: RunningSupervisord,
) -> None:
    await supervisord.start([supervisord.spec("x", publisher="client 7")])
    before = await supervisord.list()
    next_client = Supervisord(supervisord.runtime_dir, supervisord.log_dir)
    try:
        assert await next_client.ensure_running(external=False) == supervisord.pid()
        assert await next_client.list() == before
    finally:
        await next_client.close()


async def test_a_missing_program_is_an_exit_with_its_reason(
    supervisord: RunningSupervisord, tmp_path: Path
) -> None:
    missing = supervisord.spec("missing", argv=("/nonexistent/ffmpeg", "-i"))
    directory = supervisord.spec("directory", argv=(str(tmp_path),))
    plain = tmp_path / "plain"
    plain.write_text("")
    not_executable = supervisord.spec("plain", argv=(str(plain),))
    specs = [missing, directory, not_executable, supervisord.spec("fine")]
    pids = await supervisord.start(specs)
    assert [pids[name] for name in ("missing", "directory", "plain")] == [0, 0, 0]
    listed = await supervisord.list()
    assert listed["missing"].state == "exited"
    assert listed["missing"].exit_status == 127
    assert listed["missing"].error == "can't find command '/nonexistent/ffmpeg'"
    assert "is a directory" in str(listed["directory"].error)
    assert "is not executable" in str(listed["plain"].error)
    assert "can't find command" in supervisord.log_text("missing")
    assert listed["fine"].state == "running"

    healed = supervisord.spec("missing")
    assert (await supervisord.start([healed]))["missing"] > 0
    assert (await supervisord.list())["missing"].error is None


async def test_a_file_that_is_no_program_exits_and_says_so_in_its_log(
    supervisord: RunningSupervisord, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF not really")
    broken.chmod(0o755)
    await supervisord.start([supervisord.spec("broken", argv=(str(broken),))])
    ended = await supervisord.wait_for_state("broken", "exited")
    assert ended.exit_status == 127
    assert "couldn't exec" in supervisord.log_text("broken")


@pytest.mark.parametrize(
    "name",
    ["target.x@rooms/a", "target.x@a:b/c d%41~backup", "target.ü@日本/本", "a" * 250, '"<&;#'],
)
async def test_any_name_works(supervisord: RunningSupervisord, name: str) -> None:
    spec = supervisord.spec(name, log_path=str(supervisord.log_dir / "any.log"))
    pid = (await supervisord.start([spec]))[name]
    assert (await supervisord.list())[name].pid == pid
    await supervisord.stop([name])
    await supervisord.wait_for_state(name, "exited")
    await supervisord.forget([name])
    assert await supervisord.list() == {}


ECHO_INPUTS = """
import json, os, sys, time
def read(fd):
    parts = []
    while part := os.read(fd, 1 << 16):
        parts.append(part)
    return b"".join(parts).decode()
print(json.dumps({fd: len(read(int(fd))) for fd in sys.argv[1].split(",")}), flush=True)
print(json.dumps([os.path.basename(p) for p in os.listdir("/proc/self/fd")]), flush=True)
time.sleep(600)
"""


async def test_secrets_reach_the_process_and_nobody_else(supervisord: RunningSupervisord) -> None:
    secret = "rtmps://host/app/topsecret-é\x01<&>"
    code = (
        "import os, time; text = os.read(0, 9999).decode();"
        "os.write(1, ('got ' + text + '\\n').encode()); time.sleep(600)"
    )
    spec = supervisord.spec("x", code, secret_inputs={0: secret}, redact=("topsecret-é",))
    pid = (await supervisord.start([spec]))["x"]
    await supervisord.wait_for_log("x", "got rtmps://host/app/***\\x01<&>")
    seen = [
        *command_line(pid),
        *environment(pid).values(),
        *[path.read_text() for path in supervisord.log_dir.iterdir()],
        *[path.read_text() for path in supervisord.runtime_dir.iterdir() if path.is_file()],
        *command_line(supervisord.pid()),
        *environment(supervisord.pid()).values(),
    ]
    assert not [text for text in seen if "topsecret" in text]


async def test_inputs_arrive_on_their_descriptors_whatever_their_size_and_number(
    supervisord: RunningSupervisord,
) -> None:
    inputs = {0: "x" * 60_000, 3: "", 4: "yy", 70: "z" * 300_000, 300: "w"}
    spec = supervisord.spec("x", ECHO_INPUTS, "0,3,4,70,300", secret_inputs=inputs)
    await supervisord.start([spec])
    await supervisord.wait_for_log("x", "]")
    _, lengths, open_fds = supervisord.log_text("x").splitlines()
    assert json.loads(lengths) == {"0": 60_000, "3": 0, "4": 2, "70": 300_000, "300": 1}
    # One more is the directory that the process itself reads.
    assert set(map(int, json.loads(open_fds))) - {0, 1, 2, 3, 4, 70, 300} <= {5}


async def test_the_pid_address_in_argv_is_that_of_the_process(
    supervisord: RunningSupervisord,
) -> None:
    argument = f"udp://127.0.0.1:9?localaddr={PID_ADDRESS}"
    pid = (await supervisord.start([supervisord.spec("x", SLEEPER, argument)]))["x"]
    expected = f"udp://127.0.0.1:9?localaddr={pid_address(pid)}"
    await wait_until(lambda: expected in command_line(pid), what=expected)


async def test_two_starts_of_one_spec_are_told_apart_in_argv(
    supervisord: RunningSupervisord,
) -> None:
    seen: list[str] = []
    for _ in range(2):
        code = "import sys; print('<' + sys.argv[1] + '>')"
        pid = (await supervisord.start([supervisord.spec("x", code, SPAWNED)]))["x"]
        await supervisord.wait_for_state("x", "exited")
        start = supervisord.log_text("x").rpartition("<")[2].partition(">")[0]
        assert abs(run_started_at(start) - time.time()) < 60
        assert start.rpartition("-")[2] == str(pid)
        seen.append(start)
    assert seen == sorted(set(seen))


async def test_the_environment_is_minimal_and_marked(supervisord: RunningSupervisord) -> None:
    pid = (await supervisord.start([supervisord.spec("x")]))["x"]
    await wait_until(lambda: SLEEPER in command_line(pid))
    variables = environment(pid)
    assert variables.pop("STREAMD_SUPERVISED") == str(supervisord.runtime_dir)
    ours = {name for name in variables if not name.startswith("SUPERVISOR_")}
    assert ours <= {"PATH", "HOME", "TZ", "LANG", "LD_LIBRARY_PATH", "LC_CTYPE"}


async def test_files_of_supervisord_and_logs_are_for_their_owner_alone(
    supervisord: RunningSupervisord,
) -> None:
    path = supervisord.log_dir / "deep" / "x.log"
    before = os.umask(0o022)
    os.umask(before)
    code = "import os; print(oct(os.umask(0)), flush=True)"
    await supervisord.start([supervisord.spec("x", code, log_path=str(path))])
    await supervisord.wait_for_state("x", "exited")
    assert oct(before) in path.read_text()  # the process itself writes as its user expects
    for directory in (supervisord.runtime_dir, supervisord.log_dir, path.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = [*supervisord.runtime_dir.iterdir(), *supervisord.log_dir.glob("*.log"), path]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert (supervisord.runtime_dir / "supervisord.sock").is_socket()


async def test_output_is_masked_and_rotated(supervisord: RunningSupervisord) -> None:
    code = """
import os, time
for number in range(1000):
    os.write(1, b"line %d to=sec" % number)
    os.write(2, b"ret-word.\\n")
os.write(1, b"the end")
"""
    spec = supervisord.spec("x", code, redact=("secret-word",), log_bytes=2000, log_backups=2)
    await supervisord.start([spec])
    await supervisord.wait_for_state("x", "exited")
    path = Path(spec.log_path)
    files = [path.with_name(f"{path.name}.2"), path.with_name(f"{path.name}.1"), path]
    texts = [file.read_text() for file in files]
    assert all(len(text) <= 2000 for text in texts)
    lines = "".join(texts).splitlines()
    numbers = [int(line.split()[1]) for line in lines[:-1]]
    assert numbers == list(range(numbers[0], 1000))
    assert lines[-2:] == ["line 999 to=***.", "the end"]
    assert "secret" not in "".join(texts)
    assert not path.with_name(f"{path.name}.3").exists()


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


async def test_endless_output_without_lines_neither_grows_memory_nor_stalls_others(
    supervisord: RunningSupervisord,
) -> None:
    code = """
import os
for _ in range(640):
    os.write(1, b"x" * 65536)
os.write(1, b"\\ndone\\n")
"""
    before = resident_kb(supervisord.pid())
    await supervisord.start([supervisord.spec("flood", code), supervisord.spec("other")])
    assert (await supervisord.list())["other"].state == "running"
    ended = await supervisord.wait_for_state("flood", "exited")
    assert ended.exit_status == 0
    assert supervisord.log_text("flood").endswith("xx [line cut]\ndone\n")
    assert len(supervisord.log_text("flood")) < 20_000
    assert resident_kb(supervisord.pid()) - before < 5_000


async def test_a_process_whose_log_cannot_be_written_runs_on(
    supervisord: RunningSupervisord,
) -> None:
    (supervisord.log_dir / "file").write_text("")
    code = "import os\nfor _ in range(64): os.write(1, b'x' * 4095 + b'\\n')"
    spec = supervisord.spec("x", code, log_path=str(supervisord.log_dir / "file" / "x.log"))
    await supervisord.start([spec])
    assert (await supervisord.wait_for_state("x", "exited")).exit_status == 0
    assert "lines are lost" in (supervisord.log_dir / "supervisord.log").read_text()


async def test_two_clients_at_once_get_along(supervisord: RunningSupervisord) -> None:
    other = Supervisord(supervisord.runtime_dir, supervisord.log_dir)
    try:
        specs = [supervisord.spec(f"p{number}") for number in range(20)]
        answers = await asyncio.gather(
            *(client.start(specs) for client in (supervisord, other)),
            *(client.list() for client in (supervisord, other) for _ in range(10)),
        )
        assert answers[0] == answers[1]
        assert len(await other.list()) == 20
    finally:
        await other.close()


async def test_the_workers_of_a_master_that_crashed_do_not_outlive_it(
    supervisord: RunningSupervisord,
) -> None:
    code = """
import os, time
worker = os.fork()
if worker:
    print("worker", worker, flush=True)
time.sleep(600)
"""
    master = (await supervisord.start([supervisord.spec("server.main", code)]))["server.main"]
    await supervisord.wait_for_log("server.main", "worker")
    worker = int(supervisord.log_text("server.main").split()[-1])
    assert is_alive(worker)
    os.kill(master, signal.SIGKILL)
    await wait_until_gone(worker)


async def test_a_stop_right_after_a_start_is_not_lost(supervisord: RunningSupervisord) -> None:
    specs = [supervisord.spec(f"p{n}", stop_timeout_s=60.0) for n in range(20)]
    for spec in specs:
        await supervisord.start([spec])
        await supervisord.stop([spec.name])
    for spec in specs:
        ended = await supervisord.wait_for_state(spec.name, "exited")
        assert ended.exit_status == -signal.SIGTERM


async def test_what_supervisord_cannot_use_is_refused_without_being_logged(
    supervisord: RunningSupervisord,
) -> None:
    with pytest.raises(SupervisorError, match="refused start") as caught:
        await supervisord._call("start", json.dumps([{"name": "x", "redact": "hidden-text"}]))
    assert "hidden-text" not in str(caught.value)
    with pytest.raises(SupervisorError, match="refused start"):
        await supervisord._call("start", "hidden-text: not JSON")
    with pytest.raises(SupervisorError, match="refused list"):
        await supervisord._call("list", "hidden-text: one too many")
    assert "hidden-text" not in (supervisord.log_dir / "supervisord.log").read_text()
    assert await supervisord.list() == {}
