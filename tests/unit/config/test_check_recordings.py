"""Checks of `recordings` and `storages`: what is said of them, with the line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.config.check_recordings import name_fault
from tests.unit.config.loading import SRS, load_text, problems_of

HEAD = (
    "version: 1\nstreams: {a: {keys: any}, rooms/*: {keys: any}}\n"
    "storages: {cloud: {url: 's3://bucket/prefix'}}\nrecordings:\n"
)
UPLOADED = "  up: {streams: [a], name: 'up/{uuid}', upload: cloud}\n"


def said(directory: Path, *lines: str) -> list[str]:
    return problems_of(directory, HEAD + UPLOADED + "".join(f"  {line}\n" for line in lines))


def test_every_field_may_be_left_out_but_the_streams(tmp_path: Path) -> None:
    assert said(tmp_path, "r: {streams: ['*'], name: 'all/{stream}-{time}'}") == []
    assert said(tmp_path, "r: {}") == [
        "config.yaml:6:3: recordings.r: `streams` is missing; add it. Streams or patterns; each is "
        "recorded while it is live."
    ]


def test_everything_that_can_be_written_is_taken(tmp_path: Path) -> None:
    text = (
        f"  r: {{streams: [a, 'rooms/*'], directory: '{tmp_path}/{{app}}', "
        "name: '{date}/{stream}/{time}', format: both, split: 1h, resume: 30s, "
        "keep: {for: 30d, size: 200GB, free: 10%}, upload: {to: cloud, when: segment}, "
        "serve: true, url: 'https://cdn.example.com/rec'}\n"
    )
    loaded = load_text(tmp_path, HEAD + text)
    assert loaded.warnings == ()
    found = loaded.config.recordings["r"]
    assert found.keep.for_ is not None
    assert (found.keep.for_.days, found.keep.size, found.keep.free) == (30, 200 * 10**9, 0.1)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("streams: []", "r.streams: is empty; name a stream or a pattern"),
        ("streams: [b]", "r.streams[0]: nothing under `streams` lets b be published"),
        ("streams: [a, 'in/a']", "r.streams[1]: nothing under `streams` lets in/a be published"),
        ("streams: [a], directory: rec", "r.directory: 'rec' is not an absolute path"),
        ("streams: [a], directory: '/{app}/x'", "r.directory: has no directory before its first"),
        ("streams: [a], directory: /", "r.directory: has no directory before its first token"),
        ("streams: [a], directory: /srv/../x", "r.directory: has a control character or `..`"),
        ("streams: [a], directory: '/srv/{ap}'", "is not known; did you mean app?; there are"),
        ("streams: [a], name: '../{uuid}'", "r.name: is not below `directory`"),
        ("streams: [a], name: '/{uuid}'", "r.name: is not below `directory`"),
        ("streams: [a], name: 'a//{uuid}'", "r.name: is not below `directory`"),
        ("streams: [a], name: '.spool/{uuid}'", "r.name: has a part that begins with a dot"),
        ('streams: [a], name: "a\\0{uuid}"', "r.name: holds a control character"),
        ("streams: [a], name: 'a{{uuid}'", "r.name: has a `{` or `}` without its other half"),
        ("streams: [a], name: '{stream}'", "r.name: is the same for one recording and the next"),
        ("streams: ['*'], name: '{time}'", "r.name: is the same for several streams"),
        (f"streams: [a], name: '{'x' * 201}{{uuid}}'", "r.name: has a part that is too long"),
        ("streams: [a], split: 5s", "r.split: is shorter than one segment"),
        ("streams: [a], keep: {free: 0%}", "r.keep.free: has no meaning: the disk could fill up"),
        ("streams: [a], keep: {free: 100%}", "r.keep.free: has no meaning: nothing could be rec"),
        ("streams: [a], keep: {for: 0s}", "r.keep.for: keeps nothing"),
        ("streams: [a], keep: {size: 0MB}", "r.keep.size: keeps nothing"),
        ("streams: [a], keep: {size: 10}", "r.keep.size: '10' is not a size; write for example"),
        ("streams: [a], keep: {fore: 1d}", "r.keep.fore: is not a field here; did you mean for?"),
        ("streams: [a], keep: {for_: 1d}", "r.keep.for_: is not a field here; did you mean for?"),
        ("streams: [a], upload: clod", "r.upload: there is no storage clod; did you mean cloud?"),
        ("streams: [a], upload: {to: x}", "r.upload.to: there is no storage x; add it under"),
        ("streams: [a], upload: {when: segment}", "r.upload: `to` is missing; add it"),
        ("streams: [a], upload: {to: cloud, wen: x}", "r.upload.wen: is not a field here; did"),
        ("streams: [a], upload: {to: cloud, when: now}", "r.upload.when: 'now' is not known here"),
        ("streams: [a], upload: 5", "r.upload: is a number; write a mapping"),
        ("streams: [a], keep_local: false", "r.keep_local: has no meaning without `upload`"),
        (
            "streams: [a], upload: cloud, keep_local: false, serve: true",
            "r.serve: serves what is here, and `keep_local: false` deletes it",
        ),
        (
            "streams: [a], serve: true, name: 'ä/{uuid}'",
            "r.name: has a character that cannot stand",
        ),
        (
            "streams: [a], serve: true, directory: '/srv/a b/{app} c'",
            "r.directory: has a character that cannot stand in an address",
        ),
        ("streams: [a], url: cdn.example.com", "r.url: 'cdn.example.com' is not a web address"),
        ("streams: [a], url: 'https://u:p@h/'", "r.url: is not a web address; write for example"),
        ("streams: [a], url: 'https://u:p/secret@h/'", "r.url: has an @ behind its host"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, fields: str, problem: str) -> None:
    (line,) = said(tmp_path, f"r: {{{fields}}}")
    assert line.startswith("config.yaml:6:")
    assert problem in line


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        ("name: '{stream}/{time}'", "name: '{stream}/{time}'", True),
        ("name: '{stream}/{time}'", "name: '{date}/{time}'", True),
        ("name: 'a/{time}'", "name: 'b/{time}'", False),
        ("name: '{stream}/{time}'", "name: '{stream}/{time}/{date}'", True),
        ("name: '{stream}/{uuid}'", "name: '{stream}/{time}'", False),
        ("name: '{stream}/{time}'", "name: '{stream}/{time}', directory: DIR", False),
        ("name: '{time}', directory: DIR", "name: '{time}', directory: 'DIR/{stream}'", True),
        ("name: '{time}', directory: DIR", "name: '{date}-{time}', directory: DIR", True),
        ("name: 'x-{time}', directory: DIR", "name: 'y-{time}', directory: DIR", False),
    ],
)
def test_two_rules_that_can_meet_are_refused(
    tmp_path: Path, one: str, other: str, collide: bool
) -> None:
    one, other = (fields.replace("DIR", str(tmp_path)) for fields in (one, other))
    found = said(tmp_path, f"one: {{streams: [a], {one}}}", f"two: {{streams: [live/a], {other}}}")
    problem = (
        "recordings.two.name: can be the place of a recording of recordings.one too; give it "
        "another `directory`, or put {uuid} in both names"
    )
    assert [line.partition(" ")[2] for line in found] == [problem] * collide


@pytest.mark.parametrize(
    ("url", "inside"),
    [("DIR/rec", True), ("DIR/rec/", True), ("DIR/rec/up", True), ("DIR/rec2", False)],
)
def test_a_storage_within_the_directory_of_the_rule_is_refused(
    tmp_path: Path, url: str, inside: bool
) -> None:
    (tmp_path / "rec").mkdir()
    found = problems_of(
        tmp_path,
        "version: 1\nstreams: {a: {keys: any}}\n"
        f"storages: {{here: {{url: 'fs://{url.replace('DIR', str(tmp_path))}'}}}}\n"
        f"recordings:\n  r: {{streams: [a], directory: '{tmp_path}/rec/{{app}}', upload: here}}\n",
    )
    problem = (
        "recordings.r.upload: storages.here is within the `directory` of this rule; name a "
        "directory elsewhere"
    )
    assert [line.partition(" ")[2] for line in found] == [problem] * inside


@pytest.mark.parametrize(
    ("one", "other", "collide"),
    [
        ("name: '{time}', directory: DIR/a", "name: '{time}', directory: DIR/b", True),
        ("name: '{time}', directory: DIR/a", "name: '{time}', directory: 'DIR/b/{app}'", False),
        ("name: '{uuid}', directory: DIR/a", "name: '{time}', directory: DIR/b", False),
        ("name: 'x/{time}', directory: DIR/a", "name: 'y/{time}', directory: DIR/b", False),
    ],
)
def test_two_rules_that_can_meet_in_a_storage_are_refused(
    tmp_path: Path, one: str, other: str, collide: bool
) -> None:
    one, other = (fields.replace("DIR", str(tmp_path)) for fields in (one, other))
    found = said(
        tmp_path,
        f"one: {{streams: [a], upload: cloud, {one}}}",
        f"two: {{streams: [live/a], upload: cloud, {other}}}",
    )
    problem = (
        "recordings.two.upload: can put a recording where one of recordings.one is in "
        "storages.cloud; put {uuid} in both names, or give it a storage with another prefix"
    )
    assert [line.partition(" ")[2] for line in found] == [problem] * collide


def test_rules_of_other_streams_may_share_a_place(tmp_path: Path) -> None:
    name = "name: '{stream}/{time}'"
    assert (
        said(tmp_path, f"one: {{streams: [a], {name}}}", f"two: {{streams: ['rooms/*'], {name}}}")
        == []
    )


def test_serving_needs_a_port(tmp_path: Path) -> None:
    text = "servers: {main: {listen: {rtmp: 1935}}}\n" + HEAD.removeprefix("version: 1\n")
    lines = problems_of(
        tmp_path, f"version: 1\n{text}{UPLOADED}  r: {{streams: [a], serve: true}}\n"
    )
    assert lines == [
        "config.yaml:7:28: recordings.r.serve: needs a server with an `http` port; add one to its "
        "`listen`"
    ]


def test_served_recordings_and_streams_have_addresses_of_their_own(tmp_path: Path) -> None:
    text = HEAD.replace("{a:", "{recordings/x: {keys: any}, a:") + UPLOADED
    assert problems_of(tmp_path, f"{text}  r: {{streams: [a], serve: true}}\n") == [
        "config.yaml:6:28: recordings.r.serve: has the addresses of streams.recordings/x; publish "
        "that under another app than recordings"
    ]
    assert problems_of(tmp_path, f"{text}  r: {{streams: [a]}}\n") == []


@pytest.mark.parametrize(
    ("storage", "problem"),
    [
        ("{}", "`url` is missing"),
        ("{url: 'ftp://h/x'}", "is not a storage; begin it with s3://, cos://"),
        ("{url: 's3://'}", "is not a storage"),
        ("{url: 's3://id:secret@bucket/x'}", "has a name or password in it; write them under"),
        ("{url: 'webdav://id:x/secret@h/x'}", "has a name or password in it; write them under"),
        ("{url: 's3://bucket/../x'}", "cannot be a bucket and a prefix"),
        ("{url: 'fs://srv/x'}", "is not an absolute path; write fs:///DIRECTORY"),
        ("{url: 's3://b', options: {Key: x}}", "is not an option; use a-z, 0-9 and _"),
        ("{url: 's3://b', options: x}", "is text; write a mapping"),
    ],
)
def test_what_is_wrong_with_a_storage_is_told(tmp_path: Path, storage: str, problem: str) -> None:
    (line,) = problems_of(tmp_path, f"version: 1\nstorages:\n  cloud: {storage}\n")
    assert line.startswith("config.yaml:3:")
    assert problem in line
    assert "secret@" not in line


def test_a_storage_that_nothing_goes_to_is_told(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "version: 1\nstorages: {cloud: {url: 's3://b'}}\n") == [
        "config.yaml:2:12: storages.cloud: warning: no recording is uploaded there; name it in the "
        "`upload` of one, or remove it"
    ]


def test_options_of_a_storage_are_secret_unless_they_are_known_not_to_be(tmp_path: Path) -> None:
    text = (
        "version: 1\nstorages: {cloud: {url: 's3://b', options: {region: here, "
        "access_key_id: 0123, secret_access_key: 'abcdef', session_token: 'ghijkl'}}}\n"
    )
    loaded = load_text(tmp_path, text, machine=SRS)
    storage = loaded.config.storages["cloud"]
    assert loaded.secrets == {"0123", "abcdef", "ghijkl"}
    assert storage.plain_options() == {
        "region": "here",
        "access_key_id": "0123",
        "secret_access_key": "abcdef",
        "session_token": "ghijkl",
    }
    assert "abcdef" not in repr(storage)


@given(
    st.text(max_size=40) | st.from_regex(r"([a-z{}./]|\{stream\}|\{uuid\}){1,30}", fullmatch=True)
)
def test_a_name_that_is_taken_stays_below_its_directory(name: str) -> None:
    if name_fault(name) is None:
        filled = name
        for token in ("app", "stream", "date", "time", "uuid"):
            filled = filled.replace(f"{{{token}}}", "x")
        place = (Path("/r") / filled).parts
        assert place[:2] == ("/", "r")
        assert len(place) > 2
        assert not {"..", "."} & set(filled.split("/"))
        assert "\0" not in filled
