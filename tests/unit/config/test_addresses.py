"""Addresses taken apart."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.addresses import (
    Address,
    AddressError,
    fill,
    join_address,
    parse_address,
    progress_address,
    split_address,
)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("rtmp://h/app/key", Address("rtmp", "h", 1935, "/app/key", "")),
        ("rtmps://H.example:8443/a", Address("rtmps", "h.example", 8443, "/a", "")),
        ("rtmps://h", Address("rtmps", "h", 443, "", "")),
        ("rtmp://[2001:db8::1]:1936/a", Address("rtmp", "2001:db8::1", 1936, "/a", "")),
        ("rtmp://u:p@h/a?b=c?d", Address("rtmp", "h", 1935, "/a", "b=c?d", "u:p")),
        ("srt://h:9000?streamid=#!::r=a/b", Address("srt", "h", 9000, "", "streamid=#!::r=a/b")),
        ("rtmp://{app}.cdn/x/{stream}", Address("rtmp", "{app}.cdn", 1935, "/x/{stream}", "")),
    ],
)
def test_an_address_is_taken_apart(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    ("url", "published"),
    [
        ("rtmp://h/live/a?secret=x", "live/a"),
        ("rtmp://h/a/b/c/", "a/b/c"),
        ("rtmp://h", None),
        ("srt://h:1?streamid=#!::r=live/a,m=publish", "live/a"),
        ("srt://h:1?mode=caller&streamid=#!::h=h,m=publish,r=/live/a&x=y", "live/a"),
        ("srt://h:1?streamid=whatever", None),
        ("srt://h:1", None),
    ],
)
def test_it_is_known_what_sending_publishes(url: str, published: str | None) -> None:
    assert parse_address(url).published() == published


def test_placeholders_are_filled() -> None:
    assert fill("rtmp://h/{app}/{stream}-{stream}", "a/b/c") == "rtmp://h/a/b/c-c"
    assert fill("no {other}", "a/b") == "no {other}"


@pytest.mark.parametrize(
    ("text", "host"),
    [("127.0.0.1:2023", "127.0.0.1"), ("[::1]:2023", "::1"), ("a-b.example:2023", "a-b.example")],
)
def test_an_address_to_listen_at_is_split_and_joined(text: str, host: str) -> None:
    assert split_address(text) == (host, 2023)
    assert join_address(host, 2023) == text


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_what_is_joined_is_split_again(host: str, port: int) -> None:
    assert split_address(join_address(host, port)) == (host, port)


@pytest.mark.parametrize(
    ("hooks", "progress"),
    [
        ("127.0.0.1:2023", "127.0.0.1:2023"),
        ("127.0.0.2:9", "127.0.0.2:9"),
        ("[::1]:2023", "127.0.0.1:2023"),
        ("localhost:2023", "127.0.0.1:2023"),
    ],
)
def test_progress_is_heard_beside_the_hooks_on_ipv4(hooks: str, progress: str) -> None:
    assert progress_address(hooks) == progress


@given(st.text() | st.text("rtmps:/@[]?#h1{}").map("rtmp://{}".format))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(AddressError):
        address = parse_address(text)
        assert 0 < address.port < 65536
        assert address.host
