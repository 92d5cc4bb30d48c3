"""What counts as a yes, and the signature that proves who asked."""

import hashlib
import hmac
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.callbacks.wire import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    headers,
    judge,
    shown,
    signature,
)


@pytest.mark.parametrize(
    "body",
    [b"0", b"0\n", b'{"code": 0}', b'{"code":0,"data":null}', b"{}", b'{"ok": true}',
     b'{"code": null}', b"null", b' {"Code": 0} ', '{"message": "schön"}'.encode()],
)  # fmt: skip
def test_oryx_takes_these_for_a_yes(body: bytes) -> None:
    assert judge(200, body).kind == "yes"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"1"), (200, b"-1"), (200, b'{"code": 1}'), (200, b'{"code": 403, "data": {}}'),
     (200, b'{"Code": 7}'), (200, b'{"code": 0, "CODE": 2}'), (401, b""), (403, b'{"code": 0}')],
)  # fmt: skip
def test_these_say_no(status: int, body: bytes) -> None:
    assert judge(status, body).kind == "no"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b""), (200, b"OK"), (200, b"<html>"), (200, b'"0"'), (200, b"[]"), (200, b"true"),
     (200, b"0.0"), (200, b'{"code": "0"}'), (200, b'{"code": true}'), (200, b'{"code": 0.5}'),
     (200, b"[" * 100_000), (200, b"\xff\xfe"), (200, b"NaN"), (200, b'{"code": 0'),
     (201, b"0"), (204, b""), (301, b"0"), (302, b'{"code": 0}'), (307, b""), (400, b"0"),
     (404, b'{"code": 0}'), (500, b'{"code": 0}'), (503, b"")],
)  # fmt: skip
def test_everything_else_is_neither(status: int, body: bytes) -> None:
    assert judge(status, body).kind == "fault"


@given(st.integers(100, 599), st.binary())
def test_no_answer_breaks_it_and_nothing_of_a_body_is_repeated(status: int, body: bytes) -> None:
    found = judge(status, b"secretsecret" + body)
    assert "secretsecret" not in found.text
    assert found.kind in ("fault", "no")


def test_a_redirect_is_called_one() -> None:
    assert "redirect" in judge(302, b"").text


def test_a_long_code_is_cut() -> None:
    assert len(judge(200, b"9" * 4000).text) < 100


def test_the_signature_is_that_of_the_time_and_the_body() -> None:
    body = b'{"action":"on_publish"}'
    sent = headers("0123456789abcdef", body, 1700000000.9, "1.2")
    assert sent[TIMESTAMP_HEADER] == "1700000000"
    signed = b"1700000000." + body
    expected = hmac.new(b"0123456789abcdef", signed, hashlib.sha256).hexdigest()
    assert sent[SIGNATURE_HEADER] == f"sha256={expected}"
    assert sent["Content-Type"] == "application/json"


def test_the_documented_recipe_verifies_it_and_nothing_else() -> None:
    page = (Path(__file__).parents[3] / "docs" / "callbacks.md").read_text("utf-8")
    (recipe,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    made: dict[str, Any] = {}
    exec(recipe, made)
    verify = made["is_from_streamd"]
    body = b'{"action":"on_publish"}'
    sent = headers("0123456789abcdef", body, time.time(), "1")
    assert verify(sent, body, "0123456789abcdef")
    assert not verify(sent, body + b" ", "0123456789abcdef")
    assert not verify(sent, body, "0123456789abcdeg")
    assert not verify({}, body, "0123456789abcdef")
    old = headers("0123456789abcdef", body, time.time() - 1000, "1")
    assert not verify(old, body, "0123456789abcdef")


def test_without_a_secret_nothing_is_signed() -> None:
    assert SIGNATURE_HEADER not in headers(None, b"", 0, "1")


@given(st.binary(), st.binary())
def test_another_body_has_another_signature(one: bytes, other: bytes) -> None:
    same = signature("secret", "1", one) == signature("secret", "1", other)
    assert same == (one == other)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://app/hook", "https://app"),
        ("http://user:pass@10.0.0.1:9000/services/T0/B0/x?token=y", "http://10.0.0.1:9000"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_an_address_is_shown_as_its_host_alone(url: str, expected: str) -> None:
    assert shown(url) == expected
