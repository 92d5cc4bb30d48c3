"""supervisord as streamd uses it: started when it is not there, and asked over its socket."""

import asyncio
import json
import os
import signal
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import aiohttp
import structlog

from streamd.errors import SupervisorError
from streamd.observed import ObservedProcess
from streamd.supervision.exits import wait_for_exit
from streamd.supervision.process import ProcessSpec
from streamd.supervision.protocol import PROTOCOL
from streamd.supervision.start import (
    LOCKED,
    LOG_NAME,
    last_leader,
    minimal_environment,
    socket_path,
)

log = structlog.get_logger()

CALL_TIMEOUT_S = 10.0
"""One call; it takes 10 ms with a thousand processes on an idle machine."""

START_TIMEOUT_S = 20.0
"""From the start of supervisord to its first answer; usually 0.4 s."""

EXTERNAL_TIMEOUT_S = 60.0
"""How long to wait for a supervisord that the system starts."""

SHUTDOWN_MARGIN_S = 5.0
"""What a shutdown may take beyond the longest stop timeout of a process."""

KILL_TIMEOUT_S = 5.0
"""A supervisord that SIGKILL does not end within this time hangs in the kernel."""

UNKNOWN_STOP_S = 5.0
"""Taken for the longest stop timeout when supervisord cannot be asked for it."""

START_BATCH = 25
"""Processes started in one call; supervisord does nothing else in the meantime."""

_SHUTDOWN_FAULT = 6  # supervisor.xmlrpc.Faults.SHUTDOWN_STATE
_RETRY_S = 0.05
_URL = "http://supervisord/RPC2"
_OBSERVED_FIELDS = tuple(field.name for field in fields(ObservedProcess))


class _UnreachableError(SupervisorError):
    """Nobody answers on the socket, or a supervisord that is about to end."""


def _plain(spec: ProcessSpec) -> dict[str, Any]:
    plain = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {
        **plain,
        "secret_inputs": {str(fd): text for fd, text in spec.secret_inputs.items()},
    }


def _observed(entry: Mapping[str, Any]) -> ObservedProcess:
    return ObservedProcess(**{name: entry[name] for name in _OBSERVED_FIELDS if name in entry})


class Supervisord:
    """A `ProcessRunner` over supervisord's private Unix socket.

    Args:
        runtime_dir: holds the socket and the lock; one supervisord at a time runs on it.
        log_dir: holds supervisord's own log.
    """

    def __init__(self, runtime_dir: Path, log_dir: Path) -> None:
        self._runtime_dir = runtime_dir.absolute()
        self._log_dir = log_dir.absolute()
        self._socket = socket_path(self._runtime_dir)
        self._session: aiohttp.ClientSession | None = None
        self._launched: int | None = None
        self._pid = 0

    async def ensure_running(self, *, external: bool) -> int:
        """Return the pid of a supervisord that answers; start one when there is none.

        A running one is adopted with everything that it runs. Before a new one comes up, what a
        killed one left behind is ended.

        Args:
            external: the system starts it; wait for that.

        Raises:
            SupervisorError: it does not come up, or it speaks another protocol.
        """
        limit_s = EXTERNAL_TIMEOUT_S if external else START_TIMEOUT_S
        reason = SupervisorError("no answer")
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    try:
                        self._pid = await self._greet()
                    except _UnreachableError as error:
                        reason = error
                    else:
                        self._discard_second()
                        return self._pid
                    if not external:
                        self._launch()
                    await asyncio.sleep(_RETRY_S)
        except TimeoutError:
            hint = "is its service enabled?" if external else f"see {self._log_dir / LOG_NAME}"
            raise SupervisorError(
                f"supervisord did not come up within {limit_s:g} s ({reason}); {hint}"
            ) from reason

    async def _greet(self) -> int:
        answer = json.loads(await self._call("version"))
        if answer["protocol"] != PROTOCOL:
            raise SupervisorError(
                f"the running supervisord (pid {answer['pid']}) is of streamd {answer['streamd']} "
                f"and speaks protocol {answer['protocol']}, this streamd protocol {PROTOCOL}; it "
                "was left alone with all that it runs. Restart it when an interruption is allowed"
            )
        return int(answer["pid"])

    def _launch(self) -> None:
        """Start supervisord unless the one started before may still come up."""
        status = self._reap()
        # A signal ends one that ran before; LOCKED is another that comes up or ends just now.
        if status > 0 and status != LOCKED:
            raise SupervisorError(
                f"supervisord could not be started (exit status {status}); "
                f"see {self._log_dir / LOG_NAME}"
            )
        if self._launched is not None:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        output = str(self._log_dir / LOG_NAME)
        try:
            self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._launched = os.posix_spawn(
                sys.executable,
                [
                    *(sys.executable, "-P", "-m", "streamd.supervision.start"),
                    *(str(self._runtime_dir), str(self._log_dir)),
                ],
                minimal_environment(os.environ),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, output, flags, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
        except OSError as error:
            raise SupervisorError(
                f"supervisord cannot be started: {error.strerror}; this user must be able to run "
                f"{sys.executable} and to write {output}"
            ) from error
        log.info("supervisord.started", pid=self._launched)

    def _discard_second(self) -> None:
        """End the one that we started while another daemon's came up."""
        if self._launched not in (None, self._pid):
            os.kill(self._launched, signal.SIGKILL)
            self._reap(0)

    def _reap(self, options: int = os.WNOHANG) -> int:
        """Note the end of the one that we started; return its exit status, 0 if it runs."""
        if self._launched is None:
            return 0
        try:
            pid, status = os.waitpid(self._launched, options)
        except ChildProcessError:  # reaped by whoever waits for every child, as an init does
            pid, status = self._launched, 0
        if pid:
            self._launched = None
        return os.waitstatus_to_exitcode(status)

    async def list(self) -> Mapping[str, ObservedProcess]:
        """Return every process by name, what exited just now included.

        Raises:
            SupervisorError: supervisord does not answer.
        """
        return {entry["name"]: _observed(entry) for entry in await self._entries()}

    async def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        """Start processes and return pid by name; one that runs already is left alone.

        A pid of 0 is a process that could not be started; `list` has its `error`.

        Raises:
            SupervisorError: supervisord does not answer; some may have been started.
        """
        pids: dict[str, int] = {}
        remaining = iter(specs)
        while batch := tuple(islice(remaining, START_BATCH)):
            answer = await self._call("start", json.dumps([_plain(spec) for spec in batch]))
            pids.update(json.loads(answer))
        return pids

    async def stop(self, names: Sequence[str]) -> None:
        """Send SIGTERM, and SIGKILL after each one's stop timeout, without waiting.

        Raises:
            SupervisorError: supervisord does not answer.
        """
        await self._call("stop", json.dumps([*names]))

    async def forget(self, names: Sequence[str]) -> None:
        """Drop exited processes from the list; one that runs is left alone.

        Raises:
            SupervisorError: supervisord does not answer.
        """
        await self._call("forget", json.dumps([*names]))

    async def redact(self, names: Sequence[str], secrets: Sequence[str]) -> None:
        """Mask further texts in the logs of processes that run, from their next line on.

        Raises:
            SupervisorError: supervisord does not answer.
        """
        await self._call("redact", json.dumps([*names]), json.dumps([*secrets]))

    async def shutdown(self) -> None:
        """Stop every process at the same time, then supervisord; return when all are gone.

        Takes at most the longest stop timeout and a margin. Does nothing when it is not running.

        Raises:
            SupervisorError: it cannot even be killed.
        """
        leader = last_leader(self._runtime_dir)
        pidfd = leader.open() if leader is not None else None
        if leader is not None and pidfd is not None:
            await self._end(leader.pid, pidfd)
        self._reap()
        if self._launched is not None:  # it was coming up just now
            await self._end(self._launched, os.pidfd_open(self._launched))

    async def _end(self, pid: int, pidfd: int) -> None:
        try:
            for number, limit_s in (
                (signal.SIGTERM, await self._longest_stop_s() + SHUTDOWN_MARGIN_S),
                (signal.SIGKILL, KILL_TIMEOUT_S),
            ):
                if await _ends(pidfd, number, limit_s):
                    log.info("supervisord.stopped", pid=pid, signal=number.name)
                    return
        finally:
            os.close(pidfd)
            self._reap()
        raise SupervisorError(f"supervisord (pid {pid}) hangs in the kernel and cannot end")

    async def _longest_stop_s(self) -> float:
        try:
            entries = await self._entries()
        except SupervisorError:
            return UNKNOWN_STOP_S
        return max((entry["stop_timeout_s"] for entry in entries if entry["pid"]), default=0.0)

    async def close(self) -> None:
        """Close the connection; supervisord and everything that it runs stay."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _entries(self) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = json.loads(await self._call("list"))
        return entries

    async def _call(self, method: str, *arguments: str) -> str:
        body = xmlrpc.client.dumps(arguments, f"streamd.{method}").encode()
        try:
            status, content = await self._post(body)
            if status != 200:
                raise SupervisorError(f"supervisord answered {method} with HTTP status {status}")
            (answer,), _ = xmlrpc.client.loads(content.decode())
        except TimeoutError as error:
            raise SupervisorError(
                f"supervisord did not answer {method} on {self._socket} within {CALL_TIMEOUT_S:g} s"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            # What aiohttp says of a failed connection names the socket once more.
            reason = error.strerror if isinstance(error, OSError) else None
            raise _UnreachableError(
                f"nobody answers on {self._socket}: {reason or type(error).__name__}"
            ) from error
        except xmlrpc.client.Fault as error:
            if error.faultCode == _SHUTDOWN_FAULT:
                raise _UnreachableError("supervisord is about to end") from error
            raise SupervisorError(f"supervisord refused {method}: {error.faultString}") from error
        except (ExpatError, UnicodeDecodeError, xmlrpc.client.Error) as error:
            raise SupervisorError(f"supervisord's answer to {method} is unreadable") from error
        return str(answer)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket), force_close=True)
            )
        headers = {"Content-Type": "text/xml"}
        limit = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        async with self._session.post(_URL, data=body, headers=headers, timeout=limit) as response:
            return response.status, await response.read()


async def _ends(pidfd: int, number: signal.Signals, limit_s: float) -> bool:
    """Send a signal, and tell whether the process is gone within the limit."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)
    try:
        async with asyncio.timeout(limit_s):
            await wait_for_exit(pidfd)
    except TimeoutError:
        return False
    return True
