"""Posting to servers that are right, slow, dead, wrong, redirecting and endless."""

import hashlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamd.callbacks import resolve
from streamd.callbacks.post import Poster
from streamd.desired import CallbackSpec
from tests.support.app import Answer, App, app, silent
from tests.support.ports import free_port
from tests.support.tls import Authority, authority
from tests.support.waiting import wait_until


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    made = Poster()
    yield made
    await made.close()


def spec(url: str, timeout_s: float = 10.0, sign: str | None = None) -> CallbackSpec:
    return CallbackSpec("cb", url, frozenset({"on_publish"}), "", timeout_s, "refuse", sign)


async def test_a_yes(hook: App, poster: Poster) -> None:
    reply = await poster.post(spec(hook.url), b'{"action": "on_publish"}')
    assert (reply.kind, reply.text) == ("yes", "HTTP 200, code 0")
    (received,) = hook.received
    assert received.path == "/hook"
    assert received["action"] == "on_publish"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["User-Agent"].startswith("streamd/")
    assert "X-Streamd-Signature" not in received.headers


async def test_a_signature_that_can_be_verified(hook: App, poster: Poster) -> None:
    secret = "0123456789abcdef"
    await poster.post(spec(hook.url, sign=secret), b'{"a": 1}')
    (received,) = hook.received
    sent_at = received.headers["X-Streamd-Timestamp"]
    assert abs(int(sent_at) - time.time()) < 300
    expected = hmac.new(secret.encode(), f"{sent_at}.".encode() + received.body, hashlib.sha256)
    assert received.headers["X-Streamd-Signature"] == f"sha256={expected.hexdigest()}"


async def test_a_name_and_password_in_the_address_are_sent(hook: App, poster: Poster) -> None:
    url = hook.url.replace("//", "//user:pass@")
    assert (await poster.post(spec(url), b"{}")).kind == "yes"
    assert hook.received[0].headers["Authorization"] == "Basic dXNlcjpwYXNz"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (Answer(body=b'{"code": 7}'), "no", "code 7"),
        (Answer(403), "no", "HTTP 403"),
        (Answer(500), "fault", "HTTP 500"),
        (Answer(404, b"<html>"), "fault", "HTTP 404"),
        (Answer(body=b"<html>fine</html>"), "fault", "no JSON"),
        (Answer(body=b""), "fault", "no JSON"),
        (Answer(body=b'{"code": 0}' + b" " * 10_000_000), "fault", "more than 64 kB"),
        (Answer(body=b"x" * 10_000_000), "fault", "more than 64 kB"),
        (Answer(500, b"x" * 10_000_000), "fault", "HTTP 500"),
        (Answer(headers=(("Content-Encoding", "gzip"),)), "yes", "code 0"),
        (Answer(headers=(("X-Long", "y" * 100_000),)), "none", ""),
        (Answer(breaks_off=True), "none", "closed the connection"),
    ],
)
async def test_other_answers(
    hook: App, poster: Poster, answer: Answer, kind: str, text: str
) -> None:
    hook.answer = lambda _: answer
    reply = await poster.post(spec(hook.url), b'{"param": "?secret=hush"}')
    assert reply.kind == kind
    assert text in reply.text
    assert "hush" not in reply.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(hook: App, poster: Poster, status: int) -> None:
    with app() as elsewhere:
        hook.answer = lambda _: Answer(status, headers=(("Location", elsewhere.url),))
        reply = await poster.post(spec(hook.url), b"{}")
        assert (reply.kind, elsewhere.received) == ("fault", [])
        assert "redirect" in reply.text


async def test_nobody_is_waited_for_longer_than_the_timeout(poster: Poster) -> None:
    never = threading.Event()
    with silent() as url, app() as slow:
        slow.answer = lambda _: Answer(after=never)
        for address in (url, slow.url):
            reply = await poster.post(spec(address, 0.3), b"{}")
            assert (reply.kind, reply.text) == ("none", "no answer within 0.3 s")
            reply = await poster.post(spec(address), b"{}", limit_s=0.2)
            assert (reply.kind, reply.text) == ("none", "no answer within 0.2 s")


async def test_an_answer_that_trickles_in_is_not_waited_for(poster: Poster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ending = threading.Event()

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not ending.wait(0.02):
                    connection.sendall(b" ")

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        reply = await poster.post(spec(url, 0.5), b"{}")
        assert (reply.kind, reply.text) == ("none", "no answer within 0.5 s")
        ending.set()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "text"),
    [(b"what?\r\n\r\n", "no HTTP"), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n0", "broke")],
)
async def test_what_is_no_http_is_no_answer(poster: Poster, answer: bytes, text: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        reply = await poster.post(spec(url), b"{}")
        thread.join()
    assert reply.kind == "none"
    assert text in reply.text


async def test_why_nobody_was_reached_is_said(poster: Poster) -> None:
    reply = await poster.post(spec(f"http://127.0.0.1:{free_port()}/"), b"{}")
    assert (reply.kind, reply.text) == ("none", "connection refused")
    reply = await poster.post(spec("http://nowhere.invalid/"), b"{}")
    assert (reply.kind, reply.text) == ("none", "its name is not found")
    with app() as plain:
        reply = await poster.post(spec(plain.url.replace("http:", "https:")), b"{}")
        assert reply.kind == "none"
        assert "TLS" in reply.text


async def test_certificates_are_verified(tmp_path: Path, poster: Poster) -> None:
    signer = authority(tmp_path)
    with app(tls=_context(signer, "127.0.0.1")) as good:
        reply = await poster.post(spec(good.url), b"{}")
        assert reply.kind == "none"
        assert "certificate" in reply.text
        trusting = Poster(ssl.create_default_context(cafile=str(signer.ca_file)))
        assert (await trusting.post(spec(good.url), b"{}")).kind == "yes"
        with app(tls=_context(signer, "app.example.com")) as other:
            reply = await trusting.post(spec(other.url), b"{}")
            assert reply.kind == "none"
            assert "certificate" in reply.text
        await trusting.close()
        assert len(good.received) == 1
        assert other.received == []


def _context(signer: Authority, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*signer.certificate(name))
    return context


async def test_a_name_server_that_hangs_holds_up_nothing_else(
    hook: App, poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lookups take threads of their own, at most so many."""
    let_go = threading.Event()
    real = socket.getaddrinfo
    asked: list[str] = []

    def hang(host: str, *arguments: object) -> object:
        if host.endswith(".invalid"):
            asked.append(host)
            let_go.wait(60)
        return real(host, *arguments)  # type: ignore[arg-type] # as it came

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(resolve, "MAX_THREADS", 2)
    for number in range(3):
        reply = await poster.post(spec(f"http://{number}.invalid/", 0.1), b"{}")
        assert reply.kind == "none"
    assert asked == ["0.invalid", "1.invalid"]
    assert (await poster.post(spec(hook.url), b"{}")).kind == "yes"
    let_go.set()

    async def is_free() -> bool:
        reply = await poster.post(spec("http://3.invalid/", 5), b"{}")
        return reply.text == "its name is not found"

    await wait_until(is_free, what="the lookups to end")
