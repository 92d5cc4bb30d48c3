"""Tries storages: writes a small file to each, and deletes it."""

import asyncio
import time
from collections.abc import Iterable

from streamd.desired import StorageSpec
from streamd.doctor.context import Context
from streamd.doctor.finding import Finding, error, ok, split_advice

TIMEOUT_S = 10.0
"""For one storage: written, and deleted again."""

_PROBE = ".streamd-doctor"


async def check_storages(context: Context) -> Iterable[Finding]:
    """Write a small file to every storage of the file, and delete it."""
    specs = context.desired.storages.values() if context.desired else ()
    return await asyncio.gather(*map(_try, specs))


async def _try(spec: StorageSpec) -> Finding:
    # Not before it is needed: it takes memory.
    from streamd.archive.storage import Storage, StorageError  # noqa: PLC0415

    where, began = f"storages.{spec.name}", time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            storage = Storage(spec.url, dict(spec.options))
            await storage.put_text("streamd doctor was here\n", _PROBE)
            await storage.delete(_PROBE)
    except StorageError as failure:
        return error(where, *split_advice(str(failure)))
    except TimeoutError:
        told = f"does not answer within {TIMEOUT_S:.0f} s"
        return error(where, told, "check `endpoint`, and this machine's network")
    took_s = time.monotonic() - began
    return ok(where, f"takes files, and lets them be deleted ({took_s * 1000:.0f} ms)")
