"""The ports that the file names: whether they can be had, or who has them. Pure."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from streamd.config.addresses import progress_address, split_address
from streamd.config.models import Daemon
from streamd.doctor.finding import AS_ROOT, Finding, error, ok, split_advice, unknown
from streamd.engines.base import OpenPort
from streamd.engines.ports import Holder, explained


@dataclass(frozen=True, slots=True)
class PortState:
    """A port that the file names.

    Attributes:
        where: the field that names it.
        port: what is listened at.
        failure: why nobody could listen there now; None: one could.
        holder: who has it, as far as that can be seen.
        ours: the name of the holder, where it is one of streamd's own processes.
    """

    where: str
    port: OpenPort
    failure: OSError | None = None
    holder: Holder | None = None
    ours: str | None = None


def daemon_ports(daemon: Daemon) -> Iterator[tuple[str, OpenPort]]:
    """Yield where streamd itself listens, each with the field that says so."""
    host, number = split_address(daemon.status)
    yield "daemon.status", OpenPort("status", number, "http", host)
    host, number = split_address(daemon.hooks)
    yield "daemon.hooks", OpenPort("hooks", number, "http", host)
    host, number = split_address(progress_address(daemon.hooks))
    yield "daemon.hooks", OpenPort("progress", number, "udp", host)


def judge(state: PortState, *, sees_all: bool, unprivileged: int, user: str | None) -> Finding:
    """Judge a port.

    Args:
        state: what is known of it.
        sees_all: other users' processes were looked at too.
        unprivileged: the lowest port that every user may listen at.
        user: whom streamd runs as, where that is not the user who looks; None where it is.
    """
    port, failure = state.port, state.failure
    called = f"{'UDP' if port.speaks == 'udp' else 'TCP'} port {port.number}"
    if state.ours is not None and state.holder is not None:
        return ok(state.where, f"{called} is held by {state.ours} (pid {state.holder.pid})")
    if failure is None:
        if user not in (None, "root") and port.number < unprivileged:
            return unknown(state.where, f"{called} is free, but may be forbidden to {user}")
        return ok(state.where, f"{called} is free")
    if failure.errno == errno.EADDRINUSE:
        return _taken(state, called, sees_all=sees_all)
    if failure.errno == errno.EACCES and user is not None:
        return unknown(state.where, f"{called} is forbidden to who looks; {user} may be allowed to")
    return error(state.where, *split_advice(explained(failure, port)))


def _taken(state: PortState, called: str, *, sees_all: bool) -> Finding:
    if state.holder is not None:
        holder = f"{state.holder.name} (pid {state.holder.pid})"
        advice = "stop that, or choose another port"
        return error(state.where, f"{called} is taken by {holder}", advice)
    if not sees_all:
        return unknown(
            state.where,
            f"{called} is taken by a process that this user cannot see",
            AS_ROOT,
        )
    return error(
        state.where,
        f"{called} is taken by a process outside of this container",
        "stop that, or choose another port",
    )
