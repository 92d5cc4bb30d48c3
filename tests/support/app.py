"""Somebody's server that callbacks are sent to, and that does with them what a test says."""

import contextlib
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support.ports import free_port
from tests.support.waiting import wait_until, wait_until_sync


@dataclass(frozen=True)
class Answer:
    """How one request is answered.

    Attributes:
        status, body, headers: of the answer.
        after: waited for before it is sent; None: at once.
        breaks_off: the connection is closed before the answer.
    """

    status: int = 200
    body: bytes = b'{"code": 0}'
    headers: tuple[tuple[str, str], ...] = ()
    after: threading.Event | None = None
    breaks_off: bool = False


YES = Answer()
NO = Answer(body=b'{"code": 403}')


@dataclass(frozen=True)
class Received:
    """One request: what it says, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        """What its body says."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def __getitem__(self, name: str) -> Any:
        """Return a field of its body."""
        return self.told[name]


@dataclass
class App:
    """A running server. `answer` decides about each request."""

    port: int
    scheme: str = "http"
    answer: Callable[[Received], Answer] = lambda _: YES
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where callbacks are sent."""
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    def actions(self) -> list[str]:
        """Return what it was told, in the order it came."""
        return [each["action"] for each in self.received]

    def of(self, action: str) -> list[Received]:
        """Return the requests of one kind."""
        return [each for each in self.received if each["action"] == action]

    def wait_told(self, action: str, count: int = 1) -> Received:
        """Wait until it was told something so many times, and return the last."""
        wait_until_sync(
            lambda: len(self.of(action)) >= count, what=f"{action}; told {self.actions()}"
        )
        return self.of(action)[-1]

    async def told(self, count: int) -> list[Received]:
        """Wait until it was told so much, and return it."""
        await wait_until(lambda: len(self.received) >= count, what=f"{count} requests")
        return self.received


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever asks may not wait for the answer
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        received = Received(self.path, dict(self.headers), body)
        answer = self.server.app.answer(received)
        self.server.app.received.append(received)
        while answer.after is not None and not answer.after.wait(0.02):
            if self.server.ending.is_set():
                return
        if answer.breaks_off:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, made: App, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", made.port), _Handler)
        self.app = made
        self.tls = tls
        self.ending = threading.Event()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(30)
        if self.tls is not None:  # the handshake is for the connection's own thread
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever asks may not wait for the answer."""


@contextlib.contextmanager
def app(*, port: int | None = None, tls: ssl.SSLContext | None = None) -> Iterator[App]:
    """Run a server until the block ends."""
    made = App(port or free_port(), "http" if tls is None else "https")
    server = _Server(made, tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Listen somewhere and never answer, until the block ends; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
