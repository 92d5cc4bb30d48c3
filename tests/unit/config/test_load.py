"""A file's way in: what is read, merged, hashed, kept and refused."""

import gc
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamd.config.files import MAX_FILE_BYTES
from streamd.config.load import load, restore
from streamd.config.models import NAMED_SECTIONS
from streamd.desire import desire
from streamd.errors import ConfigError, Problem
from tests.unit.config.loading import NOW, SRS, load_text, problems_of, write

FULL = """\
version: 1
keys:
  studio: {secret: "${env:STUDIO}"}
streams:
  a: {keys: [studio]}
  rooms/*: {keys: any}
targets:
  one: {stream: a, url: "rtmp://h/app", key: "${file:one.key}"}
"""

tmp_path_is_reused = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

SECTIONS = ", ".join(NAMED_SECTIONS)


def test_references_are_resolved_and_known(tmp_path: Path) -> None:
    (tmp_path / "one.key").write_text("k-one\n")
    loaded = load_text(tmp_path, FULL, environment={"STUDIO": "0123456789abcdef"})
    secret = loaded.config.keys["studio"].secret
    assert secret is not None
    assert secret.get_secret_value() == "0123456789abcdef"
    assert loaded.secrets == {"0123456789abcdef", "k-one", "rtmp://h/app"}
    assert loaded.files == {tmp_path / "config.yaml", tmp_path / "one.key"}
    assert loaded.directories == frozenset()
    assert "0123456789abcdef" not in repr(loaded)
    assert "k-one" not in repr(loaded)


def test_everything_that_was_asked_is_known_of_a_refused_file_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, "include: [conf.d/*.yaml, x.yaml]\n" + FULL)
    names = ("config.yaml", "one.key", "x.yaml")
    assert caught.value.files == {tmp_path / name for name in names}
    assert caught.value.directories == {tmp_path / "conf.d"}


def test_a_relative_path_is_watched_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"config.yaml": "version: 1\ninclude: [c/*.yaml]\n", "c/x.yaml": "keys: {}"})
    monkeypatch.chdir(tmp_path)
    loaded = load(Path("config.yaml"), environment={})
    assert loaded.files == {tmp_path / "config.yaml", tmp_path / "c" / "x.yaml"}
    assert loaded.directories == {tmp_path / "c"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "config.yaml: does not exist; create it or correct the path"),
        ("directory", "config.yaml: is a directory; name a file"),
        ("fifo", "config.yaml: is not a regular file; name one"),
        ("loop", "config.yaml: is a link that leads to itself; correct it"),
        ("huge", f"config.yaml: is larger than {MAX_FILE_BYTES // 1024} KiB; make it smaller"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    tmp_path: Path, content: str | None, line: str
) -> None:
    path = tmp_path / "config.yaml"
    if content == "directory":
        path.mkdir()
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "loop":
        path.symlink_to("config.yaml")
    elif content == "huge":
        with path.open("wb") as file:
            file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError) as caught:
        load(path, environment={})
    assert str(caught.value) == f"{tmp_path}/{line}"
    assert caught.value.files == {path}


def test_included_files_are_merged_by_name(tmp_path: Path) -> None:
    loaded = load_text(
        tmp_path,
        "version: 1\ninclude: [conf.d/*.yaml, more.yaml]\nstreams: {a: {keys: any}}\n",
        others={
            "conf.d/1.yaml": "version: 1\nstreams: {b: {keys: any}}\nkeys:\n",
            "conf.d/2.yaml": "# all of it is commented out\n",
            "conf.d/3.txt": "no: [yaml",
            "conf.d/4.yaml": "",
            "conf.d/5.yaml": "\ufeff\n  \n",
            "more.yaml": "targets: {t: {stream: b, url: 'rtmp://h/a/k'}}\n",
        },
    )
    assert list(loaded.config.streams) == ["a", "b"]
    assert list(loaded.config.targets) == ["t"]
    assert loaded.directories == {tmp_path / "conf.d"}


@pytest.mark.parametrize(
    ("text", "others", "lines"),
    [
        (
            "streams: {a: {keys: any}}\n",
            {
                "conf.d/1.yaml": "streams:\n  a: {keys: any}\n  b: {keys: any}\n",
                "conf.d/2.yaml": "streams: {b: {keys: any}}\n",
            },
            [
                "conf.d/1.yaml:2:3: streams.a: is here twice, first at config.yaml:3:11; remove "
                "or rename one",
                "conf.d/2.yaml:1:11: streams.b: is here twice, first at conf.d/1.yaml:3:3; "
                "remove or rename one",
            ],
        ),
        (
            "",
            {"conf.d/1.yaml": "version: 2\ninclude: []\ndaemon: {}\nffmpeg: /x\nkyes: {}\nx: 1\n"},
            [
                "conf.d/1.yaml:1:10: version: differs from that of the including file; remove it "
                "here",
                "conf.d/1.yaml:2:1: include: cannot stand in an included file; name the files in "
                "the first one",
                f"conf.d/1.yaml:3:1: daemon: cannot stand in an included file, only {SECTIONS}; "
                "move it",
                f"conf.d/1.yaml:4:1: ffmpeg: cannot stand in an included file, only {SECTIONS}; "
                "move it",
                "conf.d/1.yaml:5:1: kyes: is not a field here; did you mean keys?",
                f"conf.d/1.yaml:6:1: x: is not a field here; there are {SECTIONS}",
            ],
        ),
        (
            "keys: {a: 5}\n",
            {
                "conf.d/1.yaml": "keys: [a]\n",
                "conf.d/2.yaml": "a: [\n",
                "conf.d/4.yaml": b"\xff",
                "conf.d/5.yaml": "- a\n",
            },
            [
                "conf.d/1.yaml:1:7: keys: is not a mapping; write indented `name: value` lines",
                "conf.d/2.yaml:1:4: the `[` that opens here is not closed properly; check `,` "
                "and `]`, and quote text that holds brackets",
                "conf.d/4.yaml:1:1: is not UTF-8 text; save the file as UTF-8",
                "conf.d/5.yaml:1:1: is not a mapping; write `name: value` lines",
                "config.yaml:3:11: keys.a: is a number; write a mapping, as indented lines of "
                "`name: value`",
            ],
        ),
        (
            "",
            {"conf.d/1.yaml": 'streams: {a: {keys: [b], x: 1}}\nkeys: {c: {secret: "${env:C}"}}\n'},
            [
                "conf.d/1.yaml:1:22: streams.a.keys[0]: there is no key b; add it under `keys`",
                "conf.d/1.yaml:1:26: streams.a.x: is not a field here; there are keys, "
                "key_in_name, source, fallback, server",
                "conf.d/1.yaml:2:20: keys.c.secret: the environment variable C is not set; set "
                "it where streamd is started",
            ],
        ),
    ],
)
def test_what_is_wrong_in_included_files_is_told_with_its_line(
    tmp_path: Path, text: str, others: dict[str, Any], lines: list[str]
) -> None:
    text = "version: 1\ninclude: [conf.d/*.yaml]\n" + text
    assert problems_of(tmp_path, text, others=others) == lines


def test_an_included_file_by_name_has_to_exist(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "version: 1\ninclude:\n  - a.yaml\n  - '*.b'\n") == [
        "config.yaml:3:5: include[0]: a.yaml does not exist; create it or correct the path"
    ]


def test_a_pattern_that_cannot_be_looked_up_is_told(tmp_path: Path) -> None:
    assert problems_of(tmp_path, 'version: 1\ninclude: ["a\\0*", 5, [a]]\n') == [
        "config.yaml:2:11: include[0]: has a NUL in its path; correct it",
        "config.yaml:2:19: include[1]: 5 does not exist; create it or correct the path",
        "config.yaml:2:22: include[2]: is a list; write text",
    ]


def test_a_section_that_is_none_takes_nothing_from_included_files(tmp_path: Path) -> None:
    text = "version: 1\ninclude: [a.yaml]\nstreams: [a]\n"
    assert problems_of(tmp_path, text, others={"a.yaml": "streams: {a: {keys: any}}\n"}) == [
        "config.yaml:3:10: streams: is a list; write a mapping, as indented lines of `name: value`"
    ]


def test_a_file_is_read_once(tmp_path: Path) -> None:
    a = "streams: {a: {keys: any}}\n"
    assert (
        problems_of(tmp_path, "version: 1\ninclude: ['*.yaml', '?.yaml']\n", others={"a.yaml": a})
        == []
    )
    text = "version: 1\ninclude: ['*.yaml', config.yaml, a.yaml]\n"
    assert problems_of(tmp_path, text, others={"a.yaml": a}) == [
        f"config.yaml:2:{column}: include[{position}]: is read already; remove it"
        for position, column in ((1, 21), (2, 34))
    ]


def test_a_secret_file_is_looked_for_beside_the_file_that_names_it(tmp_path: Path) -> None:
    loaded = load_text(
        tmp_path,
        "version: 1\ninclude: [conf.d/*.yaml]\nstreams: {a: {keys: [k]}}\n",
        others={
            "conf.d/k.yaml": 'keys: {k: {secret: "${file:k.key}"}}\n',
            "conf.d/k.key": "0123456789",
        },
    )
    assert "0123456789" in loaded.secrets


def test_a_file_is_read_as_if_it_stood_elsewhere(tmp_path: Path) -> None:
    temporary = write(tmp_path / "tmp", {"config.yaml": "version: 1\ninclude: ['*.yaml', x/k]\n"})
    there = write(
        tmp_path / "etc",
        {
            "config.yaml": "what: [was there before",
            "a.yaml": "streams: {a: {keys: [k]}}",
            "x/k": 'keys: {k: {secret: "${file:key}"}}',
            "x/key": "0123456789",
        },
    )
    loaded = load(temporary, environment={}, as_path=there)
    assert list(loaded.config.streams) == ["a"]
    temporary.write_text("version: 1\nx: 1\n")
    with pytest.raises(ConfigError) as caught:
        load(temporary, environment={}, as_path=there)
    assert str(caught.value).startswith(f"{there}:2:1: x: ")


def test_a_config_map_is_read_through_its_links(tmp_path: Path) -> None:
    write(tmp_path / "..1", {"config.yaml": "version: 1\ninclude: ['*.yaml']\n", "a.yaml": "keys:"})
    (tmp_path / "..data").symlink_to("..1")
    for name in ("config.yaml", "a.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    loaded = load(tmp_path / "config.yaml", environment={})
    assert loaded.files == {tmp_path / "config.yaml", tmp_path / "a.yaml"}


@pytest.mark.parametrize("written", ["0123", "1_000", "1e3", "0x1F", "true", "1.50", "'7'"])
def test_text_is_what_is_written_even_if_it_looks_like_a_number(
    tmp_path: Path, written: str
) -> None:
    loaded = load_text(
        tmp_path,
        f"version: 1\nstreams: {{a: {{keys: any}}}}\n"
        f"targets: {{t: {{stream: a, platform: youtube, key: {written}}}}}\n",
    )
    key = loaded.config.targets["t"].key
    assert key is not None
    assert key.get_secret_value() == written.strip("'")
    assert restore(loaded.data, "last-good.json") == loaded.config


@pytest.mark.parametrize(
    "same",
    [
        "# comment\nstreams: {b: {keys: any}, a: {keys: [k]}}\nversion: 1\n"
        "keys: {k: {secret: '0123456789'}}\n",
        "version: 1\r\nstreams:\r\n  a:\r\n    keys: [k]\r\n  b:\r\n    keys: 'any'\r\n"
        "keys:\r\n  k:\r\n    secret: ${env:K}\r\n",
        'version: 1\nkeys: {k: {secret: "0123456789"}}\nstreams: {"a": {"keys": ["k"]}, '
        '"b": {"keys": "any"}}\ntargets:\n',
        "version: 0x1\ninclude: ['*.none']\nkeys: {k: {secret: '0123456789'}}\n"
        "streams: {a: {keys: [k]}, b: {keys: any}}\n",
    ],
)
def test_the_hash_is_of_the_meaning(tmp_path: Path, same: str) -> None:
    text = (
        "version: 1\nkeys: {k: {secret: '0123456789'}}\nstreams: {a: {keys: [k]}, b: {keys: any}}\n"
    )
    expected = load_text(tmp_path, text).hash
    assert load_text(tmp_path, same, environment={"K": "0123456789"}).hash == expected
    assert load_text(tmp_path, text.replace("0123456789", "0123456788")).hash != expected
    assert load_text(tmp_path, text.replace("b:", "c:")).hash != expected


def test_a_changed_secret_file_changes_the_hash(tmp_path: Path) -> None:
    text = "version: 1\nstreams: {a: {keys: [k]}}\nkeys: {k: {secret: '${file:k}'}}\n"
    first = load_text(tmp_path, text, others={"k": "0123456789"}).hash
    assert load_text(tmp_path, text, others={"k": "0123456789\n"}).hash == first
    assert load_text(tmp_path, text, others={"k": "0123456788"}).hash != first


NAMES = st.from_regex("[a-z]{1,3}", fullmatch=True)
OBJECTS = st.fixed_dictionaries(
    {
        "streams": st.dictionaries(NAMES, st.just({"keys": "any"}), min_size=1, max_size=5),
        "keys": st.dictionaries(NAMES, st.just({"secret": "0123456789"}), max_size=4),
        "targets": st.dictionaries(
            NAMES, st.just({"streams": ["*"], "url": "rtmp://h/a/{stream}"}), max_size=1
        ),
    }
)


@tmp_path_is_reused
@given(OBJECTS, st.randoms(use_true_random=False))
def test_how_objects_are_spread_over_files_means_nothing(
    tmp_path: Path, objects: dict[str, dict[str, Any]], random: Any
) -> None:
    parts: list[dict[str, dict[str, Any]]] = [{}, {}, {}]
    for section, named in objects.items():
        for name, content in named.items():
            random.choice(parts).setdefault(section, {})[name] = content
    whole = {"version": 1, **objects}
    main = {"version": 1, "include": ["b.yaml", "conf.d/*"], **parts[0]}
    one = load_text(tmp_path, yaml.safe_dump(whole))
    several = load_text(
        tmp_path,
        yaml.safe_dump(main),
        others={"b.yaml": yaml.safe_dump(parts[1]), "conf.d/c": yaml.safe_dump(parts[2])},
    )
    assert several.hash == one.hash
    assert several.config.model_copy(update={"include": ()}) == one.config


@tmp_path_is_reused
@given(OBJECTS)
def test_what_is_kept_can_be_restored(tmp_path: Path, objects: dict[str, Any]) -> None:
    loaded = load_text(tmp_path, yaml.safe_dump({"version": 1, **objects}))
    kept = json.loads(json.dumps(loaded.data))
    assert restore(kept, "last-good.json") == loaded.config


def test_nothing_in_what_is_kept_is_taken_for_a_reference(tmp_path: Path) -> None:
    text = "version: 1\nstreams: {a: {keys: [k]}}\nkeys: {k: {secret: 'x$${env:HOME}'}}\n"
    loaded = load_text(tmp_path, text)
    secret = restore(loaded.data, "last-good.json").keys["k"].secret
    assert secret is not None
    assert secret.get_secret_value() == "x${env:HOME}"


def test_what_cannot_be_restored_says_where_and_no_more() -> None:
    with pytest.raises(ConfigError) as caught:
        restore({"version": 1, "keys": {"k": {"secret": 5}}, "new": {}}, "last-good.json")
    assert str(caught.value).splitlines() == [
        "last-good.json: keys.k.secret: is a number, and text is needed; put it in quotes",
        "last-good.json: new: is not a field here; there are version, include, ffmpeg, daemon, "
        f"{SECTIONS}",
    ]


def test_a_place_is_found_long_after(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, "version: 1\nservers:\n  main:\n    host: h\n")
    problem = loaded.source.error(("servers", "main"), "was refused by its own test")
    assert str(problem) == (
        f"{tmp_path}/config.yaml:3:3: servers.main: was refused by its own test"
    )


def test_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    assert gc.isenabled()
    load_text(tmp_path, "version: 1\n")
    assert gc.isenabled()
    problems_of(tmp_path, "version: 2\n")
    assert gc.isenabled()


def test_what_is_loaded_can_be_desired(tmp_path: Path) -> None:
    loaded = load_text(
        tmp_path, FULL, environment={"STUDIO": "0123456789"}, others={"one.key": "k"}
    )
    desired = desire(loaded.config, SRS)
    assert desired.targets["one"].urls == ("rtmp://h/app/k",)
    assert desired.rules["live/a"].keys == frozenset({"studio"})


# A file that is anything at all.

FRAGMENTS = st.sampled_from(
    (
        r"version: 1\n|keys:|streams:|targets: |servers:|daemon: |include: [|'*.yaml'|{|}|[|]|\n|"
        r"\n  |\n    |: |- |a|*|&a |*a|<<: |\"|'|${env:A}|${file:x}|${|$${|secret: |keys: any|"
        r"stream: a|url: rtmp://localhost/live/a|!!int |>\n|#|\t|\r\n|\u00e9|\U0001f600|\u2028|~|"
        r"0123456789|---\n|...|%YAML 1.1\n|? |listen: {rtmp: 1935}|platform: x"
    )
    .encode("ascii")
    .decode("unicode_escape")
    .split("|")
)


def check_anything(directory: Path, raw: bytes) -> None:
    path = write(directory, {"config.yaml": raw})
    problems: tuple[Problem, ...]
    try:
        problems = load(path, environment={"A": "value-of-a"}, machine=SRS, now=NOW).warnings
    except ConfigError as error:
        problems = error.problems or (Problem("no problem", 0, 0, "", ""),)
    lines = raw.decode("utf-8-sig", "replace").split("\n")
    for problem in problems:
        assert problem.file == str(path)
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.message
        assert "value-of-a" not in str(problem)


@tmp_path_is_reused
@given(st.lists(FRAGMENTS, max_size=25).map("".join))
def test_any_text_is_loaded_or_refused_with_its_lines(tmp_path: Path, text: str) -> None:
    check_anything(tmp_path, text.encode())


@tmp_path_is_reused
@given(st.lists(FRAGMENTS, max_size=25).map(lambda parts: "version: 1\n" + "".join(parts)))
def test_any_text_behind_a_version_is_too(tmp_path: Path, text: str) -> None:
    check_anything(tmp_path, text.encode())


@tmp_path_is_reused
@given(st.binary(max_size=200))
def test_any_bytes_are_too(tmp_path: Path, raw: bytes) -> None:
    check_anything(tmp_path, raw)


FIELDS = (
    "version include servers keys streams targets daemon a b listen hls rtmp secret url key "
    "stream platform status hooks ffmpeg x"
)
WORDS = ["any", "1s", "rtmp://localhost/live/a", "a", "${env:A}", "srs"]
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("a*/${}:é ", max_size=8)
    | st.sampled_from(WORDS),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS.split()), below, max_size=4)
    ),
    max_leaves=25,
)


@tmp_path_is_reused
@given(
    st.dictionaries(
        st.sampled_from(FIELDS.split()),
        DATA | st.dictionaries(st.sampled_from(["a", "b", "live/a", "r/*"]), DATA, max_size=3),
    )
)
def test_any_data_is_loaded_or_refused_with_its_lines(tmp_path: Path, data: dict[str, Any]) -> None:
    text = yaml.safe_dump({"version": 1, **data}, allow_unicode=True)
    check_anything(tmp_path, text.encode())
