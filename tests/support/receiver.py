"""A real RTMP server that targets send to: nginx-rtmp in a directory of its own."""

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from tests.support.ports import free_ports
from tests.support.process import RunningProgram
from tests.support.waiting import wait_until_sync

NGINX_RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")

_CONFIG = """\
load_module {module};
daemon off;
master_process off;
worker_processes 1;
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{rtmp};
{listen_ipv6}
        chunk_size 4096;
        on_connect http://127.0.0.1:{hooks}/connect;
{applications}
    }}
}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{http};
        location = /stat {{ rtmp_stat all; }}
    }}
}}
"""

_APPLICATION = """\
        application {app} {{
            live on;
            idle_streams off;
            on_publish http://127.0.0.1:{hooks}/publish;
        }}"""


@cache
def has_ipv6() -> bool:
    """Tell whether this machine has the IPv6 loopback, on which receivers then listen too."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Publish:
    """What somebody asked to publish, as the server received it."""

    app: str
    name: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class ReceivedStream:
    """One stream at the receiver. `publishing` tells whether somebody sends it now."""

    bytes_in: int
    publishing: bool


@dataclass
class Receiver:
    """An RTMP server on a free loopback port, which can be stopped, started and frozen.

    `publishes` and `connects` hold every request it was sent; a name in `refused` (or one that
    `refuse_if` says yes to) is turned away.
    """

    directory: Path
    apps: tuple[str, ...]
    port: int
    http_port: int
    hooks_port: int
    publishes: list[Publish] = field(default_factory=list)
    connects: list[dict[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refuse_if: Callable[[Publish], bool] = lambda _: False
    _running: RunningProgram | None = None

    def url(self, app_and_stream: str) -> str:
        """Return the address of `app/stream` (or `app`) here."""
        return f"rtmp://127.0.0.1:{self.port}/{app_and_stream}"

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._running is not None, "the receiver does not run"
        return self._running.pid

    def start(self) -> Self:
        """Start, and wait until it answers."""
        assert self._running is None, "the receiver runs already"
        config = self.directory / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                module=NGINX_RTMP_MODULE,
                directory=self.directory,
                rtmp=self.port,
                listen_ipv6=f"        listen [::1]:{self.port} ipv6only=on;" if has_ipv6() else "",
                http=self.http_port,
                hooks=self.hooks_port,
                applications="\n".join(
                    _APPLICATION.format(app=app, hooks=self.hooks_port) for app in self.apps
                ),
            )
        )
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert nginx is not None, "the tests need nginx with its RTMP module"
        output = self.directory / "output.log"
        with output.open("ab") as log:
            process = subprocess.Popen(
                (nginx, "-p", str(self.directory), "-c", str(config), "-e", str(output)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running = RunningProgram(process)
        wait_until_sync(self._answers, what=f"nginx to start, see {output}")
        return self

    def _answers(self) -> bool:
        assert self._running is not None
        if not self._running.alive():
            raise RuntimeError((self.directory / "output.log").read_text())
        try:
            self.streams()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it; connections are closed. More than once is harmless."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def freeze(self) -> None:
        """Stop reading and answering, while connections stay open."""
        assert self._running is not None
        self._running.freeze()

    def thaw(self) -> None:
        """Go on after `freeze`."""
        assert self._running is not None
        self._running.thaw()

    def streams(self) -> dict[str, ReceivedStream]:
        """Return what it has now, by `app/stream`. Raises OSError when it does not answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/stat", timeout=5) as answer:
            root = ET.fromstring(answer.read())
        return {
            f"{application.findtext('name')}/{stream.findtext('name')}": ReceivedStream(
                int(stream.findtext("bytes_in") or 0), stream.find("publishing") is not None
            )
            for application in root.iter("application")
            for stream in application.iter("stream")
        }

    def bytes_in(self, app_and_stream: str) -> int:
        """Return how many bytes of a stream arrived in its present publish, 0 without one."""
        stream = self.streams().get(app_and_stream)
        return stream.bytes_in if stream is not None and stream.publishing else 0

    def receives(self, app_and_stream: str) -> bool:
        """Tell whether media of a stream arrives or arrived in its present publish."""
        return self.bytes_in(app_and_stream) > 2000

    def log(self) -> str:
        """Return the server's log."""
        return (self.directory / "error.log").read_text(errors="replace")


@contextlib.contextmanager
def receiver(directory: Path, *apps: str) -> Iterator[Receiver]:
    """Run a receiver with the given apps (`live` without any), its files below `directory`."""
    rtmp, http_port, hooks = free_ports(3)
    home = directory / f"receiver-{rtmp}"
    home.mkdir(parents=True)
    running = Receiver(home, apps or ("live",), rtmp, http_port, hooks)
    with _hooks(running):
        try:
            yield running.start()
        finally:
            running.stop()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


@contextlib.contextmanager
def _hooks(receiver: Receiver) -> Iterator[None]:
    """Answer nginx-rtmp's questions about publishers in a thread."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
            allowed = True
            if self.path == "/publish":
                publish = Publish(form.pop("app"), form.pop("name"), form)
                receiver.publishes.append(publish)
                allowed = publish.name not in receiver.refused and not receiver.refuse_if(publish)
            else:
                receiver.connects.append(form)
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", receiver.hooks_port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
