"""Everything that the status endpoint tells from, gathered at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streamd.auth.refusal import Refusal
from streamd.callbacks.facts import CallbackFacts
from streamd.certificates.facts import CertificateFacts
from streamd.config_state import ConfigState
from streamd.desired import Desired
from streamd.engines.base import LiveStream
from streamd.ffmpeg.track import Track
from streamd.observed import Observed
from streamd.recordings.report import Report


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What is known of a media server beyond its process.

    Attributes:
        version: of its binary; None until it was asked.
        ports: whether each open TCP port accepts, by its field in `listen`; empty until probed.
        error: why its API did not answer last, redacted; None when it did.
    """

    version: str | None = None
    ports: Mapping[str, bool] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What the archive of a rule of recordings said last, and whether it still says anything."""

    report: Report
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What the report cannot see in one moment; `streamd.status.report.remember` keeps it up.

    Attributes:
        since: by `kind:name`, the state last seen and when it was seen first.
        sent: by process, bytes of its earlier runs, the pid of the present one, and its bytes.
    """

    since: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)
    sent: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the machine and the daemon.

    Attributes:
        version: of streamd.
        node: what this machine is called.
        desired: what shall exist; None before any configuration was good.
        observed: processes, publishers, histories, stalls.
        config: what became of the file.
        converged: nothing is left to do, and everything that shall run does.
        now: the time of day, aware.
        monotonic: the same moment on the monotonic clock, as in histories and tracks.
        live: what each server says is published, by server.
        tracks: FFmpeg's reports, by pid.
        servers: by name.
        behind: processes that encode more slowly than their input comes.
        refusals: by the pattern of the rule that decided, never by a name that somebody sent.
        refused: publishers turned away since streamd runs, by reason (few, fixed words).
        memory: of the report before.
        callbacks: what is known of each.
        archives: by rule of recordings; absent while its archive said nothing.
        leaving: what the archives of rules that are gone said last, by process; None: nothing.
        certificates: by name.
    """

    version: str
    node: str
    desired: Desired | None
    observed: Observed
    config: ConfigState
    converged: bool
    now: datetime
    monotonic: float
    live: Mapping[str, Sequence[LiveStream]] = field(default_factory=dict)
    tracks: Mapping[int, Track] = field(default_factory=dict)
    servers: Mapping[str, ServerFacts] = field(default_factory=dict)
    behind: frozenset[str] = frozenset()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    callbacks: Mapping[str, CallbackFacts] = field(default_factory=dict)
    archives: Mapping[str, ArchiveFacts] = field(default_factory=dict)
    leaving: Mapping[str, Report | None] = field(default_factory=dict)
    certificates: Mapping[str, CertificateFacts] = field(default_factory=dict)

    def wall(self, monotonic: float) -> datetime:
        """Return the time of day of a moment on the monotonic clock."""
        return self.now + timedelta(seconds=monotonic - self.monotonic)

    def since(self, key: str, state: str) -> datetime | None:
        """Return since when `kind:name` is seen in this state; None when it is new."""
        last_state, since = self.memory.since.get(key, ("", None))
        return since if last_state == state else None
