"""A web server that gives out the files of a directory and tells what was asked for."""

import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.ports import free_port


@dataclass
class Web:
    """A running web server.

    Attributes:
        port: on 127.0.0.1.
        requests: the paths that were asked for, with their queries.
    """

    port: int
    requests: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return f"http://127.0.0.1:{self.port}/{path}"


@contextlib.contextmanager
def files_served(directory: Path, port: int | None = None) -> Iterator[Web]:
    """Serve a directory until the block ends, on a free port where none is named."""
    web = Web(port or free_port())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code: object = "-", size: object = "-") -> None:
            web.requests.append(self.path)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with contextlib.suppress(OSError):  # players leave when they have enough
                super().copyfile(source, outputfile)

    handler = functools.partial(Handler, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", web.port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
