"""Checks of `storages` that ask `opendal`: which options a service has, and what it lacks.

Nothing is sent anywhere.
"""

import re
from collections.abc import Iterator

from streamd.archive.storage_address import place_of
from streamd.config.models import Config
from streamd.config.recording_models import Storage
from streamd.config.source import Source
from streamd.config.suggestions import Suggestions
from streamd.config.user_info import misleading
from streamd.errors import Problem

_GIVEN = frozenset({"root", "bucket", "container"})
"""Options that the address of a storage stands for."""


def check_storages(config: Config, source: Source) -> Iterator[Problem]:
    """Yield what is wrong with the options of storages."""
    suggestions = Suggestions()
    for name, storage in config.storages.items():
        known = _options_of(storage)
        wrong = [option for option in storage.options if option not in known]
        for option in wrong:
            where = ("storages", name, "options", option)
            if option in _GIVEN:
                message = "stands in `url` already; remove it here"
            else:
                hint = suggestions.nearest(option, known) or f"; there are {', '.join(known)}"
                message = f"is no option of {storage.url.partition(':')[0]}{hint}"
            yield source.error(where, message, at_name=True)
        fault = misleading(storage.plain_options().get("endpoint", ""))
        if fault is not None:
            yield source.error(("storages", name, "options", "endpoint"), fault)
        elif not wrong:
            lacking = _lacking(storage)
            if lacking is not None:
                yield source.error(
                    ("storages", name),
                    lacking,
                    at_name=True,
                    unless=[("storages", name, "options")],
                )


def _options_of(storage: Storage) -> list[str]:
    """Return what a service can be told, beside what its address says."""
    # Not before it is needed: it takes memory.
    from opendal import config  # noqa: PLC0415

    scheme = storage.url.partition(":")[0]
    fields = getattr(config, f"{scheme.capitalize()}Config").__annotations__
    return sorted(fields.keys() - _GIVEN - {"scheme"})


def _lacking(storage: Storage) -> str | None:
    """Say why a storage cannot be used at all; None where it can."""
    import opendal  # noqa: PLC0415
    from opendal import exceptions  # noqa: PLC0415

    place = place_of(storage.url, storage.plain_options())
    try:
        opendal.AsyncOperator(place.scheme, **place.options)
    except (exceptions.ConfigInvalid, exceptions.Unsupported, exceptions.Unexpected) as error:
        told = str(error).partition("\n")[0].rpartition("=> ")[2]
        missing = re.match(r"([a-z_]+) is (?:empty|missing|required)", told)
        what = missing[1] if missing else told
        return f"lacks {what}; add it to `options`" if missing else f"cannot be used: {told}"
    return None
