"""Checks of `callbacks`: where they go, and what they are told. Pure."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from streamd.config.addresses import has_blank
from streamd.config.data_path import DataPath
from streamd.config.models import Callback, Config
from streamd.config.source import Source
from streamd.config.user_info import misleading
from streamd.errors import Problem

SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 20.0
"""The media servers refuse a publisher whose question was not answered for 30 s."""


def check_callbacks(config: Config, source: Source) -> Iterator[Problem]:
    """Yield what is wrong with the callbacks.

    Args:
        config: to check.
        source: where it stands.
    """
    told: dict[tuple[str, str], str] = {}
    for name, callback in config.callbacks.items():
        path: DataPath = ("callbacks", name)
        url = callback.url.get_secret_value()
        wrong = _fault(url)
        if wrong is not None:
            yield source.error((*path, "url"), wrong)
        yield from _events(path, callback, source)
        if not SHORTEST_TIMEOUT_S <= callback.timeout.total_seconds() <= LONGEST_TIMEOUT_S:
            yield source.error(
                (*path, "timeout"),
                f"is out of range; write {SHORTEST_TIMEOUT_S * 1000:g}ms to {LONGEST_TIMEOUT_S:g}s",
            )
        for action in dict.fromkeys(callback.events):
            first = told.setdefault((url, action), name)
            if first != name:
                yield source.warning(
                    (*path, "url"),
                    f"is that of callbacks.{first}, so that it is told {action} twice; remove "
                    f"{action} from one",
                )


def _events(path: DataPath, callback: Callback, source: Source) -> Iterator[Problem]:
    if not callback.events:
        yield source.error((*path, "events"), "is empty; name an event, as on_publish")
    for position, action in enumerate(callback.events):
        if action in callback.events[:position]:
            yield source.warning(
                (*path, "events", position), "names the same event again; remove it"
            )
    if "on_error" in callback.model_fields_set and "on_publish" not in callback.events:
        yield source.error(
            (*path, "on_error"),
            "has no meaning without the event on_publish; remove it",
            unless=[(*path, "events")],
        )


def _fault(url: str) -> str | None:
    """Say what is wrong with an address, None for nothing. It may hold a secret."""
    if has_blank(url):
        return "holds a space or a control character; remove it"
    fault = misleading(url)
    if fault is not None:
        return fault
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not an address; write for example https://HOST/PATH"
    if parts.scheme not in ("http", "https"):
        return "is not an address to post to; begin it with http:// or https://"
    if not host or port == 0:
        return "names no host; write for example https://HOST/PATH"
    if parts.fragment or url.endswith("#"):
        return "has a `#`, and what follows one is never sent; remove it"
    return None
