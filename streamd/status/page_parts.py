"""The parts that tables of the status page are made of. All text is escaped where it comes in."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Protocol, TypeVar

Row = tuple[str, ...]


class _HasState(Protocol):
    @property
    def state(self) -> str: ...


Entry = TypeVar("Entry", bound=_HasState)

_NUMBER = ' class="number"'

# Class and sign of each state; the sign tells them apart without colour.
_LOOKS = {
    "live": ("good", "●"),
    "running": ("good", "●"),
    "connecting": ("busy", "◐"),
    "starting": ("busy", "◐"),
    "stopping": ("busy", "◐"),
    "stalled": ("warn", "▲"),
    "backoff": ("warn", "▲"),
    "degraded": ("warn", "▲"),
    "refused": ("warn", "▲"),
    "blocked": ("bad", "■"),
    "waiting": ("off", "○"),
    "idle": ("off", "○"),
    "disabled": ("off", "-"),
    "fallback": ("warn", "▲"),
    "finished": ("off", "○"),
    "scheduled": ("off", "○"),
    "recording": ("good", "●"),
    "finishing": ("busy", "◐"),
    "uploading": ("busy", "◐"),
    "paused": ("bad", "■"),
    "error": ("bad", "■"),
    "ok": ("good", "●"),
    "failing": ("warn", "▲"),
    "valid": ("good", "●"),
    "issuing": ("busy", "◐"),
    "renewing": ("busy", "◐"),
    "expired": ("bad", "■"),
}
_URGENCY = ("bad", "warn", "busy", "good", "off")


def section(
    title: str, entries: Mapping[str, Entry], heads: Sequence[str], row: Callable[[str, Entry], Row]
) -> str:
    """Return a section with a table of entries, those that need somebody first.

    Args:
        title: of the section.
        entries: by name.
        heads: of the columns; `#` before one makes it a column of numbers.
        row: gives the cells of an entry, as HTML.
    """
    if not entries:
        return f'<section><h2>{title}</h2><p class="quiet">None in the configuration.</p></section>'
    counts = Counter(entry.state for entry in entries.values())
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items(), key=_urgency))
    ordered = sorted(entries.items(), key=_entry_urgency)
    return (
        f'<section><h2>{title} <span class="quiet">{summary}</span></h2>'
        f"{table(heads, (row(name, entry) for name, entry in ordered))}</section>"
    )


def table(heads: Sequence[str], rows: Iterable[Row]) -> str:
    """Return a table; the first cell of each row is its name."""
    head = "".join(map(_head, heads))
    body = "".join(_row(row, heads) for row in rows)
    return (
        '<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _urgency(item: tuple[str, object]) -> tuple[int, str]:
    return _URGENCY.index(_LOOKS[item[0]][0]), item[0]


def _entry_urgency(item: tuple[str, Entry]) -> tuple[int, str]:
    return _URGENCY.index(_LOOKS[item[1].state][0]), item[0]


def _head(text: str) -> str:
    name = text.removeprefix("#")
    return f'<th scope="col"{_NUMBER if name != text else ""}>{name}</th>'


def _row(cells: Row, heads: Sequence[str]) -> str:
    first, *rest = cells
    tds = (
        f'<td data-label="{head.removeprefix("#")}"{_NUMBER if head.startswith("#") else ""}>'
        f"{cell}</td>"
        if cell
        else "<td></td>"
        for head, cell in zip(heads[1:], rest, strict=True)
    )
    return f'<tr><th scope="row">{first}</th>{"".join(tds)}</tr>'


def named(name: str, address: str, error: str | None) -> str:
    """Return a name with an address and an error below it."""
    return (
        escape(name)
        + (f'<div class="address">{escape(address)}</div>' if address else "")
        + (f'<div class="error">{escape(error)}</div>' if error else "")
    )


def state_cell(state: str, retry_at: datetime | None, now: datetime) -> str:
    """Return a state with its sign, and when it is tried again."""
    look, sign = _LOOKS[state]
    retry = ""
    if retry_at is not None and retry_at > now:
        retry = f'<div class="quiet">again in {duration((retry_at - now).total_seconds())}</div>'
    return (
        f'<span class="state {look}"><span aria-hidden="true">{sign}</span> {state}</span>{retry}'
    )


def moment_cell(moment: datetime) -> str:
    """Return a time of day, in UTC."""
    utc = moment.astimezone(UTC)
    return f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc:%Y-%m-%d %H:%M:%S} UTC</time>'


def age(since: datetime | None, now: datetime) -> str:
    """Return how long something has been so."""
    if since is None:
        return ""
    stamp = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    text = duration(max(0.0, (now - since).total_seconds()))
    return f'<time class="age" datetime="{stamp}" title="since {stamp}">{text}</time>'


def duration(seconds: float) -> str:
    """Return a time in the two largest units that it has."""
    whole = round(seconds)
    for unit_s, unit, smaller_s, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= unit_s:
            return f"{whole // unit_s} {unit} {whole % unit_s // smaller_s} {smaller}"
    return f"{whole} s"


def rate(kbps: int) -> str:
    """Return a bit rate with its unit."""
    return f"{kbps / 1000:.1f} Mb/s" if kbps >= 1000 else f"{kbps} kb/s"


def amount(count: int) -> str:
    """Return a count of bytes with its unit."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
