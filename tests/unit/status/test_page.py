import base64
import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.auth.refusal import Refusal
from streamd.config_state import ConfigState
from streamd.errors import Problem
from streamd.ffmpeg.track import Playing
from streamd.status.page import content_security_policy, page
from streamd.status.report import status_of
from streamd.status.snapshot import ServerFacts, Snapshot
from tests.support.snapshots import (
    DESIRED,
    MONOTONIC,
    NOW,
    SHOW,
    YOUTUBE,
    history,
    reported,
    running,
    snapshot,
)
from tests.unit.status.media import STUDIO, by_streamd, listed, own_snapshot, playout, said

VOID = {"meta", "link", "br"}


class Document(HTMLParser):
    """The page as a browser sees it: checks the nesting, and keeps text, tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text.append(data.strip())

    def inline(self, html: str, tag: str) -> str:
        (found,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert isinstance(found, str)
        return found


def document(html: str) -> Document:
    return Document(html)


def test_it_names_every_server_stream_and_target() -> None:
    text = document(page(status_of(snapshot()))).text
    assert {"main", "live/show", "youtube", "partner", "rooms"} <= set(text)


def test_it_loads_nothing_from_elsewhere() -> None:
    found = document(page(status_of(snapshot())))
    addresses = [value for name, value in found.attributes if name in {"src", "href", "action"}]
    assert [address for address in addresses if not (address or "").startswith("data:")] == []
    assert "@import" not in page(status_of(snapshot()))


@pytest.mark.parametrize(("tag", "directive"), [("style", "style-src"), ("script", "script-src")])
def test_the_policy_allows_just_the_style_and_script_of_the_page(tag: str, directive: str) -> None:
    html = page(status_of(snapshot()))
    digest = hashlib.sha256(document(html).inline(html, tag).encode()).digest()
    policy = content_security_policy(status_of(snapshot()))
    assert f"{directive} 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "media-src 'none'" in policy


def test_it_renews_itself_without_scripts() -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page(
        status_of(snapshot())
    )


def test_the_errors_of_the_file_come_first() -> None:
    problem = Problem("/etc/c.yaml", 14, 5, "servers.main", "no such field; remove it")
    config = ConfigState("rejected", "/etc/c.yaml", "abc", NOW, (problem,))
    text = document(page(status_of(snapshot(config=config, converged=False)))).text
    place = text.index("/etc/c.yaml:14:5: servers.main: no such field; remove it")
    assert place < text.index("Servers")
    assert "not converged: configuration rejected, 1 of 1 servers, 2 of 3 targets" in text


def test_warnings_are_shown_with_a_good_file() -> None:
    warning = Problem("c.yaml", 9, 1, "keys.old", "no stream uses it", warning=True)
    config = ConfigState("applied", "c.yaml", "abc", NOW, (warning,))
    text = document(page(status_of(snapshot(config=config)))).text
    assert "c.yaml:9:1: keys.old: warning: no stream uses it" in text


def test_a_daemon_without_any_configuration_has_a_page() -> None:
    config = ConfigState("rejected", "c.yaml")
    html = page(status_of(snapshot(desired=None, config=config, publishers=(), converged=False)))
    assert document(html).text.count("None in the configuration.") == 3


def test_what_needs_somebody_comes_before_what_is_well() -> None:
    targets = {name: replace(YOUTUBE, name=name) for name in ("a", "b", "c")}
    of = snapshot(
        running("target.a", 9),
        tracks={9: reported()},
        histories={
            "target.b": history(1, MONOTONIC + 2, "Connection refused"),
            "target.c": history(1, MONOTONIC + 30, "wrong key", blocked=True),
        },
        desired=replace(DESIRED, targets=targets),
    )
    text = document(page(status_of(of))).text
    order = [word for word in text[text.index("Targets") :] if word in {"a", "b", "c"}]
    assert order == ["c", "b", "a"]
    assert "1 blocked, 1 backoff, 1 live" in text
    assert "again in 30 s" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (61, "1 m 1 s"), (3660, "1 h 1 m"), (90_000, "1 d 1 h")],
)
def test_durations_are_short(seconds: int, shown: str) -> None:
    who = replace(SHOW, since=NOW - timedelta(seconds=seconds))
    assert shown in document(page(status_of(snapshot(publishers=(who,))))).text


@pytest.mark.parametrize(
    ("sent", "shown"),
    [(5, "5 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3_200_000_000_000, "3.2 TB")],
)
def test_amounts_have_units(sent: int, shown: str) -> None:
    of = snapshot(running("target.youtube", 9), tracks={9: reported(bytes=sent)})
    assert shown in document(page(status_of(of))).text


@given(st.text(st.sampled_from("<>&\"'/abc="), min_size=1, max_size=30))
def test_no_text_becomes_markup(text: str) -> None:
    plain = document(page(status_of(told_with("plain"))))
    odd = document(page(status_of(told_with(text))))
    assert odd.tags == plain.tags
    assert [name for name, _ in odd.attributes] == [name for name, _ in plain.attributes]


def told_with(text: str) -> Snapshot:
    return snapshot(
        running("server.main", 7),
        node=text,
        version=text,
        config=ConfigState("rejected", text, text, NOW, (Problem(text, 1, 1, text, text),)),
        servers={"main": ServerFacts(text, {"rtmp": False}, text)},
        publishers=(replace(SHOW, stream=text, address=text, protocol=text, key=text),),
        histories={"target.youtube": history(1, MONOTONIC, text)},
        refusals={"rooms/*": Refusal(NOW, text)},
    )


# Streams of streamd's own.

ON_SLATE = own_snapshot(
    playout("live/shown", 9),
    publishers=(by_streamd("live/shown"),),
    tracks={9: said(Playing(1, "/srv/slate.mp4"))},
    live=listed("live/shown"),
)


def test_a_stream_on_its_slate_asks_for_attention_and_is_on_air() -> None:
    text = document(page(status_of(ON_SLATE))).text
    streams = text[text.index("Streams") :]
    names = [word for word in streams if word.startswith("live/")]
    assert names[0] == "live/shown"
    row = streams[streams.index("live/shown") : streams.index(names[1])]
    assert {"slate /srv/slate.mp4", "fallback", "2.0 Mb/s", "3"} <= set(row)
    assert "ingest" not in " ".join(text)


def test_a_stream_with_a_studio_names_who_publishes_it_and_how() -> None:
    live = replace(
        ON_SLATE,
        observed=replace(
            ON_SLATE.observed, publishers={**ON_SLATE.observed.publishers, "in/shown": STUDIO}
        ),
        tracks={9: said(Playing(0))},
    )
    text = document(page(status_of(live))).text
    assert {"198.51.100.7", "srt, key studio", "ingest"} <= set(text)
    assert "in/shown" not in text


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "idle"),
        ({"state": "exited", "pid": 0, "exit_status": 0}, "finished"),
    ],
)
def test_a_stream_of_files_that_is_not_on_air_says_why(
    change: dict[str, object], word: str
) -> None:
    process = replace(playout("live/lobby", 9), **change)  # type: ignore[arg-type] # by name
    text = document(page(status_of(own_snapshot(process)))).text
    row = text[text.index("live/lobby") :]
    assert word in row[:4]


def test_transcodes_have_a_section_when_there_are_any() -> None:
    assert "Transcodes" not in document(page(status_of(snapshot()))).text
    ladder = own_snapshot(
        running("transcode.live/shown", 9),
        publishers=tuple(map(by_streamd, ("live/shown", "live/shown-720", "live/shown-360"))),
        tracks={9: reported(speed=0.8)},
        behind=frozenset({"transcode.live/shown"}),
        converged=False,
    )
    text = document(page(status_of(ladder))).text
    section = text[text.index("Transcodes") :]
    assert {"2 live", "720", "live/shown-720", "0.80 x"} <= set(section)
    assert any(word.startswith("encoding falls behind at 0.80") for word in section)


def test_transcodes_that_are_not_as_wanted_are_counted_in_the_verdict() -> None:
    failed = {"transcode.live/shown": history(1, MONOTONIC + 9, "refused")}
    broken = own_snapshot(publishers=(by_streamd("live/shown"),), histories=failed, converged=False)
    text = document(page(status_of(broken))).text
    assert any("2 of 2 transcodes" in word for word in text)


@given(st.text(st.sampled_from("<>&\"'/abc="), min_size=1, max_size=30))
def test_no_text_of_a_playout_becomes_markup(text: str) -> None:
    def told(odd: str) -> Document:
        playing = Playing(0, f"/{odd}", odd, (odd,), f"x {odd}")
        return document(
            page(status_of(own_snapshot(playout("live/lobby", 9), tracks={9: said(playing)})))
        )

    assert told(text).tags == told("plain").tags
    assert f"x {text}" in " ".join(told(text).text)
