"""One playout: its inputs, its publish and its reports, from the beginning to the end."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

from streamd.playout.air import Air, Port
from streamd.playout.files import Files
from streamd.playout.inputs import play_ingest, play_pull
from streamd.playout.publisher import Publisher
from streamd.playout.report import report
from streamd.playout.slate_input import Slate
from streamd.playout.spec import (
    FilesInput,
    IngestInput,
    PlayoutInput,
    PlayoutSpec,
    PullInput,
)
from streamd.stderr_log import Say


async def play(spec: PlayoutSpec, say: Say) -> None:
    """Play until a playlist that is played once is over; otherwise for ever.

    Whatever fails is tried again. On cancellation the publish and the children are ended.

    Raises:
        ExceptionGroup: a fault in here, or a playlist of which nothing could be played.
    """
    air = Air(spec, say, Random())  # noqa: S311 - shuffles and waits, no secrets
    publisher = Publisher(air)
    async with asyncio.TaskGroup() as tasks:
        others = [
            tasks.create_task(air.direct(), name="direct"),
            tasks.create_task(publisher.run(), name="publish"),
            tasks.create_task(report(air, publisher), name="report"),
        ]
        ends: list[asyncio.Task[None]] = []
        for given, port in zip(spec.inputs, air.ports, strict=True):
            task = tasks.create_task(_input(given, port), name=f"input {port.at}")
            (ends if _ends(given) else others).append(task)
        if ends:
            await asyncio.gather(*ends)
            await publisher.drained()
            for task in others:
                task.cancel()


def _ends(given: PlayoutInput) -> bool:
    return isinstance(given, FilesInput) and not given.loop


def _input(given: PlayoutInput, port: Port) -> Coroutine[Any, Any, None]:
    if isinstance(given, IngestInput):
        return play_ingest(given, port)
    if isinstance(given, PullInput):
        return play_pull(given, port)
    if isinstance(given, FilesInput):
        return Files(given, port).play()
    return Slate(given, port).run()
