import os
import re
from dataclasses import replace
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from streamd.config_state import ConfigState
from streamd.ffmpeg.track import Playing
from streamd.observed import JobHistory
from streamd.status.metrics import exposition, sample, usage_of
from streamd.status.snapshot import ServerFacts, Snapshot
from tests.support.snapshots import MONOTONIC, NOW, history, reported, running, snapshot
from tests.unit.status.media import STUDIO, by_streamd, listed, own_snapshot, playout, said


def families(of: Snapshot) -> dict[str, Metric]:
    text = exposition(sample(of)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(of: Snapshot, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of one name by the values of their labels, in order of the labels."""
    return {
        tuple(value for _, value in sorted(each.labels.items())): each.value
        for family in families(of).values()
        for each in family.samples
        if each.name == name
    }


BUSY = snapshot(
    running("server.main", 7),
    running("target.youtube", os.getpid()),
    histories={
        "server.main": JobHistory(restarts=2),
        "target.partner": history(3, MONOTONIC + 4, "Connection refused", restarts=5),
    },
    tracks={os.getpid(): reported(bytes=1234)},
    servers={"main": ServerFacts("6.0.157", {"rtmp": True})},
    refused={"wrong secret": 3, "unknown stream": 1},
    config=ConfigState("applied", "c.yaml", "abc", NOW, untouched=17),
)


def test_what_dashboards_depend_on_is_there() -> None:
    assert values(BUSY, "streamd_build_info") == {("1.2.3",): 1}
    assert values(BUSY, "streamd_converged") == {(): 1}
    assert values(BUSY, "streamd_config_last_reload_successful") == {(): 1}
    stamp = values(BUSY, "streamd_config_last_reload_success_timestamp_seconds")
    assert stamp == {(): NOW.timestamp()}
    assert values(BUSY, "streamd_reload_untouched_processes") == {(): 17}
    assert values(BUSY, "streamd_server_up") == {("main",): 1}
    assert values(BUSY, "streamd_server_restarts_total") == {("main",): 2}
    assert values(BUSY, "streamd_stream_live") == {("live/show",): 1}
    assert values(BUSY, "streamd_target_restarts_total")[("partner",)] == 5
    assert values(BUSY, "streamd_target_sent_bytes_total")[("youtube",)] == 1234
    assert values(BUSY, "streamd_publish_refused_total") == {
        ("wrong secret",): 3,
        ("unknown stream",): 1,
    }


def test_a_target_is_in_exactly_one_state() -> None:
    states = values(BUSY, "streamd_target_state")
    on = {labels for labels, value in states.items() if value == 1}
    assert on == {("backoff", "partner"), ("waiting", "rooms"), ("live", "youtube")}
    assert len(states) == 3 * 7


def test_a_rejected_file_is_a_failed_reload_and_the_old_time_stays() -> None:
    of = replace(BUSY, config=replace(BUSY.config, state="rejected"))
    assert values(of, "streamd_config_last_reload_successful") == {(): 0}
    stamp = values(of, "streamd_config_last_reload_success_timestamp_seconds")
    assert stamp == {(): NOW.timestamp()}


def test_a_machine_without_any_configuration_has_metrics() -> None:
    of = replace(BUSY, desired=None, config=ConfigState("rejected", "c.yaml"))
    assert values(of, "streamd_config_last_reload_success_timestamp_seconds") == {(): 0}
    assert values(of, "streamd_target_state") == {}


def test_processes_are_measured_while_they_run() -> None:
    used = values(BUSY, "streamd_process_resident_memory_bytes")
    assert used[("target.youtube",)] > 1_000_000
    assert values(BUSY, "streamd_process_cpu_seconds_total")[("target.youtube",)] > 0


def test_a_process_that_is_gone_has_no_usage(tmp_path: Path) -> None:
    assert usage_of(4194304 + 1) is None
    assert usage_of(12, tmp_path) is None


def test_usage_is_read_past_any_name_of_a_command(tmp_path: Path) -> None:
    directory = tmp_path / "12"
    directory.mkdir()
    numbers = " ".join(str(n) for n in range(4, 53))
    (directory / "stat").write_text(f"12 (a) b (c) S {numbers}\n")
    usage = usage_of(12, tmp_path)
    assert usage is not None
    assert usage.cpu_s == (14 + 15) / os.sysconf("SC_CLK_TCK")
    assert usage.resident_bytes == 24 * os.sysconf("SC_PAGE_SIZE")


def test_names_and_help_follow_the_conventions_of_prometheus() -> None:
    text = exposition(sample(BUSY)).decode()
    ours = [family for family in families(BUSY).values() if family.name.startswith("streamd_")]
    assert len(ours) >= 17
    for family in ours:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        assert family.documentation.endswith(".")
        assert family.type in {"gauge", "counter"}
        shown = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"# TYPE {shown} {family.type}\n" in text
        assert (family.type == "counter") == shown.endswith("_total")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    series = [line.rpartition(" ")[0] for line in lines]
    assert len(series) == len(set(series))


def test_odd_names_are_escaped() -> None:
    odd = 'a"b\\c\nd'
    of = replace(BUSY, refused={odd: 2})
    assert values(of, "streamd_publish_refused_total") == {(odd,): 2}


def test_a_stream_on_its_slate_is_on_its_fallback_and_not_live() -> None:
    on_slate = own_snapshot(
        playout("live/shown", 9),
        publishers=(by_streamd("live/shown"),),
        tracks={9: said(Playing(1))},
        live=listed("live/shown"),
    )
    assert values(on_slate, "streamd_stream_live")["live/shown",] == 0
    assert values(on_slate, "streamd_stream_fallback")["live/shown",] == 1
    assert values(on_slate, "streamd_stream_viewers")["live/shown",] == 3
    assert values(on_slate, "streamd_stream_kbps")["live/shown",] == 2000
    live = replace(on_slate, tracks={9: said(Playing(0))})
    assert values(live, "streamd_stream_live")["live/shown",] == 1
    assert values(live, "streamd_stream_fallback")["live/shown",] == 0


def test_an_ingest_is_no_stream_of_its_own() -> None:
    with_studio = own_snapshot(publishers=(by_streamd("live/shown"), STUDIO))
    assert ("in/shown",) not in values(with_studio, "streamd_stream_live")


def test_a_transcode_is_in_exactly_one_state_and_has_a_speed_once_that_is_known() -> None:
    ladder = own_snapshot(
        running("transcode.live/shown", os.getpid()),
        publishers=tuple(map(by_streamd, ("live/shown", "live/shown-720"))),
        tracks={os.getpid(): reported(speed=0.8)},
        histories={"transcode.live/shown": JobHistory(restarts=2)},
    )
    states = values(ladder, "streamd_transcode_state")
    on = {labels for labels, value in states.items() if value == 1}
    assert on == {("connecting", "360"), ("live", "720")}
    assert len(states) == 2 * 7
    assert values(ladder, "streamd_transcode_speed") == {("360",): 0.8, ("720",): 0.8}
    assert values(ladder, "streamd_transcode_restarts_total")["720",] == 2
    assert ("transcode.live/shown",) in values(ladder, "streamd_process_cpu_seconds_total")
    unknown = replace(ladder, tracks={})
    assert values(unknown, "streamd_transcode_speed") == {}
