"""Port 80: authorities get their answers, people get to HTTPS, and nobody gets anything else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamd.certificates.listener import ChallengeListener
from tests.support.ports import free_port


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[tuple[ChallengeListener, int]]:
    port = free_port()
    answers = tmp_path / "answers"
    answers.mkdir()
    (answers / "a-token_1").write_text("a-token_1.thumbprint")
    (tmp_path / "secret").write_text("a key")
    running = ChallengeListener("127.0.0.1", port, answers)
    running.names, running.https_port = ("live.example.com", "*.cdn.example.com"), 8443
    await running.start()
    yield running, port
    await running.stop()


async def asked(port: int, path: str, host: str = "live.example.com", method: str = "GET") -> str:
    """Return the answer to a request as it stands on the wire."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_an_authority_gets_the_answer_whatever_name_it_asks_for(
    listener: tuple[ChallengeListener, int],
) -> None:
    _, port = listener
    for host in ("live.example.com", "new.example.org", "127.0.0.1"):
        answer = await asked(port, "/.well-known/acme-challenge/a-token_1", host)
        assert answer.startswith("HTTP/1.1 200")
        assert answer.endswith("\r\n\r\na-token_1.thumbprint")


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/acme-challenge/unknown",
        "/.well-known/acme-challenge/../secret",
        "/.well-known/acme-challenge/..%2fsecret",
        "/.well-known/acme-challenge/%2e%2e%2fsecret",
        "/.well-known/acme-challenge/.",
        "/.well-known/acme-challenge/a-token_1%00",
    ],
)
async def test_nothing_but_answers_is_given_out(
    listener: tuple[ChallengeListener, int], path: str
) -> None:
    running, port = listener
    running.https_port = None
    answer = await asked(port, path)
    assert answer.startswith("HTTP/1.1 4")
    assert "a key" not in answer


@pytest.mark.parametrize(
    ("host", "path", "https_port", "location"),
    [
        ("live.example.com", "/", 443, "https://live.example.com/"),
        ("LIVE.example.com:80", "/a/b.m3u8?t=%20x", 8443, "https://live.example.com:8443/a/b.m3u8?t=%20x"),
        ("x.cdn.example.com", "//evil.example/", 8443, "https://x.cdn.example.com:8443//evil.example/"),
        ("live.example.com", "/live", None, None),
        ("cdn.example.com", "/", 8443, None),
        ("a.x.cdn.example.com", "/", 8443, None),
        ("evil.example", "/", 8443, None),
        ("live.example.com", "http://evil.example/", 8443, None),
        ("[", "/", 8443, None),
        ("", "/", 8443, None),
    ],
)  # fmt: skip
async def test_people_get_to_https_with_a_name_that_is_ours_only(
    listener: tuple[ChallengeListener, int],
    host: str,
    path: str,
    https_port: int | None,
    location: str | None,
) -> None:
    running, port = listener
    running.https_port = https_port
    for method in ("GET", "HEAD", "POST"):
        answer = await asked(port, path, host, method)
        if location is None:
            assert answer.startswith("HTTP/1.1 4")
            assert "Location:" not in answer
        else:
            assert answer.startswith("HTTP/1.1 307")
            assert f"\r\nLocation: {location}\r\n" in answer
