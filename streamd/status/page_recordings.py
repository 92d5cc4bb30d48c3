"""Recordings on the status page: those under way, and the finished ones with a player."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

from streamd.status.page_parts import (
    Row,
    age,
    amount,
    duration,
    moment_cell,
    named,
    section,
    state_cell,
    table,
)
from streamd.status.recorded import RecordedStatus, StorageStatus
from streamd.status.recordings import RecordingStatus

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+/")

PLAYABLE = ".mp4"
"""What every browser plays by itself."""


def recordings_section(recordings: Mapping[str, RecordingStatus], now: datetime) -> str:
    """Return what is recorded now."""
    heads = ("Recording", "State", "For", "#Length", "#Size", "#Uploaded", "#Restarts")
    return section("Recordings", recordings, heads, lambda name, each: _row(name, each, now))


def _row(name: str, recording: RecordingStatus, now: datetime) -> Row:
    return (
        named(name, recording.path or "", recording.last_error),
        state_cell(recording.state, None, now),
        age(recording.since, now),
        duration(recording.seconds) if recording.uuid else "",
        amount(recording.bytes) if recording.bytes else "",
        amount(recording.uploaded) if recording.uploaded else "",
        str(recording.restarts),
    )


def storages_section(storages: Mapping[str, StorageStatus], now: datetime) -> str:
    """Return how uploads go."""
    heads = ("Storage", "State", "For", "#Recordings", "#Waiting", "#Sent")
    return section("Storages", storages, heads, lambda name, each: _storage_row(name, each, now))


def _storage_row(name: str, storage: StorageStatus, now: datetime) -> Row:
    return (
        named(name, "", storage.last_error),
        state_cell(storage.state, storage.retry_at, now),
        age(storage.since, now),
        str(storage.pending_recordings) if storage.pending_recordings else "",
        amount(storage.pending_bytes) if storage.pending_recordings else "",
        amount(storage.sent_bytes) if storage.sent_bytes else "",
    )


def recorded_section(recorded: Sequence[RecordedStatus]) -> str:
    """Return the latest finished recordings; "" where there is none."""
    if not recorded:
        return ""
    heads = ("Stream", "Began", "#Length", "#Size", "Rule", "")
    return (
        f'<section><h2>Recorded <span class="quiet">the last {len(recorded)}</span></h2>'
        f"{table(heads, map(_recorded_row, recorded))}</section>"
    )


def _recorded_row(each: RecordedStatus) -> Row:
    return (
        named(each.stream, each.path if each.local else "", each.error),
        moment_cell(each.started_at),
        duration(each.seconds),
        amount(each.bytes),
        escape(each.rule),
        _player(each),
    )


def _player(each: RecordedStatus) -> str:
    if each.url is None or not _is_web(each.url):
        return '<span class="quiet">uploaded</span>' if each.uploaded else ""
    address = escape(each.url)
    link = f'<a href="{address}" rel="noreferrer">{escape(each.file or "open")}</a>'
    if not each.url.endswith(PLAYABLE):
        return link
    return (
        f"{link}<details><summary>Play</summary>"
        f'<video controls preload="none" src="{address}"></video></details>'
    )


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def media_origins(recorded: Iterable[RecordedStatus]) -> list[str]:
    """Return the origins that finished recordings are played from, as a policy names them."""
    origins = (_ORIGIN.match(each.url) for each in recorded if each.url)
    return sorted({found[0].removesuffix("/") for found in origins if found}) or ["'none'"]
