import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.auth.refusal import Refusal
from streamd.certificates.facts import CertificateFacts
from streamd.config_state import ConfigState
from streamd.desired import KeySpec
from streamd.engines.base import LiveStream
from streamd.errors import Problem
from streamd.ffmpeg.track import Track
from streamd.observed import JobHistory, ObservedProcess
from streamd.status.metrics import exposition, sample
from streamd.status.page import page
from streamd.status.report import reasons, remember, report, status_of
from streamd.status.snapshot import Memory, ServerFacts, Snapshot
from tests.support.snapshots import (
    DESIRED,
    MONOTONIC,
    NOW,
    PARTNER,
    SERVER,
    SERVES,
    SERVING,
    SHOW,
    YOUTUBE,
    history,
    reported,
    running,
    snapshot,
)


def entry(of: Snapshot, kind: str, name: str) -> dict[str, Any]:
    entries = report(of)[kind]
    assert isinstance(entries, dict)
    found = entries[name]
    assert isinstance(found, dict)
    return found


def test_the_report_has_every_section_and_is_json() -> None:
    assert list(json.loads(json.dumps(report(snapshot())))) == [
        "version",
        "node",
        "now",
        "converged",
        "config",
        "servers",
        "streams",
        "targets",
        "recordings",
        "transcodes",
        "certificates",
        "storages",
        "callbacks",
        "archives",
        "recorded",
        "warnings",
    ]


def test_config_errors_keep_their_place() -> None:
    problem = Problem("c.yaml", 3, 7, "servers.main", "no such field; remove it")
    warning = Problem("c.yaml", 9, 1, "keys.old", "no stream uses it", warning=True)
    config = ConfigState("rejected", "c.yaml", "abc", NOW, (problem, warning))
    assert report(snapshot(config=config))["config"] == {
        "path": "c.yaml",
        "hash": "abc",
        "state": "rejected",
        "applied_at": "2026-07-01T12:00:00.000Z",
        "errors": [
            {
                "file": "c.yaml",
                "line": 3,
                "column": 7,
                "path": "servers.main",
                "message": "no such field; remove it",
            }
        ],
        "warnings": [
            {
                "file": "c.yaml",
                "line": 9,
                "column": 1,
                "path": "keys.old",
                "message": "no stream uses it",
            }
        ],
    }


def test_a_daemon_without_any_configuration_reports() -> None:
    config = ConfigState("rejected", "c.yaml")
    said = report(snapshot(desired=None, config=config, publishers=()))
    assert said["servers"] == said["streams"] == said["targets"] == {}


class TestServer:
    def test_runs_when_every_port_accepts(self) -> None:
        live = {"main": [LiveStream("live/show", "c1", 1, 2000, 3)]}
        facts = {"main": ServerFacts("6.0.157", {"rtmp": True, "http": True})}
        server = entry(
            snapshot(running("server.main", 7), live=live, servers=facts), "servers", "main"
        )
        assert server == {
            "engine": "srs",
            "state": "running",
            "since": "2026-07-01T11:59:00.000Z",
            "pid": 7,
            "restarts": 0,
            "version": "6.0.157",
            "clients": 4,
            "retry_at": None,
            "last_error": None,
        }

    def test_is_degraded_when_a_port_does_not_accept(self) -> None:
        facts = {"main": ServerFacts("6", {"rtmp": False, "http": True})}
        server = entry(snapshot(running("server.main", 7), servers=facts), "servers", "main")
        assert server["state"] == "degraded"
        assert server["last_error"] == "no answer on its port for rtmp"

    def test_starts_while_it_is_young(self) -> None:
        young = replace(running("server.main", 7), started_at=NOW.timestamp() - 1)
        assert entry(snapshot(young), "servers", "main")["state"] == "starting"

    def test_is_degraded_when_its_ports_were_never_heard_of(self) -> None:
        facts = {"main": ServerFacts("6", {}, "no answer from its API")}
        server = entry(snapshot(running("server.main", 7), servers=facts), "servers", "main")
        assert (server["state"], server["last_error"]) == ("degraded", "no answer from its API")

    def test_is_stopping_until_it_has_ended(self) -> None:
        stopping = replace(running("server.main", 7), state="stopping")
        facts = {"main": ServerFacts("6", {"rtmp": True})}
        assert entry(snapshot(stopping, servers=facts), "servers", "main")["state"] == "stopping"

    def test_is_blocked_by_what_cannot_heal(self) -> None:
        failure = history(1, MONOTONIC + 3, "its binary is not there", blocked=True)
        server = entry(snapshot(histories={"server.main": failure}), "servers", "main")
        assert server["state"] == "blocked"

    def test_waits_after_a_failure(self) -> None:
        failure = history(2, MONOTONIC + 3, "port 1935 is taken", restarts=2)
        server = entry(snapshot(histories={"server.main": failure}), "servers", "main")
        assert server["state"] == "backoff"
        assert server["retry_at"] == "2026-07-01T12:00:03.000Z"
        assert server["restarts"] == 2
        assert server["last_error"] == "port 1935 is taken"


class TestStream:
    def test_live_joins_the_publisher_and_what_the_server_measures(self) -> None:
        live = {"main": [LiveStream("live/show", "c1", 1, 2000, 3, "H264 High 1280x720", "AAC LC")]}
        assert entry(snapshot(live=live), "streams", "live/show") == {
            "state": "live",
            "since": "2026-07-01T11:55:00.000Z",
            "server": "main",
            "publisher": "198.51.100.7",
            "protocol": "rtmp",
            "video": "H264 High 1280x720",
            "audio": "AAC LC",
            "kbps": 2000,
            "viewers": 3,
            "key": "studio",
            "last_error": None,
            "source": None,
        }

    def test_has_a_row_for_each_name_and_each_live_stream_of_a_pattern(self) -> None:
        room = replace(SHOW, stream="rooms/a", published_as="rooms/a", client_id="c2")
        streams = report(snapshot(publishers=(room,)))["streams"]
        assert isinstance(streams, dict)
        assert {name: row["state"] for name, row in streams.items()} == {
            "live/show": "idle",
            "rooms/a": "live",
        }

    def test_a_name_with_a_secret_in_it_is_shown_without(self) -> None:
        camera = replace(SHOW, published_as="live/show-hunter2hunter2")
        live = {"main": [LiveStream("live/show-hunter2hunter2", "c1", 1, 800, 2)]}
        of = snapshot(publishers=(camera,), live=live)
        assert entry(of, "streams", "live/show")["viewers"] == 2
        assert "hunter2" not in json.dumps(report(of))

    @pytest.mark.parametrize("pattern", ["live/show", "rooms/*"])
    def test_a_refusal_is_shown_for_a_while(self, pattern: str) -> None:
        refusals = {pattern: Refusal(NOW - timedelta(seconds=5), "no secret was sent")}
        of = snapshot(publishers=(), refusals=refusals)
        stream = entry(of, "streams", pattern)
        assert (stream["state"], stream["last_error"]) == ("refused", "no secret was sent")
        later = report(replace(of, now=NOW + timedelta(minutes=2)))["streams"]
        assert isinstance(later, dict)
        assert {row["state"] for row in later.values()} == {"idle"}

    def test_a_refused_second_publisher_does_not_hide_the_first(self) -> None:
        refusals = {"live/show": Refusal(NOW, "the stream is busy")}
        of = snapshot(refusals=refusals)
        assert entry(of, "streams", "live/show")["state"] == "live"


class TestTarget:
    def test_is_live_when_media_advances_at_its_output(self) -> None:
        failure = JobHistory(healthy_since=MONOTONIC - 30)
        of = snapshot(
            running("target.youtube", 9),
            histories={"target.youtube": failure},
            tracks={9: reported()},
        )
        assert entry(of, "targets", "youtube") == {
            "state": "live",
            "since": "2026-07-01T11:59:30.000Z",
            "pid": 9,
            "restarts": 0,
            "bytes": 9_000_000,
            "kbps": 2500,
            "retry_at": None,
            "last_error": None,
            "stream": "live/show",
            "address": "rtmp://a.example.com/live2/***",
            "backup": False,
        }

    @pytest.mark.parametrize(
        ("track", "state"),
        [
            (None, "connecting"),
            (reported(out_time_us=None, bytes=0, advanced_at=None, kbps=None), "connecting"),
            (reported(bytes=0), "connecting"),
            (reported(advanced_at=MONOTONIC - 6), "stalled"),
            (reported(), "live"),
        ],
    )
    def test_a_process_alone_is_not_called_live(self, track: Track | None, state: str) -> None:
        tracks = {9: track} if track else {}
        of = snapshot(running("target.youtube", 9), tracks=tracks)
        target = entry(of, "targets", "youtube")
        assert target["state"] == state
        assert bool(target["kbps"]) == (state == "live")

    def test_a_stall_that_the_daemon_saw_is_said(self) -> None:
        of = snapshot(
            running("target.youtube", 9),
            tracks={9: reported()},
            stalled=frozenset({"target.youtube"}),
        )
        assert entry(of, "targets", "youtube")["state"] == "stalled"

    def test_waits_for_its_stream(self) -> None:
        blocked = history(3, MONOTONIC + 9, "refused", blocked=True)
        of = snapshot(publishers=(), histories={"target.youtube": blocked})
        target = entry(of, "targets", "youtube")
        assert (target["state"], target["retry_at"]) == ("waiting", None)

    def test_backs_off(self) -> None:
        failure = history(3, MONOTONIC + 9, "Connection refused", restarts=2)
        target = entry(snapshot(histories={"target.youtube": failure}), "targets", "youtube")
        assert target["state"] == "backoff"
        assert target["retry_at"] == "2026-07-01T12:00:09.000Z"
        assert target["restarts"] == 2

    @pytest.mark.parametrize("processes", [(), (running("target.youtube", 9),)])
    def test_stays_blocked_until_media_arrives(
        self, processes: tuple[ObservedProcess, ...]
    ) -> None:
        failure = history(3, MONOTONIC + 9, "authentication refused", blocked=True)
        of = snapshot(*processes, histories={"target.youtube": failure})
        assert entry(of, "targets", "youtube")["state"] == "blocked"
        arrived = replace(of, tracks={9: reported()})
        expected = "live" if processes else "blocked"
        assert entry(arrived, "targets", "youtube")["state"] == expected

    def test_disabled_is_said(self) -> None:
        targets = {"youtube": replace(YOUTUBE, enabled=False)}
        of = snapshot(desired=replace(DESIRED, targets=targets))
        assert entry(of, "targets", "youtube")["state"] == "disabled"

    def test_the_backup_is_shown_while_it_serves(self) -> None:
        first = history(4, MONOTONIC + 9, "Connection refused", restarts=3)
        of = snapshot(
            running("target.partner", 10),
            running("target.partner~backup", 11),
            histories={"target.partner": first, "target.partner~backup": JobHistory(restarts=1)},
            tracks={11: reported()},
        )
        target = entry(of, "targets", "partner")
        assert target["state"] == "live"
        assert target["backup"] is True
        assert target["address"] == "rtmp://two.example.com/app/***"
        assert target["pid"] == 11
        assert target["restarts"] == 4
        assert target["last_error"] == "Connection refused"

    def test_a_backup_that_is_not_tried_is_not_shown(self) -> None:
        failure = history(1, MONOTONIC + 9, "Connection refused")
        target = entry(snapshot(histories={"target.partner": failure}), "targets", "partner")
        assert (target["state"], target["backup"]) == ("backoff", False)

    def test_a_backup_that_is_tried_is_shown_while_the_first_waits(self) -> None:
        failure = history(3, MONOTONIC + 9, "Connection refused")
        of = snapshot(running("target.partner~backup", 11), histories={"target.partner": failure})
        target = entry(of, "targets", "partner")
        assert (target["state"], target["backup"]) == ("connecting", True)
        assert target["last_error"] == "Connection refused"

    def test_the_first_address_is_shown_as_soon_as_it_is_live(self) -> None:
        of = snapshot(
            running("target.partner", 10),
            running("target.partner~backup", 11),
            tracks={10: reported(bytes=5), 11: reported(bytes=7)},
        )
        target = entry(of, "targets", "partner")
        assert (target["backup"], target["pid"], target["bytes"]) == (False, 10, 12)

    def test_many_streams_have_an_entry_each(self) -> None:
        a, b = (
            replace(SHOW, stream=f"rooms/{x}", published_as=f"rooms/{x}", client_id=x)
            for x in ("a", "b")
        )
        of = snapshot(running("target.rooms@rooms/a", 9), publishers=(b, a), tracks={9: reported()})
        targets = report(of)["targets"]
        assert isinstance(targets, dict)
        assert {name: row["state"] for name, row in targets.items()} == {
            "partner": "waiting",
            "rooms@rooms/a": "live",
            "rooms@rooms/b": "connecting",
            "youtube": "waiting",
        }
        assert targets["rooms@rooms/a"]["address"] == "rtmp://cdn.example.com/rooms/***"

    def test_many_streams_of_which_none_is_live_wait_under_one_name(self) -> None:
        target = entry(snapshot(), "targets", "rooms")
        assert (target["state"], target["stream"]) == ("waiting", None)

    def test_an_error_is_shown_without_its_secrets(self) -> None:
        error = "rtmp://a.example.com/live2/YTKEY-1234: server said no to YTKEY-1234"
        failure = history(1, MONOTONIC + 1, error)
        of = snapshot(histories={"target.youtube": failure})
        said = entry(of, "targets", "youtube")["last_error"]
        assert said == "rtmp://a.example.com/live2/***: server said no to ***"


class TestMemory:
    def test_a_state_keeps_its_time_until_it_changes(self) -> None:
        of = snapshot(publishers=())
        assert entry(of, "targets", "youtube")["since"] is None
        seen = replace(of, memory=remember(of))
        later = replace(seen, now=NOW + timedelta(seconds=30))
        assert entry(later, "targets", "youtube")["since"] == "2026-07-01T12:00:00.000Z"
        assert remember(later).since == seen.memory.since
        live = replace(later, observed=snapshot().observed)
        assert remember(live).since["target:youtube"] == ("connecting", live.now)

    def test_bytes_add_up_over_runs(self) -> None:
        first = snapshot(running("target.youtube", 9), tracks={9: reported(bytes=100)})
        gone = replace(snapshot(), memory=remember(first))
        assert entry(gone, "targets", "youtube")["bytes"] == 100
        again = snapshot(
            running("target.youtube", 10), tracks={10: reported(bytes=11)}, memory=remember(gone)
        )
        assert entry(again, "targets", "youtube")["bytes"] == 111
        more = replace(again, tracks={10: reported(bytes=20)}, memory=remember(again))
        assert entry(more, "targets", "youtube")["bytes"] == 120

    @given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50)), max_size=12))
    def test_bytes_never_fall(self, runs: list[tuple[int, int]]) -> None:
        memory, shown, pid, sent = Memory(), 0, 0, 0
        for step, more in runs:
            pid, sent = (pid, sent + more) if step > 1 and pid else (pid + 1, more)
            of = snapshot(
                running("target.youtube", pid), tracks={pid: reported(bytes=sent)}, memory=memory
            )
            total = entry(of, "targets", "youtube")["bytes"]
            assert total == shown + more
            memory, shown = remember(of), total

    def test_what_is_gone_is_forgotten(self) -> None:
        of = snapshot(running("target.youtube", 9), tracks={9: reported()})
        without = replace(of, memory=remember(of), desired=replace(DESIRED, targets={}))
        assert remember(without).sent == {}
        assert not [key for key in remember(without).since if key.startswith("target:")]


class TestReasons:
    def test_a_converged_machine_has_none(self) -> None:
        assert reasons(status_of(snapshot(SERVING, servers=SERVES))) == ()

    def test_one_whose_server_does_not_serve_all_that_it_should_is_not_converged(self) -> None:
        closed = {"main": ServerFacts("6.0.157", {"rtmp": True, "https": False})}
        site = CertificateFacts("site", "failing", (), last_error="privkey.pem cannot be read")
        served = replace(SERVER, certificate=("/state/certificates/site/fullchain.pem", "/b"))
        of = snapshot(
            SERVING,
            servers=closed,
            certificates={"site": site},
            desired=replace(DESIRED, servers={"main": served}),
        )
        assert not status_of(of).converged
        assert "server main: degraded: no answer on its port for https" in reasons(status_of(of))[0]
        assert "certificate site: privkey.pem cannot be read" in reasons(status_of(of))[0]

    def test_they_name_what_is_wrong(self) -> None:
        problem = Problem("c.yaml", 3, 7, "servers.main", "no such field")
        of = snapshot(
            converged=False,
            config=ConfigState("rejected", "c.yaml", "abc", NOW, (problem,)),
            histories={"target.youtube": history(1, MONOTONIC + 1, "Connection refused")},
        )
        assert reasons(status_of(of)) == (
            "configuration rejected",
            "c.yaml:3:7: servers.main: no such field",
            "server main: starting",
            "target partner: connecting",
            "target youtube: backoff: Connection refused",
        )

    def test_there_is_always_one(self) -> None:
        facts = {"main": ServerFacts("6", {"rtmp": True})}
        of = snapshot(running("server.main", 1), publishers=(), servers=facts, converged=False)
        assert reasons(status_of(of)) == ("changes are being applied",)


secret_texts = st.text("BCDFGHJKLMNPQRSTVWXZ23456789", min_size=12, max_size=24)


@given(secrets=st.lists(secret_texts, min_size=6, max_size=6, unique=True))
def test_no_secret_is_ever_told(secrets: list[str]) -> None:
    stream_key, backup_key, password, in_name, digest, query = secrets
    target = replace(
        PARTNER,
        urls=(
            f"rtmp://user:{password}@one.example.com/app/{stream_key}",
            f"srt://two.example.com:9000?streamid={backup_key}&passphrase={query}",
        ),
    )
    error = f"{target.urls[0]}: no, not {stream_key}, {password} or {backup_key} ({target.urls[1]})"
    of = snapshot(
        running("target.partner", 9),
        publishers=(replace(SHOW, published_as=f"live/show-{in_name}", key_sha256=digest),),
        histories={
            "target.partner": history(3, MONOTONIC + 3, error, blocked=True),
            "server.main": history(1, MONOTONIC + 3, f"cannot play {target.urls[0]}"),
        },
        live={"main": [LiveStream(f"live/show-{in_name}", "c1", 1, 2, 3)]},
        tracks={9: reported()},
        refusals={"rooms/*": Refusal(NOW, f"no from rtmp://h/app/x?secret={query}")},
        desired=replace(
            DESIRED,
            targets={"partner": target},
            keys={"studio": KeySpec("studio", digest)},
        ),
        config=ConfigState(
            "rejected",
            "c.yaml",
            errors=(Problem("c.yaml", 1, 1, "targets.partner.url", f"bad: {target.urls[0]}"),),
        ),
        converged=False,
    )
    told = (
        json.dumps(report(of))
        + page(status_of(of))
        + exposition(sample(of)).decode()
        + repr(reasons(status_of(of)))
    )
    assert [secret for secret in secrets if secret in told] == []
