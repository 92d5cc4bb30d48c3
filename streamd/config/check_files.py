"""Checks that have to look at the machine: are the programs there that the file needs?"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from streamd.archive.layout import root_of
from streamd.config.check import engines_of
from streamd.config.check_encoders import check_encoders
from streamd.config.defaults import Machine
from streamd.config.directories import directory_faults
from streamd.config.models import Config
from streamd.config.reading import reason
from streamd.config.source import Source
from streamd.errors import Problem

_INSTALL = {
    "srs": "install SRS, or give its path as `binary`",
    "nginx-rtmp": "install nginx with its rtmp module (Debian: libnginx-mod-rtmp), or give its "
    "path as `binary`",
}


def check_files(config: Config, source: Source, *, machine: Machine) -> list[Problem]:
    """Return what is wrong with the programs that a configuration names or needs. Does I/O."""
    return [
        *_ffmpeg(config, source, machine),
        *_engines(config, source, machine),
        *check_encoders(config, source, machine=machine),
        *_directories(config, source),
        *_authorities(config, source),
    ]


def _ffmpeg(config: Config, source: Source, machine: Machine) -> Iterator[Problem]:
    if config.ffmpeg is not None:
        fault = executable_fault(config.ffmpeg)
        if fault is not None:
            yield source.error(("ffmpeg",), f"{config.ffmpeg} {fault}")
    elif machine.ffmpeg is None and (section := _in_need_of_ffmpeg(config)) is not None:
        yield source.error(
            (section,),
            "FFmpeg is needed and not found; install it, or give its path as `ffmpeg`",
            at_name=True,
            unless=[("ffmpeg",)],
        )


def _in_need_of_ffmpeg(config: Config) -> str | None:
    """Return the first section that nothing of works without FFmpeg; None where all does."""
    if any(target.enabled for target in config.targets.values()):
        return "targets"
    if any(transcode.enabled for transcode in config.transcodes.values()):
        return "transcodes"
    if config.recordings:
        return "recordings"
    made = any(stream.source or stream.fallback for stream in config.streams.values())
    return "streams" if made else None


def _engines(config: Config, source: Source, machine: Machine) -> Iterator[Problem]:
    engines = engines_of(config, machine)
    for name, server in config.servers.items():
        path = ("servers", name)
        engine = engines[name]
        if server.binary is not None:
            fault = executable_fault(server.binary)
            if fault is not None:
                yield source.error((*path, "binary"), f"{server.binary} {fault}")
        elif engine is None:
            yield source.error(
                path,
                "no media server is found on this machine; install SRS, or nginx with its rtmp "
                "module (Debian: libnginx-mod-rtmp), or give a path as `binary`",
                at_name=True,
                unless=((*path, "binary"), (*path, "engine")),
            )
        elif engine not in machine.engines:
            yield source.error(
                (*path, "engine"),
                f"{engine} is not found; {_INSTALL[engine]}",
                unless=[(*path, "binary")],
            )


def _directories(config: Config, source: Source) -> Iterator[Problem]:
    roots = {
        name: Path(root_of(str(recording.directory)))
        for name, recording in config.recordings.items()
        if recording.directory is not None
    }
    faults = directory_faults(roots.values())
    for name, root in roots.items():
        fault = faults.get(root)
        if fault is None:
            yield from _reserve(name, root, config.recordings[name].keep.free, source)
            continue
        # What may heal by itself keeps no other change of the file from being applied.
        say = source.warning if fault.passing else source.error
        yield say(("recordings", name, "directory"), f"{root} {fault.message}")


def _reserve(name: str, root: Path, free: int | float, source: Source) -> Iterator[Problem]:
    """Warn of a disk that is smaller than what is to stay free of it."""
    there = next((each for each in (root, *root.parents) if each.is_dir()), root)
    try:
        total = shutil.disk_usage(there).total
    except OSError:
        return  # it is told where it is needed
    if isinstance(free, int) and free > total:
        yield source.warning(
            ("recordings", name, "keep", "free"),
            f"is more than the whole disk of {root} has ({total / 1e9:.1f} GB), so that nothing is "
            "recorded; write less",
        )


def _authorities(config: Config, source: Source) -> Iterator[Problem]:
    """Say what certificates cannot be obtained without, and that is not there now."""
    for name, certificate in config.certificates.items():
        acme = certificate.acme
        if acme is None:
            continue
        if acme.ca_file is not None and (fault := _trust_fault(acme.ca_file)) is not None:
            yield source.warning(
                ("certificates", name, "acme", "ca_file"),
                f"{acme.ca_file} {fault}",
            )
        webroot = acme.challenge.webroot
        if webroot is not None and not webroot.is_dir():
            yield source.warning(
                ("certificates", name, "acme", "challenge", "webroot"),
                f"{webroot} is not a directory now; name the one that the web server serves",
            )


def _trust_fault(path: Path) -> str | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read now: {reason(error)}"
    if b"-----BEGIN CERTIFICATE-----" in content:
        return None
    return "holds no certificate in PEM; name a file of who vouches for the authority"


def executable_fault(path: Path) -> str | None:
    """Say why a program cannot be run, following its path; None where it can."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return reason(error)
    if not stat.S_ISREG(mode):
        return "is not a file; name a program"
    if not os.access(path, os.X_OK):
        return "cannot be executed; give streamd's user permission (chmod a+x)"
    return None
