"""Loops of targets, and what only looks like one."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd import names
from streamd.config.addresses import fill
from streamd.config.cycles import Feed, loops
from tests.unit.config.loading import problems_of


def feed(name: str, reads: str, published: str) -> Feed:
    return Feed((name,), tuple(reads.split()), published)


def found(*feeds: Feed) -> list[list[str]]:
    return [[str(member.path[0]) for member in loop] for loop in loops(feeds)]


@pytest.mark.parametrize(
    ("feeds", "expected"),
    [
        ([("a", "live/x", "live/x")], [["a"]]),
        ([("a", "live/x", "live/y")], []),
        ([("a", "live/*", "live/{stream}")], [["a"]]),
        ([("a", "live/*", "copy/{stream}")], []),
        ([("a", "*/*", "copy/{stream}")], [["a"]]),
        ([("a", "*/*", "{app}/{stream}")], [["a"]]),
        # A name that grows until no server takes it.
        ([("a", "live/*", "live/{stream}-2")], [["a"]]),
        ([("a", "live/a*", "live/b{stream}")], []),
        ([("a", "live/x live/y", "live/y")], [["a"]]),
        ([("a", "live/x", "live/y"), ("b", "live/y", "live/x")], [["a", "b"]]),
        ([("a", "live/x", "live/y"), ("b", "live/y", "live/z")], []),
        # Only `mid/x` goes on, and what becomes of it does not come back.
        ([("a", "live/*", "mid/{stream}"), ("b", "mid/x", "live/y")], []),
        ([("a", "live/*", "mid/{stream}"), ("b", "mid/x", "live/x")], [["a", "b"]]),
        # What leads into a loop is no part of it.
        ([("a", "live/x", "live/y"), ("b", "live/y", "live/y")], [["b"]]),
        ([("a", "live/x", "live/b1"), ("b", "live/b*", "live/b{stream}")], [["b"]]),
        # Two loops through different targets.
        (
            [
                ("a", "live/x", "live/y"),
                ("b", "live/y", "live/x"),
                ("c", "live/p", "live/q"),
                ("d", "live/q", "live/p"),
            ],
            [["a", "b"], ["c", "d"]],
        ),
        # Many that feed themselves are each told of.
        ([(str(n), "*/*", f"copy{n}/{{stream}}") for n in range(3)], [["0"], ["1"], ["2"]]),
    ],
)
def test_a_loop_is_found_with_its_members(
    feeds: list[tuple[str, str, str]], expected: list[list[str]]
) -> None:
    assert found(*(feed(*parts) for parts in feeds)) == expected


def test_a_long_chain_is_followed_to_its_end() -> None:
    feeds = [feed(str(n), f"live/{n}", f"live/{n + 1}") for n in range(5000)]
    assert found(*feeds) == []
    (loop,) = found(*feeds, feed("back", "live/5000", "live/0"))
    assert len(loop) == 5001


def test_names_that_multiply_do_not_hold_it_up() -> None:
    feeds = [
        feed(f"{step}{way}", f"l{step}/*", f"l{step + 1}/{{stream}}{way}")
        for step in range(60)
        for way in "ab"
    ]
    assert found(*feeds) == []


NAMES = st.sampled_from(["live/a", "live/b", "live/c", "mid/a", "mid/b"])
READS = NAMES | st.sampled_from(["live/*", "mid/*", "*/a"])
FEEDS = st.lists(
    st.tuples(READS, NAMES | st.sampled_from(["mid/{stream}", "live/{stream}"])), max_size=6
)


@given(FEEDS)
def test_without_the_loops_found_no_stream_comes_back(feeds: list[tuple[str, str]]) -> None:
    made = [Feed((number,), (reads,), published) for number, (reads, published) in enumerate(feeds)]
    in_loop = {member.path for loop in loops(made) for member in loop}
    assert not _come_back([item for item in made if item.path not in in_loop])


@given(FEEDS)
def test_through_each_loop_found_a_stream_comes_back(feeds: list[tuple[str, str]]) -> None:
    made = [Feed((number,), (reads,), published) for number, (reads, published) in enumerate(feeds)]
    for loop in loops(made):
        assert _come_back(loop)


# With these feeds no other names come up.
STREAMS = [f"{app}/{name}" for app in ("live", "mid") for name in "abc"]


def _come_back(feeds: Sequence[Feed]) -> set[str]:
    steps = {
        stream: {
            fill(item.published, stream) for item in feeds if names.matches(item.reads[0], stream)
        }
        for stream in STREAMS
    }
    return {stream for stream in STREAMS if stream in _reachable(steps, stream)}


def _reachable(steps: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    pending = list(steps[start])
    while pending:
        stream = pending.pop()
        if stream not in seen:
            seen.add(stream)
            pending += steps[stream]
    return seen


# Loops through every kind of thing that makes one stream of another, as a file says them.

FILE = """\
version: 1
streams:
  a: {keys: any}
  shown: {keys: any, fallback: /srv/s.mp4}
  pulled: {source: {url: 'rtmp://localhost/live/PULLED', backup_url: 'BACKUP'}}
targets:
  t: {stream: SENT, url: 'rtmp://localhost/TO'}
transcodes:
  p: {stream: READ, to: made, video: {bitrate: 1M}, enabled: ON}
"""
FAR = {
    "PULLED": "far",
    "BACKUP": "rtsp://h/x",
    "SENT": "a",
    "TO": "other/a",
    "READ": "a",
    "ON": "true",
}


def said_of(directory: Path, **changes: str) -> list[str]:
    text = FILE
    for name, value in {**FAR, **changes}.items():
        text = text.replace(name, value)
    return problems_of(directory, text, machine=None)


def test_without_a_way_back_nothing_is_said(tmp_path: Path) -> None:
    assert said_of(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "place", "way"),
    [
        (
            {"READ": "a", "SENT": "made", "TO": "live/a"},
            "config.yaml:7:26: targets.t.url",
            "targets.t -> transcodes.p -> targets.t",
        ),
        (
            {"SENT": "shown", "TO": "in/shown"},
            "config.yaml:7:27: targets.t.url",
            "targets.t -> streams.shown -> targets.t",
        ),
        (
            {"READ": "shown", "SENT": "made", "TO": "in/shown"},
            "config.yaml:7:26: targets.t.url",
            "targets.t -> streams.shown -> transcodes.p -> targets.t",
        ),
        (
            {"PULLED": "pulled"},
            "config.yaml:5:26: streams.pulled.source.url",
            "streams.pulled -> streams.pulled",
        ),
        (
            {"PULLED": "made", "READ": "pulled"},
            "config.yaml:9:27: transcodes.p.to",
            "transcodes.p -> streams.pulled -> transcodes.p",
        ),
        (
            {"PULLED": "made", "READ": "shown", "SENT": "pulled", "TO": "in/shown"},
            "config.yaml:7:28: targets.t.url",
            "targets.t -> streams.shown -> transcodes.p -> streams.pulled -> targets.t",
        ),
        # By another address of the same server, and by the backup.
        (
            {"BACKUP": "http://127.0.0.1:8080/live/made.flv", "READ": "pulled"},
            "config.yaml:9:27: transcodes.p.to",
            "transcodes.p -> streams.pulled -> transcodes.p",
        ),
        (
            {
                "BACKUP": "srt://localhost:10080?streamid=#!::r=live/made,m=request",
                "READ": "pulled",
            },
            "config.yaml:9:27: transcodes.p.to",
            "transcodes.p -> streams.pulled -> transcodes.p",
        ),
    ],
)
def test_a_loop_through_several_sections_is_named_whole(
    tmp_path: Path, changes: dict[str, str], place: str, way: str
) -> None:
    assert said_of(tmp_path, **changes) == [
        f"{place}: feeds itself without end: {way}; let one of them publish another stream, or "
        "elsewhere"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        # What is disabled feeds nothing.
        {"ON": "false", "SENT": "made", "TO": "live/a"},
        # What comes to the name that people watch is refused, and goes nowhere.
        {"SENT": "a", "TO": "live/shown", "READ": "shown"},
        {"PULLED": "made", "READ": "a"},
        {"BACKUP": "http://127.0.0.1:8081/live/made.flv", "READ": "pulled"},
    ],
)
def test_what_only_looks_like_a_loop_is_none(tmp_path: Path, changes: dict[str, str]) -> None:
    assert said_of(tmp_path, **changes) == []
