"""Checks of two places of the file at once: the exact lines."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from streamd.config.check import engines_of
from streamd.config.defaults import Machine
from streamd.config.load import load
from streamd.config.models import Config
from tests.unit.config.loading import NGINX, SRS, load_text, problems_of

STUDIO = "version: 1\nkeys: {studio: {secret: 0123456789abcdef}}\n"
OPEN = "version: 1\nstreams: {a: {keys: any}, b: {keys: any}, r/*: {keys: any}}\ntargets:\n"

# Every error and warning about keys, streams, daemon and servers.
CASES: dict[str, tuple[str, list[str]]] = {
    "keys with too few and too many secrets": (
        "version: 1\n"
        "streams: {s: {keys: [none, both]}}\n"
        "keys:\n"
        "  none: {}\n"
        f"  both: {{secret: 0123456789abcdef, secret_sha256: {'a' * 64}}}\n",
        [
            "config.yaml:4:3: keys.none: has no secret; add `secret` or `secret_sha256`",
            "config.yaml:5:3: keys.both: has `secret` and `secret_sha256`; remove one",
        ],
    ),
    "windows of keys": (
        "version: 1\n"
        "streams: {s: {keys: [never, over, soon]}}\n"
        "keys:\n"
        "  never:\n    secret: 0123456789abcdef\n"
        "    not_before: 2027-01-01T00:00:00Z\n    not_after: 2027-01-01T01:00:00+01:00\n",
        [
            "config.yaml:2:29: streams.s.keys[1]: there is no key over; did you mean never?",
            "config.yaml:2:35: streams.s.keys[2]: there is no key soon; add it under `keys`",
            "config.yaml:7:16: keys.never.not_after: is not after `not_before`; the key would "
            "never be valid",
        ],
    ),
    "an expired key": (
        "version: 1\n"
        "streams: {s: {keys: [old, new]}}\n"
        "keys:\n"
        "  old: {secret: 0123456789abcdef, not_after: 2026-06-01T00:00:00Z}\n"
        "  new: {secret: 0123456789abcdeg, not_after: 2026-06-01T00:00:01Z}\n",
        [
            "config.yaml:4:46: keys.old.not_after: warning: the key is refused since 2026-06-01 "
            "00:00 UTC; remove it, or set a later time",
        ],
    ),
    "a secret shared by keys": (
        "version: 1\n"
        "streams: {s: {keys: [one, two, three]}}\n"
        "keys:\n"
        "  one: {secret: password}\n"
        "  two: {secret: password}\n"
        "  three: {secret_sha256: "
        "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8}\n",
        [
            f"config.yaml:{line}:3: keys.{name}: warning: has the same secret as keys.one, so "
            "that the one cannot be withdrawn without the other; give it its own"
            for line, name in ((5, "two"), (6, "three"))
        ],
    ),
    "a secret that no address can hold": (
        'version: 1\nstreams: {s: {keys: [a]}}\nkeys: {a: {secret: "pass word"}}\n',
        [
            "config.yaml:3:20: keys.a.secret: holds a space or a control character; use letters "
            "and digits"
        ],
    ),
    "a key that nothing uses": (
        STUDIO + "streams: {a: {keys: any}}\n",
        [
            "config.yaml:2:8: keys.studio: warning: no stream names this key; add it to the "
            "`keys` of one, or remove it"
        ],
    ),
    "keys of a stream": (
        STUDIO
        + "streams:\n"
        + "  a: {keys: [studio, stduio]}\n"
        + "  b: {keys: []}\n"
        + "  c: {keys: any, key_in_name: true}\n"
        + "  d:\n    keys:\n      - studio\n      - xyz\n"
        + "      - 5f4dcc3b5aa765d61d8327deb882cf99\n",
        [
            "config.yaml:4:22: streams.a.keys[1]: there is no key stduio; did you mean studio?",
            "config.yaml:5:13: streams.b.keys: is empty, so that nobody could publish; name a "
            "key, or write `any` for no authentication",
            "config.yaml:6:31: streams.c.key_in_name: has no meaning with `keys: any`; remove it",
            "config.yaml:10:9: streams.d.keys[1]: there is no key xyz; add it under `keys`",
            "config.yaml:11:9: streams.d.keys[2]: there is no key of this name; add it under "
            "`keys`",
        ],
    ),
    "a key named twice": (
        STUDIO + "streams: {a: {keys: [studio, studio]}}\n",
        ["config.yaml:3:30: streams.a.keys[1]: warning: names the same key again; remove it"],
    ),
    "a key that is not in order is known all the same": (
        "version: 1\nkeys: {studio: {secret: short}}\nstreams: {a: {keys: [studio]}}\n",
        ["config.yaml:2:25: keys.studio.secret: is too short; write 8 characters or more"],
    ),
    "one stream under two names": (
        "version: 1\nstreams:\n  a: {keys: any}\n  live/a: {keys: any}\n"
        "  '*': {keys: any}\n  '*/*': {keys: any}\n",
        [
            "config.yaml:4:3: streams.live/a: is the same stream as streams.a; remove one",
            "config.yaml:6:3: streams.*/*: is the same stream as streams.*; remove one",
        ],
    ),
    "a secret that no name can hold": (
        "version: 1\nkeys: {a: {secret: 01234567/89}, b: {secret: 0123456789abcdef}}\n"
        "streams: {s: {keys: [b, a], key_in_name: true}}\n",
        [
            "config.yaml:3:25: streams.s.keys[1]: the secret of keys.a cannot stand in a stream's "
            "name; use letters, digits and _.~=+@,:- in it"
        ],
    ),
    "what others could reach": (
        'version: 1\ndaemon: {status: "0.0.0.0:2022", hooks: "[::]:2023"}\n',
        [
            "config.yaml:2:18: daemon.status: is reachable from other machines; add "
            "`status_token`, or listen on 127.0.0.1",
            "config.yaml:2:41: daemon.hooks: is reachable from other machines, which could then "
            "let publishers in; listen on 127.0.0.1",
        ],
    ),
    "what others could reach by a name": (
        "version: 1\ndaemon: {status: live.example.com:2022}\n",
        [
            "config.yaml:2:18: daemon.status: is reachable from other machines; add "
            "`status_token`, or listen on 127.0.0.1",
        ],
    ),
    "a token for what others can reach": (
        'version: 1\ndaemon: {status: "0.0.0.0:2022", status_token: 0123456789abcdef}\n',
        [],
    ),
    "loopback in every form": (
        'version: 1\ndaemon: {status: "[::1]:2022", hooks: "localhost:2023"}\n',
        [],
    ),
    "ports used twice": (
        "version: 1\n"
        "daemon: {status: 127.0.0.1:8080, hooks: 127.0.0.1:2023}\n"
        "servers:\n"
        "  one:\n"
        "    listen: {rtmp: 1935, http: 8080, srt: 2023, webrtc: 1935}\n"
        "  two:\n"
        "    listen:\n"
        "      rtmp: 1935\n"
        "      api: 1986\n"
        "  three:\n"
        "    listen: {rtmp: 1937, http: 1986}\n",
        [
            "config.yaml:5:32: servers.one.listen.http: TCP port 8080 is already used by "
            "daemon.status; choose another",
            "config.yaml:5:43: servers.one.listen.srt: UDP port 2023 is already used by "
            "daemon.hooks; choose another",
            "config.yaml:8:13: servers.two.listen.rtmp: TCP port 1935 is already used by "
            "servers.one.listen.rtmp; choose another",
            "config.yaml:11:5: servers.three.listen.api: TCP port 1985 (the default) is already "
            "used by servers.one.listen.api; choose another",
            "config.yaml:11:32: servers.three.listen.http: TCP port 1986 is already used by "
            "servers.two.listen.api; choose another",
        ],
    ),
    "ports of two servers that name none": (
        "version: 1\nservers:\n  one: {}\n  two: {}\n",
        [
            f"config.yaml:4:3: servers.two.listen.{kind}: {protocol} port {port} (the default) is "
            f"already used by servers.one.listen.{kind}; choose another"
            for kind, protocol, port in (
                ("api", "TCP", 1985),
                ("http", "TCP", 8080),
                ("rtmp", "TCP", 1935),
                ("srt", "UDP", 10080),
                ("webrtc", "UDP", 8000),
            )
        ],
    ),
    "one port on two loopback addresses": (
        "version: 1\ndaemon: {status: 127.0.0.1:2022, hooks: 127.0.0.2:2022}\n",
        [],
    ),
    "the daemon's own ports": (
        "version: 1\ndaemon: {status: 127.0.0.1:2023}\n",
        [
            "config.yaml:2:1: daemon.hooks: TCP port 2023 (the default) is already used by "
            "daemon.status; choose another"
        ],
    ),
    "no server": (
        "version: 1\nservers: {}\n",
        ["config.yaml:2:10: servers: is empty; name a server, or remove it for the usual one"],
    ),
    "ports that need others": (
        "version: 1\nservers:\n  one:\n    listen: {webrtc: 8000}\n",
        [
            "config.yaml:4:13: servers.one.listen: names no `rtmp` port, which every server "
            "needs; add for example `rtmp: 1935`",
            "config.yaml:4:22: servers.one.listen.webrtc: needs `http` too, where WebRTC clients "
            "connect first; add for example `http: 8080`",
        ],
    ),
    "what nginx-rtmp lacks": (
        "version: 1\nservers:\n  one:\n    engine: nginx-rtmp\n"
        "    listen:\n      rtmp: 1935\n      http: 8080\n      srt: 10080\n      webrtc: 8000\n",
        [
            "config.yaml:8:12: servers.one.listen.srt: the engine nginx-rtmp has no SRT; remove "
            "this port, or use SRS",
            "config.yaml:9:15: servers.one.listen.webrtc: the engine nginx-rtmp has no WebRTC; "
            "remove this port, or use SRS",
        ],
    ),
    "HLS": (
        "version: 1\nservers:\n"
        "  one: {hls: {fragment: 0s}}\n"
        "  two: {hls: {fragment: 4s, window: 11.9s},"
        " listen: {rtmp: 1936, api: 1986}}\n"
        "  three: {hls: {fragment: 10s}, listen: {rtmp: 1937, api: 1987}}\n",
        [
            "config.yaml:3:25: servers.one.hls.fragment: is no time at all; write for example 2s",
            "config.yaml:4:37: servers.two.hls.window: is shorter than 3 fragments, so that "
            "players stall; write 12s or more",
            "config.yaml:5:11: servers.three.hls.window: is shorter than 3 fragments, so that "
            "players stall; write 30s or more",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_does_not_fit_together_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text, lines = CASES[name]
    assert problems_of(tmp_path, text) == lines


def test_auto_says_that_it_chose_the_engine(tmp_path: Path) -> None:
    text = "version: 1\nservers: {one: {listen: {rtmp: 1935, srt: 10080}}}\n"
    assert problems_of(tmp_path, text, machine=NGINX) == [
        "config.yaml:2:43: servers.one.listen.srt: the engine nginx-rtmp, which `auto` found here, "
        "has no SRT; remove this port, or use SRS"
    ]
    assert problems_of(tmp_path, text, machine=SRS) == []
    assert problems_of(tmp_path, text, machine=None) == []


def test_nginx_has_to_be_told_its_apps(tmp_path: Path) -> None:
    text = (
        "version: 1\nservers: {one: {engine: nginx-rtmp}}\n"
        "streams:\n  rooms/a: {keys: any}\n  '*': {keys: any}\n  li*/b: {keys: any}\n"
    )
    told = (
        "warning: servers.one runs nginx-rtmp, which takes only apps that it is told by name: "
        "live, rooms; name others as APP/*"
    )
    assert problems_of(tmp_path, text) == [
        f"config.yaml:5:3: streams.*: {told}",
        f"config.yaml:6:3: streams.li*/b: {told}",
    ]
    assert problems_of(tmp_path, text + "  x*/b: {keys: any}\n") == [
        "config.yaml:7:3: streams.x*/b: can match nothing on servers.one: nginx-rtmp takes only "
        "apps that it is told by name; name them as APP/*"
    ]


def test_warnings_do_not_refuse(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, STUDIO)
    assert [problem.warning for problem in loaded.warnings] == [True]
    assert loaded.warnings[0].path == "keys.studio"


def test_errors_come_without_the_warnings(tmp_path: Path) -> None:
    lines = problems_of(tmp_path, STUDIO + "streams: {a: {keys: []}}\n")
    assert len(lines) == 1


def test_an_object_in_order_is_checked_beside_one_that_is_not(tmp_path: Path) -> None:
    text = (
        "version: 1\nkeys: {a: {secret: 0123456789abcdef}}\n"
        "streams:\n  bad: {keys: [b], kyes: 1}\n  good: {keys: [b]}\n"
        "targets:\n  t: {stream: bad, url: 'rtmp://h/a/k'}\n"
    )
    assert problems_of(tmp_path, text) == [
        "config.yaml:4:16: streams.bad.keys[0]: there is no key b; add it under `keys`",
        "config.yaml:4:20: streams.bad.kyes: is not a field here; did you mean keys?",
        "config.yaml:5:17: streams.good.keys[0]: there is no key b; add it under `keys`",
    ]


def test_a_wrong_setting_of_the_daemon_hides_nothing_else(tmp_path: Path) -> None:
    text = "version: 1\ndaemon: {apply: x, hooks: '10.0.0.1:2023'}\n"
    assert [line.split(": ")[1] for line in problems_of(tmp_path, text)] == [
        "daemon.apply",
        "daemon.hooks",
    ]


@pytest.mark.parametrize(
    ("server", "machine", "engine"),
    [
        ({}, None, None),
        ({}, Machine({}, None), None),
        ({}, SRS, "srs"),
        ({}, NGINX, "nginx-rtmp"),
        ({"engine": "srs"}, None, "srs"),
        ({"engine": "nginx-rtmp"}, SRS, "nginx-rtmp"),
        ({"binary": "/opt/srs"}, None, "srs"),
        ({"binary": "/usr/sbin/nginx"}, SRS, "nginx-rtmp"),
    ],
)
def test_an_engine_is_known_as_far_as_the_machine_is(
    server: dict[str, str], machine: Machine | None, engine: str | None
) -> None:
    config = Config.model_validate({"version": 1, "servers": {"main": server}})
    assert engines_of(config, machine) == {"main": engine}


def test_the_time_of_the_call_counts_where_none_is_given(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    past = datetime(2001, 1, 1, tzinfo=UTC).isoformat()
    path.write_text(
        f"version: 1\nkeys: {{a: {{secret: 0123456789, not_after: '{past}'}}}}\n"
        "streams: {s: {keys: [a]}}\n".replace("0123456789", "'0123456789'")
    )
    assert [problem.path for problem in load(path, environment={}).warnings] == ["keys.a.not_after"]
