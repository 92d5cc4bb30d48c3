"""Looks at where recordings go, also as those processes of streamd see it that run."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from streamd.archive.files import space_of
from streamd.archive.layout import root_of
from streamd.bounded import answers
from streamd.doctor import probes
from streamd.doctor.context import Context
from streamd.doctor.finding import Finding
from streamd.doctor.recordings import Place, judge

ANSWER_S = 5.0
"""For all of them, since they are looked at at the same time."""


async def check_recordings(context: Context) -> Iterable[Finding]:
    """Look at where every rule of the file records to. Makes and writes nothing."""
    rules = context.desired.recordings.values() if context.desired else ()
    running = [pid for pid in (context.supervisord, context.service.pid) if pid]
    is_own = context.user.uid == os.geteuid()
    roots = dict.fromkeys(root_of(rule.directory) for rule in rules)
    asked = {root: partial(look_at, Path(root), running, is_own=is_own) for root in roots}
    found = await asyncio.to_thread(answers, asked, ANSWER_S)
    return [
        judge(rule, found.get(root_of(rule.directory)), context.user, limit_s=ANSWER_S)
        for rule in rules
    ]


def look_at(directory: Path, running: Sequence[int], *, is_own: bool) -> Place:
    """Look at a directory, which may be missing. May take for ever. Raises OSError.

    Args:
        directory: absolute.
        running: processes of streamd, whose units may have file systems of their own.
        is_own: we are the user who is to write there.
    """
    nearest = directory
    while not nearest.exists():
        nearest = nearest.parent
    way = probes.way_to(nearest)
    real = way[-1].path
    status = os.statvfs(real)
    flags, hidden = [status.f_flag], False
    for pid in running:
        try:
            flags.append(os.statvfs(f"/proc/{pid}/root{real}").f_flag)
        except FileNotFoundError:
            hidden = hidden or _is_seen(pid)
        except OSError:  # we may not look through its eyes
            continue
    return Place(
        way=way,
        is_there=nearest == directory,
        space=space_of(nearest),
        files_free=status.f_favail if status.f_files else None,
        read_only=any(each & os.ST_RDONLY for each in flags),
        hidden=hidden,
        writable=os.access(real, os.W_OK | os.X_OK) if is_own else None,
    )


def _is_seen(pid: int) -> bool:
    """Tell whether a process is there, and its file systems can be looked at."""
    try:
        Path(f"/proc/{pid}/root/").stat()
    except OSError:
        return False
    return True
