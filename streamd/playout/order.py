"""In which order the files of a playlist are played. Pure."""

from collections.abc import Iterator, Sequence
from random import Random


def rounds(
    files: Sequence[str], *, loop: bool, shuffle: bool, random: Random
) -> Iterator[tuple[str, ...]]:
    """Yield the files in the order of each round: one round, or without an end.

    Each round holds every file once. Shuffled rounds differ, and where there are two files or
    more the last of a round is not the first of the next.

    Args:
        files: as they are listed.
        loop: begin anew after the last.
        shuffle: in another order each round.
        random: what they are shuffled with.
    """
    last: str | None = None
    while True:
        order = list(files)
        if shuffle:
            random.shuffle(order)
            _apart(order, last)
        yield tuple(order)
        if not loop:
            return
        last = order[-1] if order else None


def _apart(order: list[str], last: str | None) -> None:
    """Keep a file from following itself: swap it with the first one that is another."""
    if order and order[0] == last:
        other = next((at for at, file in enumerate(order) if file != last), 0)
        order[0], order[other] = order[other], order[0]
