"""Tells what a pull still had from what goes on, after it was silent. Pure.

An FFmpeg whose source froze writes the last packets that it held back when it gives up, up to 10 s
later. They are media that is over: taken for the source's return, they would put it on air again,
in place of its slate or as a stream that has just ended.
"""

from streamd.playout.choice import FREEZE_S
from streamd.playout.tags import Tag

SETTLES_S = 0.5
"""What comes after a silence counts when more has come for as long."""


class Settling:
    """Holds back what comes after a silence of `FREEZE_S`, until it has gone on for a while."""

    def __init__(self) -> None:
        self._heard: float | None = None
        self._held: list[Tag] = []
        self._since: float | None = None

    def take(self, tag: Tag, now: float) -> list[Tag]:
        """Take a tag, and return those that count now: none, or it and what was held back.

        Args:
            tag: the next one.
            now: when it came, monotonic seconds.
        """
        was_silent = self._heard is not None and now - self._heard >= FREEZE_S
        self._heard = now
        if self._since is None:
            if not was_silent:
                return [tag]
            self._since = now
        self._held.append(tag)
        if now - self._since < SETTLES_S:
            return []
        tags, self._held, self._since = self._held, [], None
        return tags
