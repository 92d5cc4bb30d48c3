"""What waits to be sent, and what a receiver needs that comes in the midst of it. Pure."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from streamd.playout.tags import AUDIO, DATA, VIDEO, Tag

MOST_WAITING_BYTES = 8 << 20
"""A server that lets more pile up is stuck."""

MOST_KEPT_BYTES = 4 << 20
"""A group of pictures that is larger is not kept for who comes later."""

_MOST_KEPT_TAGS = 5000
_KEPT_SOUND = 100


class Outbox:
    """A queue that is empty while nobody is connected.

    It also keeps the tags since the last keyframe, so that a new connection begins with a picture
    at once. Both are bounded.
    """

    def __init__(self) -> None:
        self._waiting: deque[Tag] = deque()
        self._waiting_bytes = 0
        self._group: list[Tag] = []
        self._group_bytes = 0
        self._has_keyframe = False
        self._connected = False
        self._awaits_keyframe = False

    @property
    def is_stuck(self) -> bool:
        """Tell whether more waits than a server that works would let wait."""
        return self._waiting_bytes > MOST_WAITING_BYTES

    @property
    def has_something(self) -> bool:
        """Tell whether there is something to send now, or to begin with."""
        return bool(self._waiting if self._connected else self._group)

    def put(self, tags: Iterable[Tag]) -> None:
        """Add tags to send."""
        for tag in tags:
            self._keep(tag)
            if self._connected and self._is_of_use(tag):
                self._waiting.append(tag)
                self._waiting_bytes += len(tag.body)

    def _is_of_use(self, tag: Tag) -> bool:
        """Tell whether who is connected can decode a tag."""
        if tag.is_keyframe:
            self._awaits_keyframe = False
        return not (self._awaits_keyframe and tag.kind == VIDEO) or tag.is_header

    def take(self) -> list[Tag]:
        """Return and remove what waits."""
        tags = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return tags

    def connect(self, prelude: Iterable[Tag]) -> None:
        """Begin a connection: with what every receiver is told first, and the last pictures."""
        at = self._group[0].timestamp_ms if self._group else 0
        self._connected = True
        self._awaits_keyframe = not self._has_keyframe
        self._waiting.clear()
        self._waiting.extend(replace(tag, timestamp_ms=at) for tag in prelude)
        self._waiting.extend(self._group)
        self._waiting_bytes = sum(len(tag.body) for tag in self._waiting)

    def disconnect(self) -> None:
        """End a connection: what waits is dropped."""
        self._connected = False
        self.take()

    def forget(self) -> None:
        """Drop the last pictures as well: what comes next has nothing to do with them."""
        self._group.clear()
        self._group_bytes, self._has_keyframe = 0, False

    def _keep(self, tag: Tag) -> None:
        if tag.is_header or tag.kind == DATA:
            return
        if tag.is_keyframe:
            self.forget()
            self._has_keyframe = True
        elif not self._has_keyframe:
            if tag.kind != AUDIO:
                return
            if len(self._group) >= _KEPT_SOUND:
                self._group_bytes -= len(self._group.pop(0).body)
        self._group.append(tag)
        self._group_bytes += len(tag.body)
        if self._group_bytes > MOST_KEPT_BYTES or len(self._group) > _MOST_KEPT_TAGS:
            self.forget()
