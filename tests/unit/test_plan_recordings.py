"""Plans of what is recorded: recorders while somebody publishes, an archive for each rule."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamd.desired import Desired, RecordingSpec, SourceSpec, StorageSpec
from streamd.jobs import ArchiveJob, RecordJob
from streamd.names import matches
from streamd.observed import Observed
from streamd.plan import Kick, Stop
from streamd.playout.spec import PullInput
from streamd.process_names import archive_process_name
from streamd.wanted import PlanIndex, wanted_jobs
from tests.unit.planning import (
    CLOCK,
    NOW,
    World,
    converge,
    desireds,
    input_url,
    internal,
    machines,
    make_plan,
    recordings,
)
from tests.unit.recording_values import BY_STUDIO, RULE, desired, live

ARCHIVE = archive_process_name(RULE)


@given(desireds(), machines)
def test_each_rule_has_an_archive_and_records_what_matches_and_is_no_ingest(
    desired: Desired, machine: Observed
) -> None:
    end = converge(desired, machine).observed
    index = PlanIndex(desired)
    expected = {
        f"record.{rule.name}@{stream}"
        for rule in desired.recordings.values()
        for stream, publisher in end.publishers.items()
        if any(matches(pattern, stream) for pattern in rule.streams)
        and publisher.server in desired.servers
        and not index.is_ingest(stream)
    }
    running = {name for name in end.processes if name.startswith(("record.", "archive."))}
    assert running == expected | set(map(archive_process_name, desired.recordings.values()))


@given(desireds(), machines, recordings)
def test_an_edit_of_one_rule_touches_only_its_own_processes(
    desired: Desired, machine: Observed, edited: RecordingSpec
) -> None:
    start = converge(desired, machine)
    new = replace(desired, recordings={**desired.recordings, edited.name: edited})
    needed = {f"playout.{each.stream}" for each in desired.sources.values() if each.on_demand}
    for step in make_plan(new, start.observed).steps:
        assert not isinstance(step, Kick)
        own = (f"record.{edited.name}@", f"archive.{edited.name}@")
        assert step.process.startswith(own) or step.process in needed


@given(desireds(), machines, st.frozensets(st.sampled_from(["archive", "evidence"])))
def test_a_disk_without_room_ends_recorders_and_nothing_else(
    desired: Desired, machine: Observed, full: frozenset[str]
) -> None:
    start = converge(desired, machine)
    filled = replace(start, full=full).published(desired)
    for step in make_plan(desired, filled.observed).steps:
        assert isinstance(step, Stop)
        assert step.process.startswith(tuple(f"record.{rule}@" for rule in full))
    end = converge(desired, filled)
    assert not any(name.startswith(tuple(f"record.{rule}@" for rule in full)) for name in end.pids)
    again = converge(desired, replace(end, full=frozenset()))
    assert set(again.pids) == set(start.pids)
    others = {name: pid for name, pid in start.pids.items() if not name.startswith("record.")}
    assert others.items() <= again.pids.items()


def test_nothing_is_recorded_before_there_is_a_place_for_it() -> None:
    ready = live(BY_STUDIO)
    assert "record.archive@live/a" in jobs_of(desired(RULE), ready)
    for spools in ({}, {"archive": "/mnt/.spool/archive"}, {"other": "/srv/rec/.spool/archive"}):
        jobs = jobs_of(desired(RULE), replace(ready, spools=spools))
        assert set(jobs) == {ARCHIVE}


def jobs_of(desired: Desired, observed: Observed) -> dict[str, RecordJob | ArchiveJob]:
    jobs, _ = wanted_jobs(desired, observed, input_url, NOW, CLOCK)
    return {name: job for name, job in jobs.items() if isinstance(job, RecordJob | ArchiveJob)}


def test_a_recorder_writes_to_the_spool_of_its_rule() -> None:
    jobs = jobs_of(desired(RULE), live(BY_STUDIO))
    assert jobs["record.archive@live/a"] == RecordJob(
        process="record.archive@live/a",
        rule="archive",
        stream="live/a",
        input_url="rtmp://main/live/a",
        spool="/srv/rec/.spool/archive",
        publisher="studio",
        ffmpeg="/ffmpeg",
        progress="127.0.0.1:2023",
    )


def test_a_key_in_the_name_is_kept_from_sight() -> None:
    publisher = replace(BY_STUDIO, published_as="live/a-secret")
    job = jobs_of(desired(RULE), live(publisher))["record.archive@live/a"]
    assert isinstance(job, RecordJob)
    assert (job.stream, job.input_url) == ("live/a", "rtmp://main/live/a-secret")
    assert job.input_secret
    assert "secret" not in repr(job).replace("input_secret", "")


def restarted(old: Desired, new: Desired, observed: Observed) -> set[str]:
    """Return the processes that a change stops or starts."""
    before: World = converge(old, observed)
    after = converge(new, before)
    return {
        name
        for name in before.pids.keys() | after.pids.keys()
        if before.pids.get(name) != after.pids.get(name)
    }


def test_an_edit_restarts_only_what_has_to_know_of_it() -> None:
    cloud = {"cloud": StorageSpec("cloud", "s3://bucket", (("access_key_id", "one"),))}
    before = desired(replace(RULE, storage="cloud"), storages=cloud)
    observed = live(BY_STUDIO)

    def edited(**changes: object) -> set[str]:
        rule = replace(RULE, storage="cloud", **changes)  # type: ignore[arg-type] # by field
        return restarted(before, desired(rule, storages=cloud), observed)

    for changes in ({"keep_for_s": 5.0}, {"split_s": 60.0}, {"format": "hls"}, {"path": "{uuid}"}):
        assert edited(**changes) == {ARCHIVE}
    assert edited(streams=("live/*",)) == set()
    assert edited(streams=("rooms/*",)) == {"record.archive@live/a"}
    assert edited(directory="/srv/rec/{app}/{date}") == {ARCHIVE}  # the same spool
    moved = archive_process_name(replace(RULE, directory="/mnt"))
    assert edited(directory="/mnt") == {ARCHIVE, moved, "record.archive@live/a"}
    key = {"cloud": replace(cloud["cloud"], options=(("access_key_id", "two"),))}
    assert restarted(before, replace(before, storages=key), observed) == {ARCHIVE}
    other = {**cloud, "other": StorageSpec("other", "s3://x")}
    assert restarted(before, replace(before, storages=other), observed) == set()


def test_another_publisher_is_another_recorder() -> None:
    world = converge(desired(RULE), live(BY_STUDIO))
    other = replace(world.observed, publishers={"live/a": replace(BY_STUDIO, client_id="other")})
    assert make_plan(desired(RULE), other).steps == (
        Stop("record.archive@live/a", "the publisher changed"),
    )


def test_a_stream_on_demand_is_pulled_for_a_rule_that_names_it() -> None:
    source = SourceSpec("live/door", "main", (PullInput("rtsp://h/x"),), on_demand=True)
    made = {"sources": {"live/door": source}, "rules": {"live/door": internal("live/door")}}
    named = desired(replace(RULE, streams=("live/door",)), **made)
    assert "playout.live/door" in converge(named, Observed()).pids
    assert "record.archive@live/door" in converge(named, Observed()).pids
    assert "playout.live/door" not in converge(desired(RULE, **made), Observed()).pids
