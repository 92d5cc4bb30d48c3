"""What is, as one value and as the JSON of `/status`: pure, from a snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from streamd.config_state import ConfigState, ConfigStateName
from streamd.errors import Problem
from streamd.observed import JobHistory
from streamd.process_names import entry_process_names, server_process_name
from streamd.redact import redact_text
from streamd.status.callbacks import CallbackStatus, callback_statuses
from streamd.status.certificates import (
    CertificateStatus,
    certificate_statuses,
    expiry_warnings,
)
from streamd.status.job_state import AS_WANTED
from streamd.status.recorded import (
    ArchiveStatus,
    RecordedStatus,
    StorageStatus,
    archive_statuses,
    recorded_statuses,
    storage_statuses,
)
from streamd.status.recordings import RecordingStatus, leaving_warnings, recording_statuses
from streamd.status.snapshot import Memory, Snapshot
from streamd.status.streams import StreamStatus, stream_statuses
from streamd.status.targets import (
    TargetStatus,
    sent_bytes,
    target_statuses,
)
from streamd.status.transcodes import TranscodeStatus, transcode_statuses

ServerState = Literal["running", "starting", "stopping", "degraded", "backoff", "blocked"]

STARTING_WITHIN_S = 10.0
"""A server that does not answer so long after its start is degraded and not just starting."""


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """The file: what became of it, what is wrong with it, and what may not be meant."""

    path: str
    hash: str
    state: ConfigStateName
    applied_at: datetime | None
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One media server. `running` means that every one of its ports accepts."""

    engine: str
    state: ServerState
    since: datetime | None
    pid: int
    restarts: int
    version: str | None
    clients: int
    retry_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """All that is told of one moment; each kind of object by name.

    `warnings` are about what works and will not go on so by itself.
    """

    version: str
    node: str
    now: datetime
    converged: bool
    config: ConfigStatus
    servers: Mapping[str, ServerStatus]
    streams: Mapping[str, StreamStatus]
    targets: Mapping[str, TargetStatus]
    recordings: Mapping[str, RecordingStatus] = field(default_factory=dict)
    transcodes: Mapping[str, TranscodeStatus] = field(default_factory=dict)
    certificates: Mapping[str, CertificateStatus] = field(default_factory=dict)
    storages: Mapping[str, StorageStatus] = field(default_factory=dict)
    callbacks: Mapping[str, CallbackStatus] = field(default_factory=dict)
    archives: Mapping[str, ArchiveStatus] = field(default_factory=dict)
    recorded: tuple[RecordedStatus, ...] = ()
    warnings: tuple[str, ...] = ()


def status_of(snapshot: Snapshot) -> Status:
    """Tell what is. Nothing in it is secret."""
    servers = _server_statuses(snapshot)
    return Status(
        version=snapshot.version,
        node=snapshot.node,
        now=snapshot.now,
        converged=snapshot.converged and all(each.state == "running" for each in servers.values()),
        config=_config_status(snapshot.config),
        servers=servers,
        streams=stream_statuses(snapshot),
        targets=target_statuses(snapshot),
        recordings=recording_statuses(snapshot),
        transcodes=transcode_statuses(snapshot),
        storages=storage_statuses(snapshot),
        archives=archive_statuses(snapshot),
        recorded=recorded_statuses(snapshot),
        callbacks=callback_statuses(snapshot),
        certificates=certificate_statuses(snapshot),
        warnings=(*expiry_warnings(snapshot), *leaving_warnings(snapshot)),
    )


def report(snapshot: Snapshot) -> dict[str, object]:
    """Return the JSON of `/status`: plain dicts, lists, text, numbers; times in ISO 8601, UTC."""
    return as_json(status_of(snapshot))


def as_json(status: Status) -> dict[str, object]:
    """Return a status as plain dicts and lists, for `json.dumps`."""
    plain = _plain(status)
    assert isinstance(plain, dict)  # noqa: S101 - for mypy
    return plain


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        skipped = {"warning"} if isinstance(value, Problem) else set()  # it is in its own list
        return {
            each.name: _plain(getattr(value, each.name))
            for each in fields(value)
            if each.name not in skipped
        }
    return value


def reasons(status: Status) -> tuple[str, ...]:
    """Say why a machine is not converged, most pressing first; () when it is."""
    if status.converged:
        return ()
    found = []
    if status.config.state != "applied":
        found.append(f"configuration {status.config.state}")
        found += map(str, status.config.errors)
    for name, server in status.servers.items():
        if server.state != "running":
            found.append(_reason("server", name, server.state, server.last_error))
    for kind, entries in (("target", status.targets), ("transcode", status.transcodes)):
        for name, entry in entries.items():
            if entry.state not in AS_WANTED:
                found.append(_reason(kind, name, entry.state, entry.last_error))
    for name, recording in status.recordings.items():
        if recording.state in ("paused", "error"):
            found.append(_reason("recording", name, recording.state, recording.last_error))
    return tuple(found) or ("changes are being applied",)


def _reason(kind: str, name: str, state: str, error: str | None) -> str:
    return f"{kind} {name}: {state}{f': {error}' if error else ''}"


def remember(snapshot: Snapshot) -> Memory:
    """Return what the next snapshot's `memory` shall be; to be called once in a while.

    A state that changes between two calls is dated by the later one. What a process sent is
    counted to its last call before it ended.
    """
    status = status_of(snapshot)
    states = {
        f"{kind}:{name}": entry.state
        for kind, entries in (
            ("server", status.servers),
            ("stream", status.streams),
            ("target", status.targets),
            ("transcode", status.transcodes),
            ("recording", status.recordings),
            ("storage", status.storages),
            ("callback", status.callbacks),
            ("certificate", status.certificates),
        )
        for name, entry in entries.items()
    }
    return Memory(
        since={
            key: (state, snapshot.since(key, state) or snapshot.now)
            for key, state in states.items()
        },
        sent={
            process: sent
            for name in status.targets
            for process in entry_process_names(name)
            if any(sent := sent_bytes(snapshot, process))
        },
    )


def _config_status(config: ConfigState) -> ConfigStatus:
    told = [replace(each, message=redact_text(each.message)) for each in config.errors]
    return ConfigStatus(
        path=config.path,
        hash=config.hash,
        state=config.state,
        applied_at=config.applied_at,
        errors=tuple(each for each in told if not each.warning),
        warnings=tuple(each for each in told if each.warning),
    )


def _server_statuses(snapshot: Snapshot) -> dict[str, ServerStatus]:
    servers = snapshot.desired.servers if snapshot.desired else {}
    return {name: _server_status(snapshot, name, servers[name].engine) for name in sorted(servers)}


def _server_status(snapshot: Snapshot, name: str, engine: str) -> ServerStatus:
    process = snapshot.observed.processes.get(server_process_name(name))
    history = snapshot.observed.histories.get(server_process_name(name), JobHistory())
    facts = snapshot.servers.get(name)
    state = _server_state(snapshot, name, history)
    closed = [port for port, accepts in (facts.ports if facts else {}).items() if not accepts]
    error = history.last_error or (facts.error if facts else None)
    if state == "degraded" and closed:
        error = f"no answer on its port for {', '.join(sorted(closed))}"
        if "https" in closed:
            error += _certificate_trouble(snapshot, name)
    runs = process is not None and process.state == "running"
    since = snapshot.since(f"server:{name}", state)
    if process is not None and state in {"running", "starting"} and process.started_at:
        since = datetime.fromtimestamp(process.started_at, UTC)
    live = snapshot.live.get(name, ()) if runs else ()
    waits = state in {"backoff", "blocked"} and history.retry_at > snapshot.monotonic
    return ServerStatus(
        engine=engine,
        state=state,
        since=since,
        pid=process.pid if process else 0,
        restarts=history.restarts,
        version=facts.version if facts else None,
        clients=sum(stream.viewers + 1 for stream in live),
        retry_at=snapshot.wall(history.retry_at) if waits else None,
        last_error=redact_text(error) if error else None,
    )


def _certificate_trouble(snapshot: Snapshot, server: str) -> str:
    """Return what is wrong with what a server serves HTTPS with, to be added to its error."""
    paths = snapshot.desired.servers[server].certificate if snapshot.desired else None
    facts = snapshot.certificates.get(Path(paths[0]).parent.name) if paths else None
    if facts is None or facts.last_error is None:
        return ""
    return f" (certificate {facts.name}: {facts.last_error})"


def _server_state(snapshot: Snapshot, name: str, history: JobHistory) -> ServerState:
    process = snapshot.observed.processes.get(server_process_name(name))
    if process is None or process.state == "exited":
        if history.blocked:
            return "blocked"
        waits = history.failures and history.retry_at > snapshot.monotonic
        return "backoff" if waits else "starting"
    if process.state == "stopping":
        return "stopping"
    facts = snapshot.servers.get(name)
    if facts is not None and facts.ports and all(facts.ports.values()):
        return "running"
    age_s = snapshot.now.timestamp() - process.started_at
    return "starting" if age_s < STARTING_WITHIN_S else "degraded"
