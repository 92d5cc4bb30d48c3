"""The control socket, from both ends."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from socket import AF_UNIX
from socket import socket as unix_socket
from typing import Any

import pytest

from streamd import control_api
from streamd.changes.change import Change, Preview, Touched
from streamd.control_api import ControlServer, ask, changes_json
from streamd.errors import ConfigError, ControlError, PlanRefusedError, Problem, StreamdError

CHANGE = Change(
    "target", "out", "restart", ("url or key",), Touched(processes=frozenset({"target.out"}))
)
PROBLEMS = (Problem("config.yaml", 3, 5, "targets.out", "no url"), Problem("b.yaml", 0, 0, "", "x"))


class Answers:
    """What a daemon would answer, and what it was asked."""

    def __init__(self) -> None:
        self.error: StreamdError | None = None
        self.asked: list[tuple[Any, ...]] = []

    async def reload(self, force: bool, wait_s: float) -> Mapping[str, Any]:
        self.asked.append((force, wait_s))
        if self.error is not None:
            raise self.error
        return {"changes": changes_json([CHANGE]), "untouched": 7, "retried": ["site"]}

    async def plan(self, path: Path) -> Preview:
        self.asked.append((path,))
        if self.error is not None:
            raise self.error
        return Preview((CHANGE,), "too much")

    def status(self) -> Mapping[str, Any]:
        return {"converged": True}


@pytest.fixture
def socket() -> Iterator[Path]:
    """A short path, as a Unix socket needs."""
    directory = Path(tempfile.mkdtemp(prefix="streamd-"))
    yield directory / "streamd.sock"
    shutil.rmtree(directory)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(socket: Path, answers: Answers) -> AsyncIterator[ControlServer]:
    made = ControlServer(socket, reload=answers.reload, plan=answers.plan, status=answers.status)
    await made.start()
    yield made
    await made.stop()


@pytest.mark.usefixtures("server")
async def test_what_is_asked_is_answered(socket: Path, answers: Answers) -> None:
    assert await ask(socket, "GET", "/status") == {"converged": True}
    found = await ask(socket, "POST", "/plan", {"path": "/etc/streamd/new.yaml"})
    assert found == {"changes": changes_json([CHANGE]), "refused": "too much"}
    body = {"force": True, "wait_s": 2.5}
    assert (await ask(socket, "POST", "/reload", body))["untouched"] == 7
    assert answers.asked == [(Path("/etc/streamd/new.yaml"),), (True, 2.5)]


@pytest.mark.usefixtures("server")
async def test_a_refused_file_comes_with_every_problem(socket: Path, answers: Answers) -> None:
    answers.error = ConfigError(PROBLEMS)
    with pytest.raises(ConfigError) as error:
        await ask(socket, "POST", "/reload", {"force": False, "wait_s": 0})
    assert error.value.problems == tuple(sorted(PROBLEMS))


@pytest.mark.usefixtures("server")
async def test_another_refusal_comes_with_its_reason(socket: Path, answers: Answers) -> None:
    answers.error = PlanRefusedError("this save would stop 5 of 6")
    with pytest.raises(ControlError, match="this save would stop 5 of 6"):
        await ask(socket, "POST", "/plan", {"path": "x"})


async def test_without_a_daemon_it_is_said_what_to_do(socket: Path) -> None:
    with pytest.raises(ControlError, match=r"no streamd answers at .*streamd\.sock; start it"):
        await ask(socket, "GET", "/status")


@pytest.mark.usefixtures("server")
async def test_an_answer_that_is_none_is_not_called_an_absent_daemon(socket: Path) -> None:
    with pytest.raises(ControlError, match="failed to answer; see its log"):
        await ask(socket, "GET", "/nothing-here")


async def test_a_daemon_that_hangs_is_given_up(
    socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_api, "REQUEST_TIMEOUT_S", 0.05)
    with unix_socket(AF_UNIX) as hanging:
        hanging.bind(str(socket))
        hanging.listen()
        with pytest.raises(ControlError, match="did not answer within"):
            await ask(socket, "GET", "/status")


@pytest.mark.usefixtures("server")
async def test_a_wait_that_was_asked_for_does_not_count_against_the_answer(
    socket: Path, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_api, "REQUEST_TIMEOUT_S", 0.0)
    body = {"force": False, "wait_s": 10.0}
    assert (await ask(socket, "POST", "/reload", body))["untouched"] == 7
    assert answers.asked == [(False, 10.0)]


async def test_only_this_user_may_ask(socket: Path, server: ControlServer) -> None:
    assert (await asyncio.to_thread(socket.stat)).st_mode & 0o777 == 0o600
    await server.stop()
    assert not await asyncio.to_thread(socket.exists)
    await server.stop()


async def test_a_socket_that_a_killed_daemon_left_is_replaced(
    socket: Path, answers: Answers
) -> None:
    with unix_socket(AF_UNIX) as left:
        left.bind(str(socket))
    server = ControlServer(socket, reload=answers.reload, plan=answers.plan, status=answers.status)
    await server.start()
    assert await ask(socket, "GET", "/status") == {"converged": True}
    await server.stop()


def test_changes_are_told_with_names_and_in_words() -> None:
    (told,) = json.loads(json.dumps(changes_json([CHANGE])))
    assert told["touches"]["targets"] == ["target.out"]
    assert told["fields"] == ["url or key"]
    assert told["text"] == str(CHANGE)
