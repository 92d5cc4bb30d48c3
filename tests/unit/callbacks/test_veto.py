"""What several callbacks say of one publisher, put together."""

from dataclasses import replace

import pytest

from streamd.callbacks.veto import Said, verdict
from streamd.desired import CallbackSpec

REFUSE = CallbackSpec("strict", "http://h", frozenset({"on_publish"}))
ALLOW = replace(REFUSE, name="lenient", on_error="allow")
YES = Said(REFUSE, "yes", "HTTP 200, code 0")
NO = Said(REFUSE, "no", "HTTP 200, code 7")
DEAD = Said(REFUSE, "none", "connection refused")


def test_all_yes_lets_in() -> None:
    found = verdict([YES, replace(YES, callback=ALLOW)])
    assert (found.kind, found.late) == (None, ())


def test_nobody_asked_lets_in() -> None:
    assert verdict([]).kind is None


def test_one_no_is_enough_and_the_others_are_told_that_it_did_not_come() -> None:
    found = verdict([replace(YES, callback=ALLOW), NO])
    assert found.kind == "vetoed"
    assert found.reason == "callback strict refuses it: HTTP 200, code 7"
    assert found.misled == ("lenient",)


@pytest.mark.parametrize("kind", ["none", "fault"])
def test_silence_is_what_on_error_makes_of_it(kind: str) -> None:
    dead = replace(DEAD, kind=kind)  # type: ignore[arg-type] # one of them
    found = verdict([dead])
    assert found.kind == "unasked"
    assert found.reason == "callback strict could not be asked: connection refused"
    found = verdict([replace(dead, callback=ALLOW), YES])
    assert (found.kind, found.late) == (None, ("lenient",))


def test_a_no_goes_before_a_silence() -> None:
    assert verdict([DEAD, NO]).kind == "vetoed"
