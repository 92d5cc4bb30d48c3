"""The way of a command to the daemon."""

import asyncio
from typing import Any

from streamd.control_api import ask
from streamd.settings import Settings


def ask_daemon(settings: Settings, method: str, path: str, body: Any = None) -> Any:
    """Send the daemon a request, and return its answer.

    Raises:
        NoDaemonError: none runs here.
        StreamdError: it refuses; says why.
    """
    return asyncio.run(ask(settings.control_socket, method, path, body))
