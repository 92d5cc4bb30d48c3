"""Addresses taken apart."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.addresses import Address, AddressError, fill, parse_address


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


@given(st.text() | st.text("rtmps:/@[]?#h1{}").map("rtmp://{}".format))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(AddressError):
        address = parse_address(text)
        assert 0 < address.port < 65536
        assert address.host
