"""Laws of the plan, over generated machines and configurations."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from streamd.config.models import Daemon
from streamd.desired import Desired, KeySpec, ServerSpec, StreamRule, TargetSpec, reload_identity
from streamd.jobs import ServerJob, TargetJob
from streamd.names import matches, specificity
from streamd.observed import JobHistory, Observed, ObservedProcess, Publisher
from streamd.plan import (
    BACKUP_AFTER_FAILURES,
    Forget,
    Kick,
    Kill,
    Plan,
    Reload,
    Start,
    Step,
    Stop,
    TargetIndex,
    job_identity,
    plan,
    wanted_jobs,
)

NOW = 1000.0
CLOCK = datetime(2026, 6, 1, tzinfo=UTC)
SERVER = ServerSpec(
    name="main", engine="srs", binary="/srs", host="h", rtmp=1935, http=8080, srt=None,
    webrtc=None, api=1985, hls_fragment_s=2.0, hls_window_s=20.0, webrtc_candidate=None,
    hooks="127.0.0.1:2023", apps=(),
)  # fmt: skip
STREAMS = ["live/a", "live/b", "rooms/x", "rooms/y", "lot/cam"]
PATTERNS = [*STREAMS, "live/*", "rooms/*", "*/*"]


def input_url(server: str, stream: str) -> str:
    return f"rtmp://{server}/{stream}"


def make_plan(desired: Desired, observed: Observed, now: float = NOW) -> Plan:
    return plan(desired, observed, input_url, now=now, clock=CLOCK)


def key(name: str, salt: str = "") -> KeySpec:
    return KeySpec(name, (name + salt).ljust(64, "0"))


targets = st.builds(
    TargetSpec,
    name=st.sampled_from(["t1", "t2", "t3"]),
    streams=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2, unique=True).map(tuple),
    many=st.just(True),
    platform=st.just("custom"),
    urls=st.lists(
        st.sampled_from(["rtmp://x/a/1", "rtmp://y/{app}/{stream}"]), min_size=1, max_size=2
    ).map(tuple),
    enabled=st.booleans(),
)
rules = st.builds(
    StreamRule,
    pattern=st.sampled_from(PATTERNS),
    keys=st.none() | st.frozensets(st.sampled_from(["k1", "k2"]), min_size=1),
)
desireds = st.builds(
    Desired,
    ffmpeg=st.sampled_from(["/usr/bin/ffmpeg", "/opt/ffmpeg"]),
    daemon=st.just(Daemon()),
    servers=st.fixed_dictionaries(
        {},
        optional={
            "main": st.builds(
                replace,
                st.just(SERVER),
                rtmp=st.sampled_from([1935, 1936]),
                hls_fragment_s=st.sampled_from([2.0, 4.0]),
                host=st.sampled_from(["h", "other"]),
            ),
            "second": st.just(replace(SERVER, name="second", api=1986)),
        },
    ),
    keys=st.fixed_dictionaries(
        {},
        optional={
            name: st.builds(key, st.just(name), st.sampled_from(["", "x"])) for name in ("k1", "k2")
        },
    ),
    rules=st.lists(rules, max_size=4).map(lambda found: {rule.pattern: rule for rule in found}),
    targets=st.lists(targets, max_size=3).map(lambda found: {spec.name: spec for spec in found}),
)
publishers = st.lists(
    st.builds(
        Publisher,
        server=st.sampled_from(["main", "second"]),
        stream=st.sampled_from(STREAMS),
        published_as=st.just(""),
        client_id=st.sampled_from(["c1", "c2"]),
        key=st.none() | st.sampled_from(["k1", "k2"]),
    ),
    max_size=4,
).map(
    lambda found: {
        p.stream: replace(p, published_as=p.stream, key_sha256=key(p.key).sha256 if p.key else None)
        for p in found
    }
)


def simulate(observed: Observed, step: Step) -> Observed:
    """What the machine looks like once a step is done, exits included."""
    processes = dict(observed.processes)
    loaded = dict(observed.loaded)
    present = dict(observed.publishers)
    if isinstance(step, Start):
        publisher = step.job.publisher if isinstance(step.job, TargetJob) else ""
        processes[step.process] = ObservedProcess(
            step.process, "running", 1, job_identity(step.job), publisher=publisher
        )
    if isinstance(step, (Start, Reload)) and isinstance(step.job, ServerJob):
        loaded[step.job.server.name] = reload_identity(step.job.server)
    if isinstance(step, (Stop, Kill)):
        processes[step.process] = replace(processes[step.process], state="exited", pid=0)
        server = step.process.removeprefix("server.")
        present = {stream: p for stream, p in present.items() if p.server != server}
    if isinstance(step, Forget):
        del processes[step.process]
    if isinstance(step, Kick):
        present = {
            s: p for s, p in present.items() if p.client_id != step.client_id or s != step.stream
        }
    return replace(
        observed,
        processes=processes,
        loaded=loaded,
        publishers=present,
        stalled=observed.stalled & {n for n, p in processes.items() if p.state == "running"},
    )


def converge(desired: Desired, observed: Observed) -> Observed:
    """Plan and carry out until nothing is left; the law is that this ends soon."""
    for _ in range(6):
        todo = make_plan(desired, observed)
        if not todo:
            return observed
        for step in todo.steps:
            observed = simulate(observed, step)
    raise AssertionError(f"still to do: {make_plan(desired, observed).steps}")


@given(desireds, publishers)
def test_applying_leads_to_an_empty_plan_with_exactly_the_wanted_jobs(
    desired: Desired, present: dict[str, Publisher]
) -> None:
    end = converge(desired, Observed(publishers=present))
    jobs, _ = wanted_jobs(desired, end, input_url, NOW, CLOCK)
    assert {n: p.identity for n, p in end.processes.items()} == {
        n: job_identity(j) for n, j in jobs.items()
    }


@given(desireds, publishers)
def test_planning_what_is_applied_is_empty(desired: Desired, present: dict[str, Publisher]) -> None:
    end = converge(desired, Observed(publishers=present))
    assert make_plan(desired, end) == Plan()


@settings(max_examples=200)
@given(desireds, desireds, publishers, st.data())
def test_interrupted_after_any_step_in_any_order_it_converges_to_the_same(
    old: Desired, new: Desired, present: dict[str, Publisher], data: st.DataObject
) -> None:
    start = converge(old, Observed(publishers=present))
    straight = converge(new, start)
    steps = list(make_plan(new, start).steps)
    interrupted = start
    for step in data.draw(st.permutations(steps)) if steps else []:
        if data.draw(st.booleans()):
            break
        interrupted = simulate(interrupted, step)
    ended = converge(new, interrupted)
    assert set(ended.processes) == set(straight.processes)
    assert ended.publishers == straight.publishers


@given(desireds, publishers, targets)
def test_an_edit_of_one_target_touches_only_its_own_processes(
    desired: Desired, present: dict[str, Publisher], edited: TargetSpec
) -> None:
    start = converge(desired, Observed(publishers=present))
    new = replace(desired, targets={**desired.targets, edited.name: edited})
    for step in make_plan(new, start).steps:
        assert not isinstance(step, Kick)
        assert step.process.startswith(f"target.{edited.name}")


@given(desireds, publishers, st.sampled_from(["k1", "k2"]))
def test_adding_a_key_disturbs_nobody(
    desired: Desired, present: dict[str, Publisher], name: str
) -> None:
    without = replace(desired, keys={k: v for k, v in desired.keys.items() if k != name})
    start = converge(without, Observed(publishers=present))
    assert not make_plan(replace(without, keys={**without.keys, name: key(name)}), start)


@given(desireds, publishers, st.sampled_from(["k1", "k2"]))
def test_removing_a_key_kicks_those_who_used_it_and_touches_nothing_else(
    desired: Desired, present: dict[str, Publisher], name: str
) -> None:
    start = converge(desired, Observed(publishers=present))
    new = replace(desired, keys={k: v for k, v in desired.keys.items() if k != name})
    todo = make_plan(new, start)
    assert all(isinstance(step, Kick) for step in todo.steps)
    kicked = {step.stream for step in todo.steps if isinstance(step, Kick)}
    open_to_all = {
        p.stream
        for p in start.publishers.values()
        if rule_of(desired, p.stream) is not None and rule_of(desired, p.stream).keys is None  # type: ignore[union-attr] # just asked
    }
    used = {p.stream for p in start.publishers.values() if p.key == name}
    assert kicked == used - open_to_all


def rule_of(desired: Desired, stream: str) -> StreamRule | None:
    found = [rule for rule in desired.rules.values() if matches(rule.pattern, stream)]
    return max(found, key=lambda rule: specificity(rule.pattern), default=None)


@given(desireds, st.sampled_from(STREAMS))
def test_the_index_finds_what_matching_each_target_finds(desired: Desired, stream: str) -> None:
    expected = {
        target.name
        for target in desired.targets.values()
        if target.enabled and any(matches(pattern, stream) for pattern in target.streams)
    }
    assert set(TargetIndex(desired.targets.values()).of(stream)) == expected


def one_target(*urls: str) -> Desired:
    target = TargetSpec("t", ("live/a",), False, "custom", urls)
    rule = StreamRule("live/a", None)
    return Desired("/ffmpeg", Daemon(), {"main": SERVER}, {}, {"live/a": rule}, {"t": target})


def live(client_id: str = "c1") -> dict[str, Publisher]:
    return {"live/a": Publisher("main", "live/a", "live/a", client_id)}


def test_a_returning_publisher_restarts_its_targets() -> None:
    desired = one_target("rtmp://x/a/1")
    start = converge(desired, Observed(publishers=live()))
    todo = make_plan(desired, replace(start, publishers=live("c2")))
    assert todo.steps == (Stop("target.t", "the publisher changed"),)


def test_a_failed_job_waits_for_its_retry_and_the_plan_says_when() -> None:
    desired = one_target("rtmp://x/a/1")
    start = converge(desired, Observed(publishers=live()))
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
    start = converge(desired, Observed(publishers=live()))
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
    start = replace(converge(desired, Observed(publishers=live())), stalled=frozenset({"target.t"}))
    assert make_plan(desired, start).steps == (Kill("target.t", 1, "it hangs"),)


def test_changes_that_a_server_takes_without_a_restart() -> None:
    desired = one_target("rtmp://x/a/1")
    start = converge(desired, Observed())
    host = replace(desired, servers={"main": replace(SERVER, host="other")})
    assert not make_plan(host, start)
    fragment = replace(desired, servers={"main": replace(SERVER, hls_fragment_s=4.0)})
    assert [type(step) for step in make_plan(fragment, start).steps] == [Reload]
    port = replace(desired, servers={"main": replace(SERVER, rtmp=1936)})
    assert [type(step) for step in make_plan(port, start).steps] == [Stop]
