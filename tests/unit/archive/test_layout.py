"""Names of files and directories: what is read back, and what can never be got out of."""

import os.path
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamd import names
from streamd.archive.layout import (
    TOKENS,
    Spooled,
    parse_spooled,
    recording_path,
    root_of,
    run_started_at,
    segment_pattern,
    spool_of,
)
from streamd.supervision.protocol import SPAWNED, spawned

STREAMS = st.from_regex(
    r"[A-Za-z0-9_][A-Za-z0-9_.~=+@,:-]{0,20}(/[A-Za-z0-9_][A-Za-z0-9_.~=+@,:-]{0,20}){1,3}",
    fullmatch=True,
)
RUNS = st.builds(spawned, st.integers(1, 2**22), st.integers(0, 4_000_000_000 * 10**9))
NAUGHTY = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a/../..",
        "/etc",
        "\0",
        "a\0b",
        "x" * 300,
        "é" * 150,
        "\u202e",
        "a\\b",
        "\ud800",
    ]
)


def file_name(pattern: str, run: str, number: int) -> str:
    """Return what FFmpeg makes of a pattern."""
    filled = pattern.replace(SPAWNED, run)
    return re.sub("%%|%06d", lambda match: "%" if match[0] == "%%" else f"{number:06d}", filled)


@given(STREAMS, RUNS, st.integers(0, 10_000_000))
def test_the_name_of_a_segment_is_read_back(stream: str, run: str, number: int) -> None:
    path = file_name(segment_pattern("/rec/100%/.spool/a", stream), run, number)
    directory, name = os.path.split(path)
    assert directory == "/rec/100%/.spool/a"
    assert parse_spooled(name) == Spooled(stream, run, number)
    assert len(name) <= 255


def test_the_longest_name_of_a_stream_fits_into_that_of_a_file() -> None:
    stream = f"live/{'x' * (names.MAX_NAME_LENGTH - 5)}"
    run = spawned(2**22, 10**18)
    assert len(Path(file_name(segment_pattern("/r", stream), run, 10**7)).name) <= 255


@pytest.mark.parametrize(
    "stream", ["live/..", "live/a!b", "live/é", "live/a\0b", "x", "l/" + "a" * 300]
)
def test_a_stream_that_may_not_be_published_has_no_segments(stream: str) -> None:
    with pytest.raises(ValueError, match="no name of a stream"):
        segment_pattern("/spool", stream)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "recording.json",
        "live!cam!20261123T013000.123456Z-1-000000.ts.tmp",
        "live!cam!20261323T013000.123456Z-1-000000.ts",
        "live!cam!20261123T013000.123456Z-1-00.ts",
        "cam!20261123T013000.123456Z-1-000000.ts",
        "live!..!20261123T013000.123456Z-1-000000.ts",
        f"live!cam!{SPAWNED}-000000.ts",
        "live!cam!20261123T013000.123456Z-1-000000.ts\n",
        "live!cam!20261123T013000.123456Z-1-\u0660\u0661\u0660\u0660\u0660\u0660.ts",
    ],
)
def test_what_no_recorder_writes_is_left_alone(name: str) -> None:
    assert parse_spooled(name) is None


@given(st.text(max_size=80))
def test_whatever_lies_in_the_spool_is_read_without_trouble(name: str) -> None:
    found = parse_spooled(name)
    assert found is None or found.spooled_as == name


def test_a_run_tells_its_start() -> None:
    assert run_started_at("19700102T000000.500000Z-77") == 86400.5


def test_segments_are_in_the_order_in_which_they_were_recorded() -> None:
    early, late = spawned(9, 10**18), spawned(8, 10**18 + 10**6)
    made = [Spooled("a/b", run, number) for run in (early, late) for number in (0, 9, 10)]
    assert sorted([*made[3:], *made[:3]]) == made


@pytest.mark.parametrize(
    ("directory", "root"),
    [
        ("/var/rec", "/var/rec"),
        ("/var/rec/", "/var/rec"),
        ("/var/rec/{app}", "/var/rec"),
        ("/var/rec/cam-{stream}/x", "/var/rec"),
        ("/", "/"),
        ("/{app}", "/"),
    ],
)
def test_the_root_is_what_comes_before_the_first_token(directory: str, root: str) -> None:
    assert root_of(directory) == root
    assert spool_of(directory, "r") == f"{root.rstrip('/')}/.spool/r"


def test_a_recording_is_where_its_tokens_say_in_utc() -> None:
    path = recording_path(
        "/rec/{app}",
        "{stream}/{date}/{time}-{uuid}",
        stream="lot/west/cam7",
        started_at=1_795_397_400.9,
        uuid="0f3c",
    )
    assert path == "/rec/lot/west/cam7/2026-11-23/013000Z-0f3c"


PARTS = st.one_of(
    NAUGHTY, st.text(max_size=40), st.sampled_from([f"{{{name}}}" for name in TOKENS])
)


@given(
    st.lists(PARTS, max_size=4).map("/".join),
    st.lists(PARTS, min_size=1, max_size=4).map("/".join),
    st.one_of(NAUGHTY, STREAMS, st.text()),
    st.one_of(NAUGHTY, st.uuids().map(str)),
)
@example("", "{stream}", "live/..", "u")
@example("/{app}", "{stream}", "../../etc/passwd", "u")
@example("{app}", "y{stream}", "/../cam", "u")
def test_a_recording_never_leaves_the_root(
    directory: str, name: str, stream: str, uuid: str
) -> None:
    path = recording_path(
        f"/rec/{{app}}{directory}", name, stream=stream, started_at=1.8e9, uuid=uuid
    )
    assert os.path.normpath(path) == path
    assert path.startswith("/rec/")
    below = path.removeprefix("/rec/").split("/")
    assert not any(part.startswith(".") for part in below)
    assert "\0" not in path
    assert all(len(part.encode()) <= 255 for part in below)


@given(STREAMS, STREAMS)
def test_two_streams_have_two_places(one: str, other: str) -> None:
    paths = [
        recording_path("/r", "{app}/{stream}/{uuid}", stream=stream, started_at=0, uuid="u")
        for stream in (one, other)
    ]
    assert (paths[0] == paths[1]) == (one == other)


@given(st.text(), st.text())
def test_two_names_that_cannot_be_files_have_two_places_too(one: str, other: str) -> None:
    paths = [
        recording_path("/r", "{stream}", stream=f"live/{name}", started_at=0, uuid="u").casefold()
        for name in (one.replace("/", ""), other.replace("/", ""))
    ]
    if one.replace("/", "").casefold() != other.replace("/", "").casefold():
        assert paths[0] != paths[1]
