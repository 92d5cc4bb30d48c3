"""Everything that the doctor looks at: one function for each check, and one table of them."""

import asyncio
import os
import platform
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from streamd.callbacks import events
from streamd.callbacks.post import Poster
from streamd.callbacks.wire import shown
from streamd.config.models import Config
from streamd.desire import desire
from streamd.desire_certificates import served_paths
from streamd.desired import CallbackSpec, Desired, ServerSpec
from streamd.doctor import (
    callbacks,
    certificates,
    configuration,
    files,
    host,
    hosts,
    ports,
    probes,
    programs,
    service,
)
from streamd.doctor.check_certificates import check_certificates
from streamd.doctor.check_recordings import check_recordings
from streamd.doctor.check_storages import check_storages
from streamd.doctor.connect import AT_ONCE, reach_all
from streamd.doctor.context import Context, look
from streamd.doctor.finding import AS_ROOT, Finding, Report, error, ok, split_advice, unknown
from streamd.doctor.ports import PortState
from streamd.engines.base import MediaEngine, OpenPort, ServerSecrets
from streamd.engines.ports import bind_error, holder_of
from streamd.engines.select import make_engine
from streamd.errors import EngineError, FFmpegError, StreamdError
from streamd.machine import find_ffprobe, find_machine, find_rtmp_module
from streamd.redact import Redactor
from streamd.settings import Settings
from streamd.supervision.start import socket_path
from streamd.version import __version__

Check = Callable[[Context], Awaitable[Iterable[Finding]]]

_DIRECTORIES = ("state", "runtime", "log")


async def examine(settings: Settings) -> Report:
    """Make every check, all at once, and return what they found. Changes nothing here.

    Raises nothing for what is wrong on the machine. Takes a second or two, and at most 5 s more
    for every ten hosts that do not answer.
    """
    context = await look(settings)
    found = await asyncio.gather(*(_made(check, context) for check in CHECKS.values()))
    mask = Redactor(context.secrets)
    return {
        title: tuple(
            replace(each, what=mask(each.what), do=mask(each.do)) for each in findings
        )
        for title, findings in zip(CHECKS, found, strict=True)
    }  # fmt: skip


async def _made(check: Check, context: Context) -> Sequence[Finding]:
    try:
        return tuple(await check(context))
    except (StreamdError, OSError) as failure:
        return (unknown("this check", f"could not be made: {failure}"),)
    except Exception as failure:  # noqa: BLE001 - a bug in one check hides no other's findings
        bug = f"failed: {type(failure).__name__}: {failure}"
        return (error("this check", bug, "report it as a bug of streamd"),)


async def check_configuration(context: Context) -> Iterable[Finding]:
    """Say what `streamd check` says of the file."""
    config = context.loaded.config if context.loaded else None
    path = context.settings.config
    hidden = context.user.uid != os.geteuid() and path.exists() and not os.access(path, os.R_OK)
    found = [*configuration.judge_file(str(path), config, context.problems, hidden=hidden)]
    if config is None and not hidden:
        kept = str(context.settings.last_good)
        found.append(configuration.judge_fallback(kept, used=context.desired is not None))
    return found


async def check_service(context: Context) -> Iterable[Finding]:
    """Look at the daemon and supervisord, and what they say of everything that they run."""
    processes = None if context.processes is None else len(context.processes)
    return service.judge_service(context.service, __version__, processes)


async def check_programs(context: Context) -> Iterable[Finding]:
    """Look at FFmpeg, ffprobe and the media servers' binaries."""
    # Without a configuration, at what a file that says nothing would run.
    desired = context.desired or desire(Config(version=1), find_machine())
    hidden = probes.hides_processes()
    found = [*programs.judge_ffmpeg(context.ffmpeg, desired.targets, hidden=hidden)]
    found.append(programs.judge_ffprobe(find_ffprobe(Path(desired.ffmpeg))))
    servers = desired.servers.values()
    return (*found, *await asyncio.gather(*(_judge_server(context, each) for each in servers)))


async def _judge_server(context: Context, server: ServerSpec) -> Finding:
    engine = _engine(context, server)
    try:
        version: str | EngineError = await engine.version()
    except EngineError as failure:
        version = failure
    finally:
        await engine.close()
    module = find_rtmp_module(Path(server.binary)) if server.engine == "nginx-rtmp" else None
    missing = module if module is not None and not module.is_file() else None
    return programs.judge_server(server, version, missing)


def _engine(context: Context, server: ServerSpec) -> MediaEngine:
    """Return an engine that is only asked what it is: nothing is written, nobody is spoken to."""
    directory = context.settings.state_dir / "servers" / server.name
    return make_engine(server, directory=directory, secrets=ServerSecrets("-", "-"))


async def check_ports(context: Context) -> Iterable[Finding]:
    """Look whether every port of the file can be had, or who has it."""
    if context.desired is None:
        return ()
    named = [*ports.daemon_ports(context.desired.daemon)]
    named += certificates.challenge_ports(context.desired.certificates)
    for server in context.desired.servers.values():
        engine = _engine(context, server)
        named += [(f"servers.{server.name}.listen.{each.field}", each) for each in engine.ports()]
        await engine.close()
    states = await asyncio.to_thread(_port_states, context, named)
    unprivileged = probes.sysctl("net.ipv4.ip_unprivileged_port_start") or 1024
    other = None if context.user.uid == os.geteuid() else context.user.name
    sees_all = os.geteuid() == 0
    return [
        ports.judge(state, sees_all=sees_all, unprivileged=unprivileged, user=other)
        for state in states
    ]


def _port_states(context: Context, named: Sequence[tuple[str, OpenPort]]) -> list[PortState]:
    own = {pid: name for name, pid in (context.processes or {}).items()}
    if context.service.pid:
        own[context.service.pid] = "streamd"
    states = []
    for where, port in named:
        failure = bind_error(port)
        holder = holder_of(port) if failure is not None else None
        ours = None
        if holder is not None:
            ours = next((own[pid] for pid in probes.with_ancestors(holder.pid) if pid in own), None)
        states.append(PortState(where, port, failure, holder, ours))
    return states


async def check_permissions(context: Context) -> Iterable[Finding]:
    """Look at who owns streamd's directories, and who can read its secrets."""
    found = [_judge_directory(context, name) for name in _DIRECTORIES]
    try:
        socket_path(context.settings.runtime_dir)
    except StreamdError as failure:
        found.append(error(str(context.settings.runtime_dir), *split_advice(str(failure))))
    for path, held in _private_files(context).items():
        found += _judge_private(context, path, held)
    return found


def _judge_directory(context: Context, name: str) -> Finding:
    path: Path = getattr(context.settings, f"{name}_dir")
    try:
        return files.judge_directory(name, probes.node(path), context.user)
    except FileNotFoundError:
        return ok(str(path), "is not there yet; streamd makes it when it starts")
    except OSError as failure:
        return unknown(str(path), f"cannot be looked at: {failure.strerror}", AS_ROOT)


def _judge_private(context: Context, path: Path, held: str) -> Iterable[Finding]:
    try:
        way = probes.way_to(path)
    except (FileNotFoundError, NotADirectoryError):  # which is told where it matters
        return
    except PermissionError:
        yield unknown(str(path), "cannot be looked at by this user", AS_ROOT)
        return
    found = files.judge_secret(way, held) if held else None
    own = os.path.realpath(context.settings.state_dir)
    found = found or files.judge_readable(way, context.user, own)
    yield found or ok(str(path), f"can be read by {context.user.name}")


def _private_files(context: Context) -> dict[Path, str]:
    """Return the files that streamd reads, each with what it holds that others must not see."""
    state_dir = context.settings.state_dir
    found = {
        **_keys(context, state_dir),
        state_dir / "last-good.json": "the last good configuration with its secrets",
        state_dir / "server-secrets.json": "what streamd and the media servers share",
    }
    if context.loaded is None:
        return found
    written = context.secrets - context.loaded.source.masks.keys()
    texts = {Path(each.file): each.text for each in context.loaded.source.documents}
    for path in sorted(context.loaded.files):
        text = texts.get(path)
        holds = text is None or any(secret in text for secret in written)
        found[path] = "secrets" if holds else ""
    return found


def _keys(context: Context, state_dir: Path) -> dict[Path, str]:
    """Return the keys of certificates that are there."""
    names = context.desired.certificates if context.desired else ()
    keys = (Path(served_paths(name, state_dir)[1]) for name in names)
    return dict.fromkeys(keys, "the key of a certificate")


async def check_disk(context: Context) -> Iterable[Finding]:
    """Look at what is free where streamd writes; each filesystem once."""
    found: dict[int, Finding] = {}
    for path in (context.settings.state_dir, context.settings.log_dir):
        space = probes.space(path)
        found.setdefault(space.device, files.judge_space(str(path), space))
    return found.values()


async def check_limits(context: Context) -> Iterable[Finding]:
    """Look at how many files may be opened, which bounds connections and processes."""
    if context.desired is None:
        return ()
    told, whose = probes.open_files(context.service.pid or os.getpid()), "streamd"
    if not context.service.pid:
        whose = "this shell"
    if told is None:
        return (unknown("open files", "the limits of streamd cannot be read by this user"),)
    given, others = told, whose
    if context.supervisord and (read := probes.open_files(context.supervisord)):
        given, others = read, "supervisord"
    found = [
        host.judge_server_limit(server.name, server.engine, told, given, whose)
        for server in context.desired.servers.values()
    ]
    wanted = context.desired
    kinds = (wanted.servers, wanted.targets, wanted.sources, wanted.transcodes)
    needed = sum(map(len, kinds))
    return (*found, host.judge_supervisor_limit(given, needed, others))


async def check_clock(context: Context) -> Iterable[Finding]:
    """Look whether something keeps the clock right."""
    clock = probes.clock()
    if clock is None:
        return (unknown("clock", "the kernel does not say whether it is kept right"),)
    keys = context.desired.keys.values() if context.desired else ()
    windows = [key.name for key in keys if key.not_before or key.not_after]
    return (host.judge_clock(clock, windows),)


async def check_kernel(_context: Context) -> Iterable[Finding]:
    """Look at kernel settings that bound what a target can send."""
    wmem_max = probes.sysctl("net.core.wmem_max")
    return () if wmem_max is None else host.judge_kernel(wmem_max)


async def check_targets(context: Context) -> Iterable[Finding]:
    """Reach every host that targets send to, without sending a key."""
    desired = context.desired
    return await _reach(context, desired, hosts.target_urls(desired)) if desired else ()


async def check_sources(context: Context) -> Iterable[Finding]:
    """Reach every host that streams are pulled from, without sending a password."""
    desired = context.desired
    return await _reach(context, desired, hosts.source_urls(desired)) if desired else ()


async def _reach(
    context: Context, desired: Desired, urls: Iterable[tuple[str, str]]
) -> Iterable[Finding]:
    named = hosts.endpoints(urls)
    unseen = named.pop(None, ())
    ca_file = None if isinstance(context.ffmpeg, FFmpegError) else context.ffmpeg.ca_file
    try:
        tls = ssl.create_default_context(cafile=ca_file)
    except OSError as failure:
        what = f"certificates cannot be read from it: {failure.strerror or failure}"
        return (error(ca_file or "certificates", what, "apt install ca-certificates"),)
    reached = await reach_all([each for each in named if each is not None], tls)
    found = [
        hosts.judge(endpoint, named[endpoint], end, hosts.own_server(endpoint, desired))
        for endpoint, end in reached.items()
    ]
    return (*found, hosts.judge_unknown(unseen)) if unseen else found


async def check_callbacks(context: Context) -> Iterable[Finding]:
    """Send each callback an event that tells of nothing, as it would be sent any other."""
    specs = context.desired.callbacks.values() if context.desired else ()
    if not specs:
        return ()
    poster = Poster()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(spec: CallbackSpec) -> Finding:
        event = events.on_test(str(uuid.uuid4()), time.time())
        told = events.body(event, opaque=spec.opaque, node=platform.node())
        async with gate:
            reply = await poster.post(spec, told)
        return callbacks.judge(spec.name, shown(spec.url), reply.kind, reply.text)

    try:
        return await asyncio.gather(*map(one, specs))
    finally:
        await poster.close()


CHECKS: Mapping[str, Check] = {
    "configuration": check_configuration,
    "streamd": check_service,
    "programs": check_programs,
    "ports": check_ports,
    "permissions": check_permissions,
    "disk": check_disk,
    "open files": check_limits,
    "clock": check_clock,
    "kernel": check_kernel,
    "targets": check_targets,
    "sources": check_sources,
    "callbacks": check_callbacks,
    "certificates": check_certificates,
    "recordings": check_recordings,
    "storages": check_storages,
}
"""Every check by its title, in the order of the report. A new check is one more line here."""
