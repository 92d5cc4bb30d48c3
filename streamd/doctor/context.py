"""What every check starts from: the file, FFmpeg and the daemon, looked at once."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamd.config.defaults import Machine
from streamd.config.here import last_good, read
from streamd.config.load import Loaded, secrets_of_config
from streamd.control_api import ask
from streamd.desire import desire
from streamd.desired import Desired
from streamd.doctor import probes
from streamd.doctor.files import User
from streamd.doctor.service import Service
from streamd.errors import ConfigError, FFmpegError, Problem, StreamdError
from streamd.ffmpeg.binary import inspect
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.machine import find_machine
from streamd.settings import Settings
from streamd.supervision.start import last_leader
from streamd.supervision.supervisord import Supervisord
from streamd.users import user_name

ANSWER_TIMEOUT_S = 10.0
"""A daemon that does not tell its status within this time hangs."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known before anything is judged.

    Attributes:
        settings: where streamd keeps what.
        loaded: the file; None when it cannot be used.
        problems: what is wrong with the file, and what may be.
        desired: what the file says, or the last good one when it cannot be used; None without.
        secrets: what must not be shown.
        ffmpeg: the FFmpeg that the file names or the machine has, or what is wrong with it.
        service: the daemon.
        supervisord: its pid; None when none runs.
        processes: media processes that run, by name; None when no supervisord answers.
        user: whom streamd runs as, or would.
    """

    settings: Settings
    loaded: Loaded | None
    problems: tuple[Problem, ...]
    desired: Desired | None
    secrets: frozenset[str] = field(repr=False)
    ffmpeg: FFmpegBinary | FFmpegError
    service: Service
    supervisord: int | None
    processes: Mapping[str, int] | None
    user: User


async def look(settings: Settings) -> Context:
    """Look at what the checks have in common. Raises nothing for what is wrong there."""
    service = await _service(settings.control_socket)
    environment: Mapping[str, str] = os.environ
    if service.pid:
        # The file may name variables and credentials that only the daemon has.
        environment = probes.environment_of(service.pid) or environment
    machine = find_machine(environment.get("PATH"), state_directory=settings.state_dir)
    loaded, problems = await asyncio.to_thread(_load, settings.config, environment, machine)
    desired, secrets = await asyncio.to_thread(_desired, loaded, settings.last_good, machine)
    ffmpeg, processes = await asyncio.gather(
        _ffmpeg(Path(desired.ffmpeg) if desired else machine.ffmpeg), _processes(settings)
    )
    return Context(
        settings=settings,
        loaded=loaded,
        problems=problems,
        desired=desired,
        secrets=secrets,
        ffmpeg=ffmpeg,
        service=service,
        supervisord=_supervisord(settings.runtime_dir),
        processes=processes,
        user=_user(service, settings.state_dir),
    )


def _load(
    path: Path, environment: Mapping[str, str], machine: Machine
) -> tuple[Loaded | None, tuple[Problem, ...]]:
    try:
        loaded = read(path, machine=machine, environment=environment)
    except ConfigError as error:
        return None, error.problems
    return loaded, loaded.warnings


def _desired(
    loaded: Loaded | None, kept: Path, machine: Machine
) -> tuple[Desired | None, frozenset[str]]:
    if loaded is not None:
        return desire(loaded.config, machine), loaded.secrets
    try:
        config = last_good(kept)
    except ConfigError:
        return None, frozenset()
    return desire(config, machine), frozenset(secrets_of_config(config))


async def _ffmpeg(path: Path | None) -> FFmpegBinary | FFmpegError:
    if path is None:
        return FFmpegError("is not found; install it, or name it in `ffmpeg:`")
    try:
        return await inspect(path)
    except FFmpegError as error:
        return error


async def _service(path: Path) -> Service:
    socket = str(path)
    try:
        pid, uid = await asyncio.to_thread(probes.listener_of, path)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return Service(socket)
    except OSError as error:
        reason = error.strerror or str(error)
        forbidden = isinstance(error, PermissionError)
        return Service(socket, failure=f"{socket}: {reason.lower()}", forbidden=forbidden)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return Service(socket, pid, uid, await ask(path, "GET", "/status"))
    except TimeoutError:
        failure = f"runs (pid {pid}) and does not answer within {ANSWER_TIMEOUT_S:g} s; restart it"
        return Service(socket, pid, uid, failure=failure)
    except StreamdError as error:
        return Service(socket, pid, uid, failure=str(error))


async def _processes(settings: Settings) -> Mapping[str, int] | None:
    try:
        supervisord = Supervisord(settings.runtime_dir, settings.log_dir)
    except StreamdError:  # a directory whose path is too long for its socket
        return None
    try:
        return {name: each.pid for name, each in (await supervisord.list()).items() if each.pid}
    except StreamdError:
        return None
    finally:
        await supervisord.close()


def _supervisord(runtime_dir: Path) -> int | None:
    try:
        leader = last_leader(runtime_dir)
    except OSError:
        return None
    return leader.pid if leader is not None and leader.is_alive() else None


def _user(service: Service, state_dir: Path) -> User:
    """Return whom the daemon runs as.

    Where it cannot be asked, or root looks without one, that is whom its state belongs to.
    """
    uid = os.geteuid()
    if service.pid is not None:
        uid = service.uid
    elif (uid == 0 or service.forbidden) and state_dir.is_dir():
        uid = state_dir.stat().st_uid
    return User(uid, user_name(uid), probes.groups_of(uid))
