"""Checks of `source` and `fallback`: the exact lines."""

from pathlib import Path

import pytest

from streamd.config.check_sources import PULL_SCHEMES, pull_fault
from tests.unit.config.loading import problems_of

HEAD = "version: 1\nkeys: {k: {secret: 0123456789abcdef}}\nstreams:\n  used: {keys: [k]}\n"

CASES: dict[str, tuple[str, list[str]]] = {
    "in order": (
        "  lobby: {source: {files: [/srv/a.mp4, /srv/b.mp4], shuffle: true, picture: /srv/p.png}}\n"
        "  once: {source: {files: [/srv/a.mp4], loop: false}, server: main}\n"
        "  evening: {source: {files: [/srv/a.mp4], start: 22:00, end: 2:00, timezone: "
        "Europe/Berlin}}\n"
        "  door: {source: {url: 'rtsp://user:pw@10.0.0.9/h264', transport: udp, audio: silent}}\n"
        "  relay: {source: {url: 'srt://a:9000?passphrase=x', backup_url: 'https://b/x.m3u8', "
        "on_demand: true}}\n"
        "  tv: {source: {url: 'http://[2001:db8::1]:8080/x.flv'}, fallback: /srv/slate.mp4}\n"
        "  always: {keys: [k], fallback: /srv/slate.mp4}\n"
        "  open: {keys: any, fallback: /srv/slate.png}\n",
        [],
    ),
    "nothing and too much": (
        "  nobody: {}\n"
        "  slate: {fallback: /srv/s.mp4}\n"
        "  nothing: {source: {}}\n"
        "  loops: {source: {loop: false}}\n"
        "  both: {source: {files: [/srv/a.mp4], url: 'rtsp://h/x'}}\n"
        "  none: {source: {files: []}}\n"
        "  keyed: {keys: [k], source: {files: [/srv/a.mp4]}}\n"
        "  anybody: {keys: any, source: {url: 'rtsp://h/x'}}\n",
        [
            *(
                f"config.yaml:{place}: streams.{name}: says neither who may publish it nor what it "
                "is made of; add `keys` (or `keys: any` for no authentication), or `source`"
                for place, name in (("5:3", "nobody"), ("6:3", "slate"))
            ),
            "config.yaml:7:13: streams.nothing.source: is made of nothing; add `files` or `url`",
            "config.yaml:8:11: streams.loops.source: is made of nothing; add `files` or `url`",
            "config.yaml:9:10: streams.both.source: has `files` and `url`; remove one",
            "config.yaml:10:26: streams.none.source.files: is empty; name a file",
            *(
                f"config.yaml:{place}: streams.{name}.keys: has no meaning with `source`, since "
                "streamd publishes this stream; remove it"
                for place, name in (("11:17", "keyed"), ("12:19", "anybody"))
            ),
        ],
    ),
    "fields of the other kind": (
        "  a: {source: {files: [/srv/a.mp4], backup_url: 'rtsp://h/x', transport: tcp, audio: "
        "none, on_demand: true}}\n"
        "  b: {source: {url: 'rtsp://h/x', loop: true, shuffle: true, picture: /srv/p.png}}\n",
        [
            *(
                f"config.yaml:5:{column}: streams.a.source.{field}: has no meaning with `files`; "
                "remove it"
                for column, field in (
                    (49, "backup_url"),
                    (74, "transport"),
                    (86, "audio"),
                    (103, "on_demand"),
                )
            ),
            *(
                f"config.yaml:6:{column}: streams.b.source.{field}: has no meaning with `url`; "
                "remove it"
                for column, field in ((41, "loop"), (56, "shuffle"), (71, "picture"))
            ),
        ],
    ),
    "what belongs to one stream that streamd publishes": (
        "  'r/*': {source: {files: [/srv/a.mp4]}}\n"
        "  's/*': {keys: [k], fallback: /srv/s.mp4}\n"
        "  named: {keys: [k], key_in_name: true, fallback: /srv/s.mp4}\n"
        "  plain: {keys: [k], server: main}\n",
        [
            "config.yaml:5:19: streams.r/*.source: goes with one stream, and this is a pattern; "
            "name the stream",
            "config.yaml:6:32: streams.s/*.fallback: goes with one stream, and this is a pattern; "
            "name the stream",
            "config.yaml:7:35: streams.named.key_in_name: does not go with `source` or "
            "`fallback`; publish with ?secret=KEY instead",
            "config.yaml:8:30: streams.plain.server: has no meaning without `source` or "
            "`fallback`; remove it",
        ],
    ),
    "servers that are not there": (
        "  a: {source: {files: [/srv/a.mp4]}, server: mian}\n"
        "  b: {keys: [k], fallback: /srv/s.mp4, server: elsewhere}\n",
        [
            "config.yaml:5:46: streams.a.server: there is no server mian; did you mean main?",
            "config.yaml:6:48: streams.b.server: there is no server elsewhere; add it under "
            "`servers`",
        ],
    ),
    "where a stream with a fallback is published": (
        "  a: {keys: [k], fallback: /srv/s.mp4}\n"
        "  in/a: {keys: [k]}\n"
        "  lot/b: {keys: [k], fallback: /srv/s.mp4}\n"
        "  in/lot/b: {keys: [k]}\n"
        # What streamd alone publishes is published nowhere else.
        "  c: {source: {files: [/srv/a.mp4]}, fallback: /srv/s.mp4}\n"
        "  in/c: {keys: [k]}\n"
        "  in/*: {keys: [k]}\n",
        [
            "config.yaml:6:3: streams.in/a: is where streams.a is published, as it has a "
            "fallback; rename one",
            "config.yaml:8:3: streams.in/lot/b: is where streams.lot/b is published, as it has a "
            "fallback; rename one",
        ],
    ),
    "times of day": (
        "  a: {source: {files: [/srv/a.mp4], start: 18:00}}\n"
        "  b: {source: {files: [/srv/a.mp4], end: 18:00, timezone: Europe/Berlin}}\n"
        "  c: {source: {files: [/srv/a.mp4], start: 18:00, end: 18:00:00}}\n"
        "  d: {source: {url: 'rtsp://h/x', timezone: UTC}}\n"
        "  e: {source: {url: 'rtsp://h/x', start: 18:00, end: 2:00}}\n",
        [
            "config.yaml:5:44: streams.a.source.start: needs `end` too; add it",
            "config.yaml:6:42: streams.b.source.end: needs `start` too; add it",
            "config.yaml:6:59: streams.b.source.timezone: has no meaning without `start` and "
            "`end`; remove it",
            "config.yaml:7:56: streams.c.source.end: is the same time as `start`; remove both for "
            "all day",
            "config.yaml:8:45: streams.d.source.timezone: has no meaning without `start` and "
            "`end`; remove it",
        ],
    ),
    "times that are none": (
        "  a: {source: {files: [/srv/a.mp4], start: 25:00, end: noon, timezone: Berlin}}\n",
        [
            "config.yaml:5:44: streams.a.source.start: '25:00' is not a time of day; write one "
            "from 00:00 to 23:59:59",
            "config.yaml:5:56: streams.a.source.end: 'noon' is not a time of day; write for "
            "example 18:00 or 18:00:30",
            "config.yaml:5:72: streams.a.source.timezone: 'Berlin' is not a time zone that this "
            "machine knows; write a name such as Europe/Berlin, or UTC",
        ],
    ),
    "addresses that cannot be pulled": (
        "  a: {source: {url: 'ftp://h/x'}}\n"
        "  b: {source: {url: 'rtsp://user:hunter2hunter2@/x', backup_url: 'rtsp://h:0x/hunter2'}}\n"
        "  c: {source: {url: 'srt://h'}}\n"
        "  d: {source: {url: 'rtsp://h/hunter2 x'}}\n",
        [
            "config.yaml:5:21: streams.a.source.url: is not an address to pull from; begin it "
            "with rtsp://, rtsps://, rtmp://, rtmps://, srt://, http://, https://",
            "config.yaml:6:21: streams.b.source.url: names no host; write for example "
            "rtsp://HOST/PATH",
            "config.yaml:6:66: streams.b.source.backup_url: has a port that is none; write a "
            "number from 1 to 65535",
            "config.yaml:7:21: streams.c.source.url: names no port, and SRT has no usual one; "
            "write srt://HOST:PORT",
            "config.yaml:8:21: streams.d.source.url: holds a space or a control character; remove "
            "it, or write it as %20",
        ],
    ),
    "a backup that is none": (
        "  a: {source: {url: 'rtsp://h/x', backup_url: 'rtsp://h/x'}}\n",
        [
            "config.yaml:5:47: streams.a.source.backup_url: warning: is the same address as "
            "`url`; give another",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_sources_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text, lines = CASES[name]
    # The machine is left out, and with it whether the files are there.
    assert problems_of(tmp_path, HEAD + text, machine=None) == lines


def test_a_server_of_the_file_that_is_not_in_order_counts(tmp_path: Path) -> None:
    text = (
        "version: 1\nservers: {main: {engine: 5}}\n"
        "streams: {a: {source: {files: [/srv/a.mp4]}, server: main}}\n"
    )
    said = problems_of(tmp_path, text, machine=None)
    assert [line.split(": ")[1] for line in said] == ["servers.main.engine"]


@pytest.mark.parametrize("scheme", PULL_SCHEMES)
def test_every_kind_of_address_can_be_pulled(scheme: str) -> None:
    assert pull_fault(f"{scheme}://user:p%40ss@host.example.com:7000/a/b?x=1#y") is None
    assert pull_fault(f"{scheme}://[2001:db8::7]:7000/") is None
    assert (pull_fault(f"{scheme}://host/a") is None) == (scheme != "srt")


@pytest.mark.parametrize(
    "url",
    [
        *("", "host/x", "RTSP://h/x", "file:///etc/passwd", "concat:/srv/a|/srv/b", "pipe:0"),
        *(
            "rtsp:h/x",
            "rtsp:///x",
            "rtsp://[::1/x",
            "rtsp://h:99999/x",
            "rtsp://h:-1/x",
            "rtsp://h:0/x",
        ),
        *("rtsp://h/x\n", "rtsp://h/\x00", "rtp://h:5000", "rtsp://h /x"),
    ],
)
def test_what_is_no_such_address_is_refused_without_repeating_it(url: str) -> None:
    fault = pull_fault(url)
    assert fault is not None
    assert not url or url not in fault
