"""Whom a stream turned away last. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last publisher that was turned away from a stream: when, and in which words."""

    at: datetime
    reason: str
