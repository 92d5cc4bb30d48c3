"""What SRS is told: one near-static file, since a change that SRS cannot reload ends every stream.

The directives are those of SRS 6 (its conf/full.conf).
"""

from pathlib import Path

from streamd.desired import ServerSpec
from streamd.engines.base import ServerSecrets
from streamd.engines.quoting import quoted, quoted_url
from streamd.errors import EngineError

API_USER = "streamd"

RESERVED_DESCRIPTORS = 129
"""SRS refuses to start when max_connections and 128 more reach the limit on open files."""

_MAX_CONNECTIONS = 100_000
_HLS_KEPT_S = 30
_STUN_TIMEOUT_S = 10

# Where RTMP listens when the file opens no RTMP port: SRS cannot run without it.
_HIDDEN_RTMP_HOST = "127.0.0.2"


def rtmp_endpoint(spec: ServerSpec) -> tuple[str, int]:
    """Return the loopback host and the port at which this server takes RTMP from this machine."""
    return ("127.0.0.1", spec.rtmp) if spec.rtmp else (_HIDDEN_RTMP_HOST, spec.api)


def api_endpoint(spec: ServerSpec) -> tuple[str, int]:
    """Return the loopback host and the port of this server's API.

    SRS serves WHIP and WHEP on the API's listener only, so with WebRTC the API shares the HTTP
    port. Everything below /api/ asks for the password there.
    """
    return "127.0.0.1", (spec.http if spec.webrtc and spec.http else spec.api)


def connections(open_files: int) -> int:
    """Return how many connections SRS takes with this hard limit on open files.

    With fewer than 1 it does not start.
    """
    return min(open_files - RESERVED_DESCRIPTORS, _MAX_CONNECTIONS)


def render_config(
    spec: ServerSpec, directory: Path, secrets: ServerSecrets, open_files: int
) -> str:
    """Return srs.conf.

    Args:
        spec: the server.
        directory: its own directory; everything that SRS writes lies below it.
        secrets: the hook path and the API's password.
        open_files: the hard limit on open files that SRS will run with.

    Raises:
        EngineError: a value cannot be expressed, or the ports do not go together.
    """
    if spec.webrtc and not spec.http:
        raise EngineError(
            "listen.webrtc needs listen.http, which WHIP and WHEP are served on; add `http: 8080`"
        )
    return "\n".join(
        (
            "# Written by streamd. Edits are overwritten.",
            *_process(spec, directory, open_files),
            *_log(),
            *_api(spec, secrets),
            *_http(spec, directory),
            *_srt(spec),
            *_webrtc(spec),
            *_vhost(spec, directory, secrets),
            "",
        )
    )


def _process(spec: ServerSpec, directory: Path, open_files: int) -> tuple[str, ...]:
    if connections(open_files) < 1:
        raise EngineError(
            f"the limit on open files is {open_files}; raise it (ulimit -n, LimitNOFILE=) to 10000"
        )
    host, port = rtmp_endpoint(spec)
    state = quoted(directory, "the state directory")
    return (
        f"listen {port if spec.rtmp else f'{host}:{port}'};",
        f"max_connections {connections(open_files)};",
        "daemon off;",
        f"work_dir {state};",
        f"ff_log_dir {state};",
        f"pid {quoted(directory / 'srs.pid', 'the state directory')};",
        f"server_id {quoted(f'streamd-{spec.name}', 'the server name')};",
        "query_latest_version off;",
        "inotify_auto_reload off;",
        "auto_reload_for_docker off;",
    )


def _log() -> tuple[str, ...]:
    return (
        "srs_log_tank console;",
        # At `warn` SRS writes a line for each request to its API and each viewer that leaves.
        "srs_log_level_v2 error;",
        "utc_time on;",
    )


def _api(spec: ServerSpec, secrets: ServerSecrets) -> tuple[str, ...]:
    _, port = api_endpoint(spec)
    # The same text as in http_server is what makes SRS share the listener.
    listen = str(port) if port == spec.http else f"127.0.0.1:{port}"
    return (
        "http_api {",
        "    enabled on;",
        f"    listen {listen};",
        "    raw_api { enabled on; allow_reload on; }",
        "    auth {",
        "        enabled on;",
        f"        username {API_USER};",
        f"        password {quoted(secrets.api_password, 'the API password')};",
        "    }",
        # Which shares the listener as well, so that WHIP and WHEP come by HTTPS.
        *(_https(spec) if port == spec.http else ()),
        "}",
    )


def _http(spec: ServerSpec, directory: Path) -> tuple[str, ...]:
    if not spec.http:
        return ()
    root = quoted(directory / "www", "the state directory")
    return (
        "http_server {",
        "    enabled on;",
        f"    listen {spec.http};",
        f"    dir {root};",
        *_https(spec),
        "}",
    )


def _https(spec: ServerSpec) -> tuple[str, ...]:
    if not spec.https or spec.certificate is None:
        return ()
    chain, key = spec.certificate
    return (
        "    https {",
        "        enabled on;",
        f"        listen {spec.https};",
        # Read for each connection, so that another certificate needs no reload.
        f"        cert {quoted(chain, 'the state directory')};",
        f"        key {quoted(key, 'the state directory')};",
        "    }",
    )


def _srt(spec: ServerSpec) -> tuple[str, ...]:
    if not spec.srt:
        return ()
    return ("srt_server {", "    enabled on;", f"    listen {spec.srt};", "}")


def _webrtc(spec: ServerSpec) -> tuple[str, ...]:
    if not spec.webrtc:
        return ()
    candidate = quoted(spec.webrtc_candidate or "*", "webrtc_candidate")
    return (
        "rtc_server {",
        "    enabled on;",
        f"    listen {spec.webrtc};",
        f"    candidate {candidate};",
        # A client chooses the Host header, and SRS stands still while a name resolves.
        "    resolve_api_domain off;",
        "}",
    )


def _vhost(spec: ServerSpec, directory: Path, secrets: ServerSecrets) -> tuple[str, ...]:
    hook = quoted_url(f"http://{spec.hooks}/{secrets.hook_path}/{spec.name}", "the hook address")
    return (
        "vhost __defaultVhost__ {",
        "    tcp_nodelay on;",
        "    min_latency off;",
        *_vhost_play(spec),
        "    http_hooks {",
        "        enabled on;",
        f"        on_publish {hook};",
        f"        on_unpublish {hook};",
        "    }",
        *_vhost_http(spec, directory),
        *(("    srt { enabled on; srt_to_rtmp on; }",) if spec.srt else ()),
        *_vhost_webrtc(spec),
        "}",
    )


def _vhost_play(spec: ServerSpec) -> tuple[str, ...]:
    return (
        "    play {",
        "        gop_cache on;",
        "        queue_length 10;",
        # A reader waits for this long a batch; an FFmpeg that is asked to stop waits for it too.
        "        mw_latency 50;",
        "        mw_msgs 1;",
        # Quiet sound comes by SRT 350 ms at a time, behind its picture. For players SRS takes a
        # step of more than 250 ms from one message to the next for a fault, and mends it until
        # time goes twice as fast; so they are put in order first. `time_jitter off` would do
        # too, but then a player hangs when another publisher begins at 0.
        *(("        mix_correct on;",) if spec.srt else ()),
        "    }",
    )


def _vhost_webrtc(spec: ServerSpec) -> tuple[str, ...]:
    if not spec.webrtc:
        return ()
    return (
        "    rtc {",
        "        enabled on;",
        "        rtmp_to_rtc on;",
        "        rtc_to_rtmp on;",
        # How long a browser that vanished keeps its stream's name busy.
        f"        stun_timeout {_STUN_TIMEOUT_S};",
        "    }",
    )


def _vhost_http(spec: ServerSpec, directory: Path) -> tuple[str, ...]:
    if not spec.http:
        return ()
    root = quoted(directory / "www", "the state directory")
    return (
        # Otherwise a join while the GOP cache holds only a picture is taken for video without
        # sound, for as long as it lasts.
        "    http_remux { enabled on; drop_if_not_match off; mount [vhost]/[app]/[stream].flv; }",
        "    hls {",
        "        enabled on;",
        f"        hls_fragment {spec.hls_fragment_s:g};",
        f"        hls_window {spec.hls_window_s:g};",
        f"        hls_path {root};",
        "        hls_m3u8_file [app]/[stream].m3u8;",
        # Numbers start again after a crash; the time keeps old and new segments apart.
        "        hls_ts_file [app]/[stream]-[timestamp]-[seq].ts;",
        # A full disk ends HLS; by itself SRS ends the publisher, and takes no other.
        "        hls_on_error ignore;",
        "        hls_cleanup on;",
        # Files of a stream that ended go after its last viewers could have fetched them.
        f"        hls_dispose {int(spec.hls_window_s) + _HLS_KEPT_S};",
        # A session id in every URL would defeat caches.
        "        hls_ctx off;",
        "        hls_ts_ctx off;",
        "    }",
    )
