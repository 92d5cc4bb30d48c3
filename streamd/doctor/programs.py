"""FFmpeg and the media servers: whether they are there, and can what the file needs. Pure."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from streamd.desired import ServerSpec, TargetSpec
from streamd.doctor.finding import Finding, error, listed, ok, split_advice, warning
from streamd.errors import EngineError, FFmpegError
from streamd.ffmpeg.facts import FFmpegBinary

LEAST_SRS = 6
"""What streamd tells SRS is of this version."""


_HIDE = "mount -o remount,hidepid=invisible /proc, where others have accounts here"


def judge_ffmpeg(
    ffmpeg: FFmpegBinary | FFmpegError, targets: Mapping[str, TargetSpec], *, hidden: bool
) -> Iterator[Finding]:
    """Judge the FFmpeg.

    Args:
        ffmpeg: what it can do, or why it cannot be used.
        targets: what it shall send.
        hidden: /proc hides the processes of other users.
    """
    if isinstance(ffmpeg, FFmpegError):
        yield error("FFmpeg", *split_advice(str(ffmpeg)))
        return
    yield ok("FFmpeg", f"{ffmpeg.version} at {ffmpeg.path}")
    used = _used_schemes(targets)
    for scheme, names in used.items():
        if scheme not in ffmpeg.protocols:
            yield error(
                "FFmpeg",
                f"cannot send over {scheme}, needed by {listed(names)}",
                "install an FFmpeg that can, or name one in `ffmpeg:`",
            )
    if "rtmps" in used and ffmpeg.ca_file is None:
        yield error(
            "certificates",
            f"none are installed to know receivers by; RTMPS is used by {listed(used['rtmps'])}",
            "apt install ca-certificates",
        )
    if used and not ffmpeg.hides_output_key and not hidden:
        yield warning(
            "FFmpeg",
            "takes stream keys in its command line only, which every user of this machine can read",
            _HIDE,
        )
    named = _with_password(targets)
    if named and not hidden:
        yield warning(
            "FFmpeg",
            "takes name and password in front of a host in its command line only, which every "
            f"user of this machine can read: {listed(named)}",
            _HIDE,
        )


def judge_ffprobe(ffprobe: Path | None) -> Finding:
    """Judge whether an ffprobe was found."""
    if ffprobe is None:
        return warning("ffprobe", "is not found", "install it; FFmpeg's packages have it")
    return ok("ffprobe", f"is at {ffprobe}")


def judge_server(
    server: ServerSpec, version: str | EngineError, module: Path | None = None
) -> Finding:
    """Judge a media server's binary.

    Args:
        server: what it shall run.
        version: what it says of itself, or why it does not.
        module: where nginx's RTMP module should be and is not; None: it is there, or not needed.
    """
    where = f"servers.{server.name}"
    if isinstance(version, EngineError):
        return error(where, *split_advice(str(version)))
    if module is not None:
        return error(
            where,
            f"nginx {version} at {server.binary} has no RTMP module: {module} is not there",
            "apt install libnginx-mod-rtmp, or name another nginx in `binary`",
        )
    if server.engine == "srs":
        told = f"SRS {version} at {server.binary}"
        if int(version.partition(".")[0]) < LEAST_SRS:
            return warning(where, f"{told}; streamd is made for SRS {LEAST_SRS}", "install that")
        return ok(where, told)
    return ok(where, f"nginx {version} with its RTMP module at {server.binary}")


def _with_password(targets: Mapping[str, TargetSpec]) -> list[str]:
    """Return the enabled targets with `user:password@` in an address of RTMP."""
    return [
        f"targets.{name}"
        for name, target in targets.items()
        if target.enabled and any("@" in urlsplit(url).netloc for url in target.urls)
    ]


def _used_schemes(targets: Mapping[str, TargetSpec]) -> dict[str, list[str]]:
    """Return the protocols that enabled targets need, with the names of those targets."""
    used: dict[str, dict[str, None]] = {}
    for name, target in targets.items():
        for url in target.urls if target.enabled else ():
            used.setdefault(url.partition("://")[0], {})[f"targets.{name}"] = None
    return {scheme: [*names] for scheme, names in sorted(used.items())}
