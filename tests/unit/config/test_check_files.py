"""Are the programs there?"""

import os
from pathlib import Path

import pytest

from streamd.config.defaults import Machine
from tests.support.mounts import hanging_mount
from tests.unit.config.loading import NGINX, PROGRAM, SRS, problems_of

NOTHING = Machine(engines={}, ffmpeg=None)
TARGET = "streams: {a: {keys: any}}\ntargets: {t: {stream: a, url: 'rtmp://h/a/k'}}\n"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "plain").touch(mode=0o644)
    (tmp_path / "nginx").touch(mode=0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "machine", "lines"),
    [
        ("", SRS, []),
        ("", NGINX, []),
        ("servers: {main: {engine: nginx-rtmp}}\n", SRS, []),
        (
            "servers: {main: {engine: srs}}\n",
            NGINX,
            [
                "config.yaml:2:26: servers.main.engine: srs is not found; install SRS, or give "
                "its path as `binary`"
            ],
        ),
        (
            "",
            NOTHING,
            [
                "config.yaml:1:1: servers.main: no media server is found on this machine; "
                "install SRS, or nginx with its rtmp module (Debian: libnginx-mod-rtmp), or give "
                "a path as `binary`"
            ],
        ),
        ("servers: {main: {binary: PROGRAMS/nginx}}\n", NOTHING, []),
        (
            "servers: {main: {binary: PROGRAMS/missing}}\n",
            SRS,
            [
                "config.yaml:2:26: servers.main.binary: missing does not exist; create it or "
                "correct the path"
            ],
        ),
        (
            "servers: {main: {binary: PROGRAMS/plain}}\n",
            SRS,
            [
                "config.yaml:2:26: servers.main.binary: plain cannot be executed; give streamd's "
                "user permission (chmod a+x)"
            ],
        ),
        (
            "ffmpeg: PROGRAMS/.\n",
            SRS,
            ["config.yaml:2:9: ffmpeg: PROGRAMS is not a file; name a program"],
        ),
        (f"ffmpeg: {PROGRAM}\n" + TARGET, Machine(SRS.engines, None), []),
        (
            TARGET,
            Machine(SRS.engines, None),
            [
                "config.yaml:3:1: targets: FFmpeg is needed and not found; install it, or give "
                "its path as `ffmpeg`"
            ],
        ),
        ("", Machine(SRS.engines, None), []),
    ],
)
def test_a_program_that_is_not_there_is_told_with_its_line(
    programs: Path, text: str, machine: Machine, lines: list[str]
) -> None:
    found = problems_of(
        programs, "version: 1\n" + text.replace("PROGRAMS", str(programs)), machine=machine
    )
    assert [line.replace(str(programs), "PROGRAMS") for line in found] == lines


def test_without_a_machine_nothing_is_looked_for(programs: Path) -> None:
    assert problems_of(programs, "version: 1\nffmpeg: /missing\n" + TARGET, machine=None) == []


def test_a_directory_of_recordings_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = (
        "version: 1\nstreams: {a: {keys: any}}\nrecordings:\n"
        f"  good: {{streams: [a], directory: '{tmp_path}/new/{{app}}'}}\n"
        f"  bad: {{streams: [a], directory: '{tmp_path}/file/{{app}}'}}\n"
    )
    assert problems_of(tmp_path, text) == [
        "config.yaml:5:34: recordings.bad.directory: file is not a directory, or lies below what "
        "is none; correct the path"
    ]
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_directory_of_recordings_that_hangs_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamd.config.directories.ANSWER_S", 0.2)
    (tmp_path / "mount").mkdir()
    text = (
        "streams: {a: {keys: any}}\n"
        f"recordings: {{r: {{streams: [a], directory: {tmp_path}/mount}}}}\n"
    )
    with hanging_mount(tmp_path / "mount"):
        (line,) = problems_of(tmp_path, f"version: 1\n{text}")
    assert "recordings.r.directory: warning: mount did not answer for 0.2 s; if it is a" in line


def test_recordings_need_ffmpeg(tmp_path: Path) -> None:
    text = "version: 1\nstreams: {a: {keys: any}}\nrecordings: {r: {streams: [a]}}\n"
    machine = Machine(engines={"srs": PROGRAM}, ffmpeg=None)
    assert problems_of(tmp_path, text, machine=machine) == [
        "config.yaml:3:1: recordings: FFmpeg is needed and not found; install it, or give its path "
        "as `ffmpeg`"
    ]


def test_what_an_authority_is_asked_with_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("no certificate")
    (tmp_path / "www").mkdir()
    text = (
        "certificates:\n"
        f"  a: {{domains: [a.b.com], acme: {{ca_file: {tmp_path}/none.pem}}}}\n"
        f"  b: {{domains: [a.b.com], acme: {{ca_file: {tmp_path}/junk.pem,\n"
        f"    challenge: {{webroot: {tmp_path}/web}}}}}}\n"
        f"  c: {{domains: [a.b.com], acme: {{challenge: {{webroot: {tmp_path}/www}}}}}}\n"
    )
    told = [line for line in problems_of(tmp_path, "version: 1\n" + text) if "acme" in line]
    assert told == [
        "config.yaml:3:43: certificates.a.acme.ca_file: warning: none.pem cannot be read now: does "
        "not exist; create it or correct the path",
        "config.yaml:4:43: certificates.b.acme.ca_file: warning: junk.pem holds no certificate in "
        "PEM; name a file of who vouches for the authority",
        "config.yaml:5:26: certificates.b.acme.challenge.webroot: warning: web is not a "
        "directory now; name the one that the web server serves",
    ]


@pytest.mark.parametrize(("free", "too_much"), [("1000000TB", True), ("1MB", False), ("9%", False)])
def test_more_is_not_kept_free_than_the_disk_has(tmp_path: Path, free: str, too_much: bool) -> None:
    text = (
        "version: 1\nstreams: {a: {keys: any}}\n"
        f"recordings: {{r: {{streams: [a], directory: {tmp_path}/new, keep: {{free: {free}}}}}}}\n"
    )
    found = problems_of(tmp_path, text)
    assert [
        "recordings.r.keep.free: warning: is more than the whole disk of" in line for line in found
    ] == [True] * too_much
