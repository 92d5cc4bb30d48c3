"""What is known of a certificate beside its files, and how that is kept as JSON. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from streamd.certificates.attempts import Attempts, Try
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
        authority: URL of the directory that they were made at.
        window: when its authority wants it renewed; None where it does not say.
        ask_at: when the authority is asked that next, Unix time.
        wanted: what the attempts were made for; other names make a new start.
    """

    installed: Installed | None = None
    attempts: Attempts = field(default_factory=Attempts)
    authority: str = ""
    window: Window | None = None
    ask_at: float = 0.0
    wanted: str = ""


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
            authority=str(data["authority"]),
            window=None if window is None else Window(float(window["start"]), float(window["end"])),
            ask_at=float(data["ask_at"]),
            wanted=str(data["wanted"]),
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a certificate's record: {type(error).__name__} {error}") from error


def _installed(data: Mapping[str, Any]) -> Installed:
    ari = data["ari"]
    return Installed(
        source=data["source"],
        wanted=str(data["wanted"]),
        serial=str(data["serial"]),
        issuer=str(data["issuer"]),
        domains=tuple(map(str, data["domains"])),
        not_before=float(data["not_before"]),
        not_after=float(data["not_after"]),
        ari=None if ari is None else str(ari),
    )


def _attempts(data: Mapping[str, Any]) -> Attempts:
    error = data["last_error"]
    return Attempts(
        failures=int(data["failures"]),
        next_at=float(data["next_at"]),
        tries=tuple(
            Try(float(each["at"]), tuple(map(str, each["names"])), each["outcome"])
            for each in data["tries"]
        ),
        last_error=None if error is None else str(error),
    )
