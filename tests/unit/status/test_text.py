"""The report as a table for a terminal."""

from dataclasses import replace

from streamd.config_state import ConfigState
from streamd.errors import Problem
from streamd.ffmpeg.track import Playing
from streamd.status.report import report
from streamd.status.snapshot import Snapshot
from streamd.status.text import status_text
from tests.support.snapshots import (
    DESIRED,
    MONOTONIC,
    NOW,
    SERVES,
    SERVING,
    history,
    reported,
    running,
    snapshot,
)
from tests.unit.status.media import STUDIO, by_streamd, listed, own_snapshot, playout, said


def table(of: Snapshot, section: str) -> list[list[str]]:
    """Return the cells of a section, its head first."""
    blocks = status_text(report(of)).split("\n\n")
    (block,) = [block for block in blocks if block.startswith(section)]
    return [line.split() for line in block.splitlines()]


def test_the_first_line_says_how_it_is() -> None:
    assert status_text(report(snapshot(SERVING, servers=SERVES))).splitlines()[0] == (
        "streamd 1.2.3 on edge-1: converged; configuration applied"
    )
    differing = snapshot(converged=False, config=ConfigState("pending", "c.yaml"))
    assert status_text(report(differing)).splitlines()[0] == (
        "streamd 1.2.3 on edge-1: NOT converged; configuration pending"
    )


def test_what_is_wrong_with_the_file_comes_first() -> None:
    problems = (
        Problem("c.yaml", 3, 7, "servers.main", "no such field"),
        Problem("c.yaml", 9, 1, "", "a quote is never closed"),
        Problem("c.yaml", 0, 0, "", "does not exist"),
        Problem("", 0, 0, "", "x"),
    )
    of = snapshot(config=ConfigState("rejected", "c.yaml", errors=problems))
    assert status_text(report(of)).splitlines()[1:5] == [
        "  c.yaml:3:7: servers.main: no such field",
        "  c.yaml:9:1: a quote is never closed",
        "  c.yaml: does not exist",
        "  x",
    ]


def test_columns_and_sections_with_nothing_in_them_are_left_out() -> None:
    text = status_text(report(snapshot(desired=replace(DESIRED, targets={}))))
    assert "TARGETS" not in text
    assert "TRANSCODES" not in text
    head, row = table(snapshot(), "STREAMS")[:2]
    assert head == ["STREAMS", "STATE", "KEY", "PROTOCOL"]
    assert row == ["live/show", "live", "studio", "rtmp"]


def test_a_stream_with_a_fallback_is_told_with_its_studio_or_as_on_its_slate() -> None:
    live = own_snapshot(
        playout("live/shown", 9),
        publishers=(by_streamd("live/shown"), STUDIO),
        tracks={9: said(Playing(0))},
        live=listed("live/shown"),
    )
    rows = {row[0]: row for row in table(live, "STREAMS")}
    assert rows["live/shown"][1:4] == ["live", "studio", "srt"]
    on_slate = replace(live, tracks={9: said(Playing(1))})
    rows = {row[0]: row for row in table(on_slate, "STREAMS")}
    assert rows["live/shown"][1] == "fallback"
    assert "in/shown" not in rows


def test_transcodes_are_told_with_their_speed() -> None:
    ladder = own_snapshot(
        running("transcode.live/shown", 9),
        publishers=tuple(map(by_streamd, ("live/shown", "live/shown-720"))),
        tracks={9: reported(speed=0.98)},
    )
    assert table(ladder, "TRANSCODES") == [
        ["TRANSCODES", "STATE", "STREAM", "TO", "SPEED", "PID"],
        ["360", "connecting", "live/shown", "live/shown-360", "0.98", "9"],
        ["720", "live", "live/shown", "live/shown-720", "0.98", "9"],
    ]


def test_what_failed_says_why() -> None:
    failed = {"playout.live/lobby": history(1, MONOTONIC + 2, "/srv/a.mp4 is empty")}
    rows = {row[0]: row for row in table(own_snapshot(histories=failed), "STREAMS")}
    assert rows["live/lobby"][-3:] == ["/srv/a.mp4", "is", "empty"]
    assert NOW.isoformat() not in status_text(report(own_snapshot(histories=failed)))
