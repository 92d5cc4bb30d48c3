"""Which addresses mean a stream on a server of the file."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.addresses import parse_address
from streamd.config.defaults import Machine
from streamd.config.models import Config
from streamd.config.own_servers import OwnServers
from streamd.desire import desire
from streamd.urls import urls

USUAL: dict[str, Any] = {}
MOVED = {"main": {"host": "live.example.com", "listen": {"rtmp": 1936, "http": 80, "srt": 9000}}}
TWO = {**MOVED, "second": {"listen": {"rtmp": 1940, "api": 1986}}}


def own(servers: dict[str, Any]) -> OwnServers:
    return OwnServers(
        Config.model_validate({"version": 1, **({"servers": servers} if servers else {})})
    )


@pytest.mark.parametrize(
    ("servers", "url", "stream"),
    [
        (USUAL, "rtmp://localhost/live/a", "live/a"),
        (USUAL, "rtmp://127.0.0.1:1935/live/a?x=1", "live/a"),
        (USUAL, "rtmp://127.9.9.9/live/a", "live/a"),
        (USUAL, "rtmp://[::1]/live/a", "live/a"),
        (USUAL, "rtmp://LOCALHOST/lot/deep/a", "lot/deep/a"),
        (USUAL, "http://localhost:8080/live/a.flv", "live/a"),
        (USUAL, "http://localhost:8080/live/a.m3u8", "live/a"),
        (USUAL, "http://localhost:8080/live/a.flv?token=1", "live/a"),
        (USUAL, "http://user:pass@localhost:8080/live/a.m3u8", "live/a"),
        (USUAL, "srt://localhost:10080?streamid=#!::r=live/a,m=request", "live/a"),
        (USUAL, "srt://localhost:10080?streamid=%23!::r=live/a,m=request", "live/a"),
        (USUAL, "srt://localhost:10080?mode=caller&streamid=#!::h=x,r=/live/a", "live/a"),
        (MOVED, "rtmp://live.example.com:1936/live/a", "live/a"),
        (MOVED, "rtmp://Live.Example.com:1936/live/a", "live/a"),
        (MOVED, "http://live.example.com/live/a.m3u8", "live/a"),
        (MOVED, "srt://localhost:9000?streamid=#!::r=live/a", "live/a"),
        (TWO, "rtmp://localhost:1940/live/a", "live/a"),
        # Elsewhere.
        (USUAL, "rtmp://live.example.com/live/a", None),
        (USUAL, "rtmp://localhost:1936/live/a", None),
        (MOVED, "rtmp://localhost/live/a", None),
        (MOVED, "http://localhost:8080/live/a.flv", None),
        (MOVED, "srt://localhost:10080?streamid=#!::r=live/a", None),
        # No stream, and no server of ours.
        (USUAL, "rtmp://localhost/live", None),
        (USUAL, "rtmp://localhost", None),
        (USUAL, "http://localhost:8080/", None),
        (USUAL, "srt://localhost:10080", None),
        (USUAL, "srt://localhost:10080?streamid=x", None),
        (USUAL, "rtsp://localhost:1935/live/a", None),
        (USUAL, "https://localhost:8080/live/a.flv", None),
        (USUAL, "rtmp://localhost:port/live/a", None),
        (USUAL, "rtmp://[::1/live/a", None),
    ],
)
def test_what_is_played_from_here_is_known_by_its_address(
    servers: dict[str, Any], url: str, stream: str | None
) -> None:
    assert own(servers).played(url) == stream


def test_a_server_is_known_by_every_host_of_the_file() -> None:
    known = own(TWO)
    for host in ("live.example.com", "localhost", "127.0.0.1"):
        for port in (1936, 1940):
            assert known.played(f"rtmp://{host}:{port}/live/a") == "live/a"
            assert known.published(parse_address(f"rtmp://{host}:{port}/live/a")) == "live/a"


@given(st.sampled_from(["live/a", "lot/cam-7", "a/b/c", "live/x~y"]), st.sampled_from([USUAL, TWO]))
def test_whatever_address_streamd_prints_for_a_stream_is_known_as_that_stream(
    stream: str, servers: dict[str, Any]
) -> None:
    config = Config.model_validate(
        {
            "version": 1,
            "streams": {stream: {"keys": "any"}},
            **({"servers": servers} if servers else {}),
        }
    )
    known = OwnServers(config)
    for url in urls(desire(config, Machine(engines={}, ffmpeg=None))):
        if url.protocol in ("whip", "whep"):
            continue
        if url.action == "play":
            assert known.played(url.url) == stream
        else:
            assert known.published(parse_address(url.url)) == stream


@given(st.text("rtmpshls:/@[]?#=!,.1x ", max_size=40))
def test_no_address_does_harm(url: str) -> None:
    own(USUAL).played(url)
