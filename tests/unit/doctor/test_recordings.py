from dataclasses import replace

import pytest

from streamd.archive.keep import Space
from streamd.desired import RecordingSpec
from streamd.doctor.files import Node, User
from streamd.doctor.recordings import Place, judge

STREAMD = User(990, "streamd", frozenset({990, 991}))
ROOT = User(0, "root", frozenset({0}))
GB = 10**9
RULE = RecordingSpec(
    "archive", ("live/*",), "/srv/rec/{app}", "{stream}/{uuid}", free_share=0.1, free_bytes=GB
)
TOP, SRV = (Node(path, 0, 0, 0o755, is_directory=True) for path in ("/", "/srv"))
REC = Node("/srv/rec", 990, 990, 0o700, is_directory=True)
GOOD = Place((TOP, SRV, REC), is_there=True, space=Space(100 * GB, 40 * GB), files_free=10**6)


def test_a_directory_with_room_is_ok_and_says_how_much_is_to_stay_free() -> None:
    found = judge(RULE, GOOD, STREAMD, limit_s=5)
    assert (found.level, found.where, found.do) == ("ok", "recordings.archive", "")
    assert found.what == (
        "/srv/rec: streamd can write there; 40.0 GB of 100.0 GB free, 10.0 GB have to be"
    )


def test_one_that_is_made_by_the_first_recording_is_ok() -> None:
    parent = replace(SRV, uid=990)
    missing = replace(GOOD, way=(TOP, parent), is_there=False)
    found = judge(RULE, missing, STREAMD, limit_s=5)
    assert found.level == "ok"
    assert "streamd can make it" in found.what


@pytest.mark.parametrize(
    ("place", "says", "do"),
    [
        (None, "did not answer for 5 s", "look at the server behind it"),
        (OSError(5, "Input/output error"), "Input/output error", "look at the disk"),
        (
            replace(GOOD, way=(TOP, replace(SRV, is_directory=False)), is_there=False),
            "/srv is no directory",
            "correct `directory`",
        ),
        (replace(GOOD, way=(TOP, SRV), is_there=False), "/srv is closed to it", "mkdir -p"),
        (replace(GOOD, way=(TOP, SRV, replace(REC, uid=5))), "(mode 700)", "chown streamd:"),
        (
            replace(GOOD, way=(TOP, replace(SRV, mode=0o700), REC)),
            "/srv is closed to it",
            "/srv/rec",
        ),
        (replace(GOOD, read_only=True), "read-only for streamd", "ReadWritePaths=/srv/rec"),
        (replace(GOOD, hidden=True), "does not see /srv/rec", "choose another"),
        (replace(GOOD, writable=False), "streamd cannot write to /srv/rec", "mkdir -p"),
        (replace(GOOD, files_free=12), "room for 12 files only", "delete"),
    ],
)
def test_what_keeps_streamd_from_recording_is_an_error_that_says_what_to_do(
    place: Place | OSError | None, says: str, do: str
) -> None:
    found = judge(RULE, place, STREAMD, limit_s=5)
    assert found.level == "error"
    assert says in found.what
    assert do in found.do


def test_what_this_user_may_not_look_at_is_not_known() -> None:
    found = judge(RULE, PermissionError(13, "Permission denied"), STREAMD, limit_s=5)
    assert (found.level, found.do) == ("unknown", "run `streamd doctor` as root")


@pytest.mark.parametrize("user", [ROOT, STREAMD])
def test_the_kernel_knows_better_than_owner_and_mode(user: User) -> None:
    by_an_access_list = replace(GOOD, way=(TOP, SRV), writable=True)
    assert judge(RULE, by_an_access_list, user, limit_s=5).level == "ok"


def test_too_little_room_is_a_warning_where_something_can_be_deleted() -> None:
    full = replace(GOOD, space=Space(100 * GB, 9 * GB))
    found = judge(RULE, full, STREAMD, limit_s=5)
    assert found.level == "warning"
    assert "9.0 GB of 100.0 GB free, 10.0 GB have to be" in found.what
    assert "keep.free" in found.do
    empty = replace(full, way=(TOP, replace(SRV, uid=990)), is_there=False)
    assert judge(RULE, empty, STREAMD, limit_s=5).level == "error"
