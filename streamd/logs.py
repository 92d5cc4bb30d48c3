"""Logs: one line an event to standard error, for people or for machines, without secrets.

Everything goes one way, streamd's own events and those of aiohttp, asyncio and warnings: through
the standard library's handler, which survives a standard error that nobody reads any more.
"""

import atexit
import contextlib
import logging
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from streamd.redact import Redactor

FORMER_SECRETS_KEPT_S = 600.0
"""Secrets that the configuration no longer has are masked for so long: what still runs has them."""

_NEVER_SECRET = frozenset({"level", "timestamp", "logger"})


class SecretMasker:
    """A structlog processor that masks secrets in every value of an event.

    Values that are no plain numbers are turned into text, so that no `repr` escapes the mask.
    Keys are words of the code and stay as they are.
    """

    def __init__(self) -> None:
        self._current: frozenset[str] = frozenset()
        self._former: dict[str, float] = {}
        self._all: frozenset[str] = frozenset()
        self._redact = Redactor(())

    def set_secrets(self, secrets: Iterable[str], now_s: float) -> None:
        """Mask these from now on, and those before for `FORMER_SECRETS_KEPT_S` seconds more.

        Args:
            secrets: every secret of the configuration.
            now_s: monotonic time.
        """
        new = frozenset(secrets)
        self._former |= dict.fromkeys(self._current - new, now_s + FORMER_SECRETS_KEPT_S)
        self._former = {text: until for text, until in self._former.items() if until > now_s}
        self._current = new
        all_secrets = new.union(self._former)
        if all_secrets != self._all:  # 10,000 secrets take half a second
            self._all = all_secrets
            self._redact = Redactor(all_secrets)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Return the event with `***` for each secret in it."""
        return {
            key: value if key in _NEVER_SECRET else self._masked(value)
            for key, value in event.items()
        }

    def _masked(self, value: object) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return self._masked_fields(value)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._masked(each) for each in value]
        return self._redact(str(value))

    def _masked_fields(self, fields: Mapping[Any, object]) -> dict[str, Any]:
        """Mask names too; those that are the same then are numbered, so that none is lost."""
        found: dict[str, Any] = {}
        for key, value in fields.items():
            masked = name = self._redact(str(key))
            number = 1
            while name in found:
                number += 1
                name = f"{masked} ({number})"
            found[name] = self._masked(value)
        return found


_masker = SecretMasker()  # logging is one for the process, and so is what it masks


def set_secrets(secrets: Iterable[str]) -> None:
    """Mask these secrets in every log from now on, those before for ten minutes more."""
    _masker.set_secrets(secrets, time.monotonic())


def configure(log_format: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all logs of the process to one stream. Calling it again replaces what it set up.

    Args:
        log_format: `console`, `json` (one object a line), or `auto`: console on a terminal.
        level: debug, info, warning or error; of libraries at least warnings are logged.
        stream: by default standard error.
    """
    stream = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    own: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*own, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Without the values of local variables, which may be secrets.
                structlog.processors.format_exc_info,
                _masker,
                _renderer(console=console, colors=stream.isatty()),
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *own,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    _route(handler, level.upper())


class _Handler(logging.StreamHandler[TextIO]):
    """Writes events, and says of one that it cannot write only where it came from."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - overrides
        # The standard library would print the event unmasked.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"log.failed logger={record.name} line={record.lineno}\n")


@atexit.register
def _let_go_of_standard_error() -> None:
    # What a reader that went away left unread would otherwise make Python exit with status 120.
    try:
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError):
            sys.stderr.close()


def _renderer(*, console: bool, colors: bool) -> Processor:
    if not console:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )


def _route(handler: logging.Handler, level: str) -> None:
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("streamd").setLevel(level)
