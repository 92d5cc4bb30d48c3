"""What an operator reads of a file that is wrong: the exact lines."""

from pathlib import Path

import pytest

from streamd.config.models import NAMED_SECTIONS
from tests.unit.config.loading import problems_of

HEAD = "version: 1\n"

CASES: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", ["config.yaml:1:1: is empty; begin it with `version: 1`"]),
    "comments only": (
        "# later\n",
        ["config.yaml:1:1: `version` is missing; add it. The version of this format: 1."],
    ),
    "a list": ("- a\n", ["config.yaml:1:1: is not a mapping; write `name: value` lines"]),
    "text": (
        "\n\nhello\n",
        ["config.yaml:3:1: is not a mapping; write `name: value` lines"],
    ),
    "another version": (
        "version: 2\n",
        ["config.yaml:1:10: version: '2' is not known here; write 1"],
    ),
    "a tab": (
        HEAD + "keys:\n\tstudio: {}\n",
        ["config.yaml:3:1: a tab cannot indent; use spaces"],
    ),
    "a bracket left open at the end": (
        HEAD + "streams: [\n",
        [
            "config.yaml:2:10: the `[` that opens here is not closed properly; check `,` and `]`, "
            "and quote text that holds brackets"
        ],
    ),
    "windows": (
        "version: 1\r\nkeys: []\r\n",
        ["config.yaml:2:7: keys: is a list; write a mapping, as indented lines of `name: value`"],
    ),
    "two documents": (
        HEAD + "---\nversion: 1\n",
        [
            "config.yaml:2:1: a second document begins here; keep one document in a file, and "
            "split a long one with `include`"
        ],
    ),
    "an unknown section near a known one": (
        HEAD + "target: {}\n",
        ["config.yaml:2:1: target: is not a field here; did you mean targets?"],
    ),
    "an unknown section near none": (
        HEAD + "xyzzy: {}\n",
        [
            "config.yaml:2:1: xyzzy: is not a field here; there are version, include, ffmpeg, "
            f"daemon, {', '.join(NAMED_SECTIONS)}"
        ],
    ),
    "an unknown field": (
        HEAD + "keys:\n  studio: {secret: 0123456789abcdef, notafter: x}\n",
        ["config.yaml:3:38: keys.studio.notafter: is not a field here; did you mean not_after?"],
    ),
    "unknown fields in depth": (
        HEAD + "servers:\n  main:\n    listen:\n      rtmp: 1935\n      rtmps: 1936\n",
        ["config.yaml:6:7: servers.main.listen.rtmps: is not a field here; did you mean rtmp?"],
    ),
    "a missing field": (
        HEAD + "streams:\n  a:\n    key_in_name: true\n",
        [
            "config.yaml:3:3: streams.a: says neither who may publish it nor what it is made of; "
            "add `keys` (or `keys: any` for no authentication), or `source`"
        ],
    ),
    "empty values": (
        HEAD + "keys:\n  studio:\nstreams:\n  a: {keys: }\n  b: {keys: [~]}\n",
        [
            "config.yaml:3:3: keys.studio: is empty; give it a value, or remove it",
            "config.yaml:5:7: streams.a.keys: is empty; give it a value, or remove it",
            "config.yaml:6:14: streams.b.keys[0]: is empty; give it a value, or remove it",
        ],
    ),
    "the wrong kind of thing": (
        HEAD
        + "include: a.yaml\n"
        + "daemon: [a]\n"
        + "ffmpeg: 5\n"
        + "streams:\n  a: any\n  b: {keys: studio}\n  c: {keys: {a: b}}\n"
        + "targets: {t: {stream: [a], enabled: [], url: 'rtmp://h/a/k'}}\n",
        [
            "config.yaml:2:10: include: is text; write a list, as [a, b] or as lines that begin "
            "with `- `",
            "config.yaml:3:9: daemon: is a list; write a mapping, as indented lines of "
            "`name: value`",
            "config.yaml:4:9: ffmpeg: '5' is not an absolute path; begin it with `/`",
            "config.yaml:6:6: streams.a: is text; write a mapping, as indented lines of "
            "`name: value`",
            "config.yaml:7:13: streams.b.keys: is text; write a list, as [a, b] or as lines that "
            "begin with `- `",
            "config.yaml:8:13: streams.c.keys: is a mapping; write a list, as [a, b] or as lines "
            "that begin with `- `",
            "config.yaml:9:23: targets.t.stream: is a list; write stream name",
            "config.yaml:9:37: targets.t.enabled: is a list; write true or false",
        ],
    ),
    "values": (
        HEAD
        + "daemon: {status: 2022, hooks: 127.0.0.1, max_stop: 120%, apply: manuel}\n"
        + "servers:\n  main:\n    engine: srss\n    host: rtmp://h\n    binary: bin/srs\n"
        + "    listen: {rtmp: 0, http: '80', srt: 1.5}\n    hls: {fragment: 2, window: 20 s}\n",
        [
            "config.yaml:2:18: daemon.status: '2022' is not an address; write HOST:PORT, for "
            "example 127.0.0.1:2022",
            "config.yaml:2:31: daemon.hooks: '127.0.0.1' is not an address; write HOST:PORT, for "
            "example 127.0.0.1:2022",
            "config.yaml:2:52: daemon.max_stop: '120%' is not a percentage; write for example 50%",
            "config.yaml:2:65: daemon.apply: 'manuel' is not known here; write auto or manual; "
            "did you mean manual?",
            "config.yaml:5:13: servers.main.engine: 'srss' is not known here; write auto, srs or "
            "nginx-rtmp; did you mean srs?",
            "config.yaml:6:11: servers.main.host: 'rtmp://h' is not a host; write a name or an "
            "IP address, without a port",
            "config.yaml:7:13: servers.main.binary: 'bin/srs' is not an absolute path; begin it "
            "with `/`",
            "config.yaml:8:20: servers.main.listen.rtmp: '0' is not a port; write a number from "
            "1 to 65535",
            "config.yaml:8:40: servers.main.listen.srt: '1.5' is not a port; write a number from "
            "1 to 65535",
            "config.yaml:9:21: servers.main.hls.fragment: '2' is not a duration; write for "
            "example 500ms, 2s, 1m, 1h or 7d",
            "config.yaml:9:32: servers.main.hls.window: '20 s' is not a duration; write for "
            "example 500ms, 2s, 1m, 1h or 7d",
        ],
    ),
    "keys": (
        HEAD
        + "keys:\n"
        + "  Studio: {secret: 0123456789}\n"
        + "  short: {secret: abc}\n"
        + "  digest: {secret_sha256: ABC}\n"
        + "  zone: {secret: 0123456789abcdef, not_after: 2027-01-01T00:00:00}\n"
        + "  time: {secret: 0123456789abcdef, not_before: tomorrow}\n"
        + "  '${env:NAME}': {secret: 0123456789abcdef}\n",
        [
            "config.yaml:3:3: keys.Studio: is not a name; use up to 64 of a-z, 0-9, _ and -, "
            "beginning with a letter or digit",
            "config.yaml:4:19: keys.short.secret: is too short; write 8 characters or more",
            "config.yaml:5:27: keys.digest.secret_sha256: is not a SHA-256; write its 64 "
            "hex digits in lower case",
            "config.yaml:6:47: keys.zone.not_after: '2027-01-01T00:00:00' needs its zone; end it "
            "in Z for UTC, or in an offset as +02:00",
            "config.yaml:7:48: keys.time.not_before: 'tomorrow' is not a time; write for example "
            "2026-12-01T00:00:00Z",
            "config.yaml:8:3: keys.${env:NAME}: is not a name; use up to 64 of a-z, 0-9, _ and -, "
            "beginning with a letter or digit",
        ],
    ),
    "streams": (
        HEAD + "streams:\n  a b: {keys: any}\n  /a: {keys: any}\n  ../a: {keys: any}\n",
        [
            f"config.yaml:{line}:3: streams.{name}: is not a stream name; write NAME or APP/NAME "
            "of letters, digits and _.~=+@,:- (each part beginning with a letter, a digit or _), "
            "and * for any part of a name"
            for line, name in ((3, "a b"), (4, "/a"), (5, "../a"))
        ],
    ),
    "a pattern for one stream": (
        HEAD
        + "streams: {rooms/*: {keys: any}}\n"
        + "targets: {t: {stream: rooms/*, url: 'rtmp://h/a/{stream}'}}\n",
        [
            "config.yaml:3:23: targets.t.stream: 'rooms/*' is a pattern; write it in a list under "
            "`streams` instead"
        ],
    ),
    "a pattern for a transcode": (
        HEAD
        + "streams: {rooms/*: {keys: any}}\n"
        + "transcodes: {t: {stream: rooms/*, to: 'small/*'}}\n",
        [
            f"config.yaml:3:{column}: transcodes.t.{field}: {value!r} is a pattern; name one "
            "stream, without *"
            for column, field, value in ((26, "stream", "rooms/*"), (39, "to", "small/*"))
        ],
    ),
    "the same name twice": (
        HEAD + "keys:\n  a: {secret: 0123456789abcdef}\n  b: 1\n  'a': {}\nversion: 1\n",
        [
            "config.yaml:4:6: keys.b: is a number; write a mapping, as indented lines of "
            "`name: value`",
            "config.yaml:5:3: keys.a: is here twice, first at config.yaml:3:3; remove or rename "
            "one",
            "config.yaml:6:1: version: is here twice, first at config.yaml:1:1; remove or rename "
            "one",
        ],
    ),
    "references": (
        HEAD
        + 'keys:\n  a: {secret: "${env:A}"}\n  b: {secret: "${file:b}", not_before: "${env:B}"}\n'
        + "  c: {secret: 'x${D', secret_sha256: \"${cred:C}\"}\n",
        [
            "config.yaml:3:15: keys.a.secret: the environment variable A is not set; set it where "
            "streamd is started",
            "config.yaml:4:15: keys.b.secret: b does not exist; create it or correct the path",
            "config.yaml:4:40: keys.b.not_before: the environment variable B is not set; set it "
            "where streamd is started",
            "config.yaml:5:15: keys.c.secret: a `${` is never closed; add the `}`, or write "
            "`$${` for `${`",
            "config.yaml:5:38: keys.c.secret_sha256: there are no credentials here; add "
            "`LoadCredential=C:PATH` to the unit of streamd, which sets CREDENTIALS_DIRECTORY",
        ],
    ),
    "true and false": (
        HEAD
        + "streams: {a: {keys: [k], key_in_name: yes}}\n"
        + "keys: {k: {secret: abcdefgh}}\n"
        + "targets:\n  t: {stream: a, enabled: off, url: 'rtmp://h/a/k'}\n"
        + "  u: {stream: a, enabled: 1, url: 'rtmp://h/a/k'}\n"
        + "  v: {stream: a, enabled: 'false', url: 'rtmp://h/a/k'}\n",
        [
            "config.yaml:2:39: streams.a.key_in_name: 'yes' is text; write true or false",
            "config.yaml:5:27: targets.t.enabled: 'off' is text; write true or false",
            "config.yaml:6:27: targets.u.enabled: '1' is a number; write true or false",
        ],
    ),
    "what a merge brings": (
        HEAD
        + "streams: {a: {keys: any}}\n"
        + "targets:\n"
        + "  one: &one {stream: a, platform: youtub, key: k}\n"
        + "  two: {<<: *one, enabled: 5}\n",
        [
            f"config.yaml:4:35: targets.{name}.platform: 'youtub' is not known here; write "
            "youtube, twitch, facebook, bilibili, kuaishou, wx or custom; did you mean youtube?"
            for name in ("one", "two")
        ]
        + ["config.yaml:5:28: targets.two.enabled: '5' is a number; write true or false"],
    ),
    "characters beyond ASCII before the fault": (
        HEAD + 'keys: {"é😀": {secrét: x}}\n',
        [
            "config.yaml:2:8: keys.é😀: is not a name; use up to 64 of a-z, 0-9, _ and -, "
            "beginning with a letter or digit",
            "config.yaml:2:15: keys.é😀.secrét: is not a field here; did you mean secret?",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_problem_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    text, lines = CASES[name]
    assert problems_of(tmp_path, text) == lines


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (
            b"version: 1\nk\xe9ys: {}\n",
            "config.yaml:2:2: is not UTF-8 text; save the file as UTF-8",
        ),
        (
            "version: 1\n".encode("utf-16"),
            "config.yaml:1:1: is not UTF-8 text; save the file as UTF-8",
        ),
        (
            b"version: 1\n\x00\x00\x00\n",
            "config.yaml:2:1: the control character U+0000 is not allowed; remove it",
        ),
        (
            b"\xef\xbb\xbfversion: 1\nkey: {}\n",
            "config.yaml:2:1: key: is not a field here; did you mean keys?",
        ),
    ],
)
def test_bytes_that_are_no_text_are_placed(tmp_path: Path, raw: bytes, line: str) -> None:
    assert problems_of(tmp_path, raw) == [line]


SECRET = "fmQ6Yx-0c9d-secret"


@pytest.mark.parametrize(
    "text",
    [
        "keys: {a: {secret: %s, secret_sha256: %s}}",
        "keys: {a: %s}",
        "keys: %s",
        "keys: {a: {secret: [%s]}}",
        "keys: {a: {secrets: %s}}",
        "keys: {a: {secret: 0123456789abcdef, not_after: '${env:S}'}}",
        "servers: {a: {host: '${env:S}://', engine: '${env:S}', binary: '${env:S}'}}",
        "servers: {a: {hls: {fragment: '${env:S}'}, listen: {rtmp: '${env:S}'}}}",
        "daemon: {status: '${env:S}', hooks: '${env:S}', apply: '${env:S}', max_stop: '${env:S}'}",
        "streams: {a: {keys: ['${env:S}']}}",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: a, url: 'http://%s'}}",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: a, url: 'rtmp://h/%s'}}",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: a, url: 'rtmp://h/{%s}'}}",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: a, url: 'rtmp://h:%s/a/b'}}",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: '${env:S}', url: '%s ${env:S}'}}",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: a, platform: wx, key: '%s ${env:S}'}}",
        "ffmpeg: '/${env:S}'",
        "include: ['${env:S}', '${env:S}/*.yaml']",
        "streams: {a: {keys: any}}\ntargets: {a: {stream: a, key: 'x${%s}'}}",
    ],
)
def test_a_secret_is_never_told(tmp_path: Path, text: str) -> None:
    lines = problems_of(
        tmp_path, "version: 1\n" + text.replace("%s", SECRET), environment={"S": SECRET}
    )
    assert lines
    assert SECRET not in "\n".join(lines)
