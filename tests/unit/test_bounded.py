import threading
import time

from streamd.bounded import answers


def test_what_answers_is_not_held_up_by_what_never_does() -> None:
    never = threading.Event()

    def refused() -> bool:
        raise PermissionError(13, "no")

    began = time.monotonic()
    found = answers(
        {"dead": never.wait, "alive": lambda: True, "closed": refused, "dead too": never.wait}, 0.3
    )
    assert [*found] == ["alive", "closed"]
    assert found["alive"] is True
    assert isinstance(found["closed"], PermissionError)
    assert 0.3 <= time.monotonic() - began < 10
    never.set()
