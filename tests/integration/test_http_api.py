import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamd.config_state import ConfigState
from streamd.errors import SettingsError
from streamd.status import http_api
from streamd.status.http_api import StatusServer
from streamd.status.snapshot import ServerFacts, Snapshot
from tests.support.ports import free_port
from tests.support.snapshots import running, snapshot
from tests.support.waiting import wait_until

TOKEN = "a-token-of-many-letters"
PATHS = ["/", "/status", "/healthz", "/readyz", "/metrics"]


class Machine:
    """Gives the snapshot of the moment."""

    def __init__(self) -> None:
        self.now = snapshot(
            running("server.main", 7), servers={"main": ServerFacts("6.0.157", {"rtmp": True})}
        )

    def __call__(self) -> Snapshot:
        return self.now


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def server(machine: Machine) -> AsyncIterator[StatusServer]:
    server = StatusServer(machine)
    await server.start(f"127.0.0.1:{free_port()}", None)
    yield server
    await server.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


def connections(port: int) -> int:
    """Return how many connections to a port of this machine are open at the listener's end."""
    found = 0
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *_ = line.split()
        found += local.endswith(f":{port:04X}") and state == "01"  # TCP_ESTABLISHED
    return found


def url(server: StatusServer, path: str) -> str:
    return f"http://127.0.0.1:{server.port}{path}"


class Answer:
    def __init__(self, response: aiohttp.ClientResponse, text: str) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = text

    @property
    def json(self) -> Any:
        return json.loads(self.text)


async def ask(
    client: aiohttp.ClientSession,
    server: StatusServer,
    path: str,
    method: str = "GET",
    **options: Any,
) -> Answer:
    async with client.request(method, url(server, path), **options) as response:
        return Answer(response, await response.text())


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(30):
        writer.write(request)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


async def test_the_status_is_json(client: aiohttp.ClientSession, server: StatusServer) -> None:
    answer = await ask(client, server, "/status")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json["servers"]["main"]["state"] == "running"
    assert "\n " not in answer.text


async def test_the_status_can_be_pretty(
    client: aiohttp.ClientSession, server: StatusServer
) -> None:
    answer = await ask(client, server, "/status?pretty")
    assert '\n  "converged": true' in answer.text


async def test_the_page_is_html_with_its_own_policy(
    client: aiohttp.ClientSession, server: StatusServer
) -> None:
    answer = await ask(client, server, "/")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "sha256-" in answer.headers["Content-Security-Policy"]
    assert "live/show" in answer.text


async def test_metrics_are_what_prometheus_reads(
    client: aiohttp.ClientSession, server: StatusServer
) -> None:
    answer = await ask(client, server, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"streamd_converged", "process_cpu_seconds"} <= names


async def test_ready_only_when_converged(
    client: aiohttp.ClientSession, server: StatusServer, machine: Machine
) -> None:
    ready = await ask(client, server, "/readyz")
    assert (ready.status, ready.text) == (200, "converged\n")
    machine.now = replace(
        machine.now, converged=False, config=ConfigState("pending", "/etc/streamd/config.yaml")
    )
    answer = await ask(client, server, "/readyz")
    assert answer.status == 503
    assert answer.text.splitlines()[0] == "configuration pending"
    assert (await ask(client, server, "/healthz")).status == 200


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_the_headers_and_no_body(
    client: aiohttp.ClientSession, server: StatusServer, path: str
) -> None:
    got = await ask(client, server, path)
    head = await ask(client, server, path, "HEAD")
    assert (head.status, head.text) == (got.status, "")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_nothing_but_reading_is_possible(
    client: aiohttp.ClientSession, server: StatusServer, path: str, method: str
) -> None:
    answer = await ask(client, server, path, method, data=b"x" * 100)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert "error" in answer.json


@pytest.mark.parametrize("path", ["/nosuch", "/status/", "//status", "/../etc/passwd"])
async def test_other_paths_are_not_there(
    client: aiohttp.ClientSession, server: StatusServer, path: str
) -> None:
    answer = await ask(client, server, path)
    assert answer.status == 404
    assert "/metrics" in answer.json["error"]


@pytest.mark.parametrize("path", [*PATHS, "/nosuch"])
async def test_every_answer_is_guarded(
    client: aiohttp.ClientSession, server: StatusServer, path: str
) -> None:
    headers = (await ask(client, server, path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "streamd"


async def test_a_failure_to_report_is_told_and_not_fatal(
    client: aiohttp.ClientSession, server: StatusServer, machine: Machine
) -> None:
    good = machine.now
    machine.now = None  # type: ignore[assignment] # as a bug would
    assert (await ask(client, server, "/status")).status == 500
    machine.now = good
    assert (await ask(client, server, "/status")).status == 200


class TestToken:
    @pytest.fixture
    async def server(self, machine: Machine) -> AsyncIterator[StatusServer]:
        server = StatusServer(machine)
        await server.start(f"127.0.0.1:{free_port()}", TOKEN)
        yield server
        await server.stop()

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Token {TOKEN}",
            TOKEN,
            "Basic !!!",
            "Basic " + base64.b64encode(b"user:wrong").decode(),
            "Basic " + base64.b64encode(TOKEN.encode()).decode(),
        ],
    )
    @pytest.mark.parametrize("path", ["/", "/status", "/readyz", "/metrics", "/nosuch"])
    async def test_is_required(
        self,
        client: aiohttp.ClientSession,
        server: StatusServer,
        path: str,
        authorization: str | None,
    ) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = await ask(client, server, path, headers=headers)
        assert answer.status == 401
        assert [each.partition(" ")[0] for each in answer.headers.getall("WWW-Authenticate")] == [
            "Bearer",
            "Basic",
        ]
        assert "main" not in answer.text

    @pytest.mark.parametrize(
        "authorization",
        [
            f"Bearer {TOKEN}",
            f"bearer {TOKEN}",
            "Basic " + base64.b64encode(f"anybody:{TOKEN}".encode()).decode(),
        ],
    )
    async def test_opens(
        self, client: aiohttp.ClientSession, server: StatusServer, authorization: str
    ) -> None:
        answer = await ask(client, server, "/status", headers={"Authorization": authorization})
        assert answer.status == 200

    async def test_is_not_asked_for_being_alive(
        self, client: aiohttp.ClientSession, server: StatusServer
    ) -> None:
        assert (await ask(client, server, "/healthz")).status == 200

    async def test_of_odd_bytes_is_refused(self, server: StatusServer) -> None:
        request = b"GET /status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xc3\r\n\r\n"
        assert b" 401 " in (await raw(server.port, request)).partition(b"\r\n")[0]

    async def test_is_changed_in_place(
        self, client: aiohttp.ClientSession, server: StatusServer
    ) -> None:
        port = server.port
        await server.start(f"127.0.0.1:{port}", None)
        assert server.port == port
        assert (await ask(client, server, "/status")).status == 200


class TestListening:
    async def test_moves_and_lets_go_of_the_old_address(
        self, client: aiohttp.ClientSession, server: StatusServer
    ) -> None:
        old, new = server.port, free_port()
        await server.start(f"127.0.0.1:{new}", None)
        assert (server.port, (await ask(client, server, "/healthz")).status) == (new, 200)
        with pytest.raises(ConnectionRefusedError):
            await raw(old, b"")

    async def test_moves_to_an_address_that_includes_the_old(
        self, client: aiohttp.ClientSession, server: StatusServer
    ) -> None:
        port = server.port
        for host in ("0.0.0.0", "127.0.0.1", "localhost"):
            await server.start(f"{host}:{port}", None)
            assert (await ask(client, server, "/healthz")).status == 200

    async def test_takes_ipv6(self, machine: Machine, client: aiohttp.ClientSession) -> None:
        server = StatusServer(machine)
        try:
            await server.start("[::1]:0", None)
        except SettingsError as error:
            pytest.skip(f"no IPv6 here: {error}")
        async with client.get(f"http://[::1]:{server.port}/healthz") as response:
            assert response.status == 200
        await server.stop()

    async def test_starts_and_stops_again_and_again(self, machine: Machine) -> None:
        server, address = StatusServer(machine), f"127.0.0.1:{free_port()}"
        for _ in range(5):
            await server.start(address, None)
            answer = await raw(server.port, b"GET /healthz HTTP/1.0\r\n\r\n")
            assert answer.endswith(b"\r\n\r\nok\n")
            await server.stop()
            await server.stop()
            assert server.port == 0

    @pytest.fixture
    def taken(self) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as other:
            yield other.getsockname()[1]

    async def test_a_taken_port_is_an_error_that_names_the_field(
        self, machine: Machine, taken: int
    ) -> None:
        server = StatusServer(machine)
        with pytest.raises(
            SettingsError, match=rf"daemon\.status: TCP port {taken} is taken by .*; stop that or"
        ):
            await server.start(f"127.0.0.1:{taken}", None)
        await server.stop()

    async def test_a_move_that_fails_leaves_it_where_it_is(
        self, client: aiohttp.ClientSession, server: StatusServer, taken: int
    ) -> None:
        port = server.port
        for address in (f"127.0.0.1:{taken}", f"192.0.2.1:{port}", f"nosuch.invalid:{port}"):
            with pytest.raises(SettingsError, match=r"daemon\.status"):
                await server.start(address, TOKEN)
            assert server.port == port
            assert (await ask(client, server, "/status")).status == 200

    async def test_stopping_closes_who_is_connected(self, server: StatusServer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /status HTTP/1.1\r\n")
        async with asyncio.timeout(30):
            await server.stop()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


class TestHostileClients:
    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET\r\n\r\n",
            b"GET /status HTTP/9.9\r\n\r\n",
            b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(500)) + b"\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 100_000,
        ],
        ids=["tls", "cut", "version", "path", "header", "headers", "length", "body"],
    )
    async def test_are_answered_or_cut_and_leave_no_trace(
        self,
        client: aiohttp.ClientSession,
        server: StatusServer,
        request_bytes: bytes,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        answer = await raw(server.port, request_bytes)
        assert b" 200 " not in answer.partition(b"\r\n")[0]
        assert (await ask(client, server, "/healthz")).status == 200
        assert [record for record in caplog.records if record.levelname != "DEBUG"] == []

    async def test_one_request_is_served_for_each_connection(self, server: StatusServer) -> None:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await raw(server.port, request * 20)
        assert answer.count(b"HTTP/1.1 200") == 1

    async def test_a_silent_or_slow_one_is_cut(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_api, "CONNECTION_LIMIT_S", 0.3)
        server = StatusServer(machine)
        await server.start("127.0.0.1:0", None)
        for begun in (b"", b"GET /status HTTP/1.1\r\nHost: x\r\nX: "):
            assert await raw(server.port, begun) == b""
        await server.stop()

    async def test_one_that_does_not_read_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http_api, "CONNECTION_LIMIT_S", 0.5)
        large = snapshot(version="x" * 40_000_000)
        server = StatusServer(lambda: large)
        await server.start("127.0.0.1:0", None)
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
            slow.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=slow.dup(), limit=1024)
            await wait_until(lambda: connections(server.port) == 1, what="the connection")
            await wait_until(lambda: connections(server.port) == 0, what="the cut")
            writer.close()
            del reader
        await server.stop()

    async def test_a_crowd_does_not_lock_others_out(
        self, client: aiohttp.ClientSession, server: StatusServer
    ) -> None:
        crowd = [
            await asyncio.open_connection("127.0.0.1", server.port)
            for _ in range(http_api.MAX_CONNECTIONS + 20)
        ]
        assert (await ask(client, server, "/status")).status == 200
        assert connections(server.port) <= http_api.MAX_CONNECTIONS
        for _, writer in crowd:
            writer.close()
