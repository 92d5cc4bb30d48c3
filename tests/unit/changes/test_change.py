"""The words for what a save changes."""

import pytest

from streamd.changes.change import Change, Touched, differing, named, pairs, with_consumers
from streamd.changes.compare import with_notes
from streamd.desired import SourceSpec
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.playout.spec import SlateInput


@pytest.mark.parametrize(
    ("touched", "words"),
    [
        (Touched(), ""),
        (Touched(frozenset({"live/a"})), "1 live publisher"),
        (Touched(frozenset({"live/a", "live/b"}), 1), "2 live publishers, 1 live viewer"),
        (
            Touched(
                viewers=3, processes=frozenset({"target.a", "record.x@live/a", "transcode.live/a"})
            ),
            "3 live viewers, 1 live target, 1 live transcode, 1 live recording",
        ),
    ],
)
def test_what_is_touched_is_counted(touched: Touched, words: str) -> None:
    assert str(touched) == words


def test_a_change_says_what_becomes_of_what_and_what_else_there_is_to_know() -> None:
    notes = ("/srv/a.mkv is transcoded: its video is HEVC", "/srv/b.mp4 is copied")
    change = Change("stream", "live/a", "restart", ("source", "fallback"), Touched(), notes)
    assert str(change).splitlines() == [
        "! stream live/a: restart (source, fallback); touches nothing live",
        "    /srv/a.mkv is transcoded: its video is HEVC",
        "    /srv/b.mp4 is copied",
    ]


@pytest.mark.parametrize(
    ("action", "sign"), [("create", "+"), ("update", "~"), ("restart", "!"), ("remove", "-")]
)
def test_each_action_has_its_sign(action: str, sign: str) -> None:
    change = Change("transcode", "p720", action, (), Touched())  # type: ignore[arg-type] # one of them
    assert str(change) == f"{sign} transcode p720: {action}; touches nothing live"


def test_notes_go_to_the_streams_that_are_there_afterwards() -> None:
    found = [
        Change("stream", "live/a", "create", (), Touched()),
        Change("stream", "live/b", "remove", (), Touched()),
        Change("stream", "live/c", "update", (), Touched()),
        Change("target", "live/a", "create", (), Touched()),
    ]
    noted = with_notes(found, {"live/a": ("one",), "live/b": ("two",)})
    assert [change.notes for change in noted] == [("one",), (), (), ()]


def test_fields_are_named_as_in_the_file() -> None:
    before = SourceSpec("live/a", "main", (SlateInput("/srv/s.mp4"),))
    after = SourceSpec("live/a", "two", before.inputs, on_demand=True)
    assert named(differing(before, after)) == ("server", "source.on_demand")


def test_what_is_equal_on_both_sides_is_left_out() -> None:
    assert pairs({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 4, "d": 5}) == [
        ("a", 1, None),
        ("c", 3, 4),
        ("d", None, 5),
    ]


def test_the_targets_of_a_publisher_go_with_it_and_no_others() -> None:
    processes = {
        name: ObservedProcess(name, state, 1, "", publisher=client)  # type: ignore[arg-type] # one of its words
        for name, state, client in (
            ("target.a", "running", "c1"),
            ("transcode.live/a", "running", "c1"),
            ("target.b", "running", "c2"),
            ("target.c", "exited", "c1"),
            ("playout.live/a", "running", ""),
        )
    }
    present = {"live/a": Publisher("main", "live/a", "live/a", "c1")}
    touched = with_consumers(Observed(processes, present), frozenset({"live/a"}))
    assert touched == Touched(
        frozenset({"live/a"}), processes=frozenset({"target.a", "transcode.live/a"})
    )
