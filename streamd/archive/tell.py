"""Tells callbacks of recordings, by way of the outbox that the daemon sends from."""

from collections.abc import Iterable
from pathlib import Path

from streamd.callbacks import outbox
from streamd.callbacks.events import Event


class UntoldError(Exception):
    """Callbacks cannot be told now. Recording and finishing do not wait for it."""


def tell(directory: str, events: Iterable[Event]) -> None:
    """Keep events until they are sent, in order. Returns when they are safe on disk.

    Args:
        directory: of the outbox.
        events: what happened, oldest first.

    Raises:
        UntoldError: they could not be written; none of them is kept.
    """
    try:
        outbox.drop(Path(directory), events)
    except OSError as error:
        where = error.filename or directory
        raise UntoldError(
            f"callbacks cannot be told: {where}: {error.strerror or error}"
        ) from error
