"""The `streamd` RPC namespace inside supervisord 4.3: processes by value, without its INI.

supervisord loads this as `[rpcinterface:streamd]`. It builds each process's configuration here, so
that nothing is parsed again and no quoting is needed, and it mends what hurts a live channel:
exits and due SIGKILLs are acted on at once, a shutdown stops everything at the same time, and
nothing survives supervisord. Every process is a group of its own, so that none touches another.

Light on purpose (supervisor and the standard library): it shares supervisord's memory.
"""

import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from supervisor import events
from supervisor.http import deferring_http_channel
from supervisor.medusa import asyncore_25
from supervisor.options import VERSION, ProcessGroupConfig
from supervisor.poller import Poller
from supervisor.states import ProcessStates, SupervisorStates
from supervisor.xmlrpc import Faults, RPCError

from streamd.supervision.protocol import PROTOCOL
from streamd.supervision.supervised_process import PRIORITY, SupervisedConfig, SupervisedProcess
from streamd.version import __version__

_REAPED_AT_ONCE = 100  # Supervisor.reap stops there
_ACTIVE = (ProcessStates.STARTING, ProcessStates.RUNNING)


class _PunctualPoller(Poller):
    """Wakes up for a due SIGKILL; supervisor looks only when something happens, or each second."""

    def __init__(self, options: Any, kill_due_in_s: Callable[[], float | None]) -> None:
        super().__init__(options)
        self._kill_due_in_s = kill_due_in_s

    def poll(self, timeout: float) -> Any:
        due_s = self._kill_due_in_s()
        return super().poll(timeout if due_s is None else min(timeout, max(0.0, due_s)))


class _SignalWakeup:
    """Ends supervisord's poll at every signal; an exit would else be noticed a second late.

    Reaps everything then, because supervisord takes a hundred a pass and sleeps in between.
    """

    closed = False

    def __init__(self, reap: Callable[[], None], complain: Callable[[str], None]) -> None:
        self._reap = reap
        self._complain = complain
        self._reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        asyncore_25.socket_map[self._reader] = self

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._reader, 4096)
        self._reap()

    def handle_error(self) -> None:
        self._complain(f"streamd plugin: {_where(sys.exc_info()[1])}")


def _where(error: BaseException | None) -> str:
    """Describe an error without its text, which may hold a secret."""
    trace = traceback.extract_tb(error.__traceback__) if error is not None else []
    place = f" at {trace[-1].name}:{trace[-1].lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


def _answering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let no exception but RPCError out: supervisord would log the whole request, secrets too."""

    @functools.wraps(method)
    def answer(self: "StreamdInterface", *arguments: str) -> Any:
        try:
            return method(self, *arguments)
        except RPCError:
            raise
        except Exception as error:  # noqa: BLE001 - it is logged without what it holds
            where = _where(error)
            self.supervisord.options.logger.critical(f"streamd plugin: {where}")
            raise RPCError(Faults.FAILED, where) from None

    return answer


class StreamdInterface:
    """The methods of the `streamd` namespace. Arguments and answers are JSON texts."""

    def __init__(self, supervisord: Any, runtime_dir: str, umask: int) -> None:
        self.supervisord = supervisord
        self._runtime_dir = runtime_dir
        self._umask = umask

    @_answering
    def version(self) -> str:
        """Return {protocol, streamd, supervisor, pid}; a fault when it is about to end."""
        self._refuse_at_shutdown()
        return json.dumps(
            {
                "protocol": PROTOCOL,
                "streamd": __version__,
                "supervisor": VERSION,
                "pid": os.getpid(),
            }
        )

    @_answering
    def list(self) -> str:
        """Return every process, what exited just now included."""
        self._reap()
        return json.dumps([_entry(process) for process in self._processes()])

    @_answering
    def start(self, specs: str) -> str:
        """Start processes and return {name: pid}; pid 0 for one that could not be started."""
        self._refuse_at_shutdown()
        self._reap()
        return json.dumps({spec["name"]: self._start(spec) for spec in json.loads(specs)})

    @_answering
    def stop(self, names: str) -> str:
        """Send SIGTERM, and SIGKILL when the stop timeout is over. Does not wait."""
        self._reap()
        for name in json.loads(names):
            process = self._find(name)
            if process is not None and process.state in _ACTIVE:
                process.stop()
        return "{}"

    @_answering
    def forget(self, names: str) -> str:
        """Drop processes that do not run."""
        self._reap()
        for name in json.loads(names):
            process = self._find(name)
            if process is not None and not process.pid:
                self.supervisord.remove_process_group(name)
        return "{}"

    @_answering
    def redact(self, names: str, secrets: str) -> str:
        """Mask further texts in the logs of processes, from the next line on."""
        further = json.loads(secrets)
        for name in json.loads(names):
            process = self._find(name)
            if process is not None:
                process.redact(further)
        return "{}"

    def _start(self, spec: dict[str, Any]) -> int:
        name = spec["name"]
        options = self.supervisord.options
        former = self._find(name)
        if former is not None and former.pid:
            return int(former.pid)
        config = SupervisedConfig(options, spec, self._runtime_dir, self._umask)
        if former is not None:
            self.supervisord.remove_process_group(name)
        self.supervisord.add_process_group(ProcessGroupConfig(options, name, PRIORITY, [config]))
        process = self._find(name)
        assert process is not None, "it was just added"  # noqa: S101 - for mypy
        process.exit_status = former.exit_status if former is not None else None
        return process.spawn() or 0

    def _refuse_at_shutdown(self) -> None:
        if self.supervisord.options.mood < SupervisorStates.RUNNING:
            raise RPCError(Faults.SHUTDOWN_STATE)

    def _find(self, name: str) -> SupervisedProcess | None:
        group = self.supervisord.process_groups.get(name)
        return None if group is None else group.processes[name]

    def _processes(self) -> Sequence[SupervisedProcess]:
        return [
            process
            for group in self.supervisord.process_groups.values()
            for process in group.processes.values()
        ]

    def _reap(self) -> None:
        """Note every exit, as supervisord does once a pass."""
        living = self.supervisord.options.pidhistory
        for _ in range(len(living) // _REAPED_AT_ONCE + 1):
            self.supervisord.reap()

    def _stop_all(self, _event: object = None) -> None:
        """Stop everything at once; a shutdown of supervisord's own goes group by group."""
        for process in self._processes():
            if process.state in _ACTIVE:
                process.stop()

    def _kill_due_in_s(self) -> float | None:
        due = [process.kill_due_in_s() for process in self._processes()]
        return min((seconds for seconds in due if seconds is not None), default=None)


def _entry(process: SupervisedProcess) -> dict[str, Any]:
    state = "exited"
    if process.pid:
        state = "stopping" if process.state == ProcessStates.STOPPING else "running"
    return {
        "name": process.config.name,
        "state": state,
        "pid": process.pid,
        "identity": process.config.identity,
        "started_at": process.laststart,
        "exit_status": process.exit_status,
        "publisher": process.config.publisher,
        "error": process.start_error,
        "stop_timeout_s": process.config.stopwaitsecs,
    }


def _survive_sighup(_event: object) -> None:
    # supervisord would restart every process. A handler, because ignoring is inherited by exec.
    signal.signal(signal.SIGHUP, lambda *_: None)


def make_interface(
    supervisord: Any, runtime_dir: str, lock_fd: str, umask: str
) -> StreamdInterface:
    """Make the namespace; supervisord calls this with the options of its INI section.

    Args:
        supervisord: supervisor's own object.
        runtime_dir: value of the marker in each process's environment.
        lock_fd: descriptor of the lock on the runtime directory; kept, and not handed on.
        umask: of the processes, octal.
    """
    os.set_inheritable(int(lock_fd), False)
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]  # supervisord's own; a child may be of another Python
    interface = StreamdInterface(supervisord, runtime_dir, int(umask, 8))
    supervisord.options.poller = _PunctualPoller(supervisord.options, interface._kill_due_in_s)
    _SignalWakeup(interface._reap, supervisord.options.logger.critical)
    events.subscribe(events.SupervisorRunningEvent, _survive_sighup)
    events.subscribe(events.SupervisorStoppingEvent, interface._stop_all)
    # supervisor moves 4 kB a pass, and a pass takes milliseconds when there are many processes.
    deferring_http_channel.ac_in_buffer_size = 1 << 16
    deferring_http_channel.ac_out_buffer_size = 1 << 18
    return interface
