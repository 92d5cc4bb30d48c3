"""Asks what may never answer, such as a mount whose server is gone: for a limited time."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


def answers(questions: Mapping[K, Callable[[], T]], limit_s: float) -> dict[K, T | OSError]:
    """Ask everything at the same time; what has not answered in time is left out.

    Args:
        questions: each may block for ever.
        limit_s: how long all of it may take, seconds.

    Returns:
        What each returned, or the OSError that it raised.
    """
    found: dict[K, T | OSError] = {}

    def ask(key: K, question: Callable[[], T]) -> None:
        try:
            found[key] = question()
        except OSError as error:
            found[key] = error

    # Not threads of a pool: whoever waits for a file system that hangs cannot be ended, and must
    # not keep the process from ending either.
    asked = [threading.Thread(target=ask, args=each, daemon=True) for each in questions.items()]
    for thread in asked:
        thread.start()
    deadline = time.monotonic() + limit_s
    for thread in asked:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {key: found[key] for key in questions if key in found}
