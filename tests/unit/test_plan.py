"""Laws of the plan, over generated machines and configurations."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.config.models import Daemon
from streamd.desired import Desired, StreamRule, TargetSpec
from streamd.jobs import ServerJob, fed_by, job_identity
from streamd.names import matches, specificity
from streamd.observed import JobHistory, Observed, Publisher
from streamd.plan import Kick, Kill, Plan, Reload, Start, Stop
from streamd.wanted import BACKUP_AFTER_FAILURES, PlanIndex, wanted_jobs
from tests.unit.planning import (
    CLOCK,
    CLOSED,
    INGESTS,
    NOW,
    OWN,
    SERVER,
    STREAMS,
    World,
    converge,
    desireds,
    input_url,
    inputs_like,
    key,
    machines,
    make_plan,
    rule_keys,
    targets,
    transcodes_of,
    windows,
)


@given(desireds(), machines)
def test_applying_leads_to_an_empty_plan_with_exactly_the_wanted_jobs(
    desired: Desired, machine: Observed
) -> None:
    end = converge(desired, machine).observed
    jobs, _ = wanted_jobs(desired, end, input_url, NOW, CLOCK)
    assert {n: p.identity for n, p in end.processes.items()} == {
        n: job_identity(j) for n, j in jobs.items()
    }


@given(desireds(), machines)
def test_planning_what_is_applied_is_empty(desired: Desired, machine: Observed) -> None:
    end = converge(desired, machine)
    assert make_plan(desired, end.observed) == Plan()
    assert end.published(desired) == end


@given(desireds(), desireds(), machines)
def test_what_runs_after_an_edit_was_started_from_the_new_file(
    old: Desired, new: Desired, machine: Observed
) -> None:
    assert_started_from(new, converge(new, converge(old, machine)))


@settings(max_examples=200)
@given(desireds(), desireds(), machines, st.data())
def test_interrupted_after_any_step_in_any_order_it_converges_to_the_same(
    old: Desired, new: Desired, machine: Observed, data: st.DataObject
) -> None:
    start = converge(old, machine)
    straight = converge(new, start)
    steps = list(make_plan(new, start.observed).steps)
    interrupted = start
    for step in data.draw(st.permutations(steps)) if steps else []:
        if data.draw(st.booleans()):
            break
        interrupted = interrupted.after(step, new)
    ended = converge(new, interrupted)
    assert set(ended.observed.processes) == set(straight.observed.processes)
    assert ended.observed.publishers == straight.observed.publishers


def assert_started_from(desired: Desired, world: World) -> None:
    """Make sure that what runs is what is wanted now, and not what was before."""
    wanted, _ = wanted_jobs(desired, world.observed, input_url, NOW, CLOCK)
    for name, job in wanted.items():
        if not isinstance(job, ServerJob):  # which takes some settings while it runs
            assert world.jobs[name] == job


def assert_left_alone(before: World, after: World, touched: set[str]) -> None:
    """Make sure that every process but these is the same one still."""
    others = {name: pid for name, pid in before.pids.items() if name not in touched}
    assert others.items() <= after.pids.items()


@given(desireds(), machines, targets)
def test_an_edit_of_one_target_touches_only_its_own_processes(
    desired: Desired, machine: Observed, edited: TargetSpec
) -> None:
    start = converge(desired, machine)
    new = replace(desired, targets={**desired.targets, edited.name: edited})
    # What is made on demand comes and goes with what needs it.
    needed = {f"playout.{each.stream}" for each in desired.sources.values() if each.on_demand}
    for step in make_plan(new, start.observed).steps:
        assert not isinstance(step, Kick)
        assert step.process.startswith(f"target.{edited.name}") or step.process in needed


@given(desireds(), machines, st.data())
def test_an_edit_of_one_source_touches_its_playout_and_what_lives_on_that(
    desired: Desired, machine: Observed, data: st.DataObject
) -> None:
    if not desired.sources:
        return
    source = desired.sources[data.draw(st.sampled_from(sorted(desired.sources)))]
    edited = replace(
        source,
        inputs=data.draw(inputs_like(source.inputs)),
        on_demand=data.draw(st.booleans()),
        window=data.draw(windows),
    )
    start = converge(desired, machine)
    new = replace(desired, sources={**desired.sources, source.stream: edited})
    own = f"playout.{source.stream}"
    for step in make_plan(new, start.observed).steps:
        assert not isinstance(step, Kick)
        assert step.process == own
    end = converge(new, start)
    assert_started_from(new, end)
    assert_left_alone(start, end, {own} | start.fed_by({source.stream}))
    people = {s: p for s, p in start.observed.publishers.items() if not p.internal}
    assert people.items() <= end.observed.publishers.items()


@given(desireds(), machines, st.data())
def test_an_edit_of_one_transcode_touches_its_ladder_and_what_lives_on_that(
    desired: Desired, machine: Observed, data: st.DataObject
) -> None:
    if not desired.transcodes:
        return
    name = data.draw(st.sampled_from(sorted(desired.transcodes)))
    before = desired.transcodes[name]
    after = data.draw(transcodes_of(name, [before.stream, "lot/cam"]))
    start = converge(desired, machine)
    new = replace(desired, transcodes={**desired.transcodes, name: after})
    read = {before.stream, after.stream}
    ladders = {f"transcode.{stream}{kind}" for stream in read for kind in ("", "~sound")}
    needed = {f"playout.{s}" for s in read if s in desired.sources and desired.sources[s].on_demand}
    for step in make_plan(new, start.observed).steps:
        assert not isinstance(step, Kick)
        assert step.process in ladders | needed
    made = {t.to for t in (*desired.transcodes.values(), after) if t.stream in read}
    touched = ladders | needed | start.fed_by(made | {p.removeprefix("playout.") for p in needed})
    end = converge(new, start)
    assert_started_from(new, end)
    assert_left_alone(start, end, touched)


@given(desireds(), machines, st.sampled_from(OWN), rule_keys)
def test_an_edit_of_who_may_publish_a_stream_with_a_fallback_leaves_the_stream_on_air(
    desired: Desired, machine: Observed, stream: str, keys: frozenset[str] | None
) -> None:
    if stream not in desired.rules or desired.rules[stream].ingest is None:
        return
    ingest = desired.rules[stream].ingest
    assert ingest is not None
    start = converge(desired, machine)
    edited = replace(desired.rules[ingest], keys=keys)
    new = replace(desired, rules={**desired.rules, ingest: edited})
    for step in make_plan(new, start.observed).steps:
        assert isinstance(step, Kick)
        assert step.stream == ingest
    assert converge(new, start).pids == start.pids


@given(desireds(), machines, st.sampled_from(["k1", "k2"]))
def test_adding_a_key_disturbs_nobody(desired: Desired, machine: Observed, name: str) -> None:
    without = replace(desired, keys={k: v for k, v in desired.keys.items() if k != name})
    start = converge(without, machine)
    assert not make_plan(replace(without, keys={**without.keys, name: key(name)}), start.observed)


@given(desireds(), machines, st.sampled_from(["k1", "k2"]))
def test_removing_a_key_kicks_those_who_used_it_and_touches_nothing_else(
    desired: Desired, machine: Observed, name: str
) -> None:
    start = converge(desired, machine)
    present = start.observed.publishers
    new = replace(desired, keys={k: v for k, v in desired.keys.items() if k != name})
    steps = make_plan(new, start.observed).steps
    kicked = {step.stream for step in steps if isinstance(step, Kick)}
    open_to_all = {
        p.stream
        for p in present.values()
        if rule_of(desired, p.stream) is not None and rule_of(desired, p.stream).keys is None  # type: ignore[union-attr] # just asked
    }
    used = {p.stream for p in present.values() if p.key == name}
    assert kicked == used - open_to_all
    ended = {step.process for step in steps if not isinstance(step, Kick)}
    assert ended <= start.fed_by(kicked)


@given(desireds(), machines)
def test_what_is_published_at_an_ingest_goes_nowhere_by_itself(
    desired: Desired, machine: Observed
) -> None:
    end = converge(desired, machine)
    jobs, _ = wanted_jobs(desired, end.observed, input_url, NOW, CLOCK)
    read = {fed_by(job) for job in jobs.values()}
    ingests = {rule.pattern for rule in desired.rules.values() if rule.ingest_of is not None}
    assert not read & ingests


@given(desireds(), machines)
def test_what_streamd_publishes_is_on_air_whenever_it_is_wanted(
    desired: Desired, machine: Observed
) -> None:
    end = converge(desired, machine).observed
    for stream, source in desired.sources.items():
        sent = any(
            matches(pattern, stream)
            for target in desired.targets.values()
            if target.enabled
            for pattern in target.streams
        )
        read = any(transcode.stream == stream for transcode in desired.transcodes.values())
        kept = any(stream in rule.streams for rule in desired.recordings.values())
        wanted = not source.on_demand or stream in end.demanded or sent or read or kept
        if wanted and source.window != CLOSED:
            assert f"playout.{stream}" in end.processes
            assert end.publishers[stream].internal
            assert end.publishers[stream].server == source.server
        else:
            assert f"playout.{stream}" not in end.processes
            assert stream not in end.publishers
    for transcode in desired.transcodes.values():
        source_of = end.publishers.get(transcode.stream)
        expected = source_of is not None and source_of.server in desired.servers
        assert (transcode.to in end.publishers) == expected


def rule_of(desired: Desired, stream: str) -> StreamRule | None:
    found = [rule for rule in desired.rules.values() if matches(rule.pattern, stream)]
    return max(found, key=lambda rule: specificity(rule.pattern), default=None)


@given(desireds(), st.sampled_from([*STREAMS, *INGESTS]))
def test_the_index_finds_what_matching_each_target_finds(desired: Desired, stream: str) -> None:
    expected = {
        target.name
        for target in desired.targets.values()
        if target.enabled and any(matches(pattern, stream) for pattern in target.streams)
    }
    assert set(PlanIndex(desired).targets.of(stream)) == expected


def one_target(*urls: str) -> Desired:
    target = TargetSpec("t", ("live/a",), False, "custom", urls)
    rule = StreamRule("live/a", None)
    return Desired("/ffmpeg", Daemon(), {"main": SERVER}, {}, {"live/a": rule}, {"t": target})


def live(client_id: str = "c1") -> dict[str, Publisher]:
    return {"live/a": Publisher("main", "live/a", "live/a", client_id)}


def test_a_returning_publisher_restarts_its_targets() -> None:
    desired = one_target("rtmp://x/a/1")
    start = converge(desired, Observed(publishers=live())).observed
    todo = make_plan(desired, replace(start, publishers=live("c2")))
    assert todo.steps == (Stop("target.t", "the publisher changed"),)


def test_a_failed_job_waits_for_its_retry_and_the_plan_says_when() -> None:
    desired = one_target("rtmp://x/a/1")
    start = converge(desired, Observed(publishers=live())).observed
    job = wanted_jobs(desired, start, input_url, NOW, CLOCK)[0]["target.t"]
    exited = replace(start.processes["target.t"], state="exited", pid=0)
    observed = replace(
        start,
        processes={**start.processes, "target.t": exited},
        histories={"target.t": JobHistory(job=job_identity(job), failures=1, retry_at=NOW + 5)},
    )
    assert make_plan(desired, observed) == Plan((), NOW + 5)
    assert make_plan(desired, observed, NOW + 5).steps == (Start("target.t", job, "exited"),)


def test_an_edit_of_a_waiting_target_does_not_wait() -> None:
    desired = one_target("rtmp://x/a/1")
    observed = Observed(
        publishers=live(),
        histories={"target.t": JobHistory(job="of the job before", failures=9, retry_at=NOW + 30)},
    )
    assert any(step.process == "target.t" for step in make_plan(desired, observed).steps)  # type: ignore[union-attr] # no kicks here


def test_nothing_is_started_for_a_publisher_who_is_being_disconnected() -> None:
    desired = one_target("rtmp://x/a/1")
    locked = replace(desired, rules={"live/a": StreamRule("live/a", frozenset({"k1"}))})
    kick, start = make_plan(locked, Observed(publishers=live())).steps
    assert isinstance(kick, Kick)
    assert isinstance(start, Start)
    assert (kick.client_id, start.process) == ("c1", "server.main")


def test_the_backup_runs_beside_a_failing_first_address_until_that_heals() -> None:
    desired = one_target("rtmp://x/a/1", "rtmp://y/a/1")
    start = converge(desired, Observed(publishers=live())).observed
    job = wanted_jobs(desired, start, input_url, NOW, CLOCK)[0]["target.t"]

    def wanted(**history: float) -> tuple[set[str], float | None]:
        past = JobHistory(job=job_identity(job), failures=BACKUP_AFTER_FAILURES)
        observed = replace(start, histories={"target.t": replace(past, **history)})  # type: ignore[arg-type] # fields by name
        jobs, wake_at = wanted_jobs(desired, observed, input_url, NOW, CLOCK)
        return {name for name in jobs if name.startswith("target.")}, wake_at

    assert wanted(failures=BACKUP_AFTER_FAILURES - 1) == ({"target.t"}, None)
    assert wanted() == ({"target.t", "target.t~backup"}, None)
    assert wanted(healthy_since=NOW - 1) == ({"target.t", "target.t~backup"}, NOW + 4)
    assert wanted(healthy_since=NOW - 5) == ({"target.t"}, None)


def test_a_stalled_process_is_killed() -> None:
    desired = one_target("rtmp://x/a/1")
    start = replace(
        converge(desired, Observed(publishers=live())).observed, stalled=frozenset({"target.t"})
    )
    pid = start.processes["target.t"].pid
    assert make_plan(desired, start).steps == (Kill("target.t", pid, "it hangs"),)


def test_changes_that_a_server_takes_without_a_restart() -> None:
    desired = one_target("rtmp://x/a/1")
    start = converge(desired, Observed()).observed
    host = replace(desired, servers={"main": replace(SERVER, host="other")})
    assert not make_plan(host, start)
    fragment = replace(desired, servers={"main": replace(SERVER, hls_fragment_s=4.0)})
    assert [type(step) for step in make_plan(fragment, start).steps] == [Reload]
    port = replace(desired, servers={"main": replace(SERVER, rtmp=1936)})
    assert [type(step) for step in make_plan(port, start).steps] == [Stop]
