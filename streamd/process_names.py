"""How the process of each kind of job is called. Pure."""

from streamd.desired import TargetSpec, TranscodeSpec

BACKUP_SUFFIX = "~backup"
SOUND_SUFFIX = "~sound"


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


def archive_process(rule: str) -> str:
    """Return the name of the process that keeps the recordings of a rule."""
    return f"archive.{rule}"
