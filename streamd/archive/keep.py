"""Decides which recordings are deleted, and whether there is room to record. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamd.archive.spec import ArchiveSpec

_MARGIN = 10
"""Recording goes on, and deleting ends, with a tenth of the limit more than that."""

TRUSTED_AFTER_S = 600.0
"""A clock that jumped tells no age before it has gone on evenly for so long."""

JUMP_S = 60.0
"""A clock that differs by more from one that nobody sets has jumped."""


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a file system that this user could use, and that are left."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording that nothing is left to do for.

    Attributes:
        path: its directory.
        ended_at: Unix time.
        bytes: what it takes.
    """

    path: str
    ended_at: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Clock:
    """How far the clock of the machine can be trusted with ages.

    Attributes:
        offset: between it and a clock that nobody sets, at the last look.
        even_since: from when on the two went on together, by the second.
    """

    offset: float
    even_since: float

    @classmethod
    def began(cls, now: float, monotonic: float) -> "Clock":
        """Return what is known at first: a clock that was right when we started is trusted."""
        return cls(now - monotonic, monotonic - TRUSTED_AFTER_S)

    def looked_at(self, now: float, monotonic: float) -> "Clock":
        """Return what is known after one more look."""
        offset = now - monotonic
        if abs(offset - self.offset) > JUMP_S:
            return Clock(offset, monotonic)
        return Clock(offset, self.even_since)

    def is_trusted(self, monotonic: float) -> bool:
        """Tell whether ages may be told by it."""
        return monotonic - self.even_since >= TRUSTED_AFTER_S


class Reserve(Protocol):
    """What is to stay free of a disk: the greater of a share and a number of bytes."""

    @property
    def free_share(self) -> float:
        """Of all of it, from 0 to 1."""

    @property
    def free_bytes(self) -> int:
        """So many."""


def free_limit(spec: Reserve, space: Space) -> int:
    """Return how many bytes are to stay free."""
    return max(spec.free_bytes, round(spec.free_share * space.total))


def is_full(space: Space, limit: int, *, was_full: bool) -> bool:
    """Tell whether recording has to pause."""
    return space.free < (_with_margin(limit) if was_full else limit)


def to_delete(
    kept: Sequence[Kept],
    spec: ArchiveSpec,
    space: Space,
    *,
    others_bytes: int,
    now: float | None,
) -> list[Kept]:
    """Return the recordings that are to be deleted, the oldest first.

    Args:
        kept: those that may be.
        spec: how long and how much is kept.
        space: how much room there is; the space that a file takes for a while in the place of
            segments counts as free.
        others_bytes: what recordings of the rule take that may not be deleted.
        now: Unix time; None while the clock cannot be trusted: then none is too old.
    """
    oldest_first = sorted(kept, key=lambda each: (each.ended_at, each.path))
    limit = free_limit(spec, space)
    free, total = space.free, others_bytes + sum(each.bytes for each in kept)
    # A disk that is smaller than what is to stay free never has it, whatever is deleted.
    is_short = free < limit <= space.total
    found: list[Kept] = []
    for each in oldest_first:
        too_old = (
            now is not None
            and spec.keep_for_s is not None
            and each.ended_at + spec.keep_for_s < now
        )
        too_much = spec.keep_bytes is not None and total > spec.keep_bytes
        too_full = is_short and free < _with_margin(limit)
        if not (too_old or too_much or too_full):
            break
        found.append(each)
        free += each.bytes
        total -= each.bytes
    return found


def _with_margin(limit: int) -> int:
    return limit + limit // _MARGIN
