"""The hook endpoint as a media server sees it, over real sockets, and with a real SRS."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from streamd.auth import hooks_api, room
from streamd.auth.admission import Admission
from streamd.auth.decide import Allowed, AuthIndex, Decision, Refused, decide_publish
from streamd.auth.gate import Consent
from streamd.auth.hooks_api import BODY_BYTES, HookServer
from streamd.config.models import Daemon
from streamd.desired import Desired, KeySpec, StreamRule
from streamd.engines.base import HookAnswer, HookRequest, LiveStream, Streams
from streamd.engines.srs_hooks import answer_srs, parse_srs_hook
from streamd.errors import EngineError, SettingsError
from streamd.observed import Publisher
from tests.support.media import publisher
from tests.support.ports import free_port, free_ports
from tests.support.waiting import wait_until

HOOK_PATH = "0123456789abcdef"
SECRET = "studio-secret-1"


class SrsWords:
    """The way SRS asks and is answered."""

    def __init__(self) -> None:
        self.discarded: list[str] = []
        self.live: dict[str, str] = {}
        self.kicked: list[str] = []
        self.kick_works = True

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        return parse_srs_hook(body)

    def answer(self, *, allow: bool) -> HookAnswer:
        return answer_srs(allow=allow)

    async def discard(self, request: HookRequest) -> None:
        self.discarded.append(request.client_id)

    async def streams(self) -> Streams:
        return Streams([LiveStream(name, client, 0, 0, 0) for client, name in self.live.items()])

    async def kick(self, stream: str, client_id: str) -> None:
        self.kicked.append(client_id)
        if not self.kick_works:
            raise EngineError("the API fails")
        asyncio.get_running_loop().call_later(0.05, self.live.pop, client_id)


class BrokenEngine(SrsWords):
    """An engine with a bug."""

    def parse_hook(self, body: bytes, content_type: str) -> HookRequest:
        raise ZeroDivisionError


class StubGate:
    """Says what a test puts into `refused`, and remembers who was asked about."""

    def __init__(self) -> None:
        self.asks = False
        self.asked: list[str] = []
        self.finished: list[bool] = []
        self.refused: Refused | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    async def ask(self, server: str, hook: HookRequest, allowed: Allowed) -> Consent:
        self.asked.append(f"{server} {allowed.stream} {hook.param}")
        self.meanwhile()
        return Consent(self.refused, self.finished.append)


@dataclass
class Endpoint:
    """A hook server, where it listens, and what it told."""

    port: int
    server: HookServer
    admission: Admission
    admitted: list[Publisher] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    quiesced: set[str] = field(default_factory=set)
    engine: SrsWords = field(default_factory=SrsWords)
    present: dict[str, Publisher] = field(default_factory=dict)
    gate: StubGate = field(default_factory=StubGate)

    def url(self, path: str = f"{HOOK_PATH}/main") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


def decide(request: HookRequest) -> Decision:
    key = KeySpec("studio", hashlib.sha256(SECRET.encode()).hexdigest())
    rules = (
        StreamRule("live/a", frozenset({"studio"})),
        StreamRule("lot/cam7", frozenset({"studio"}), key_in_name=True),
        StreamRule("open/*", None),
    )
    desired = Desired("ffmpeg", Daemon(), {}, {"studio": key}, {r.pattern: r for r in rules}, {})
    if request.stream == "bug":
        raise ZeroDivisionError
    return decide_publish(request, AuthIndex(desired), datetime.now(UTC))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    admitted: list[Publisher] = []
    gone: list[tuple[str, str]] = []
    quiesced: set[str] = set()
    engine = SrsWords()
    present: dict[str, Publisher] = {}
    gate = StubGate()
    engines = {"main": engine, "broken": BrokenEngine()}
    admission = Admission(decide, engines, quiesced=quiesced, present=present.get, gate=gate)
    server = HookServer(
        HOOK_PATH,
        engines=engines,
        admission=admission,
        on_admitted=admitted.append,
        on_gone=lambda server, client: gone.append((server, client)),
    )
    port = free_port()
    await server.start("127.0.0.1", port)
    yield Endpoint(port, server, admission, admitted, gone, quiesced, engine, present, gate)
    await server.stop()


@pytest.fixture
def gate(endpoint: Endpoint) -> StubGate:
    """Let the endpoint ask others."""
    endpoint.gate.asks = True
    return endpoint.gate


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def hook(
    name: str = "live/a", secret: str = "", action: str = "on_publish", ip: str = "192.0.2.1"
) -> dict[str, str]:
    app, _, stream = name.rpartition("/")
    return {
        "action": action,
        "app": app,
        "stream": stream,
        "param": f"?secret={secret}" if secret else "",
        "client_id": "c1",
        "ip": ip,
        "tcUrl": "rtmp://127.0.0.1/live",
    }


async def post(client: aiohttp.ClientSession, url: str, body: object) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(url, data=data) as response:
        return response.status, await response.text()


YES, NO = (200, '{"code":0}'), (200, '{"code":1}')


async def test_a_good_key_lets_in_and_the_daemon_is_told(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES
        await wait_until(lambda: endpoint.admitted)
    told = endpoint.admitted[0]
    assert (told.server, told.stream, told.published_as) == ("main", "live/a", "live/a")
    assert (told.client_id, told.key, told.address) == ("c1", "studio", "192.0.2.1")
    assert told.key_sha256 == hashlib.sha256(SECRET.encode()).hexdigest()
    assert told.protocol == "rtmp"
    assert told.since is not None
    assert [entry["event"] for entry in logs] == ["publisher.admitted"]
    assert SECRET not in repr(logs)


async def test_a_bad_key_is_refused_and_counted_without_showing_it(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), hook(secret="guessed-secret")) == NO
        assert await post(client, endpoint.url(), hook("lot/cam7-guessed-secret")) == NO
        assert await post(client, endpoint.url(), hook("other-secret/x-guessed-secret")) == NO
    assert endpoint.admitted == []
    assert endpoint.admission.refused == {"wrong_key": 2, "unknown_stream": 1}
    assert set(endpoint.admission.refusals) == {"live/a", "lot/cam7"}
    assert [entry["event"] for entry in logs] == ["publisher.refused"] * 3
    shown = [entry["stream"] for entry in logs]
    assert shown == ["live/a", "lot/cam7***", "oth***/x?g***"]
    endpoint.admission.forget(["live/a", "live/b"])
    assert set(endpoint.admission.refusals) == {"lot/cam7"}
    assert "secret" not in repr(logs)


async def test_what_the_server_began_for_a_refused_publisher_is_undone(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    assert await post(client, endpoint.url(), hook(secret="guessed-secret")) == NO
    assert endpoint.engine.discarded == ["c1"]
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES
    assert endpoint.engine.discarded == ["c1"]


async def test_a_second_publisher_of_a_stream_under_another_name_is_refused(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    endpoint.present["lot/cam7"] = Publisher("main", "lot/cam7", "lot/cam7", "c0")
    assert await post(client, endpoint.url(), hook(f"lot/cam7-{SECRET}")) == NO
    endpoint.present["live/a"] = Publisher("other", "live/a", "live/a", "c0")
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == NO
    assert endpoint.admission.refused == {"busy": 2}


async def test_a_name_that_the_server_cannot_carry_is_refused(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    assert await post(client, endpoint.url(), hook("open/a.b")) == NO
    assert endpoint.admission.refused == {"unsuitable": 1}


async def test_streamds_own_publisher_gives_way_before_the_answer(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    endpoint.present["open/x"] = Publisher("main", "open/x", "open/x", "own", internal=True)
    endpoint.engine.live = {"own": "open/x", "other": "open/y"}
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), hook("open/x")) == YES
    assert endpoint.engine.live == {"other": "open/y"}
    assert [each.client_id for each in endpoint.admitted] == ["c1"]
    (evicted,) = [entry for entry in logs if entry["event"] == "publisher.evicted"]
    assert (evicted["stream"], evicted["client"]) == ("open/x", "own")


async def test_nobody_gives_way_to_one_that_may_not_come(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    endpoint.present["live/a"] = Publisher("main", "live/a", "live/a", "own", internal=True)
    assert await post(client, endpoint.url(), hook("live/a", "wrong")) == NO
    assert endpoint.engine.kicked == []


async def test_no_real_publisher_gives_way(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    endpoint.present["open/x"] = Publisher("main", "open/x", "open/x", "c0")
    assert await post(client, endpoint.url(), hook("open/x")) == YES  # SRS itself refuses it
    assert endpoint.engine.kicked == []


@pytest.mark.parametrize("kick_works", [True, False])
async def test_one_that_cannot_be_made_to_give_way_keeps_its_stream(
    endpoint: Endpoint,
    client: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    kick_works: bool,
) -> None:
    monkeypatch.setattr(room, "EVICTION_TIMEOUT_S", 0.01)
    endpoint.engine.kick_works = kick_works
    endpoint.engine.live = {"own": "open/x"}
    endpoint.present["open/x"] = Publisher("main", "open/x", "open/x", "own", internal=True)
    assert await post(client, endpoint.url(), hook("open/x")) == NO
    assert endpoint.admission.refused == {"busy": 1}
    assert endpoint.admitted == []


async def test_others_are_asked_about_whom_streamd_would_let_in(
    endpoint: Endpoint, client: aiohttp.ClientSession, gate: StubGate
) -> None:
    assert await post(client, endpoint.url(), hook(secret="wrong-secret")) == NO
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES
    assert gate.asked == [f"main live/a ?secret={SECRET}"]
    assert gate.finished == [True]


async def test_others_can_refuse_and_their_guessers_are_slowed_down(
    endpoint: Endpoint, client: aiohttp.ClientSession, gate: StubGate
) -> None:
    gate.refused = Refused("vetoed", "callback billing refuses it", "live/a", "live/a")
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), hook(secret=SECRET)) == NO
    assert endpoint.admitted == []
    assert gate.finished == [False]
    assert endpoint.admission.refused == {"vetoed": 1}
    assert endpoint.admission.refusals["live/a"].reason == "callback billing refuses it"
    assert endpoint.engine.discarded == ["c1"]
    assert SECRET not in repr(logs)


async def test_nobody_gives_way_to_one_whom_others_refuse(
    endpoint: Endpoint, client: aiohttp.ClientSession, gate: StubGate
) -> None:
    gate.refused = Refused("vetoed", "no", "open/x")
    endpoint.present["open/x"] = Publisher("main", "open/x", "open/x", "own", internal=True)
    assert await post(client, endpoint.url(), hook("open/x")) == NO
    assert endpoint.engine.kicked == []


async def test_what_changed_while_others_were_asked_counts(
    endpoint: Endpoint, client: aiohttp.ClientSession, gate: StubGate
) -> None:
    gate.meanwhile = lambda: endpoint.quiesced.add("main")
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == NO
    assert endpoint.admission.refused == {"stopping": 1}
    assert gate.finished == [False]


async def test_nobody_is_asked_about_a_name_that_the_server_has_taken(
    endpoint: Endpoint, client: aiohttp.ClientSession, gate: StubGate
) -> None:
    endpoint.present["open/x"] = Publisher("main", "open/x", "open/x", "c0")
    endpoint.engine.live = {"c0": "open/x"}
    assert await post(client, endpoint.url(), hook("open/x")) == NO
    assert (gate.asked, endpoint.admission.refused) == ([], {"busy": 1})
    endpoint.engine.live = {}  # who had it has just left, and no hook told yet
    assert await post(client, endpoint.url(), hook("open/x")) == YES


async def test_an_error_while_asking_refuses(
    endpoint: Endpoint, client: aiohttp.ClientSession, gate: StubGate
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    gate.meanwhile = fail
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), hook(secret=SECRET)) == NO
    assert "hook.failed" in [entry["event"] for entry in logs]


async def test_a_server_that_ends_with_its_publishers_is_no_error(
    endpoint: Endpoint, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(_request: object, _answer: object) -> web.StreamResponse:
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(hooks_api, "_send", send)
    assert await post(client, endpoint.url(), hook(action="on_unpublish")) == YES
    assert endpoint.gone == [("main", "c1")]


async def test_who_leaves_is_told(endpoint: Endpoint, client: aiohttp.ClientSession) -> None:
    assert await post(client, endpoint.url(), hook(action="on_unpublish")) == YES
    await wait_until(lambda: endpoint.gone)
    assert endpoint.gone == [("main", "c1")]


async def test_the_answer_is_sent_before_the_daemon_is_told() -> None:
    """The event loop is stuck in the callback until the client has its answer."""
    answered = threading.Event()
    told: list[bool] = []

    def on_admitted(_: Publisher) -> None:
        told.append(answered.wait(30))

    server = HookServer(
        HOOK_PATH,
        engines={"main": SrsWords()},
        admission=Admission(decide, {"main": SrsWords()}),
        on_admitted=on_admitted,
        on_gone=lambda *_: None,
    )
    port = free_port()
    await server.start("127.0.0.1", port)

    def ask() -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", f"/{HOOK_PATH}/main", json.dumps(hook(secret=SECRET)))
            body = connection.getresponse().read()
        answered.set()
        return body

    assert await asyncio.to_thread(ask) == b'{"code":0}'
    await wait_until(lambda: told)
    assert told == [True]
    await server.stop()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("POST", HOOK_PATH),
        ("POST", f"{HOOK_PATH}/"),
        ("POST", f"{HOOK_PATH}/unknown"),
        ("POST", f"{HOOK_PATH[:-1]}/main"),
        ("POST", f"{HOOK_PATH}x/main"),
        ("POST", f"x/{HOOK_PATH}/main"),
        ("POST", f"{HOOK_PATH}/main/x"),
        ("POST", "%FF/main"),
        ("GET", f"{HOOK_PATH}/main"),
        ("PUT", f"{HOOK_PATH}/main"),
        ("OPTIONS", "main"),
    ],
)
async def test_everything_else_is_not_found_in_the_same_words(
    endpoint: Endpoint, client: aiohttp.ClientSession, method: str, path: str
) -> None:
    body = json.dumps(hook(secret=SECRET))
    async with client.request(method, endpoint.url(path), data=body) as response:
        headers = {name: value for name, value in response.headers.items() if name != "Date"}
        assert (response.status, await response.text()) == (404, "not found\n")
    assert headers == {
        "Server": "streamd",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": "10",
    }
    assert endpoint.admitted == []


async def test_only_this_machine_is_answered() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # chooses an own address, and sends nothing
        except OSError:
            pytest.skip("NOT TESTED: this machine has no address but loopback")
        own = probe.getsockname()[0]
    server = HookServer(
        HOOK_PATH,
        engines={"main": SrsWords()},
        admission=Admission(decide, {"main": SrsWords()}),
        on_admitted=lambda _: None,
        on_gone=lambda *_: None,
    )
    port = free_port()
    await server.start("0.0.0.0", port)
    async with aiohttp.ClientSession() as client:
        for host, status in (("127.0.0.1", 200), (own, 404)):
            url = f"http://{host}:{port}/{HOOK_PATH}/main"
            assert (await post(client, url, hook(secret=SECRET)))[0] == status
    await server.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"action": "on_publish"}',
        b'{"action": "on_fire"}',
        b"x" * (BODY_BYTES + 1),
    ],
    ids=["empty", "text", "list", "bytes", "deep", "short", "unknown", "long"],
)
async def test_a_body_that_is_no_hook_is_refused(
    endpoint: Endpoint, client: aiohttp.ClientSession, body: bytes
) -> None:
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), body) == NO
    assert [entry["event"] for entry in logs] == ["hook.malformed"]
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES


async def test_a_bug_refuses_and_the_endpoint_lives_on(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    with capture_logs() as logs:
        assert await post(client, endpoint.url(), hook("live/bug", SECRET)) == NO
        assert await post(client, endpoint.url(f"{HOOK_PATH}/broken"), hook(secret=SECRET)) == NO
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "hook.failed"
    ] * 2
    assert endpoint.admission.refused == {"failed": 1}
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES


async def test_a_server_that_is_being_stopped_lets_nobody_in(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    endpoint.quiesced.add("main")
    for _ in range(10):  # and slows nobody down for it
        assert await post(client, endpoint.url(), hook(secret=SECRET)) == NO
    assert endpoint.admission.refused == {"stopping": 10}
    assert await post(client, endpoint.url(), hook(action="on_unpublish")) == YES
    endpoint.quiesced.clear()
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES


async def test_who_guesses_is_held_back_and_others_are_not(endpoint: Endpoint) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        guesses = [
            asyncio.create_task(post(client, endpoint.url(), hook(secret=f"guess{number}-------")))
            for number in range(20)
        ]
        await wait_until(lambda: endpoint.admission.refused["wrong_key"] == 20)
        assert await post(client, endpoint.url(), hook(secret="wrong", ip="192.0.2.2")) == NO
        assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES
        assert sum(not guess.done() for guess in guesses) >= 10
        await endpoint.server.stop()  # what is held back is sent, not waited for
        assert await asyncio.gather(*guesses) == [NO] * 20


async def test_a_port_that_is_taken_is_named(endpoint: Endpoint) -> None:
    second = HookServer(
        HOOK_PATH,
        engines={},
        admission=Admission(decide, {}),
        on_admitted=lambda _: None,
        on_gone=lambda *_: None,
    )
    with pytest.raises(
        SettingsError, match=rf"daemon\.hooks: TCP port {endpoint.port} is taken by"
    ):
        await second.start("127.0.0.1", endpoint.port)
    port = free_port()
    await second.start("127.0.0.1", port)
    await second.stop()
    await second.stop()


async def test_it_moves_to_another_address_and_back(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    first, other = endpoint.port, free_port()
    for port, left in ((other, first), (first, other)):
        await endpoint.server.start("127.0.0.1", port)
        await endpoint.server.start("127.0.0.1", port)
        assert await post(client, f"http://127.0.0.1:{port}/{HOOK_PATH}/main", hook()) == NO
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", left)


async def test_a_move_that_fails_leaves_it_where_it_is(
    endpoint: Endpoint, client: aiohttp.ClientSession
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError):
            await endpoint.server.start("127.0.0.1", taken.getsockname()[1])
    assert await post(client, endpoint.url(), hook(secret=SECRET)) == YES


SRS_CONFIG = """\
listen 127.0.0.1:{rtmp};
max_connections 100;
daemon off;
srs_log_tank console;
pid {directory}/srs.pid;
http_api {{ enabled on; listen 127.0.0.1:{api}; }}
vhost __defaultVhost__ {{
    http_hooks {{
        enabled on;
        on_publish {hooks};
        on_unpublish {hooks};
    }}
}}
"""


@pytest.fixture
def srs_rtmp_port(srs_binary: Path, endpoint: Endpoint, tmp_path: Path) -> Iterator[int]:
    """The RTMP port of a real SRS that asks the endpoint."""
    rtmp, api = free_ports(2)
    config = tmp_path / "srs.conf"
    config.write_text(
        SRS_CONFIG.format(rtmp=rtmp, api=api, directory=tmp_path, hooks=endpoint.url())
    )
    with (tmp_path / "srs.log").open("wb") as output:
        process = subprocess.Popen(
            (str(srs_binary), "-c", str(config)), cwd=tmp_path, stdout=output, stderr=output
        )
        try:
            yield rtmp
        finally:
            process.kill()
            process.wait()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.srs
async def test_srs_asks_and_heeds_the_answer(endpoint: Endpoint, srs_rtmp_port: int) -> None:
    await wait_until(lambda: accepts(srs_rtmp_port), what="SRS to listen")
    base = f"rtmp://127.0.0.1:{srs_rtmp_port}"
    with publisher(f"{base}/live/a?secret=wrong-secret") as refused:
        await wait_until(lambda: not refused.alive(), what="the refused publisher to end")
    assert endpoint.admission.refused == {"wrong_key": 1}
    with publisher(f"{base}/lot/cam7-{SECRET}") as admitted:
        await wait_until(lambda: endpoint.admitted, what="the publisher to be let in")
        assert admitted.alive()
    told = endpoint.admitted[0]
    assert (told.stream, told.published_as) == ("lot/cam7", f"lot/cam7-{SECRET}")
    await wait_until(lambda: endpoint.gone == [("main", told.client_id)], what="it to leave")
