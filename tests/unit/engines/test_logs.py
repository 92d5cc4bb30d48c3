"""What the servers' logs tell of names that clients chose: nothing. The lines are real ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.engines import nginx_rtmp_log, srs_log
from streamd.redact import Redactor

NAME = "cam7-A-key-with-a-letter-missin"

SRS_REFUSED = (
    "[2026-11-23 00:49:13.246][ERROR][22135][65m5wi01][11] serve error code=3064(HttpResponseCode)"
    "(No code in HTTP response json object) : service cycle : rtmp: stream service : rtmp: "
    "callback on publish : rtmp on_publish http://127.0.0.1:2023/hook/main : http: on_publish "
    "failed, client_id=65m5wi01, url=http://127.0.0.1:2023/hook/main, request={"
    '"server_id":"streamd-main","service_id":"2l1zu018","action":"on_publish","client_id":'
    '"65m5wi01","ip":"192.0.2.1","vhost":"__defaultVhost__","app":"lot","tcUrl":'
    '"rtmp://192.0.2.2:1935/lot","stream":"NAME","param":"app=lot&stream=NAME",'
    '"stream_url":"/lot/NAME","stream_id":"vid-19512b4"}, response={"code":1}, code=200 : http: '
    'response object code 1 {"code":1}'
)
SRS_APP = '..., request={"app":"lot/NAME","tcUrl":"rtmp://192.0.2.2/lot/NAME","stream":"a"}, '
SRS_BUSY = (
    "[2026-11-23 00:49:46.077][ERROR][22135][78n75681][11] serve error code=1028(StreamBusy)"
    "(Stream already exists or busy) : service cycle : rtmp: stream service : rtmp: stream "
    "/lot/NAME is busy"
)
SRS_OTHERS = (
    "rtc stream /lot/NAME busy",
    "kicked for idle, url=/lot/NAME, timeout=30s",
    "invalid srt streamid=#!::r=lot/NAME,m=publish",
    "RTC: Publisher url=webrtc://192.0.2.2/lot/NAME established",
    "client identified, type=fmle-publish, vhost=192.0.2.2, app=lot, stream=NAME, param=, "
    "duration=-1ms",
    "hls: open m3u8 file /var/lib/streamd/servers/main/www/lot/NAME.m3u8.tmp",
    'cut in the middle "stream":"NAME',
)
NGINX = (
    '2026/11/23 00:50:06 [error] 22437#22437: *20 open() "/srv/state/servers/main/www/lot/NAME.'
    'm3u8" failed (2: No such file or directory), client: 192.0.2.1, server: , request: '
    '"GET /lot/NAME.m3u8 HTTP/1.1", host: "192.0.2.2:8080"',
    '[info] *3 client sent invalid header, request: "GET /lot/NAME", host: "x", referrer: '
    '"http://192.0.2.2/lot/NAME"',
    "[error] 1#1: *2 hls: bad stream name: 'NAME', client: 192.0.2.1, server: 0.0.0.0:1935",
    "[error] 1#1: *2 connect: application not found: 'lot/NAME', client: 192.0.2.1, server: x",
    "[info] 1#1: *2 live: publish: name='NAME' type='live', client: 192.0.2.1",
    "[error] 1#1: hls: rename failed: '/s/servers/a/www/lot/NAME.m3u8.bak'->"
    "'/s/servers/a/www/lot/NAME.m3u8' (2: No such file or directory)",
)


@pytest.mark.parametrize("line", [SRS_REFUSED, SRS_APP, SRS_BUSY, *SRS_OTHERS])
def test_srs_does_not_tell_a_name(line: str) -> None:
    told = Redactor((), srs_log.STREAM_NAMES)(line.replace("NAME", NAME))
    assert "letter-missin" not in told
    assert "cam7" not in told


@pytest.mark.parametrize("line", NGINX)
def test_nginx_does_not_tell_a_name(line: str) -> None:
    told = Redactor((), nginx_rtmp_log.STREAM_NAMES)(line.replace("NAME", NAME))
    assert "letter-missin" not in told
    assert "cam7" not in told


@given(st.text(st.characters(min_codepoint=32), min_size=5).filter(lambda name: name.isprintable()))
def test_no_name_ends_its_own_mask_in_json(name: str) -> None:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    told = Redactor((), srs_log.STREAM_NAMES)(SRS_REFUSED.replace("NAME", escaped))
    assert told == Redactor((), srs_log.STREAM_NAMES)(SRS_REFUSED)


def test_the_rest_of_a_line_stays() -> None:
    told = Redactor((), srs_log.STREAM_NAMES)(SRS_REFUSED)
    for kept in ("65m5wi01", "192.0.2.1", "url=http://127.0.0.1:2023/hook/main", '{"code":1}'):
        assert kept in told
    assert Redactor((), srs_log.STREAM_NAMES)(SRS_BUSY).endswith("rtmp: stream *** is busy")
    told = Redactor((), nginx_rtmp_log.STREAM_NAMES)(NGINX[0])
    assert 'www/***" failed (2: No such file or directory), client: 192.0.2.1' in told
    assert 'request: "GET *** HTTP/1.1", host: "192.0.2.2:8080"' in told


@pytest.mark.parametrize(
    "line",
    [
        "serve error code=1013 : bind 0.0.0.0:1935 : Address already in use",
        '2026/11/23 00:50:03 [notice] 22437#22437: using the "epoll" event method',
        "[emerg] 1#1: bind() to 0.0.0.0:1935 failed (98: Address already in use)",
    ],
)
def test_a_line_without_a_name_stays_as_it_is(line: str) -> None:
    both = (*srs_log.STREAM_NAMES, *nginx_rtmp_log.STREAM_NAMES)
    assert Redactor((), both)(line) == line


@pytest.mark.parametrize(
    "piece",
    ["stream /", "stream=", '"stream":"', "url=", 'request: "', "/servers/a/www/", " : ", "\\"],
)
def test_a_long_line_takes_no_longer_for_what_it_holds(piece: str) -> None:
    """16 kB of it; what grew with the square would outlast the test run."""
    line = piece * (16_384 // len(piece))
    both = (*srs_log.STREAM_NAMES, *nginx_rtmp_log.STREAM_NAMES)
    for _ in range(100):
        Redactor((), both)(line)
