from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.doctor.files import (
    LEAST_FREE,
    LITTLE_FREE,
    Node,
    Space,
    User,
    in_bytes,
    judge_directory,
    judge_kept,
    judge_readable,
    judge_secret,
    judge_space,
)

STREAMD = User(990, "streamd", frozenset({990, 991}))
ROOT = User(0, "root", frozenset({0}))
MINE = Node("/var/lib/streamd", 990, 990, 0o700, is_directory=True)
TOP = Node("/", 0, 0, 0o755, is_directory=True)

nodes = st.builds(
    Node,
    path=st.just("/x"),
    uid=st.sampled_from([0, 990, 5]),
    gid=st.sampled_from([0, 991, 5]),
    mode=st.integers(0, 0o777),
)
ways = st.lists(nodes, min_size=1, max_size=4)


def test_a_private_directory_of_ones_own_is_ok() -> None:
    assert judge_directory("state", MINE, STREAMD).level == "ok"


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (replace(MINE, is_directory=False), "is no directory"),
        (replace(MINE, uid=5), "belongs to user 5"),
        (replace(MINE, uid=0), "cannot be written by streamd"),
        (replace(MINE, mode=0o500), "cannot be written by streamd"),
        (replace(MINE, mode=0o777), "others can write there"),
    ],
)
def test_a_directory_that_does_not_serve_is_an_error(node: Node, says: str) -> None:
    found = judge_directory("runtime", node, STREAMD)
    assert found.level == "error"
    assert says in found.what


def test_a_directory_that_others_see_is_a_warning_but_for_the_logs() -> None:
    seen = replace(MINE, mode=0o755)
    assert judge_directory("state", seen, STREAMD).level == "warning"
    assert judge_directory("log", seen, STREAMD).level == "ok"


def test_a_file_for_the_group_is_read_by_its_members_alone() -> None:
    way = (TOP, Node("/etc/c.yaml", 0, 991, 0o640))
    assert judge_readable(way, STREAMD) is None
    assert judge_secret(way, "secrets") is None
    found = judge_readable(way, User(5, "other"))
    assert found is not None
    assert "cannot be read by other" in found.what


def test_what_keeps_a_user_out_is_named() -> None:
    way = (TOP, Node("/etc/streamd", 0, 0, 0o700), Node("/etc/streamd/c.yaml", 0, 0, 0o644))
    found = judge_readable(way, STREAMD)
    assert found is not None
    assert "/etc/streamd is closed" in found.what


def test_what_is_streamds_own_is_given_back_to_it_and_nothing_above() -> None:
    state = replace(MINE, path="/var/lib/streamd")
    site = replace(MINE, path="/var/lib/streamd/certificates/site", uid=0)
    way = (TOP, state, site, Node(f"{site.path}/privkey.pem", 0, 0, 0o600))
    found = judge_readable(way, STREAMD, state.path)
    assert found is not None
    assert found.do == f"chown -R streamd: {site.path}"
    found = judge_readable((replace(TOP, mode=0o700), *way[1:]), STREAMD, state.path)
    assert found is not None
    assert "chown" not in found.do


def test_a_directory_that_streamd_keeps_files_in_has_to_be_its_own() -> None:
    assert judge_kept([MINE], STREAMD) is None
    for foreign in (replace(MINE, uid=0), replace(MINE, uid=0, mode=0o755)):
        found = judge_kept([MINE, foreign], STREAMD)
        assert found is not None
        assert (found.level, found.do) == ("error", f"chown -R streamd: {MINE.path}")
        assert "belongs to user 0" in found.what
    found = judge_kept([MINE, replace(MINE, is_directory=False)], STREAMD)
    assert found is not None
    assert (found.level, found.what) == ("warning", "is no directory")


def test_a_secret_that_everybody_reads_is_a_warning() -> None:
    found = judge_secret((TOP, Node("/etc/key", 0, 0, 0o644)), "secrets")
    assert found is not None
    assert (found.level, found.do) == ("warning", "chmod o= it")


@given(ways)
def test_root_reads_everything(way: list[Node]) -> None:
    assert judge_readable(way, ROOT) is None


@given(ways, st.data())
def test_closing_any_step_to_others_keeps_a_secret(way: list[Node], data: st.DataObject) -> None:
    step = data.draw(st.integers(0, len(way) - 1))
    way[step] = replace(way[step], mode=way[step].mode & 0o770)
    assert judge_secret(way, "secrets") is None


@given(ways)
def test_what_is_open_to_everybody_is_open_to_a_stranger(way: list[Node]) -> None:
    exposed = judge_secret(way, "secrets") is not None
    assert exposed == (judge_readable(way, User(12345, "stranger")) is None)


@pytest.mark.parametrize(
    ("space", "level"),
    [
        (Space(1, LITTLE_FREE, 10**12), "ok"),
        (Space(1, LITTLE_FREE - 1, 10**12), "warning"),
        (Space(1, LEAST_FREE - 1, 10**12), "error"),
        (Space(1, LITTLE_FREE, 10**12, files_free=3), "error"),
        (Space(1, LITTLE_FREE, 10**12, read_only=True), "error"),
    ],
)
def test_room_on_disk(space: Space, level: str) -> None:
    assert judge_space("/var/lib/streamd", space).level == level


def test_bytes_are_written_for_people() -> None:
    assert [in_bytes(number) for number in (1500, 2_500_000, 3 * 10**9, 4 * 10**12)] == [
        "2 kB",
        "2.5 MB",
        "3.0 GB",
        "4.0 TB",
    ]
