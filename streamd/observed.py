"""What exists, as values: processes, publishers, and what happened to each job so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from streamd.jobs import ArchiveJob

ProcessState = Literal["running", "stopping", "exited"]


@dataclass(frozen=True, slots=True)
class ObservedProcess:
    """One process of supervisord's.

    Attributes:
        name: as in `streamd.process_names`, `server.main` or `target.youtube@live/x`.
        state: `stopping` was asked to stop and has not exited yet.
        pid: 0 when it does not run.
        identity: `streamd.jobs.job_identity` of the job that it was started from; for a server, of
            what it cannot change while it runs.
        started_at: Unix time of its start.
        exit_status: of the last exit; negative is the signal; None when it never exited.
        publisher: the client id of the publisher that it was started for, "" for none.
        error: why it could not be started at all.
    """

    name: str
    state: ProcessState
    pid: int
    identity: str
    started_at: float = 0.0
    exit_status: int | None = None
    publisher: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Publisher:
    """Somebody who publishes now.

    Attributes:
        server: name of the media server.
        stream: `app/stream` as the file names it, without a secret.
        published_as: the name on the server; differs from `stream` with a key in the name.
        client_id: the media server's own id of the connection.
        key: name of the key that let it in; None where the stream asks for none.
        key_sha256: digest of that key's secret then, so that a changed secret is noticed.
        protocol: rtmp, srt or webrtc.
        address: the publisher's IP address.
        since: when it was let in.
        internal: it is a process of streamd's own.
    """

    server: str
    stream: str
    published_as: str = field(repr=False)
    client_id: str
    key: str | None = None
    key_sha256: str | None = field(default=None, repr=False)
    protocol: str = "rtmp"
    address: str = ""
    since: datetime | None = None
    internal: bool = False


@dataclass(frozen=True, slots=True)
class JobHistory:
    """What happened to one process over its runs; the input of its backoff.

    Attributes:
        job: identity of the job that it tells of; another job of the same name starts afresh.
        failures: exits in a row without a minute of health.
        retry_at: monotonic time before which it is not started again.
        last_error: redacted, None after health.
        blocked: the last error cannot heal by itself.
        restarts: starts after the first, since streamd runs.
        healthy_since: monotonic time since which media advances, None before.
        judged_run: `started_at` of the last run whose exit was counted.
    """

    job: str = ""
    failures: int = 0
    retry_at: float = 0.0
    last_error: str | None = None
    blocked: bool = False
    restarts: int = 0
    healthy_since: float | None = None
    judged_run: float = 0.0


@dataclass(frozen=True, slots=True)
class Observed:
    """The machine as last seen.

    Attributes:
        processes: by name.
        publishers: by stream, `app/stream`.
        histories: by process.
        stalled: processes that hang: targets whose media stopped advancing while their input
            went on, servers with a dead port.
        loaded: by server, what a running one was last started from or reloaded with
            (`streamd.desired.reload_identity`).
        spools: by rule of recordings, where its archive lets recorders write; absent while it has
            made no place for them, or there is no room.
        leaving: the archives of rules that are gone, with what is left to do for each.
        demanded: streams that somebody watches or has asked for lately.
    """

    processes: Mapping[str, ObservedProcess] = field(default_factory=dict)
    publishers: Mapping[str, Publisher] = field(default_factory=dict)
    histories: Mapping[str, JobHistory] = field(default_factory=dict)
    stalled: frozenset[str] = frozenset()
    loaded: Mapping[str, str] = field(default_factory=dict)
    spools: Mapping[str, str] = field(default_factory=dict)
    leaving: Mapping[str, ArchiveJob] = field(default_factory=dict)
    demanded: frozenset[str] = frozenset()
