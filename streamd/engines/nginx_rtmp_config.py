"""What nginx with its RTMP module is told.

One process does everything (`master_process off`), so that no worker outlives it. nginx removes
old HLS files in a process of its own that does not exist then; `tidy` does it instead.
"""

import math
from pathlib import Path

from streamd.desired import ServerSpec
from streamd.engines.base import ServerSecrets
from streamd.engines.capabilities import lacking
from streamd.engines.quoting import quoted, quoted_url
from streamd.errors import EngineError
from streamd.recordings.places import SERVED_UNDER

_CONNECTIONS = 16_384
_RESERVED_DESCRIPTORS = 64
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def connections(open_files: int) -> int:
    """Return how many connections nginx takes with this soft limit on open files."""
    return max(32, min(open_files - _RESERVED_DESCRIPTORS, _CONNECTIONS))


def render_config(
    spec: ServerSpec, directory: Path, secrets: ServerSecrets, module: Path, open_files: int
) -> str:
    """Return nginx.conf.

    Args:
        spec: the server.
        directory: its own directory; everything that nginx writes lies below it.
        secrets: the hook path, and the path that the API is hidden behind.
        module: the RTMP module to load.
        open_files: the soft limit on open files that nginx will run with.

    Raises:
        EngineError: a value cannot be expressed, or a port is named that this engine has not.
    """
    for port, title in lacking("nginx-rtmp").items():
        if getattr(spec, port, None):
            raise EngineError(f"listen.{port} needs the engine srs; nginx-rtmp has no {title}")
    if not spec.rtmp:
        raise EngineError("listen.rtmp is needed; nginx-rtmp takes streams by RTMP only")
    state = "the state directory"
    return "\n".join(
        (
            "# Written by streamd. Edits are overwritten.",
            f"load_module {quoted(module, 'the RTMP module')};",
            "daemon off;",
            "master_process off;",
            f"pid {quoted(directory / 'nginx.pid', state)};",
            f"lock_file {quoted(directory / 'nginx.lock', state)};",
            "error_log stderr notice;",
            f"events {{ worker_connections {connections(open_files)}; }}",
            *_rtmp(spec, directory, secrets),
            *_http(spec, directory, secrets),
            "",
        )
    )


def _rtmp(spec: ServerSpec, directory: Path, secrets: ServerSecrets) -> tuple[str, ...]:
    return (
        "rtmp {",
        "    access_log off;",
        "    server {",
        f"        listen {spec.rtmp};",
        "        chunk_size 4096;",
        "        notify_method post;",
        # As long as SRS waits; callbacks may take 20 s.
        "        netcall_timeout 30s;",
        *(line for app in spec.apps for line in _application(app, spec, directory, secrets)),
        "    }",
        "}",
    )


def _application(
    app: str, spec: ServerSpec, directory: Path, secrets: ServerSecrets
) -> tuple[str, ...]:
    hook = quoted_url(f"http://{spec.hooks}/{secrets.hook_path}/{spec.name}", "the hook address")
    waits = "on" if app in spec.waiting_apps else "off"
    # A playout learns at once that its encoder has left, and not from its silence.
    notify = ("            publish_notify on;",) if app in spec.waiting_apps else ()
    return (
        f"        application {quoted(app, 'the app')} {{",
        "            live on;",
        # Off: a player of a stream that ended is closed, instead of waiting without an end.
        f"            idle_streams {waits};",
        *notify,
        "            drop_idle_publisher 20s;",
        f"            on_publish {hook};",
        f"            on_publish_done {hook};",
        *_hls(app, spec, directory),
        "        }",
    )


def _hls(app: str, spec: ServerSpec, directory: Path) -> tuple[str, ...]:
    if not spec.http:
        return ()
    return (
        "            hls on;",
        f"            hls_path {quoted(directory / 'www' / app, 'the state directory')};",
        f"            hls_fragment {_milliseconds(spec.hls_fragment_s)}ms;",
        f"            hls_playlist_length {_milliseconds(spec.hls_window_s)}ms;",
        # Numbers start again with each publisher; the time keeps old and new segments apart.
        "            hls_fragment_naming system;",
        "            hls_cleanup off;",
    )


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _http(spec: ServerSpec, directory: Path, secrets: ServerSecrets) -> tuple[str, ...]:
    return (
        "http {",
        "    access_log off;",
        "    server_tokens off;",
        "    sendfile on;",
        "    tcp_nopush on;",
        "    log_not_found off;",
        *(
            f"    {name}_temp_path {quoted(directory / 'tmp' / name, 'the state directory')};"
            for name in _TEMPORARY
        ),
        "    server {",
        f"        listen 127.0.0.1:{spec.api};",
        f"        location = /{secrets.api_password}/stat {{ rtmp_stat all; }}",
        f"        location /{secrets.api_password}/control {{ rtmp_control all; }}",
        "        location / { return 404; }",
        "    }",
        *_public(spec, directory),
        "}",
    )


def _tls(spec: ServerSpec) -> tuple[str, ...]:
    """Serve HTTPS with whatever certificate is there when a client comes.

    nginx reads a certificate whose name holds a variable at each handshake (1.15.9), and one whose
    name holds none at its start alone.
    """
    if not spec.https or spec.certificate is None:
        return ()
    chain, key = (quoted(path, "the state directory") for path in spec.certificate)
    return (
        f"    map $https $streamd_chain {{ default {chain}; }}",
        f"    map $https $streamd_key {{ default {key}; }}",
        "    ssl_certificate $streamd_chain;",
        "    ssl_certificate_key $streamd_key;",
        "    ssl_protocols TLSv1.2 TLSv1.3;",
        # Without tickets: a resumed session would be served without another look.
        "    ssl_session_tickets off;",
    )


def _public(spec: ServerSpec, directory: Path) -> tuple[str, ...]:
    if not spec.http:
        return ()
    return (
        *_tls(spec),
        "    server {",
        f"        listen {spec.http};",
        *((f"        listen {spec.https} ssl;",) if spec.https and spec.certificate else ()),
        f"        root {quoted(directory / 'www', 'the state directory')};",
        "        types { }",
        r"        location ~ \.m3u8$ {",
        "            default_type application/vnd.apple.mpegurl;",
        "            add_header Cache-Control no-cache always;",
        "            add_header Access-Control-Allow-Origin * always;",
        "        }",
        r"        location ~ \.ts$ {",
        "            default_type video/mp2t;",
        "            add_header Access-Control-Allow-Origin * always;",
        "        }",
        rf"        location ~ ^/{SERVED_UNDER}/.+\.mp4$ {{",
        "            default_type video/mp4;",
        "            add_header Access-Control-Allow-Origin * always;",
        "        }",
        "        location / { return 404; }",
        "    }",
    )
