import os

import pytest

from streamd.supervision.orphans import Leader


def test_a_leader_survives_being_written_down() -> None:
    leader = Leader.this_process()
    assert Leader.parse(str(leader)) == leader
    assert leader.pid == os.getpid()
    assert leader.is_alive()


def test_another_process_of_the_same_pid_is_not_the_leader() -> None:
    me = Leader.this_process()
    for other in (
        Leader(me.pid, me.started - 1, me.boot, me.leads),
        Leader(me.pid, me.started, "another boot", me.leads),
    ):
        assert not other.is_alive()
        assert other.open() is None


@pytest.mark.parametrize(
    "text", ["", "12", "x 1 boot leads", "1 x boot leads", "1 2 boot", "1 2 3 4 5", "\ufffd"]
)
def test_what_is_no_leader_is_none(text: str) -> None:
    assert Leader.parse(text) is None
