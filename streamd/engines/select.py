"""Build the engine that a server of the configuration runs on."""

import resource
from pathlib import Path

from streamd.desired import ServerSpec
from streamd.engines.base import MediaEngine, ServerSecrets
from streamd.engines.nginx_rtmp import NginxRtmpEngine
from streamd.engines.srs import SrsEngine
from streamd.machine import find_rtmp_module

_UNLIMITED = 1 << 30


def make_engine(spec: ServerSpec, *, directory: Path, secrets: ServerSecrets) -> MediaEngine:
    """Return the engine of a server; nothing is started or written.

    The limits on open files are this process's own: supervisord and with it the server inherit
    them. SRS raises its soft limit to the hard one as it starts; nginx stays within the soft one.

    Args:
        spec: the server.
        directory: its own directory, `STATE/servers/NAME`.
        secrets: the hook path and the API's password.
    """
    soft, hard = (_UNLIMITED if n < 0 else n for n in resource.getrlimit(resource.RLIMIT_NOFILE))
    if spec.engine == "srs":
        return SrsEngine(spec, directory, secrets, hard)
    module = find_rtmp_module(Path(spec.binary))
    return NginxRtmpEngine(spec, directory, secrets, module=module, open_files=soft)
