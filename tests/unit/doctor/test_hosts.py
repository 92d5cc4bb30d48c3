from dataclasses import replace
from typing import Any

import pytest

from streamd.desired import SourceSpec, TargetSpec
from streamd.doctor.hosts import (
    Endpoint,
    Reached,
    endpoints,
    judge,
    judge_unknown,
    own_server,
    source_urls,
    target_urls,
)
from streamd.playout.spec import FilesInput, PullInput
from tests.support.core import desired
from tests.support.snapshots import SERVER

ELSEWHERE = Endpoint("rtmps", "cdn.example.com", 443)
SRT = Endpoint("srt", "cdn.example.com", 9000)


def target(name: str, *urls: str, **changes: Any) -> TargetSpec:
    return replace(TargetSpec(name, ("live/a",), False, "custom", urls), **changes)


def test_targets_of_one_host_share_an_endpoint_which_holds_no_key() -> None:
    wanted = desired(
        targets={
            "a": target("a", "rtmps://cdn.example.com/app/SECRET1", "rtmp://b.example.com/x/y"),
            "b": target("b", "rtmps://user:pass@CDN.example.com:443/app/SECRET2"),
            "c": target("c", "srt://cdn.example.com:9000?streamid=SECRET3", enabled=False),
            "d": target("d", "srt://[2001:db8::1]:9000?streamid=#!::r=a/SECRET4"),
        }
    )
    found = endpoints(target_urls(wanted))
    assert found == {
        ELSEWHERE: ("targets.a", "targets.b"),
        Endpoint("rtmp", "b.example.com", 1935): ("targets.a",),
        Endpoint("srt", "2001:db8::1", 9000): ("targets.d",),
    }
    assert "SECRET" not in repr(found)
    assert "pass" not in repr(found)
    assert [str(endpoint) for endpoint in found][-1] == "[2001:db8::1]:9000"


def test_a_host_made_of_the_streams_name_is_known_when_the_stream_is() -> None:
    one = target("one", "rtmp://{stream}.example.com/app/k")
    many = replace(one, name="many", streams=("rooms/*",), many=True)
    found = endpoints(target_urls(desired(targets={"one": one, "many": many})))
    assert found == {
        Endpoint("rtmp", "a.example.com", 1935): ("targets.one",),
        None: ("targets.many",),
    }
    assert judge_unknown(found[None]).where == "targets.many"


def test_streams_that_are_pulled_name_their_hosts() -> None:
    inputs = (
        PullInput("rtsp://admin:PASSWORD@10.0.0.9/h264"),
        PullInput("https://cdn.example.com/a.m3u8?token=TOKEN"),
        FilesInput(("/srv/a.mp4",)),
    )
    wanted = desired(sources={"live/door": SourceSpec("live/door", "main", inputs)})
    assert endpoints(source_urls(wanted)) == {
        Endpoint("rtsp", "10.0.0.9", 554): ("streams.live/door",),
        Endpoint("https", "cdn.example.com", 443): ("streams.live/door",),
    }


@pytest.mark.parametrize(
    ("endpoint", "is_own"),
    [
        (Endpoint("rtmp", "127.0.0.1", 1935), True),
        (Endpoint("rtmp", "localhost", 1935), True),
        (Endpoint("rtmp", "live.example.com", 1935), True),
        (Endpoint("http", "127.0.0.1", 8080), True),
        (Endpoint("rtmp", "127.0.0.1", 1936), False),
        (Endpoint("rtmp", "other.example.com", 1935), False),
        (Endpoint("srt", "127.0.0.1", 10080), True),
        (Endpoint("srt", "127.0.0.1", 1935), False),
    ],
)
def test_a_server_of_the_same_file_is_known(endpoint: Endpoint, is_own: bool) -> None:
    server = replace(SERVER, host="live.example.com", rtmp=1935, srt=10080)
    assert own_server(endpoint, desired(servers={"main": server})) == ("main" if is_own else None)


def test_what_answers_is_ok() -> None:
    found = judge(ELSEWHERE, ["targets.a", "targets.b"], Reached("tls", ("1.2.3.4",)), None)
    assert (found.level, found.where) == ("ok", "targets.a, targets.b")
    assert found.what == "cdn.example.com:443 answers, and its certificate is good"


def test_whether_srt_is_taken_is_not_known() -> None:
    assert judge(SRT, ["a"], Reached("name", ("1.2.3.4",)), None).level == "unknown"
    assert judge(SRT, ["a"], Reached("name", (), "not known"), None).level == "error"


@pytest.mark.parametrize(
    ("reached", "says"),
    [
        (Reached("name", (), "not known"), "the name cdn.example.com is not found: not known"),
        (Reached("connection", ("1.2.3.4",), "connection refused"), "cannot be reached: conn"),
        (Reached("tls", ("1.2.3.4",), "its certificate is old"), "TLS fails: its certificate"),
    ],
)
def test_what_does_not_answer_is_an_error_that_says_at_which_step(
    reached: Reached, says: str
) -> None:
    found = judge(ELSEWHERE, ["a"], reached, None)
    assert found.level == "error"
    assert says in found.what
    assert found.do


def test_ones_own_server_that_does_not_run_is_told_elsewhere() -> None:
    found = judge(ELSEWHERE, ["a"], Reached("connection", (), "connection refused"), "main")
    assert (found.level, "the server main of this file" in found.what) == ("unknown", True)
