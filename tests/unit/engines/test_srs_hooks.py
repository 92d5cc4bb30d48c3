import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.engines.base import HookRequest
from streamd.engines.srs_hooks import answer_srs, parse_srs_hook

ON_PUBLISH = {
    "server_id": "streamd-main",
    "service_id": "g3645636",
    "action": "on_publish",
    "client_id": "8r8140r7",
    "ip": "192.0.2.9",
    "vhost": "__defaultVhost__",
    "app": "live",
    "tcUrl": "rtmp://192.0.2.1/live",
    "stream": "cam",
    "param": "?secret=k1",
    "stream_url": "/live/cam",
    "stream_id": "vid-r145avv",
}


def _parsed(**changed: object) -> HookRequest:
    return parse_srs_hook(json.dumps({**ON_PUBLISH, **changed}).encode())


def test_a_publish_by_rtmp_is_read() -> None:
    assert _parsed() == HookRequest(
        action="publish",
        app="live",
        stream="cam",
        secrets=("k1",),
        client_id="8r8140r7",
        address="192.0.2.9",
        protocol="rtmp",
        param="?secret=k1",
    )


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("on_publish", "publish"),
        ("on_unpublish", "unpublish"),
    ],
)
def test_actions_are_translated(name: str, action: str) -> None:
    assert _parsed(action=name).action == action


@pytest.mark.parametrize(
    ("tc_url", "param", "protocol"),
    [
        ("rtmp://h/live", "?secret=k", "rtmp"),
        ("rtmps://h/live", "", "rtmp"),
        ("srt://192.0.2.1/live", "secret=k", "srt"),
        ("", "app=live&stream=cam&secret=k", "webrtc"),
        ("rtmp://h/live", "secret=k&upstream=rtc", "webrtc"),
        ("srt://h/live", "upstream=rtc", "webrtc"),
    ],
)
def test_protocols_are_told_apart(tc_url: str, param: str, protocol: str) -> None:
    assert _parsed(tcUrl=tc_url, param=param).protocol == protocol


@pytest.mark.parametrize("stream", ["cam.1", "cam-se.cret", "a.flv"])
def test_a_dot_in_the_name_is_objected_to(stream: str) -> None:
    assert "dot" in (_parsed(stream=stream).objection or "")


def test_a_mapped_address_is_shown_plainly() -> None:
    assert _parsed(ip="::ffff:192.0.2.9").address == "192.0.2.9"


@pytest.mark.parametrize("field", ["action", "client_id", "ip", "app", "stream", "param", "tcUrl"])
@pytest.mark.parametrize("value", [None, 1, [], {}])
def test_a_field_that_is_no_text_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        _parsed(**{field: value})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff", b"[" * 100_000, b'{"action": "x"}']
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_srs_hook(body)


@given(st.binary() | st.dictionaries(st.text(), st.text()).map(lambda d: json.dumps(d).encode()))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(ValueError):
        parse_srs_hook(body)


@given(st.text(), st.text(), st.text())
def test_any_texts_are_read(app: str, stream: str, param: str) -> None:
    hook = _parsed(app=app, stream=stream, param=param)
    assert (hook.app, hook.stream) == (app, stream)


def test_only_code_zero_is_a_yes() -> None:
    assert json.loads(answer_srs(allow=True).body) == {"code": 0}
    assert json.loads(answer_srs(allow=False).body)["code"] != 0
