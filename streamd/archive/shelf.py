"""The recordings of which nothing is left to do: which there are, and how long they stay."""

import heapq
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from streamd.archive.announce import artifact_url
from streamd.archive.keep import Kept, Space, to_delete
from streamd.archive.links import Links
from streamd.archive.recording import Recording
from streamd.archive.report import MOST_FINISHED, told
from streamd.archive.spec import ArchiveSpec
from streamd.archive.store import Store
from streamd.stderr_log import Say


class Shelf:
    """The finished recordings of one rule.

    Args:
        spec: of the archive.
        root: below which they are.
        store: where they are.
        say: the log.

    Attributes:
        kept: all of them, by path.
        last: the last ones, newest first, as the report tells them.
        counted: those that were there before us are among them.
    """

    def __init__(self, spec: ArchiveSpec, root: Path, store: Store, say: Say) -> None:
        self._spec = spec
        self._root = root
        self._store = store
        self._say = say
        self._links = Links(Path(spec.served) if spec.served else None, root)
        self.kept: dict[str, Kept] = {}
        self.last: deque[Mapping[str, Any]] = deque(maxlen=MOST_FINISHED)
        self.counted = False

    def count(self) -> list[Recording]:
        """Find every recording that is there. Takes long where there are many.

        Returns:
            Those that work was left to do for, and that were lost sight of.

        Raises:
            OSError: they cannot be looked for.
        """
        self._links.remove_dead()
        lost: list[Recording] = []
        latest: list[Recording] = []
        for recording in self._store.present():
            if self._store.is_at_work(recording) or recording.path in self.kept:
                continue
            if recording.state not in ("finished", "error"):
                lost.append(self._store.taken_up(recording))
                continue
            self._links.add(recording)
            self.kept[recording.path] = _kept(recording)
            latest.append(recording)
            if len(latest) > 2 * MOST_FINISHED:  # there may be very many of them
                latest = heapq.nlargest(MOST_FINISHED, latest, key=_ended_at)
        # Those that were finished meanwhile are the last of all.
        before = [self._told(each) for each in sorted(latest, key=_ended_at, reverse=True)]
        self.last.extend(before[: MOST_FINISHED - len(self.last)])
        self.counted = True
        return lost

    def put(self, recording: Recording) -> None:
        """Add a recording. More than once is harmless.

        Raises:
            OSError: it cannot be linked to where it is served.
        """
        self._links.add(recording)
        if recording.path in self.kept:
            return
        self.kept[recording.path] = _kept(recording)
        self.last.appendleft(self._told(recording))

    def url_of(self, recording: Recording) -> str:
        """Return where a recording can be fetched; "" for nowhere."""
        return artifact_url(recording, url_base=self._spec.url_base, root=str(self._root))

    def superfluous(
        self, space: Space, others: Collection[Recording], *, now: float | None
    ) -> list[Kept]:
        """Return what is to be deleted, the oldest first.

        Args:
            space: how much room there is.
            others: recordings that may not be deleted, and take room as well.
            now: Unix time; None while the clock cannot be trusted.
        """
        return to_delete(
            [*self.kept.values()],
            self._spec,
            space,
            others_bytes=sum(each.bytes for each in others),
            now=now,
        )

    def delete(self, kept: Kept) -> None:
        """Delete a recording; what cannot be deleted stays, and is told."""
        recording = self._store.read(kept.path)
        try:
            self._links.remove(kept.path)
            if recording is not None:
                self._store.delete(recording)
                self._say("info", f"{kept.path} is deleted, to keep what the rule asks for")
        except OSError as error:
            self._say("error", f"{kept.path} cannot be deleted: {error.strerror or error}")
            return
        del self.kept[kept.path]
        left = [each for each in self.last if each["path"] != kept.path]
        self.last = deque(left, maxlen=MOST_FINISHED)

    def delete_local(self, recording: Recording) -> None:
        """Delete a recording that is elsewhere; it is told of as such. Raises OSError."""
        gone = {**self._told(recording), "local": False}
        self._links.remove(recording.path)
        self._store.delete(recording)
        self.kept.pop(recording.path, None)
        others = [each for each in self.last if each["uuid"] != recording.uuid]
        self.last = deque([gone, *others], maxlen=MOST_FINISHED)

    def delete_rest(self, recording: Recording) -> None:
        """Delete what a kill has left of a recording. Raises OSError."""
        self._links.remove(recording.path)
        self._store.delete(recording)

    def _told(self, recording: Recording) -> Mapping[str, Any]:
        return told(recording, self.url_of(recording))


def _ended_at(recording: Recording) -> float:
    return recording.ended_at


def _kept(recording: Recording) -> Kept:
    size = recording.artifact.bytes if recording.artifact else recording.bytes
    return Kept(recording.path, recording.ended_at, size)
