"""The status as one HTML page: whole without scripts, nothing from elsewhere, all text escaped."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from typing import TypeVar

from streamd.status.callbacks import CallbackStatus
from streamd.status.report import ServerStatus, Status
from streamd.status.streams import StreamStatus
from streamd.status.targets import AS_WANTED, TargetStatus
from streamd.status.transcodes import TranscodeStatus

Entry = TypeVar("Entry", ServerStatus, StreamStatus, TargetStatus, TranscodeStatus, CallbackStatus)
Row = tuple[str, ...]

_CSS = resources.files("streamd.status").joinpath("page.css").read_text(encoding="utf-8")
_JS = resources.files("streamd.status").joinpath("page.js").read_text(encoding="utf-8")
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='6' fill='%2311702f'/%3E%3C/svg%3E"
)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(_CSS)}",
        f"script-src {_hash(_JS)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may load: its own style and script, by their digests, and itself again."""

_NUMBER = ' class="number"'
_RELOAD_S = 5

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
    "ok": ("good", "●"),
    "failing": ("warn", "▲"),
}
_URGENCY = ("bad", "warn", "busy", "good", "off")


def page(status: Status) -> str:
    """Return the page of one moment. It renews itself, with or without scripts."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_title(status)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{_ICON}">'
        f'<noscript><meta http-equiv="refresh" content="{_RELOAD_S}"></noscript>'
        f"<style>{_CSS}</style></head><body>"
        f"<header><h1>{escape(status.node)}</h1>"
        f'<p class="quiet">streamd {escape(status.version)}</p>'
        '<p class="lost" id="connection" role="status"></p></header>'
        f"<main>{''.join(_main(status))}</main>"
        f"<script>{_JS}</script></body></html>\n"
    )


def _title(status: Status) -> str:
    mark = "" if status.converged and status.config.state == "applied" else "! "
    return f"{mark}{escape(status.node)} · streamd"


def _main(status: Status) -> Iterable[str]:
    now = status.now
    yield _verdict(status)
    yield _config(status)
    yield _section(
        "Servers",
        status.servers,
        ("Server", "State", "For", "Version", "#Clients", "#Restarts"),
        lambda name, server: _server_row(name, server, now),
    )
    yield _section(
        "Streams",
        status.streams,
        ("Stream", "State", "For", "Publisher", "Media", "#Rate", "#Viewers"),
        lambda name, stream: _stream_row(name, stream, now),
    )
    yield _section(
        "Targets",
        status.targets,
        ("Target", "State", "For", "Stream", "#Rate", "#Sent", "#Restarts"),
        lambda name, target: _target_row(name, target, now),
    )
    if status.transcodes:
        yield _section(
            "Transcodes",
            status.transcodes,
            ("Transcode", "State", "For", "Stream", "Becomes", "#Speed", "#Restarts"),
            lambda name, transcode: _transcode_row(name, transcode, now),
        )
    if status.callbacks:
        yield _section(
            "Callbacks",
            status.callbacks,
            ("Callback", "State", "For", "Answered", "#Waiting", "#Sent", "#Refused"),
            lambda name, callback: _callback_row(name, callback, now),
        )


def _config(status: Status) -> str:
    config = status.config
    file = f"<code>{escape(config.path)}</code>"
    applied = f"applied {_time(config.applied_at)}" if config.applied_at else "none applied yet"
    text = {
        "applied": f'{file} <span class="quiet">{applied}, {escape(config.hash[:12])}</span>',
        "rejected": f"{file} is not usable; nothing was changed. On air is the one {applied}.",
        "fallback": f"{file} is not usable. On air is the last good one that was kept.",
        "pending": f"{file} was changed; <code>streamd reload</code> applies it.",
    }[config.state]
    problems = "".join(
        f"<li><code>{escape(str(problem))}</code></li>"
        for problem in (*config.errors, *config.warnings)
    )
    look = "problem" if config.state in {"rejected", "fallback"} else "notice"
    title = "Configuration" if config.state == "applied" else f"Configuration {config.state}"
    return (
        f'<section class="{look}"><h2>{title}</h2><p>{text}</p>'
        f"{f'<ul>{problems}</ul>' if problems else ''}</section>"
    )


def _verdict(status: Status) -> str:
    """Say in one line whether the machine is as the file says."""
    if status.converged:
        return '<p class="verdict good"><span aria-hidden="true">●</span> converged</p>'
    servers = sum(server.state != "running" for server in status.servers.values())
    targets = sum(target.state not in AS_WANTED for target in status.targets.values())
    transcodes = sum(each.state not in AS_WANTED for each in status.transcodes.values())
    differing = ", ".join(
        f"{count} of {len(entries)} {kind}"
        for count, entries, kind in (
            (servers, status.servers, "servers"),
            (targets, status.targets, "targets"),
            (transcodes, status.transcodes, "transcodes"),
        )
        if count
    )
    if status.config.state != "applied":
        differing = f"configuration {status.config.state}{differing and ', '}{differing}"
    return (
        '<p class="verdict busy"><span aria-hidden="true">◐</span> '
        f"not converged: {differing or 'changes are being applied'}</p>"
    )


def _section(
    title: str, entries: Mapping[str, Entry], heads: Sequence[str], row: Callable[[str, Entry], Row]
) -> str:
    if not entries:
        return f'<section><h2>{title}</h2><p class="quiet">None in the configuration.</p></section>'
    counts = Counter(entry.state for entry in entries.values())
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items(), key=_urgency))
    head = "".join(_head(text) for text in heads)
    body = "".join(
        _row(row(name, entry), heads) for name, entry in sorted(entries.items(), key=_entry_urgency)
    )
    return (
        f'<section><h2>{title} <span class="quiet">{summary}</span></h2><div class="scroll">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
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


def _server_row(name: str, server: ServerStatus, now: datetime) -> Row:
    return (
        _named(name, "", server.last_error),
        _state(server.state, server.retry_at, now),
        _age(server.since, now),
        escape(" ".join(filter(None, (server.engine, server.version)))),
        str(server.clients),
        str(server.restarts),
    )


def _stream_row(name: str, stream: StreamStatus, now: datetime) -> Row:
    live = stream.state in {"live", "fallback"}
    how = ", ".join(filter(None, (stream.protocol, stream.key and f"key {stream.key}")))
    who = escape(stream.publisher or "")
    source = stream.source
    playing = " ".join(filter(None, (source.on_air, source.playing))) if source else ""
    return (
        _named(name, playing, stream.last_error),
        _state(stream.state, None, now),
        _age(stream.since, now),
        f'{who}<div class="quiet">{escape(how)}</div>' if live else "",
        "<br>".join(escape(text) for text in (stream.video, stream.audio) if text),
        _rate(stream.kbps) if live else "",
        str(stream.viewers) if live else "",
    )


def _target_row(name: str, target: TargetStatus, now: datetime) -> Row:
    address = f"{target.address}{' (backup)' if target.backup else ''}"
    return (
        _named(name, address, target.last_error),
        _state(target.state, target.retry_at, now),
        _age(target.since, now),
        escape(target.stream or ""),
        _rate(target.kbps) if target.state == "live" else "",
        _bytes(target.bytes) if target.bytes else "",
        str(target.restarts),
    )


def _transcode_row(name: str, transcode: TranscodeStatus, now: datetime) -> Row:
    return (
        _named(name, "", transcode.last_error),
        _state(transcode.state, transcode.retry_at, now),
        _age(transcode.since, now),
        escape(transcode.stream),
        escape(transcode.to),
        "" if transcode.speed is None else f"{transcode.speed:.2f} x",
        str(transcode.restarts),
    )


def _callback_row(name: str, callback: CallbackStatus, now: datetime) -> Row:
    return (
        _named(name, callback.address, callback.last_error),
        _state(callback.state, callback.retry_at, now),
        _age(callback.since, now),
        _age(callback.last_success, now),
        str(callback.pending),
        str(callback.sent),
        str(callback.refused),
    )


def _named(name: str, address: str, error: str | None) -> str:
    return (
        escape(name)
        + (f'<div class="address">{escape(address)}</div>' if address else "")
        + (f'<div class="error">{escape(error)}</div>' if error else "")
    )


def _state(state: str, retry_at: datetime | None, now: datetime) -> str:
    look, sign = _LOOKS[state]
    retry = ""
    if retry_at is not None and retry_at > now:
        retry = f'<div class="quiet">again in {_duration((retry_at - now).total_seconds())}</div>'
    return (
        f'<span class="state {look}"><span aria-hidden="true">{sign}</span> {state}</span>{retry}'
    )


def _time(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc:%Y-%m-%d %H:%M:%S} UTC</time>'


def _age(since: datetime | None, now: datetime) -> str:
    if since is None:
        return ""
    stamp = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    text = _duration(max(0.0, (now - since).total_seconds()))
    return f'<time class="age" datetime="{stamp}" title="since {stamp}">{text}</time>'


def _duration(seconds: float) -> str:
    whole = round(seconds)
    for unit_s, unit, smaller_s, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= unit_s:
            return f"{whole // unit_s} {unit} {whole % unit_s // smaller_s} {smaller}"
    return f"{whole} s"


def _rate(kbps: int) -> str:
    return f"{kbps / 1000:.1f} Mb/s" if kbps >= 1000 else f"{kbps} kb/s"


def _bytes(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
