"""The report of `/status` as a table for a terminal. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from streamd.errors import Problem
from streamd.text_table import table_lines

_COLUMNS: dict[str, Sequence[str]] = {
    "servers": ("state", "engine", "version", "pid", "clients", "restarts", "last_error"),
    "streams": ("state", "key", "protocol", "video", "audio", "kbps", "viewers", "last_error"),
    "targets": ("state", "kbps", "pid", "restarts", "last_error"),
    "transcodes": ("state", "stream", "to", "speed", "pid", "restarts", "last_error"),
    "recordings": ("state", "seconds", "bytes", "uploaded", "others", "pid", "last_error"),
    "storages": ("state", "pending_recordings", "pending_bytes", "sent_bytes", "last_error"),
    "certificates": ("state", "domains", "not_after", "renew_at", "retry_at", "last_error"),
    "callbacks": ("state", "pending", "sent", "refused", "dropped", "retry_at", "last_error"),
}


def status_text(report: Mapping[str, Any]) -> str:
    """Return the report for people: what is wrong first, then a table of each kind."""
    config = report["config"]
    head = "converged" if report["converged"] else "NOT converged"
    lines = [
        f"streamd {report['version']} on {report['node']}: {head}; configuration {config['state']}"
    ]
    lines += [
        f"  {Problem(*map(error.get, ('file', 'line', 'column', 'path', 'message')))}"
        for error in config["errors"]
    ]
    lines += [f"  {warning}" for warning in report.get("warnings", ())]
    for section, columns in _COLUMNS.items():
        entries = report[section]
        if entries:
            lines += ["", *_table(section, entries, columns)]
    return "\n".join(lines)


def _table(
    section: str, entries: Mapping[str, Mapping[str, Any]], columns: Sequence[str]
) -> list[str]:
    used = [column for column in columns if any(entry.get(column) for entry in entries.values())]
    rows = [[section.upper(), *(column.upper().replace("_", " ") for column in used)]]
    for name, entry in sorted(entries.items()):
        rows.append([name, *(_cell(entry.get(column)) for column in used)])
    return table_lines(rows)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
