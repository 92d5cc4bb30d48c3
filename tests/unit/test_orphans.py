import os

import pytest

from streamd.orphans import Leader


def test_a_leader_survives_being_written_down() -> None:
    leader = Leader.this_process()
    assert Leader.parse(str(leader)) == leader
    assert leader.pid == os.getpid()
    assert leader.is_alive()


def test_another_process_of_the_same_pid_is_not_the_leader() -> None:
    me = Leader.this_process()
    assert not Leader(me.pid, me.started - 1, me.boot).is_alive()
    assert not Leader(me.pid, me.started, "another boot").is_alive()


@pytest.mark.parametrize("text", ["", "12", "x 1 boot", "1 x boot", "1 2 3 4", "\ufffd\ufffd"])
def test_what_is_no_leader_is_none(text: str) -> None:
    assert Leader.parse(text) is None
