"""`python -m streamd.archive RULE`: keeps the archive that it reads from descriptor 3.

Its argument tells people which one it is. It ends when it is asked to, at once: whatever it does
can be broken off at any moment, and is taken up again by the next one.
"""

import asyncio
import os
import signal
import sys

from streamd.archive.run import Archive
from streamd.archive.spec import SPEC_FD, ArchiveSpec, from_json
from streamd.stderr_log import say

NICE = 5
"""Recordings can wait; what is live cannot."""

_ASKED_TO_END = 128 + signal.SIGTERM


def main() -> int:
    """Keep the archive, and return the exit status."""
    try:
        with os.fdopen(SPEC_FD, encoding="utf-8") as given:
            spec = from_json(given.read())
    except (OSError, ValueError) as error:
        say("error", f"cannot read what to keep from descriptor {SPEC_FD}: {error}")
        return 1
    # Somebody who opens a segment while it is looked at must not end us (`files.is_written`).
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    os.nice(NICE)
    asyncio.run(_until_asked(spec))
    return 1


async def _until_asked(spec: ArchiveSpec) -> None:
    loop = asyncio.get_running_loop()
    for asked in (signal.SIGTERM, signal.SIGINT):
        # A thread may hang with a disk, and would be waited for.
        loop.add_signal_handler(asked, os._exit, _ASKED_TO_END)
    await Archive(spec, say).run()


if __name__ == "__main__":
    sys.exit(main())
