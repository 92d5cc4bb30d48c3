"""An own certificate authority, and TLS in front of a server that has none."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamd.certificates import pem
from tests.support.ports import free_port

_TIMEOUT_S = 30


@dataclass(frozen=True)
class Authority:
    """Signs certificates; `ca_file` is what a client has to trust."""

    directory: Path

    @property
    def ca_file(self) -> Path:
        """The authority's own certificate."""
        return self.directory / "ca.pem"

    def certificate(self, *names: str) -> tuple[Path, Path]:
        """Return the files of a new certificate for DNS names and IPv4 addresses, and its key."""
        stem = self.directory / names[0].replace(":", "-")
        cert, key, request = (stem.with_suffix(f".{kind}.pem") for kind in ("crt", "key", "csr"))
        alternatives = ",".join(
            f"{'IP' if name.replace('.', '').isdigit() else 'DNS'}:{name}" for name in names
        )
        extensions = stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(request), "-subj", f"/CN={names[0]}"),
        )
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.ca_file), "-days", "2"),
            *("-CAkey", str(self.directory / "ca.key"), "-extfile", str(extensions)),
            *("-CAcreateserial", "-out", str(cert)),
        )
        return cert, key


def authority(directory: Path) -> Authority:
    """Make a certificate authority below `directory`."""
    home = directory / "authority"
    home.mkdir(parents=True)
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-keyout", str(home / "ca.key"), "-out", str(home / "ca.pem"), "-days", "2"),
        *("-subj", "/CN=Test authority", "-addext", "basicConstraints=critical,CA:TRUE"),
    )
    return Authority(home)


def trusting_all() -> ssl.SSLContext:
    """Return what a client connects with that believes every server."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def certificate_shown(port: int, name: str, context: ssl.SSLContext | None = None) -> pem.Read:
    """Return the certificate that a client is shown which asks for a name at a loopback port.

    Raises OSError where nobody answers, and where a `context` does not trust it; without one, the
    client trusts all.
    """
    context = context or trusting_all()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    return pem.read(ssl.DER_cert_to_PEM_cert(shown))


def _openssl(*arguments: str) -> None:
    subprocess.run(("openssl", *arguments), check=True, capture_output=True, timeout=_TIMEOUT_S)


@contextlib.contextmanager
def tls_front(port: int, certificate: tuple[Path, Path]) -> Iterator[int]:
    """Take TLS connections on a free loopback port, which is yielded, and pass them to `port`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    front = free_port()
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        connections: set[asyncio.Task[None]] = set()

        async def connected(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await _join(client, answer, port)
            finally:
                connections.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", front, ssl=context)
        async with server:
            started.set()
            await stop.wait()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert started.wait(_TIMEOUT_S), "the TLS front did not start"
        yield front
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_TIMEOUT_S)
        loop.close()


async def _join(client: asyncio.StreamReader, answer: asyncio.StreamWriter, port: int) -> None:
    server, question = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(client, question))
            both.create_task(_pass_on(server, answer))
    except* OSError:
        pass
    finally:
        for writer in (question, answer):
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
    else:
        sink.close()
