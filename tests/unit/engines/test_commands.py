import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from streamd.engines.commands import executable, run
from streamd.errors import EngineError


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None
    return path


async def test_status_and_both_outputs_are_returned() -> None:
    status, output = await run((_program("sh"), "-c", "echo out; echo err >&2; exit 3"), 10)
    assert (status, output) == (3, "out\nerr\n")


async def test_the_environment_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRS_LISTEN", "1")
    _, output = await run((_program("env"),), 10)
    assert "SRS_LISTEN" not in output


async def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(EngineError, match=r"did not finish within 0\.5 s"):
        await run((_program("sh"), "-c", f"echo $$ > {pid_file}; exec sleep 60"), 0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_a_descendant_that_stays_is_not_waited_for() -> None:
    async with asyncio.timeout(30):
        status, output = await run((_program("sh"), "-c", "sleep 60 & echo $!"), 50)
    os.kill(int(output), signal.SIGKILL)
    assert status == 0


async def test_what_cannot_be_run_is_named(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("")
    with pytest.raises(EngineError, match="program cannot be run: Permission denied"):
        await run((str(program),), 10)


def test_an_executable_is_returned_as_it_was_named() -> None:
    assert executable(_program("sh"), "install it") == _program("sh")


def test_a_missing_one_comes_with_advice(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="none is not there; install it"):
        executable(str(tmp_path / "none"), "install it")
