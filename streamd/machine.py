"""What there is on this machine: media servers and FFmpeg."""

import os
import shutil
from pathlib import Path

from streamd.config.defaults import Machine
from streamd.desired import EngineName

_SRS_PLACES = ("/usr/local/srs/objs",)
_NGINX_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin", "/opt/nginx/sbin")

# Debian and Ubuntu, Fedora and Arch, Alpine; then below the prefix of a build of one's own.
_MODULE_PLACES = (
    Path("/usr/lib/nginx/modules"),
    Path("/usr/lib64/nginx/modules"),
    Path("/usr/local/lib/nginx/modules"),
)
_MODULE = "ngx_rtmp_module.so"


def find_machine(path: str | None = None, *, state_directory: Path | None = None) -> Machine:
    """Look for the programs that streamd runs.

    nginx counts only with its RTMP module: without it, it is no media server.

    Args:
        path: directories that are searched first; the environment's PATH by default.
        state_directory: streamd's own.
    """
    search = path if path is not None else os.environ.get("PATH", os.defpath)
    engines: dict[EngineName, Path] = {}
    srs = _find("srs", search, _SRS_PLACES)
    if srs is not None:
        engines["srs"] = srs
    nginx = _find("nginx", search, _NGINX_PLACES)
    if nginx is not None and find_rtmp_module(nginx).is_file():
        engines["nginx-rtmp"] = nginx
    return Machine(engines, _find("ffmpeg", search, ()), state_directory)


def find_ffprobe(ffmpeg: Path) -> Path | None:
    """Return the ffprobe that lies beside an FFmpeg, otherwise the one of PATH; None: neither."""
    return _find("ffprobe", str(ffmpeg.parent), (os.environ.get("PATH", os.defpath),))


def find_rtmp_module(nginx: Path) -> Path:
    """Return where the RTMP module for an nginx is, or would be when it is nowhere.

    Args:
        nginx: its binary.
    """
    places = (*_MODULE_PLACES, nginx.parent.parent / "modules")
    return next(
        (place / _MODULE for place in places if (place / _MODULE).is_file()),
        _MODULE_PLACES[0] / _MODULE,
    )


def _find(name: str, path: str, places: tuple[str, ...]) -> Path | None:
    found = shutil.which(name, path=os.pathsep.join((path, *places)))
    return None if found is None else Path(found).absolute()
