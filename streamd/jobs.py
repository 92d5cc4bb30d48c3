"""What shall run, as values: one job is one process, before it becomes an argv.

A process is called `KIND.NAME`; its kind tells what may be expected of it before its job is known,
as for one that an earlier streamd left.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from streamd.desired import (
    RecordingSpec,
    ServerSpec,
    StorageSpec,
    TranscodeSpec,
    identity,
    restart_identity,
)
from streamd.playout.spec import PlayoutInput


@dataclass(frozen=True, slots=True)
class ServerJob:
    """Run one media server."""

    process: str
    server: ServerSpec


@dataclass(frozen=True, slots=True)
class TargetJob:
    """Send one stream to one address of a target, while `publisher` publishes it.

    Attributes:
        process: name of the process, `target.NAME`, with `@app/stream` where a target has many
            and `~backup` for its backup address.
        target: name of the target.
        stream: `app/stream` as the file names it.
        input_url: where the stream is read from the media server; holds a secret only with a
            key in the stream's name (`input_secret`).
        output_url: the whole address with its key, placeholders filled.
        publisher: client id of the publisher; another publisher makes it another job.
        ffmpeg: path of the binary.
        progress: HOST:PORT of the hooks, beside which progress is heard
            (`streamd.config.addresses.progress_address`).
    """

    process: str
    target: str
    stream: str
    input_url: str = field(repr=False)
    output_url: str = field(repr=False)
    publisher: str
    ffmpeg: str
    progress: str
    input_secret: bool = False


@dataclass(frozen=True, slots=True)
class PlayoutJob:
    """Publish one stream of streamd's own making.

    Attributes:
        process: name of the process, `playout.app/stream`.
        stream: `app/stream`.
        publish_url: where, on loopback; streamd's own secret is added when it starts.
        inputs: what it is made of, the preferred first.
        ffmpeg: path of the binary.
        progress: as of `TargetJob`.
    """

    process: str
    stream: str
    publish_url: str
    inputs: tuple[PlayoutInput, ...]
    ffmpeg: str
    progress: str


@dataclass(frozen=True, slots=True)
class TranscodeJob:
    """Make other streams of one, in one FFmpeg, while `publisher` publishes it.

    Attributes:
        process: name of the process, `transcode.app/stream` by what it reads.
        stream: `app/stream` that is read.
        input_url, input_secret, publisher, ffmpeg, progress: as of `TargetJob`.
        publish_url: the server to publish to, on loopback, without app and stream.
        transcodes: what is made of it, by name.
    """

    process: str
    stream: str
    input_url: str = field(repr=False)
    publish_url: str
    transcodes: tuple[TranscodeSpec, ...]
    publisher: str
    ffmpeg: str
    progress: str
    input_secret: bool = False


@dataclass(frozen=True, slots=True)
class RecordJob:
    """Write one stream to the spool of a rule, while `publisher` publishes it.

    Attributes:
        process: name of the process, `record.RULE@app/stream`.
        rule: name of the rule.
        stream: `app/stream` as the file names it.
        spool: the directory to write to, which the rule's archive makes
            (`streamd.archive.layout.spool_of`).
        input_url, input_secret, publisher, ffmpeg, progress: as of `TargetJob`.
    """

    process: str
    rule: str
    stream: str
    input_url: str = field(repr=False)
    spool: str
    publisher: str
    ffmpeg: str
    progress: str
    input_secret: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveJob:
    """Make recordings of what the recorders of a rule write, and keep them.

    Attributes:
        process: name of the process, `archive.RULE@PLACE`.
        recording: the rule.
        storage: that it uploads to; None: to none.
        ffmpeg: path of the binary.
    """

    process: str
    recording: RecordingSpec
    storage: StorageSpec | None
    ffmpeg: str


ProcessJob = TargetJob | PlayoutJob | TranscodeJob | RecordJob | ArchiveJob
"""Every job but those of media servers, which are started with more care."""

Job = ServerJob | ProcessJob


@lru_cache(maxsize=32768)
def job_identity(job: Job) -> str:
    """Return what a process is known by: another identity is another process."""
    if isinstance(job, ServerJob):
        return restart_identity(job.server)
    return identity(job)


def fed_by(job: Job) -> str | None:
    """Return the `app/stream` whose publisher a job takes from; None for one that needs nobody.

    Only what is fed by a publisher can stall: whether its input goes on is known from the server.
    """
    return job.stream if isinstance(job, TargetJob | TranscodeJob | RecordJob) else None
