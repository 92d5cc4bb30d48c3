"""How the process of each kind of job is called. Pure."""

import hashlib

from streamd.archive.layout import root_of
from streamd.desired import RecordingSpec, TargetSpec, TranscodeSpec

BACKUP_SUFFIX = "~backup"
SOUND_SUFFIX = "~sound"

_ARCHIVE = "archive."
_DIGEST = 8


def server_process(server: str) -> str:
    """Return the name of the process that runs a media server."""
    return f"server.{server}"


def playout_process(stream: str) -> str:
    """Return the name of the process that publishes a stream of streamd's own making."""
    return f"playout.{stream}"


def transcode_process(transcode: TranscodeSpec) -> str:
    """Return the name of the process that makes a transcode, with all others of its stream.

    Those of sound alone have one of their own (`streamd.ffmpeg.transcode_argv.sharing_a_process`).
    """
    suffix = SOUND_SUFFIX if transcode.video.codec == "none" else ""
    return f"transcode.{transcode.stream}{suffix}"


def target_process(target: TargetSpec, stream: str, *, backup: bool = False) -> str:
    """Return the name of the process that sends a stream to a target."""
    entry = f"{target.name}@{stream}" if target.many else target.name
    return f"target.{entry}{BACKUP_SUFFIX if backup else ''}"


def record_process(rule: str, stream: str) -> str:
    """Return the name of the process that records a stream for a rule of recordings."""
    return f"record.{rule}@{stream}"


def archive_process(rule: RecordingSpec) -> str:
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
