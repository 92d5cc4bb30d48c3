"""What could not be done for a recording, and when it is tried again."""

import time

from streamd.archive.recording import Recording
from streamd.stderr_log import Say
from streamd.waits import doubling_s

_FIRST_S, _LONGEST_S = 5.0, 300.0


class Retries:
    """The recordings of one rule that something is in the way of.

    Args:
        say: the log.

    Attributes:
        troubles: what is wrong, by uuid, for an operator.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._tries: dict[str, tuple[int, float]] = {}
        self.troubles: dict[str, str] = {}

    def may_try(self, recording: Recording) -> bool:
        """Tell whether a recording has its turn again."""
        return self._tries.get(recording.uuid, (0, 0.0))[1] <= time.monotonic()

    def failed(self, recording: Recording, error: str) -> None:
        """Note that something could not be done, and log it once."""
        failures, _ = self._tries.get(recording.uuid, (0, 0.0))
        failures += 1
        wait_s = doubling_s(failures, _FIRST_S, _LONGEST_S)
        self._tries[recording.uuid] = (failures, time.monotonic() + wait_s)
        if self.troubles.get(recording.uuid) != error:
            self._say("error", f"{error}; tried again in {wait_s:.0f} s")
        self.troubles[recording.uuid] = error

    def done(self, recording: Recording) -> None:
        """Forget what was in the way."""
        self._tries.pop(recording.uuid, None)
        self.troubles.pop(recording.uuid, None)
