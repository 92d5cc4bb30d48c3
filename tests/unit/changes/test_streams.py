"""What a save says of sources, fallbacks and transcodes, and whether that is what happens."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from streamd.changes.change import Change
from streamd.changes.compare import changes
from streamd.changes.recordings import archives_touched
from streamd.config.defaults import Machine
from streamd.config.models import Config
from streamd.desire import desire
from streamd.desired import Desired
from streamd.errors import PlanRefusedError
from streamd.guard import guard
from streamd.jobs import ServerJob
from streamd.observed import Observed, Publisher
from streamd.process_names import rule_of_archive
from tests.unit.planning import CLOCK, World, converge, desireds, machines

MACHINE = Machine(engines={"srs": Path("/srs")}, ffmpeg=Path("/ffmpeg"))
SMALL = {"bitrate": "600k"}
FILE: dict[str, Any] = {
    "version": 1,
    "keys": {"studio": {"secret": "0123456789"}, "guest": {"secret": "9876543210"}},
    "streams": {
        "shown": {"keys": ["studio"], "fallback": "/srv/slate.mp4"},
        "lobby": {"source": {"files": ["/srv/a.mp4"]}},
        "door": {"source": {"url": "rtsp://user:SECRETSECRET@h/x"}},
        "plain": {"keys": ["studio"]},
    },
    "targets": {
        "shown": {"stream": "shown", "url": "rtmp://h/a/1"},
        "lobby": {"stream": "lobby", "url": "rtmp://h/a/2"},
        "p720": {"stream": "shown-720", "url": "rtmp://h/a/3"},
    },
    "transcodes": {
        "p720": {"stream": "shown", "to": "shown-720", "video": {"bitrate": "2M"}},
        "p360": {"stream": "shown", "to": "shown-360", "video": SMALL},
        "p180": {"stream": "shown-360", "to": "shown-180", "video": SMALL},
        "plain": {"stream": "plain", "to": "plain-360", "video": SMALL},
    },
}
SHOWN_LADDER = {"live/shown-720", "live/shown-360", "live/shown-180"}


def edited(*edits: tuple[str, Any]) -> Desired:
    """Return what the file asks for with something else at some places; None removes."""
    data = copy.deepcopy(FILE)
    for place, value in edits:
        *way, name = place.split(".")
        at = data
        for step in way:
            at = at[step]
        if value is None:
            del at[name]
        else:
            at[name] = value
    return desire(Config.model_validate(data), MACHINE)


def on_air() -> World:
    """Return a machine with all of the file on air, and the studio on both its streams."""
    digest = edited().keys["studio"].sha256
    people = {
        stream: Publisher("main", stream, stream, f"at {stream}", "studio", digest)
        for stream in ("in/shown", "live/plain")
    }
    return converge(edited(), Observed(publishers=people))


ON_AIR = on_air()


def changed(*edits: tuple[str, Any]) -> dict[str, Change]:
    """Return what an edit changes, by kind and name."""
    found = changes(edited(), edited(*edits), ON_AIR.observed, {}, CLOCK)
    return {f"{change.kind} {change.name}": change for change in found}


def told(change: Change) -> tuple[str, tuple[str, ...], set[str], set[str]]:
    return (
        change.action,
        change.fields,
        set(change.touches.publishers),
        set(change.touches.processes),
    )


LOBBY = ({"live/lobby"}, {"target.lobby"})
SHOWN = (
    {"live/shown", *SHOWN_LADDER},
    {"target.shown", "target.p720", "transcode.live/shown", "transcode.live/shown-360"},
)


def test_everything_of_the_file_is_on_air() -> None:
    assert set(ON_AIR.observed.publishers) == {
        "live/shown", "live/lobby", "live/door", "live/plain", "in/shown", "live/plain-360",
        *SHOWN_LADDER,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "fields"),
    [
        ("streams.lobby.source.files", ["/srv/b.mp4"], ("source",)),
        ("streams.lobby.source.shuffle", True, ("source",)),
        ("streams.lobby.fallback", "/srv/slate.mp4", ("fallback",)),
    ],
)
def test_an_edited_source_restarts_its_playout_only(
    place: str, value: object, fields: tuple[str, ...]
) -> None:
    (change,) = changed((place, value)).values()
    assert told(change) == ("restart", fields, *LOBBY)


def test_hours_that_leave_out_the_present_end_a_stream_until_they_come() -> None:
    source = {"files": ["/srv/a.mp4"], "start": "1:00", "end": "2:00"}
    (change,) = changed(("streams.lobby.source", source)).values()
    assert told(change) == ("update", ("source.start or source.end",), *LOBBY)


def test_an_edited_address_restarts_and_is_not_shown() -> None:
    found = changed(("streams.door.source.url", "rtsp://user:OTHERSECRET@h/x"))
    assert told(found["stream live/door"]) == ("restart", ("source",), {"live/door"}, set())
    assert "SECRET" not in repr(found)
    assert str(found["stream live/door"]) == (
        "! stream live/door: restart (source); 1 live publisher"
    )


def test_another_slate_restarts_what_shows_it_and_leaves_the_studio_alone() -> None:
    (change,) = changed(("streams.shown.fallback", "/srv/other.png")).values()
    assert told(change) == ("restart", ("fallback",), *SHOWN)


def test_a_fallback_that_is_added_puts_off_whoever_publishes_the_stream_itself() -> None:
    (change,) = changed(("streams.plain.fallback", "/srv/slate.mp4")).values()
    assert told(change) == (
        *("update", ("fallback",)),
        *({"live/plain", "live/plain-360"}, {"transcode.live/plain"}),
    )


def test_a_fallback_that_is_removed_puts_off_whoever_publishes_behind_it() -> None:
    (change,) = changed(("streams.shown.fallback", None)).values()
    streams, processes = SHOWN
    assert told(change) == ("update", ("fallback",), {"in/shown", *streams}, processes)


def test_a_source_that_is_removed_ends_its_stream() -> None:
    (change,) = changed(("streams.lobby", {"keys": ["studio"]})).values()
    assert told(change) == ("update", ("keys", "source"), *LOBBY)
    with pytest.raises(PlanRefusedError, match=r"would stop 2 of 4 .*stream live/lobby"):
        guard([change], 4, 0.4)


def test_a_stream_that_is_removed_ends() -> None:
    found = changed(("streams.door", None))
    assert told(found["stream live/door"]) == ("remove", (), {"live/door"}, set())


def test_a_stream_that_is_added_touches_nothing() -> None:
    found = changed(("streams.new", {"source": {"files": ["/srv/a.mp4"]}}))
    assert told(found["stream live/new"]) == ("create", (), set(), set())


def test_a_source_in_the_place_of_the_studio_puts_it_off_for_good() -> None:
    found = changed(
        ("streams.shown", {"source": {"files": ["/srv/a.mp4"]}, "fallback": "/srv/slate.mp4"})
    )
    change = found["stream live/shown"]
    assert change.action == "update"
    assert "in/shown" in change.touches.publishers


def test_other_keys_of_a_stream_with_a_fallback_kick_its_studio_and_nothing_else() -> None:
    (change,) = changed(("streams.shown.keys", ["guest"])).values()
    assert told(change) == ("update", ("keys",), {"in/shown"}, set())


def test_one_more_key_of_a_stream_with_a_fallback_kicks_nobody() -> None:
    (change,) = changed(("streams.shown.keys", ["studio", "guest"])).values()
    assert told(change) == ("update", ("keys",), set(), set())


def test_another_secret_puts_off_all_who_came_with_the_one_before() -> None:
    (change,) = changed(("keys.studio.secret", "other-secret")).values()
    assert told(change) == (
        *("update", ("secret",)),
        *({"in/shown", "live/plain", "live/plain-360"}, {"transcode.live/plain"}),
    )


@pytest.mark.parametrize(
    ("edit", "action", "fields"),
    [
        (("transcodes.p720.video", {"bitrate": "3M"}), "restart", ("video",)),
        (("transcodes.p720.audio", {"codec": "aac"}), "restart", ("audio",)),
        (("transcodes.p720.enabled", False), "remove", ()),
    ],
)
def test_an_edited_rung_restarts_its_whole_ladder_and_says_so(
    edit: tuple[str, Any], action: str, fields: tuple[str, ...]
) -> None:
    (change,) = changed(edit).values()
    assert told(change) == (
        *(action, fields),
        SHOWN_LADDER,
        {"transcode.live/shown", "transcode.live/shown-360", "target.p720"},
    )


def test_a_rung_that_is_added_restarts_the_ladder_too() -> None:
    rung = {"stream": "shown", "to": "shown-90", "video": SMALL}
    found = changed(("transcodes.p90", rung))
    assert set(found) == {"transcode p90"}
    action, _, streams, processes = told(found["transcode p90"])
    assert (action, streams) == ("create", SHOWN_LADDER)
    assert "transcode.live/shown" in processes
    assert str(found["transcode p90"]).endswith(
        "; 3 live publishers, 1 live target, 2 live transcodes"
    )


def test_a_rung_that_reads_another_stream_restarts_both_ladders() -> None:
    (change,) = changed(("transcodes.p360.stream", "plain")).values()
    assert told(change) == (
        *("restart", ("stream",)),
        {*SHOWN_LADDER, "live/plain-360"},
        {
            *("transcode.live/shown", "transcode.live/shown-360", "transcode.live/plain"),
            "target.p720",
        },
    )


def test_a_rung_that_becomes_another_stream_is_no_change_of_streams() -> None:
    assert set(changed(("transcodes.p180.to", "tiny"))) == {"transcode p180"}


def test_another_port_is_a_change_of_the_server_alone() -> None:
    found = changed(
        (
            "servers",
            {"main": {"listen": {"rtmp": 1936, "http": 8080, "srt": 10080, "webrtc": 8000}}},
        )
    )
    assert set(found) == {"server main"}
    assert set(found["server main"].touches.publishers) == set(ON_AIR.observed.publishers)


def test_another_server_of_a_stream_restarts_it() -> None:
    found = changed(
        ("servers", {"main": {}, "two": {"listen": {"rtmp": 1940, "api": 1986}}}),
        ("streams.lobby.server", "two"),
    )
    assert told(found["stream live/lobby"]) == ("restart", ("server",), *LOBBY)


def test_another_ffmpeg_restarts_all_that_streamd_makes_itself() -> None:
    (change,) = changed(("ffmpeg", "/opt/ffmpeg")).values()
    assert set(change.touches.publishers) == {
        "live/shown", "live/lobby", "live/door", "live/plain-360", *SHOWN_LADDER,
    }  # fmt: skip
    assert set(change.touches.processes) == {
        name for name in ON_AIR.pids if name.startswith(("target.", "transcode."))
    }


def test_what_is_not_on_air_is_updated() -> None:
    other = edited(("streams.lobby.source.files", ["/srv/b.mp4"]))
    (change,) = changes(edited(), other, Observed(), {}, CLOCK)
    assert str(change) == "~ stream live/lobby: update (source); touches nothing live"


@given(desireds(), desireds(), machines)
def test_whatever_an_edit_ends_was_told_before(
    old: Desired, new: Desired, machine: Observed
) -> None:
    start = converge(old, machine)
    end = converge(new, start)
    found = changes(old, new, start.observed, {}, CLOCK)
    said = {name for change in found for name in change.touches.processes}
    servers = {name for name, job in start.jobs.items() if isinstance(job, ServerJob)}
    playouts = {name for name in start.pids if name.startswith("playout.")}
    ended = {name for name, pid in start.pids.items() if end.pids.get(name) != pid}
    touched = {rule for change in found for rule in archives_touched(change, old)}
    archives = {name for name in start.pids if rule_of_archive(name) in touched}
    assert ended - servers - playouts - archives <= said
    people = {s for s, p in start.observed.publishers.items() if not p.internal}
    gone = {s for s in people if s not in end.observed.publishers}
    assert gone <= {stream for change in found for stream in change.touches.publishers}
