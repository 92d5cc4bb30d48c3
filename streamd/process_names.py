"""How the process of each kind of job is called, and what its name tells. Pure."""

import hashlib

from streamd.archive.layout import root_of
from streamd.desired import RecordingSpec, TargetSpec, TranscodeSpec

KINDS = ("server", "target", "transcode", "playout", "record", "archive")
"""What stands before the dot in the name of a process."""

REPORTING_KINDS = frozenset({"target", "transcode", "playout", "record"})
"""The kinds that report their progress. They hold an FFmpeg, whose start takes much of a core."""

BACKUP_SUFFIX = "~backup"
SOUND_SUFFIX = "~sound"

_ARCHIVE = "archive."
_DIGEST = 8


def server_process_name(server: str) -> str:
    """Return the name of the process that runs a media server."""
    return f"server.{server}"


def playout_process_name(stream: str) -> str:
    """Return the name of the process that publishes a stream of streamd's own making."""
    return f"playout.{stream}"


def transcode_process_name(transcode: TranscodeSpec) -> str:
    """Return the name of the process that makes a transcode, with all others of its stream.

    Those of sound alone have one of their own (`streamd.ffmpeg.transcode_argv.sharing_a_process`).
    """
    suffix = SOUND_SUFFIX if transcode.video.codec == "none" else ""
    return f"{ladder_process_name(transcode.stream)}{suffix}"


def ladder_process_name(stream: str) -> str:
    """Return the name of the process that makes all transcodes of a stream that have pictures."""
    return f"transcode.{stream}"


def target_process_name(target: TargetSpec, stream: str, *, backup: bool = False) -> str:
    """Return the name of the process that sends a stream to a target."""
    main, spare = entry_process_names(f"{target.name}@{stream}" if target.many else target.name)
    return spare if backup else main


def entry_process_names(entry: str) -> tuple[str, str]:
    """Return the names of the two processes of a target, to its `url` and to its `backup_url`.

    Args:
        entry: as the status calls the target, `NAME` or `NAME@APP/STREAM`.
    """
    return f"target.{entry}", f"target.{entry}{BACKUP_SUFFIX}"


def record_process_name(rule: str, stream: str) -> str:
    """Return the name of the process that records a stream for a rule of recordings."""
    return f"record.{rule}@{stream}"


def archive_process_name(rule: RecordingSpec) -> str:
    """Return the name of the process that keeps the recordings of a rule in one place.

    A rule that gets another directory gets another archive, so that the one before it can finish
    what it has.
    """
    place = hashlib.sha256(root_of(rule.directory).encode()).hexdigest()[:_DIGEST]
    return f"{_ARCHIVE}{rule.name}@{place}"


def rule_of_archive(process: str) -> str | None:
    """Return the rule whose recordings a process keeps; None for one that is no archive."""
    rule, _, _ = process.removeprefix(_ARCHIVE).partition("@")
    return rule if process.startswith(_ARCHIVE) else None


def kind_of(process: str) -> str:
    """Return what stands before the dot in the name of a process, one of `KINDS`."""
    return process.partition(".")[0]


def server_of(process: str) -> str | None:
    """Return the name of the media server that a process runs; None for another kind."""
    kind, _, name = process.partition(".")
    return name if kind == "server" else None


def reports_progress(process: str) -> bool:
    """Tell whether a process reports its progress."""
    return kind_of(process) in REPORTING_KINDS


def is_recorder_of(process: str, rule: str) -> bool:
    """Tell whether a process records a stream for a rule of recordings."""
    return process.startswith(record_process_name(rule, ""))
