"""The status as one HTML page: whole without scripts, nothing from elsewhere, all text escaped."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from html import escape
from importlib import resources

from streamd.status.callbacks import CallbackStatus
from streamd.status.certificates import CertificateStatus
from streamd.status.job_state import AS_WANTED
from streamd.status.page_parts import (
    Row,
    age,
    amount,
    moment_cell,
    named,
    rate,
    section,
    state_cell,
)
from streamd.status.page_recordings import (
    media_origins,
    recorded_section,
    recordings_section,
    storages_section,
)
from streamd.status.report import ServerStatus, Status
from streamd.status.streams import StreamStatus
from streamd.status.targets import TargetStatus
from streamd.status.transcodes import TranscodeStatus

_CSS = resources.files("streamd.status").joinpath("page.css").read_text(encoding="utf-8")
_JS = resources.files("streamd.status").joinpath("page.js").read_text(encoding="utf-8")
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='6' fill='%2311702f'/%3E%3C/svg%3E"
)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def content_security_policy(status: Status) -> str:
    """Return what the page may load.

    That is its own style and script, by their digests, itself again, and media from the servers
    that recordings are served by.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(_CSS)}",
            f"script-src {_hash(_JS)}",
            "connect-src 'self'",
            "img-src data:",
            " ".join(("media-src", *media_origins(status.recorded))),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


_RELOAD_S = 5


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
        f'<aside id="recorded">{recorded_section(status.recorded)}</aside>'
        f"<script>{_JS}</script></body></html>\n"
    )


def _title(status: Status) -> str:
    mark = "" if status.converged and status.config.state == "applied" else "! "
    return f"{mark}{escape(status.node)} · streamd"


def _main(status: Status) -> Iterable[str]:
    now = status.now
    yield _verdict(status)
    yield from (f'<p class="notice">{escape(text)}</p>' for text in status.warnings)
    yield _config(status)
    yield section(
        "Servers",
        status.servers,
        ("Server", "State", "For", "Version", "#Clients", "#Restarts"),
        lambda name, server: _server_row(name, server, now),
    )
    yield section(
        "Streams",
        status.streams,
        ("Stream", "State", "For", "Publisher", "Media", "#Rate", "#Viewers"),
        lambda name, stream: _stream_row(name, stream, now),
    )
    yield section(
        "Targets",
        status.targets,
        ("Target", "State", "For", "Stream", "#Rate", "#Sent", "#Restarts"),
        lambda name, target: _target_row(name, target, now),
    )
    if status.transcodes:
        yield section(
            "Transcodes",
            status.transcodes,
            ("Transcode", "State", "For", "Stream", "Becomes", "#Speed", "#Restarts"),
            lambda name, transcode: _transcode_row(name, transcode, now),
        )
    if status.recordings:
        yield recordings_section(status.recordings, now)
    if status.storages:
        yield storages_section(status.storages, now)
    if status.certificates:
        yield section(
            "Certificates",
            status.certificates,
            ("Certificate", "State", "For", "Issuer", "Expires", "Renewed"),
            lambda name, certificate: _certificate_row(name, certificate, now),
        )
    if status.callbacks:
        yield section(
            "Callbacks",
            status.callbacks,
            ("Callback", "State", "For", "Answered", "#Waiting", "#Sent", "#Refused"),
            lambda name, callback: _callback_row(name, callback, now),
        )


def _config(status: Status) -> str:
    config = status.config
    file = f"<code>{escape(config.path)}</code>"
    applied = (
        f"applied {moment_cell(config.applied_at)}" if config.applied_at else "none applied yet"
    )
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


def _server_row(name: str, server: ServerStatus, now: datetime) -> Row:
    return (
        named(name, "", server.last_error),
        state_cell(server.state, server.retry_at, now),
        age(server.since, now),
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
        named(name, playing, stream.last_error),
        state_cell(stream.state, None, now),
        age(stream.since, now),
        f'{who}<div class="quiet">{escape(how)}</div>' if live else "",
        "<br>".join(escape(text) for text in (stream.video, stream.audio) if text),
        rate(stream.kbps) if live else "",
        str(stream.viewers) if live else "",
    )


def _target_row(name: str, target: TargetStatus, now: datetime) -> Row:
    address = f"{target.address}{' (backup)' if target.backup else ''}"
    return (
        named(name, address, target.last_error),
        state_cell(target.state, target.retry_at, now),
        age(target.since, now),
        escape(target.stream or ""),
        rate(target.kbps) if target.state == "live" else "",
        amount(target.bytes) if target.bytes else "",
        str(target.restarts),
    )


def _transcode_row(name: str, transcode: TranscodeStatus, now: datetime) -> Row:
    return (
        named(name, "", transcode.last_error),
        state_cell(transcode.state, transcode.retry_at, now),
        age(transcode.since, now),
        escape(transcode.stream),
        escape(transcode.to),
        "" if transcode.speed is None else f"{transcode.speed:.2f} x",
        str(transcode.restarts),
    )


def _certificate_row(name: str, certificate: CertificateStatus, now: datetime) -> Row:
    return (
        named(name, ", ".join(certificate.domains), certificate.last_error),
        state_cell(certificate.state, certificate.retry_at, now),
        age(certificate.since, now),
        escape(certificate.issuer or "self-signed"),
        moment_cell(certificate.not_after) if certificate.not_after else "",
        moment_cell(certificate.renew_at) if certificate.renew_at else "",
    )


def _callback_row(name: str, callback: CallbackStatus, now: datetime) -> Row:
    return (
        named(name, callback.address, callback.last_error),
        state_cell(callback.state, callback.retry_at, now),
        age(callback.since, now),
        age(callback.last_success, now),
        str(callback.pending),
        str(callback.sent),
        str(callback.refused),
    )
