"""Every mistake is told at once, and nothing untrue because of what another mistake left out."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamd.config import shape
from streamd.config.data_path import DataPath, render
from streamd.config.defaults import Machine
from streamd.config.left_out import LeftOut
from streamd.config.model import written_fields
from streamd.config.suggestions import Suggestions
from streamd.errors import ConfigError
from tests.unit.config.loading import SRS, load_text, problems_of

tmp_path_is_reused = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

CASES: dict[str, tuple[str, list[str]]] = {
    "a wrong name beside an unknown field": (
        "keys: {studio: {secret: 0123456789abcdef}}\n"
        "streams: {livestream: {keys: [studo, studio], key_in_nam: true}}\n",
        [
            "config.yaml:3:31: streams.livestream.keys[0]: there is no key studo; did you mean "
            "studio?",
            "config.yaml:3:47: streams.livestream.key_in_nam: is not a field here; did you mean "
            "key_in_name?",
        ],
    ),
    "a port twice beside one that is none": (
        "servers: {main: {listen: {http: 8080, https: 8080, rtmp: 99999}, certificate: c}}\n"
        "certificates: {c: {domains: [live.example.com], acme: {}}}\n",
        [
            "config.yaml:2:46: servers.main.listen.https: TCP port 8080 is already used by "
            "servers.main.listen.http; choose another",
            "config.yaml:2:58: servers.main.listen.rtmp: '99999' is not a port; write a number "
            "from 1 to 65535",
        ],
    ),
    "a wrong name behind ones that are none": (
        "keys: {studio: {secret: 0123456789abcdef}}\n"
        "streams: {a: {keys: [A, studio, B, studo, C]}}\n",
        [
            f"config.yaml:3:{column}: streams.a.keys[{position}]: {message}"
            for column, position, message in (
                (22, 0, "is not a name; use up to 64 of a-z, 0-9, _ and -, beginning with a letter "
                "or digit"),
                (33, 2, "is not a name; use up to 64 of a-z, 0-9, _ and -, beginning with a letter "
                "or digit"),
                (36, 3, "there is no key studo; did you mean studio?"),
                (43, 4, "is not a name; use up to 64 of a-z, 0-9, _ and -, beginning with a letter "
                "or digit"),
            )
        ],
    ),
    "a section of another name": (
        "key: {studio: {secret: 0123456789abcdef}}\nstreams: {a: {keys: [studio]}}\n",
        ["config.yaml:2:1: key: is not a field here; did you mean keys?"],
    ),
    "the stream of a transcode that is not in order": (
        "streams: {a: {keys: any}}\n"
        "transcodes: {t: {stream: a*, to: b}}\n"
        "targets: {t: {stream: b, url: 'rtmp://h/a/k'}, u: {stream: c, url: 'rtmp://h/a/l'}}\n",
        [
            "config.yaml:3:26: transcodes.t.stream: 'a*' is a pattern; name one stream, without *",
            "config.yaml:4:60: targets.u.stream: nothing under `streams` lets c be published; add "
            "it under `streams`",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_mistake_is_told_at_once(tmp_path: Path, name: str) -> None:
    text, lines = CASES[name]
    assert problems_of(tmp_path, "version: 1\n" + text) == lines


SOUND: dict[str, Any] = {
    "version": 1,
    "ffmpeg": "/bin/sh",
    "daemon": {
        "status": "0.0.0.0:2030",
        "status_token": "0123456789abcdef",
        "status_certificate": "own",
        "hooks": "127.0.0.1:2031",
        "apply": "manual",
        "max_stop": "20%",
        "source_directories": ["/srv/media"],
    },
    "servers": {
        "main": {
            "engine": "srs",
            "binary": "/bin/sh",
            "host": "live.example.com",
            "listen": {
                "rtmp": 1935, "http": 8080, "https": 8443, "srt": 10080, "webrtc": 8000,
                "api": 1985,
            },
            "certificate": "own",
            "webrtc_candidate": "192.0.2.1",
            "hls": {"fragment": "10s", "window": "60s"},
        },
        "edge": {"engine": "nginx-rtmp", "binary": "/bin/sh",
                 "listen": {"rtmp": 1936, "api": 1986}},
    },
    "keys": {
        "studio": {"secret": "0123456789abcdef", "not_after": "2030-01-01T00:00:00Z"},
        "guest": {"secret_sha256": "a" * 64, "not_before": "2026-01-01T00:00:00Z"},
    },
    "streams": {
        "a": {"keys": ["studio", "guest"], "key_in_name": True},
        "b": {"keys": "any", "server": "edge", "fallback": "/srv/media/slate.png"},
        "c": {
            "source": {
                "files": ["/srv/media/1.mp4", "/srv/media/2.mp4"], "loop": True, "shuffle": True,
                "picture": "/srv/media/p.png", "start": "10:00", "end": "18:00",
                "timezone": "Europe/Berlin",
            },
            "server": "main",
        },
        "d": {
            "source": {
                "url": "rtsp://camera/1", "backup_url": "rtsp://camera/2", "transport": "udp",
                "audio": "silent", "on_demand": True,
            }
        },
        "rooms/*": {"keys": ["studio"]},
    },
    "targets": {
        "one": {"stream": "a", "platform": "youtube", "key": "k1"},
        "two": {"stream": "a", "platform": "youtube", "key": "k2", "enabled": True},
        "off": {"stream": "a", "platform": "youtube", "key": "k2", "enabled": False},
        "own": {"streams": ["rooms/*"], "url": "rtmp://h/app/{stream}", "enabled": True},
        "bare": {
            "stream": "small", "url": "rtmp://x.example.com/app", "key": "k",
            "backup_url": "rtmp://y.example.com/app/k",
        },
    },
    "transcodes": {
        "small": {
            "stream": "a", "to": "small", "enabled": True,
            "video": {
                "codec": "h264_nvenc", "width": 640, "height": 360, "bitrate": "800k", "fps": 25,
                "keyframe_interval": "4s", "preset": "fast", "profile": "main",
                "overlay": {"file": "/srv/media/logo.png", "position": "top-left", "margin": 5,
                            "width": 100},
            },
            "audio": {"codec": "aac", "bitrate": "96k", "sample_rate": 44100, "channels": 2},
        },
        "mute": {"stream": "b", "to": "mute", "video": {"codec": "copy"},
                 "audio": {"codec": "none"}},
        "sound": {"stream": "b", "to": "sound", "video": {"codec": "none"}},
    },
    "recordings": {
        "all": {
            "streams": ["a", "rooms/*"], "directory": "/srv/{date}", "name": "{uuid}",
            "format": "hls", "split": "1h", "resume": "10s",
            "keep": {"for": "7d", "size": "200GB", "free": "10%"}, "upload": "archive",
            "keep_local": False, "url": "https://cdn.example.com",
        },
        "served": {"streams": ["small"], "directory": "/srv/x/{time}", "name": "{stream}",
                   "upload": {"to": "archive", "when": "segment"}, "serve": True},
        "other": {"streams": ["small"], "directory": "/srv/y/{time}", "name": "{stream}"},
    },
    "storages": {
        "archive": {
            "url": "s3://bucket/recordings",
            "options": {"endpoint": "https://s3.example.com", "region": "x",
                        "access_key_id": "a", "secret_access_key": "b"},
        }
    },
    "certificates": {
        "own": {"domains": ["live.example.com"], "acme": {}},
        "wild": {
            "domains": ["*.example.com", "example.com"],
            "acme": {
                "email": "ops@example.com", "directory": "zerossl", "ca_file": "/etc/ca.pem",
                "profile": "tlsserver", "eab": {"kid": "x", "hmac_key": "abcd"},
                "challenge": {"rfc2136": {"server": "ns.example.com:53", "key": "k",
                                          "secret": "YWJj", "zone": "example.com", "wait": "1s"}},
            },
        },
        "web": {"domains": ["a.example.com"], "acme": {"challenge": {"webroot": "/srv/www"}}},
    },
    "callbacks": {
        "hook": {"url": "https://example.com/hook", "events": ["on_publish", "on_unpublish"],
                 "opaque": "x", "timeout": "2s", "on_error": "allow", "sign": "0123456789abcdef"},
    },
}  # fmt: skip


def fields(data: Any, path: DataPath = ()) -> Iterator[DataPath]:
    """Yield the path of every value in some data but the version."""
    steps = range(len(data)) if isinstance(data, list) else data
    if isinstance(data, (dict, list)):
        for step in steps:
            if (*path, step) != ("version",):
                yield (*path, step)
                yield from fields(data[step], (*path, step))


def found(data: Any, path: DataPath) -> Any:
    """Return what stands at a path."""
    for step in path:
        data = data[step]
    return data


def changed(data: Any, path: DataPath, value: Any) -> Any:
    """Return a copy with another value at a path."""
    copied = copy.deepcopy(data)
    holder = found(copied, path[:-1])
    holder[path[-1]] = value
    return copied


def spoilt(data: Any, path: DataPath) -> Any:
    """Return a copy with what cannot be at a path."""
    is_mapping = path in PATHS and isinstance(found(data, path), dict)
    return changed(data, path, [[]] if is_mapping else {"nonsense": {"nonsense": []}})


def renamed(data: Any, path: DataPath, name: str) -> Any:
    """Return a copy with another name at the end of a path."""
    copied = copy.deepcopy(data)
    holder = found(copied, path[:-1])
    pairs = [(name if step == path[-1] else step, value) for step, value in holder.items()]
    holder.clear()
    holder.update(pairs)
    return copied


def told(directory: Path, data: Mapping[str, Any], machine: Machine | None = None) -> list[str]:
    """Return the paths of all errors of some data."""
    try:
        load_text(directory, yaml.safe_dump(dict(data), sort_keys=False), machine=machine)
    except ConfigError as error:
        return [problem.path for problem in error.problems]
    return []


def is_within(path: str, whole: DataPath) -> bool:
    return path == render(whole) or path.startswith((render(whole) + ".", render(whole) + "["))


BARE = Machine(engines={}, ffmpeg=None)
PATHS = [*fields(SOUND)]


def test_what_the_others_are_made_of_is_sound(tmp_path: Path) -> None:
    assert told(tmp_path, SOUND) == []


@pytest.mark.parametrize("machine", [None, SRS, BARE], ids=["unknown", "with all", "bare"])
@pytest.mark.parametrize("path", PATHS, ids=render)
def test_of_a_wrong_value_nothing_is_told_but_that(
    tmp_path: Path, path: DataPath, machine: Machine | None
) -> None:
    errors = told(tmp_path, spoilt(SOUND, path), machine)
    assert [error for error in errors if is_within(error, path)]
    lacking = told(tmp_path, SOUND, machine)  # on this machine
    assert {each for each in errors if not is_within(each, path)} <= {*lacking}


@pytest.mark.parametrize(
    "path", [path for path in PATHS if str(path[-1]) in shape.fields_at(path[:-1])], ids=render
)
def test_of_a_name_with_a_slip_nothing_is_told_but_that(tmp_path: Path, path: DataPath) -> None:
    name = f"{path[-1]}x"
    if Suggestions().nearest_name(name, shape.fields_at(path[:-1])) != path[-1]:
        pytest.skip("the slip is as near to another name")
    lacking = render(path[:-1])  # a field that has to be there is told to be missing, too
    errors = told(tmp_path, renamed(SOUND, path, name))
    assert set(errors) - {lacking} == {render((*path[:-1], name))}


# A wrong value of each, and where that is told; what it follows from beside itself.
CROSS_REFERENCES: tuple[tuple[DataPath, Any, str, tuple[str, ...]], ...] = (
    (("daemon", "status_certificate"), "nothing", "daemon.status_certificate", ()),
    (("servers", "main", "certificate"), "nothing", "servers.main.certificate", ()),
    (("servers", "main", "listen", "https"), 8080, "servers.main.listen.https", ("http",)),
    (("servers", "edge", "listen", "rtmp"), 1935, "servers.edge.listen.rtmp", ()),
    (("streams", "a", "keys"), ["studio", "studo"], "streams.a.keys[1]", ()),
    (("streams", "b", "server"), "nothing", "streams.b.server", ("fallback",)),
    (("streams", "c", "server"), "nothing", "streams.c.server", ("source",)),
    (("targets", "one", "stream"), "nothing", "targets.one.stream", ()),
    (("targets", "own", "streams"), ["rooms/*", "x/*"], "targets.own.streams[1]", ()),
    (("targets", "two", "key"), "k1", "targets.two.url", ("stream", "platform", "enabled")),
    (("transcodes", "small", "to"), "a", "transcodes.small.to", ()),
    (("transcodes", "mute", "stream"), "nothing", "transcodes.mute.stream", ()),
    (("recordings", "all", "upload"), "nothing", "recordings.all.upload", ()),
    (
        ("recordings", "other", "directory"),
        "/srv/x/{time}",
        "recordings.other.name",
        ("name", "streams"),
    ),
    (("recordings", "served", "streams"), ["nothing"], "recordings.served.streams[0]", ()),
)


def is_required(path: DataPath) -> bool:
    model = shape.model_of(shape.spot(path[:-1]).annotation)
    fields = {} if model is None else {name: field for name, _, field in written_fields(model)}
    return path[-1] in fields and fields[str(path[-1])].is_required()


def is_apart(path: DataPath, other: DataPath) -> bool:
    shared = min(len(path), len(other))
    return path[:shared] != other[:shared]


@tmp_path_is_reused
@given(st.data())
def test_a_wrong_reference_and_any_other_mistake_in_the_object_are_told(
    tmp_path: Path, data: st.DataObject
) -> None:
    place, value, error, follows_from = data.draw(st.sampled_from(CROSS_REFERENCES))
    whole = changed(SOUND, place, value)
    before = told(tmp_path, whole)
    assert error in before
    thing = place[:1] if place[0] == "daemon" else place[:2]
    apart = [
        path
        for path in PATHS
        if path[: len(thing)] == thing
        and len(path) > len(thing)
        and is_apart(path, place)
        and not is_required(path)
        and not set(path) & set(follows_from)
    ]
    path = data.draw(st.sampled_from([*apart, (*thing, "nonsense")]))
    errors = told(tmp_path, spoilt(whole, path))
    assert error in errors
    others = [each for each in errors if is_within(each, path)]
    assert others
    assert {*errors} <= {*before, *others}


def test_what_is_left_out_of_a_list_moves_nothing() -> None:
    left_out = LeftOut(frozenset({("a", 0), ("a", 2), ("a", 3), ("b", "c")}))
    data = {"a": ["0", "1", "2", "3", "4", "5"], "b": {"c": 1, "d": 2}, "e": [1]}
    assert left_out.without(data) == {"a": ["1", "4", "5"], "b": {"d": 2}, "e": [1]}
    places = [left_out.as_written(("a", position)) for position in range(3)]
    assert places == [("a", 1), ("a", 4), ("a", 5)]
    assert left_out.as_written(("e", 0)) == ("e", 0)


def test_an_object_without_what_it_has_to_have_is_left_out_whole(tmp_path: Path) -> None:
    text = "version: 1\nstreams: {a: {keys: any}}\ncallbacks: {c: {url: [], on_error: refuse}}\n"
    assert problems_of(tmp_path, text) == [
        "config.yaml:3:13: callbacks.c: `events` is missing; add it. What it is told. With "
        "`on_publish` it is asked before a publisher is let in.",
        "config.yaml:3:22: callbacks.c.url: is a list; write address",
    ]
