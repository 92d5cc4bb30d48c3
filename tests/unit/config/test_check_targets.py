"""Checks of targets: the exact lines."""

from pathlib import Path

import pytest

from tests.unit.config.loading import problems_of

HEAD = "version: 1\nstreams: {a: {keys: any}, b: {keys: any}, r/*: {keys: any}}\ntargets:\n"

SHARED = "to the same address and key as"
CASES: dict[str, tuple[str, list[str]]] = {
    "in order": (
        "  one: {stream: a, platform: youtube, key: k}\n"
        "  two: {stream: live/a, url: 'rtmps://h:443/app', key: k, backup_url: 'rtmp://i/app'}\n"
        "  three: {streams: [r/*, b], url: 'rtmp://cdn/{app}/{stream}?x=1'}\n"
        "  four: {stream: a, url: 'srt://h:9000?streamid=x'}\n"
        "  five: {stream: a, url: 'srt://h:9000', key: x2, enabled: false}\n"
        "  six: {stream: r/1, url: 'rtmp://user:pass@[2001:db8::1]:1936/app/k'}\n",
        [],
    ),
    "what is sent": (
        "  none: {url: 'rtmp://h/a/1'}\n"
        "  both: {stream: a, streams: [a], url: 'rtmp://h/a/2'}\n"
        "  empty: {streams: [], url: 'rtmp://h/a/3'}\n",
        [
            "config.yaml:4:3: targets.none: sends nothing; add `stream` or `streams`",
            "config.yaml:5:3: targets.both: has `stream` and `streams`; remove one",
            "config.yaml:6:20: targets.empty.streams: is empty; name a stream, or set "
            "`enabled: false`",
        ],
    ),
    "streams that nothing publishes": (
        "  one: {stream: c, url: 'rtmp://h/a/1'}\n"
        "  two: {streams: [a, live/b, s/x, 's/*'], url: 'rtmp://h/a/{stream}'}\n"
        "  three: {streams: ['r/*/x'], url: 'rtmp://h/b/{stream}', enabled: false}\n"
        "  four: {streams: ['*'], url: 'rtmp://h/c/{stream}'}\n"
        "  five: {streams: ['*/1', 'r/1*'], url: 'rtmp://h/d/{stream}'}\n",
        [
            "config.yaml:4:17: targets.one.stream: nothing under `streams` lets c be published; "
            "add it under `streams`",
            "config.yaml:5:30: targets.two.streams[2]: nothing under `streams` lets s/x be "
            "published; add it under `streams`",
            "config.yaml:5:35: targets.two.streams[3]: nothing under `streams` lets s/* be "
            "published; did you mean r/*?",
            "config.yaml:6:21: targets.three.streams[0]: nothing under `streams` lets r/*/x be "
            "published; did you mean r/*?",
        ],
    ),
    "addresses that are none": (
        "  one: {stream: a}\n"
        "  two: {stream: a, platform: kuaishou, key: k}\n"
        "  three: {stream: a, platform: twitch}\n"
        "  four: {stream: a, url: 'http://h/a/k'}\n"
        "  five: {stream: a, url: h/a/k}\n"
        "  six: {stream: a, url: 'rtmp:///a/k'}\n"
        "  seven: {stream: a, url: 'rtmp://h:0/a/k'}\n"
        "  eight: {stream: a, url: 'srt://h'}\n"
        "  nine: {stream: a, url: 'rtmp://h/a /k'}\n"
        '  ten: {stream: a, url: "rtmp://h/a/k\\n"}\n'
        "  eleven: {stream: a, url: 'rtmp://h/a/{name}'}\n"
        "  twelve: {stream: a, url: ''}\n"
        "  more: {stream: a, url: 'rtmp://h/a/k', backup_url: 'ftp://h'}\n",
        [
            "config.yaml:4:3: targets.one: has no address; add `url`, or `platform` and `key`",
            "config.yaml:5:3: targets.two: needs `url`; Kuaishou gives each account its own server",
            "config.yaml:6:3: targets.three: needs `key`; Twitch shows it under: Creator "
            "Dashboard, Settings, Stream",
            "config.yaml:7:26: targets.four.url: is not an address to send to; begin it with "
            "rtmp://, rtmps:// or srt://",
            "config.yaml:8:26: targets.five.url: is not an address to send to; begin it with "
            "rtmp://, rtmps:// or srt://",
            "config.yaml:9:25: targets.six.url: names no host; write for example "
            "rtmp://HOST/APP/KEY",
            "config.yaml:10:27: targets.seven.url: has a port that is none; write a number from "
            "1 to 65535",
            "config.yaml:11:27: targets.eight.url: names no port, and SRT has no usual one; "
            "write srt://HOST:PORT",
            "config.yaml:12:26: targets.nine.url: holds a space or a control character; remove it",
            "config.yaml:13:25: targets.ten.url: holds a space or a control character; remove it",
            "config.yaml:14:28: targets.eleven.url: has a placeholder that is not known; there "
            "are {app} and {stream}",
            "config.yaml:15:28: targets.twelve.url: is not an address to send to; begin it with "
            "rtmp://, rtmps:// or srt://",
            "config.yaml:16:54: targets.more.backup_url: is not an address to send to; begin it "
            "with rtmp://, rtmps:// or srt://",
        ],
    ),
    "addresses that are not whole": (
        "  one: {stream: a, url: 'rtmp://h'}\n"
        "  two: {stream: a, url: 'rtmp://h/', key: k}\n"
        "  three: {stream: a, platform: youtube, url: 'rtmp://h/live2'}\n"
        "  four: {stream: a, url: 'srt://h:9000?streamid=x', key: k}\n"
        "  five: {stream: a, platform: youtube, key: 'k k'}\n",
        [
            "config.yaml:4:25: targets.one.url: names no app; write for example "
            "rtmp://HOST/APP/KEY",
            "config.yaml:5:25: targets.two.url: names no app; write for example "
            "rtmp://HOST/APP/KEY",
            "config.yaml:6:46: targets.three.url: ends at the app, without a stream key; append "
            "the key, or add `key`",
            "config.yaml:7:26: targets.four.url: has a streamid already, which `key` would be; "
            "remove one",
            "config.yaml:8:45: targets.five.key: holds a space or a control character; remove it",
        ],
    ),
    "an address without a key": (
        "  one: {stream: a, url: 'rtmp://h/app'}\n",
        [
            "config.yaml:4:25: targets.one.url: warning: ends at the app, without a stream key; "
            "append the key, or add `key`"
        ],
    ),
    "one address for several streams": (
        "  one: {streams: [a, b], url: 'rtmp://h/app/k'}\n"
        "  two: {streams: [r/*], url: 'rtmp://h/{app}/k2'}\n"
        "  three: {streams: [r/*], url: 'rtmp://h/app', key: '{stream}'}\n",
        [
            f"config.yaml:{line}: targets.{name}.url: warning: is one address for several "
            "streams, and a receiver takes one at a time; put {stream} in it"
            for line, name in (("4:31", "one"), ("5:30", "two"))
        ],
    ),
    "the same stream to the same address": (
        "  one: {stream: a, url: 'rtmp://H/app/k'}\n"
        "  two: {stream: live/a, url: 'rtmp://h:1935/app', key: k}\n"
        "  three: {stream: a, url: 'rtmp://h/app/k', enabled: false}\n"
        "  four: {streams: ['live/*'], url: 'rtmp://i/app/{stream}'}\n"
        "  five: {streams: ['*'], url: 'rtmp://i/app/{stream}'}\n"
        "  six: {stream: a, url: 'rtmp://j/app/k', backup_url: 'rtmp://h/app/k'}\n",
        [
            f"config.yaml:5:30: targets.two.url: sends live/a {SHARED} targets.one; remove one",
            f"config.yaml:8:31: targets.five.url: sends live/* {SHARED} targets.four; remove one",
            f"config.yaml:9:55: targets.six.backup_url: sends live/a {SHARED} targets.one; "
            "remove one",
        ],
    ),
    "other streams to the same address": (
        "  one: {stream: a, url: 'rtmp://h/app/k'}\n"
        "  two: {stream: b, url: 'rtmp://h/app/k'}\n"
        "  three: {stream: a, url: 'rtmp://i/app', key: k, backup_url: 'rtmp://i/app'}\n"
        "  four: {stream: a, url: 'rtmp://x@h/app/k'}\n",
        [
            "config.yaml:5:25: targets.two.url: warning: is the same address and key as that of "
            "targets.one, and a receiver takes one stream at a time; give another, or disable one",
            "config.yaml:6:63: targets.three.backup_url: warning: is the same address as `url`; "
            "give another",
        ],
    ),
    "a target that feeds itself": (
        "  one: {stream: a, url: 'rtmp://localhost/live/a'}\n"
        "  two: {stream: a, url: 'rtmp://127.0.0.1:1935/live', key: 'a?secret=x'}\n"
        "  three: {stream: a, url: 'rtmp://[::1]/{app}/{stream}'}\n"
        "  four: {streams: [r/*], url: 'rtmp://localhost/r/{stream}-2'}\n"
        "  five: {stream: a, url: 'srt://localhost:10080?streamid=#!::r=live/a,m=publish'}\n"
        "  six: {stream: a, url: 'rtmp://localhost/live/a', enabled: false}\n"
        "  seven: {stream: a, url: 'rtmp://localhost:1936/live/a'}\n"
        "  eight: {stream: a, url: 'rtmp://h/live/a'}\n"
        "  nine: {stream: a, url: 'rtmp://localhost/live/b'}\n"
        "  ten: {stream: b, url: 'rtmp://h/a/k', backup_url: 'rtmp://localhost/live/b'}\n",
        [
            f"config.yaml:{place}: targets.{name}: feeds itself without end: targets.{target} -> "
            f"targets.{target}; let one of them publish another stream, or elsewhere"
            for place, name in (
                ("4:25", "one.url"),
                ("5:25", "two.url"),
                ("6:27", "three.url"),
                ("7:31", "four.url"),
                ("8:26", "five.url"),
                ("13:53", "ten.backup_url"),
            )
            for target in [name.partition(".")[0]]
        ],
    ),
    "targets that feed each other": (
        "  one: {stream: a, url: 'rtmp://localhost/live/b'}\n"
        "  two: {stream: b, url: 'rtmp://localhost/r/x'}\n"
        "  three: {streams: [r/*], url: 'rtmp://localhost/live/a'}\n",
        [
            "config.yaml:4:25: targets.one.url: feeds itself without end: targets.one -> "
            "targets.two -> targets.three -> targets.one; let one of them publish another stream, "
            "or elsewhere",
            "config.yaml:6:32: targets.three.url: warning: is one address for several streams, "
            "and a receiver takes one at a time; put {stream} in it",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_targets_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text, lines = CASES[name]
    errors = [line for line in lines if ": warning: " not in line]
    assert problems_of(tmp_path, HEAD + text) == (errors or lines)


@pytest.mark.parametrize(
    ("servers", "url", "feeds_itself"),
    [
        ("{}", "rtmp://live.example.com/live/a", False),
        ("{main: {host: live.example.com}}", "rtmp://LIVE.example.com/live/a", True),
        ("{main: {host: live.example.com}}", "rtmp://localhost/live/a", True),
        ("{main: {listen: {rtmp: 1936}}}", "rtmp://localhost/live/a", False),
        ("{main: {listen: {rtmp: 1936}}}", "rtmp://localhost:1936/live/a", True),
        ("{main: {listen: {rtmp: 443}}}", "rtmps://localhost/live/a", True),
        ("{main: {host: '[2001:db8::1]'}}", "rtmp://[2001:DB8::1]/live/a", True),
        ("{main: {listen: {rtmp: 1935}}}", "srt://localhost:10080?streamid=live/a", False),
        (
            "{main: {listen: {rtmp: 1935, srt: 9}}}",
            "srt://localhost:9?mode=caller&streamid=#!::h=x,r=/live/a,m=publish",
            True,
        ),
    ],
)
def test_an_own_server_is_known_by_its_names_and_ports(
    tmp_path: Path, servers: str, url: str, feeds_itself: bool
) -> None:
    text = (
        f"version: 1\nservers: {servers if servers != '{}' else ''}\n"
        f"streams: {{a: {{keys: any}}}}\ntargets: {{t: {{stream: a, url: '{url}'}}}}\n"
    )
    assert ("feeds itself" in "".join(problems_of(tmp_path, text))) == feeds_itself


def test_the_rules_of_a_broken_stream_count(tmp_path: Path) -> None:
    text = "version: 1\nstreams: {a: {keys: 5}}\ntargets: {t: {stream: a, url: 'rtmp://h/a/k'}}\n"
    assert [line.split(": ")[1] for line in problems_of(tmp_path, text)] == ["streams.a.keys"]
