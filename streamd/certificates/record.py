"""What is known of a certificate beside its files, and how that is kept as JSON. Pure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from streamd.certificates.attempts import Attempts, Outcome, Try
from streamd.certificates.lifetime import Window

Source = Literal["self-signed", "own", "authority"]
"""Where a certificate comes from; `own` are the operator's files."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The certificate that is served.

    Attributes:
        source: where it comes from.
        wanted: what it was ordered for (`spec.wanted_identity`); "" for others.
        serial: in hex.
        issuer: as people know it.
        domains: that it is for.
        not_before, not_after: Unix times.
        ari: what the authority knows it by; None where it does not.
    """

    source: Source
    wanted: str
    serial: str
    issuer: str
    domains: tuple[str, ...]
    not_before: float
    not_after: float
    ari: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a certificate.

    Attributes:
        installed: what is served; None before there is anything.
        attempts: to get another one.
        window: when its authority wants it renewed; None where it does not say.
        ask_at: when the authority is asked that next, Unix time.
        wanted: what the attempts were made for (`spec.wanted_identity`); others make a new start.
        means: how they were made (`spec.means_identity`); likewise.
    """

    installed: Installed | None = None
    attempts: Attempts = field(default_factory=Attempts)
    window: Window | None = None
    ask_at: float = 0.0
    wanted: str = ""
    means: str = ""


def to_json(record: Record) -> str:
    """Return a record as it is kept."""
    return json.dumps({"version": 1, **asdict(record)}, indent=1) + "\n"


def from_json(text: str) -> Record:
    """Read what `to_json` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        data = json.loads(text)
        installed, window, attempts = data["installed"], data["window"], data["attempts"]
        return Record(
            installed=None if installed is None else _installed(installed),
            attempts=_attempts(attempts),
            window=None if window is None else _window(window),
            ask_at=_number(data["ask_at"]),
            wanted=str(data["wanted"]),
            means=str(data["means"]),
        )
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a certificate's record: {type(error).__name__} {error}") from error


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"not a certificate's record: {value} is no moment")
    return number


def _word(value: Any, words: Sequence[Any]) -> Any:
    if value not in words:
        raise ValueError(f"not a certificate's record: {value!r} is none of {', '.join(words)}")
    return value


def _window(data: Mapping[str, Any]) -> Window:
    return Window(_number(data["start"]), _number(data["end"]))


def _installed(data: Mapping[str, Any]) -> Installed:
    ari = data["ari"]
    return Installed(
        source=_word(data["source"], get_args(Source)),
        wanted=str(data["wanted"]),
        serial=str(data["serial"]),
        issuer=str(data["issuer"]),
        domains=tuple(map(str, data["domains"])),
        not_before=_number(data["not_before"]),
        not_after=_number(data["not_after"]),
        ari=None if ari is None else str(ari),
    )


def _attempts(data: Mapping[str, Any]) -> Attempts:
    error = data["last_error"]
    return Attempts(
        failures=int(data["failures"]),
        next_at=_number(data["next_at"]),
        tries=tuple(
            Try(
                _number(each["at"]),
                tuple(map(str, each["names"])),
                str(each["authority"]),
                bool(each["renews"]),
                _word(each["outcome"], get_args(Outcome)),
            )
            for each in data["tries"]
        ),
        last_error=None if error is None else str(error),
    )
