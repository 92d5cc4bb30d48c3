import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.desired import (
    AudioSpec,
    Desired,
    KeySpec,
    SourceSpec,
    StreamRule,
    TranscodeSpec,
    VideoSpec,
)
from streamd.errors import StreamdError
from streamd.playout.spec import FilesInput
from streamd.urls import Url, urls, urls_json, urls_text
from tests.support.snapshots import DESIRED, SERVER

CAMERA = StreamRule("lot/cam7", frozenset({"camera"}), key_in_name=True)
ALL = replace(
    DESIRED,
    keys={**DESIRED.keys, "camera": KeySpec("camera", "1" * 64)},
    rules={**DESIRED.rules, "lot/cam7": CAMERA},
)


def of(desired: Desired, stream: str | None = None, **secrets: str) -> dict[tuple[str, ...], str]:
    """Return addresses by action, protocol, and key where there is one."""
    return {
        (url.action, url.protocol, *([url.key] if url.key else []), *["name"] * url.key_in_name): (
            url.url
        )
        for url in urls(desired, stream, secrets)
    }


def server(**changes: object) -> Desired:
    return replace(ALL, servers={"main": replace(SERVER, **changes)})  # type: ignore[arg-type] # by name


def test_every_protocol_of_a_stream() -> None:
    host = "live.example.com"
    assert of(ALL, "show") == {
        ("publish", "rtmp", "studio"): f"rtmp://{host}/live/show?secret=<studio>",
        ("publish", "srt", "studio"): (
            f"srt://{host}:10080?streamid=#!::r=live/show,secret=<studio>,m=publish"
        ),
        ("publish", "whip", "studio"): (
            f"http://{host}:8080/rtc/v1/whip/?app=live&stream=show&secret=<studio>"
        ),
        ("play", "rtmp"): f"rtmp://{host}/live/show",
        ("play", "http-flv"): f"http://{host}:8080/live/show.flv",
        ("play", "hls"): f"http://{host}:8080/live/show.m3u8",
        ("play", "srt"): f"srt://{host}:10080?streamid=#!::r=live/show,m=request",
        ("play", "whep"): f"http://{host}:8080/rtc/v1/whep/?app=live&stream=show",
    }


def test_a_key_in_the_name_is_in_every_address_that_carries_the_name() -> None:
    found = of(ALL, "lot/cam7", camera="0123456789abcdef")
    name = "lot/cam7-0123456789abcdef"
    assert {address for key, address in found.items() if key[-1] == "name"} == {
        f"rtmp://live.example.com/{name}",
        f"http://live.example.com:8080/{name}.flv",
        f"http://live.example.com:8080/{name}.m3u8",
    }
    assert found["publish", "rtmp", "camera"].endswith("/lot/cam7?secret=0123456789abcdef")


def test_a_stream_without_authentication_has_no_secret() -> None:
    found = of(ALL, "rooms/*")
    assert found["publish", "rtmp"] == "rtmp://live.example.com/rooms/NAME"
    assert not any("secret" in address for address in found.values())


def test_one_name_of_a_pattern_is_taken_as_it_is() -> None:
    assert of(ALL, "rooms/alice")["play", "hls"].endswith("/rooms/alice.m3u8")


@pytest.mark.parametrize(
    ("pattern", "name"), [("*/*", "APP/NAME"), ("room-*/x", "room-APP/x"), ("a/b*", "a/bNAME")]
)
def test_what_a_pattern_leaves_open_is_named(pattern: str, name: str) -> None:
    desired = replace(DESIRED, rules={pattern: StreamRule(pattern, None)})
    assert of(desired)["play", "rtmp"] == f"rtmp://live.example.com/{name}"


def test_obs_is_given_its_two_fields() -> None:
    (url,) = [each for each in urls(ALL, "show") if each.obs_server]
    assert (url.obs_server, url.obs_key) == ("rtmp://live.example.com/live", "show?secret=<studio>")


def test_usual_ports_are_left_out_and_others_are_not() -> None:
    usual = of(server(http=80), "show")
    assert usual["play", "hls"] == "http://live.example.com/live/show.m3u8"
    unusual = of(server(rtmp=1936), "show")
    assert unusual["play", "rtmp"] == "rtmp://live.example.com:1936/live/show"


@pytest.mark.parametrize("host", ["2001:db8::7", "[2001:db8::7]"])
def test_an_ipv6_host_is_in_brackets(host: str) -> None:
    for address in of(server(host=host), "show").values():
        assert urlsplit(address).hostname == "2001:db8::7"


def test_only_open_ports_are_told() -> None:
    found = of(server(rtmp=None, srt=None, webrtc=None), "show")
    assert {key[:2] for key in found} == {("play", "http-flv"), ("play", "hls")}
    found = of(server(http=None), "show")
    assert {key[1] for key in found} == {"rtmp", "srt"}


def test_nginx_has_rtmp_and_hls() -> None:
    found = of(server(engine="nginx-rtmp", srt=None, webrtc=None), "show")
    assert {key[:2] for key in found} == {("publish", "rtmp"), ("play", "rtmp"), ("play", "hls")}


def test_every_server_has_its_addresses() -> None:
    two = replace(ALL, servers={"a": SERVER, "b": replace(SERVER, name="b", host="b.example.com")})
    hosts = {urlsplit(url.url).hostname for url in urls(two)}
    assert hosts == {"live.example.com", "b.example.com"}


def test_srt_is_left_out_for_a_name_that_it_cannot_carry() -> None:
    desired = replace(DESIRED, rules={"live/a,b": StreamRule("live/a,b", None)})
    assert "srt" not in {key[1] for key in of(desired)}


@given(st.text(min_size=8, max_size=30))
def test_any_secret_comes_through_whole(secret: str) -> None:
    found = of(ALL, "show", studio=secret)
    for protocol in ("rtmp", "whip"):
        parts = urlsplit(found["publish", protocol, "studio"])
        assert parse_qs(parts.query, keep_blank_values=True)["secret"] == [secret]
        assert parts.fragment == ""


@pytest.mark.parametrize(
    ("stream", "advice"),
    [("shwo", "did you mean live/show?"), ("zzzzz/q", "there are: live/show, lot/cam7, rooms/*")],
)
def test_an_unknown_stream_is_an_error_with_advice(stream: str, advice: str) -> None:
    with pytest.raises(StreamdError) as error:
        urls(ALL, stream)
    assert advice in str(error.value)


def test_the_text_has_a_block_for_each_stream_and_says_what_stands_for_what() -> None:
    text = urls_text(urls(ALL))
    blocks = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert blocks == [
        "live/show on server main",
        "lot/cam7 on server main",
        "rooms/NAME on server main",
        "<camera>, <studio>: put the secret of that key there; --show-secrets does it.",
        "In a shell, put an srt:// address in single quotes.",
    ]
    assert "  publish with key camera in the name\n" in text
    for url in urls(ALL):
        assert url.url in text


def test_with_secrets_the_text_does_not_speak_of_what_stands_for_them() -> None:
    secrets = {"studio": "s3cret-of-studio", "camera": "s3cret-of-camera"}
    assert "--show-secrets" not in urls_text(urls(ALL, None, secrets))


def test_nothing_to_publish_is_no_text() -> None:
    assert urls_text(urls(replace(DESIRED, rules={}))) == ""


def test_json_has_every_field() -> None:
    said = json.loads(json.dumps(urls_json(urls(ALL, "show"))))
    assert said[0] == {
        "server": "main",
        "stream": "live/show",
        "action": "publish",
        "protocol": "rtmp",
        "key": "studio",
        "key_in_name": False,
        "url": "rtmp://live.example.com/live/show?secret=<studio>",
        "obs_server": "rtmp://live.example.com/live",
        "obs_key": "show?secret=<studio>",
        "note": None,
    }
    assert [Url(**each) for each in said] == list(urls(ALL, "show"))


# What streamd publishes itself.

SECOND = replace(SERVER, name="second", host="b.example.com", rtmp=1940, api=1986)


def source(stream: str, server: str = "main") -> SourceSpec:
    return SourceSpec(stream, server, (FilesInput(("/srv/a.mp4",)),))


def rendition(stream: str, to: str) -> TranscodeSpec:
    return TranscodeSpec(to, stream, to, VideoSpec("copy"), AudioSpec("copy"))


OWN = replace(
    DESIRED,
    servers={"main": SERVER, "second": SECOND},
    rules={
        "live/show": StreamRule("live/show", frozenset(), internal=True, ingest="in/show"),
        "in/show": StreamRule("in/show", frozenset({"studio"}), ingest_of="live/show"),
        "live/lobby": StreamRule("live/lobby", frozenset(), internal=True),
        "made/small": StreamRule("made/small", frozenset(), internal=True),
        "made/tiny": StreamRule("made/tiny", frozenset(), internal=True),
    },
    sources={"live/show": source("live/show"), "live/lobby": source("live/lobby", "second")},
    transcodes={
        "small": rendition("live/lobby", "made/small"),
        "tiny": rendition("made/small", "made/tiny"),
    },
)


def test_a_stream_with_a_fallback_is_published_at_its_ingest_and_played_by_its_name() -> None:
    host = "live.example.com"
    found = of(OWN, "show")
    assert found == {
        ("publish", "rtmp", "studio"): f"rtmp://{host}/in/show?secret=<studio>",
        ("publish", "srt", "studio"): (
            f"srt://{host}:10080?streamid=#!::r=in/show,secret=<studio>,m=publish"
        ),
        ("publish", "whip", "studio"): (
            f"http://{host}:8080/rtc/v1/whip/?app=in&stream=show&secret=<studio>"
        ),
        ("play", "rtmp"): f"rtmp://{host}/live/show",
        ("play", "http-flv"): f"http://{host}:8080/live/show.flv",
        ("play", "hls"): f"http://{host}:8080/live/show.m3u8",
        ("play", "whep"): f"http://{host}:8080/rtc/v1/whep/?app=live&stream=show",
    }
    (obs,) = [url for url in urls(OWN, "show") if url.obs_server]
    assert (obs.obs_server, obs.obs_key) == (f"rtmp://{host}/in", "show?secret=<studio>")


def test_an_ingest_is_told_with_its_stream_and_not_by_itself() -> None:
    assert {url.stream for url in urls(OWN)} == set(OWN.rules) - {"in/show"}
    assert not any("in/show" in url.url for url in urls(OWN) if url.action == "play")
    text = urls_text(urls(OWN, "show"))
    assert text.startswith("live/show on server main\n  publish with key studio\n")


@pytest.mark.parametrize("stream", ["lobby", "made/small", "made/tiny"])
def test_what_streamd_alone_publishes_is_played_only(stream: str) -> None:
    assert {key[0] for key in of(OWN, stream)} == {"play"}


def test_what_streamd_publishes_is_on_one_server_and_what_is_made_of_it_too() -> None:
    on = {(url.stream, url.server) for url in urls(OWN)}
    assert on == {
        ("live/show", "main"),
        ("live/lobby", "second"),
        ("made/small", "second"),
        ("made/tiny", "second"),
    }


def test_what_is_made_of_a_stream_that_others_publish_is_where_that_may_be() -> None:
    rules = {**OWN.rules, "live/lobby": StreamRule("live/lobby", None)}
    desired = replace(OWN, rules=rules, sources={})
    assert {url.server for url in urls(desired, "made/tiny")} == {"main", "second"}


def test_a_fallback_without_authentication_is_published_without_a_secret() -> None:
    rules = {**OWN.rules, "in/show": StreamRule("in/show", None, ingest_of="live/show")}
    assert of(replace(OWN, rules=rules), "show")["publish", "rtmp"] == (
        "rtmp://live.example.com/in/show"
    )


def test_an_ingest_of_another_app_is_addressed_whole() -> None:
    rules = {
        "lot/cam": StreamRule("lot/cam", frozenset(), internal=True, ingest="in/lot/cam"),
        "in/lot/cam": StreamRule("in/lot/cam", frozenset({"studio"}), ingest_of="lot/cam"),
    }
    desired = replace(OWN, rules=rules, sources={"lot/cam": source("lot/cam")}, transcodes={})
    (obs,) = [url for url in urls(desired) if url.obs_server]
    assert (obs.stream, obs.obs_server) == ("lot/cam", "rtmp://live.example.com/in/lot")
