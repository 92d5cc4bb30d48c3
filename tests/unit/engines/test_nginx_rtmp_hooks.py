from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.engines.base import HookRequest
from streamd.engines.nginx_rtmp_hooks import answer_nginx_rtmp, parse_nginx_rtmp_hook

OWN = (
    b"app=live&flashver=FMLE/3.0%20(compatible%3B%20Lavf59.27&swfurl=&tcurl=rtmp://192.0.2.1/live"
    b"&pageurl=&addr=192.0.2.9&clientid=4&call=publish&name=cam&type=live"
)


def test_a_publish_is_read() -> None:
    assert parse_nginx_rtmp_hook(OWN + b"&secret=k1") == HookRequest(
        action="publish",
        app="live",
        stream="cam",
        secrets=("k1",),
        client_id="4",
        address="192.0.2.9",
        protocol="rtmp",
        param="secret=k1",
    )


def test_the_end_of_a_publish_is_read() -> None:
    body = OWN.replace(b"call=publish", b"call=publish_done").replace(b"&type=live", b"")
    assert parse_nginx_rtmp_hook(body).action == "unpublish"


def test_a_client_cannot_overwrite_what_the_server_says() -> None:
    said = b"&app=x&addr=::1&clientid=9&call=publish_done&name=y&secret=k1&secret=k2"
    assert parse_nginx_rtmp_hook(OWN + said) == HookRequest(
        action="publish",
        app="live",
        stream="cam",
        secrets=("k1", "k2"),
        client_id="4",
        address="192.0.2.9",
        param=said[1:].decode(),
    )


def test_a_secret_behind_the_app_is_found() -> None:
    body = OWN.replace(b"tcurl=rtmp://192.0.2.1/live", b"tcurl=rtmp://192.0.2.1/live%3Fsecret=in")
    found = parse_nginx_rtmp_hook(body + b"&secret=k")
    assert found.secrets == ("k", "in")
    assert found.param == "secret=k&secret=in"
    assert parse_nginx_rtmp_hook(body).param == "secret=in"
    assert parse_nginx_rtmp_hook(OWN).param == ""


@pytest.mark.parametrize("field", [b"app", b"addr", b"clientid", b"call", b"name"])
def test_a_missing_field_is_named(field: bytes) -> None:
    body = b"&".join(part for part in OWN.split(b"&") if not part.startswith(field + b"="))
    with pytest.raises(ValueError, match=field.decode()):
        parse_nginx_rtmp_hook(body)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a=b", OWN.replace(b"publish", b"connect")])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_nginx_rtmp_hook(body)


@given(st.binary())
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(ValueError):
        parse_nginx_rtmp_hook(body)


@given(st.binary().map(lambda raw: quote(raw, safe="&=?").encode()))
def test_whatever_a_client_adds_the_servers_fields_stay(said: bytes) -> None:
    hook = parse_nginx_rtmp_hook(OWN + b"&" + said)
    assert (hook.action, hook.app, hook.stream) == ("publish", "live", "cam")
    assert (hook.client_id, hook.address) == ("4", "192.0.2.9")


def test_any_success_is_a_yes() -> None:
    assert answer_nginx_rtmp(allow=True).status == 200
    assert answer_nginx_rtmp(allow=False).status == 403
