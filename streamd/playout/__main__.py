"""`python -m streamd.playout STREAM`: plays the spec that it reads from descriptor 3.

Its argument tells people which one it is. It ends with 0 only when a playlist that is played once
is over, with 143 when it was asked to end, and with 1 otherwise.
"""

import asyncio
import os
import signal
import sys

from streamd.errors import StreamdError
from streamd.playout.play import play
from streamd.playout.spec import SPEC_FD, PlayoutSpec, from_json
from streamd.stderr_log import say

_ASKED_TO_END = 128 + signal.SIGTERM


def main() -> int:
    """Play, and return the exit status."""
    try:
        with os.fdopen(SPEC_FD, encoding="utf-8") as given:
            spec = from_json(given.read())
    except (OSError, ValueError) as error:
        say("error", f"cannot read what to play from descriptor {SPEC_FD}: {error}")
        return 1
    return asyncio.run(_until_asked(spec))


async def _until_asked(spec: PlayoutSpec) -> int:
    playing = asyncio.create_task(play(spec, say), name="playout")
    loop = asyncio.get_running_loop()
    for asked in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(asked, playing.cancel)
    try:
        await playing
    except asyncio.CancelledError:
        return _ASKED_TO_END
    except ExceptionGroup as group:
        for error in dict.fromkeys(_leaves(group)):
            if not isinstance(error, StreamdError):
                raise
            say("error", str(error))
        return 1
    return 0


def _leaves(group: BaseExceptionGroup) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves


if __name__ == "__main__":
    sys.exit(main())
