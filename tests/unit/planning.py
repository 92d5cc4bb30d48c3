"""Configurations to plan for, and a machine in memory on which plans are carried out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time

from hypothesis import strategies as st

from streamd.archive.layout import spool_of
from streamd.auth.decide import AuthIndex, authorised
from streamd.config.models import Daemon
from streamd.desired import (
    AudioSpec,
    Desired,
    KeySpec,
    RecordingSpec,
    ServerSpec,
    SourceSpec,
    StorageSpec,
    StreamRule,
    TargetSpec,
    TranscodeSpec,
    VideoSpec,
    reload_identity,
)
from streamd.jobs import ArchiveJob, Job, PlayoutJob, ServerJob, TranscodeJob, fed_by, job_identity
from streamd.names import ingest_name
from streamd.observed import Observed, ObservedProcess, Publisher
from streamd.plan import Forget, Kick, Kill, Plan, Reload, Start, Step, Stop, plan
from streamd.playout.spec import FilesInput, IngestInput, PlayoutInput, PullInput, SlateInput
from streamd.schedule import DailyWindow

NOW = 1000.0
CLOCK = datetime(2026, 6, 1, 12, tzinfo=UTC)
OPEN = DailyWindow(time(11), time(13), "UTC")
CLOSED = DailyWindow(time(13), time(11), "UTC")

SERVER = ServerSpec(
    name="main", engine="srs", binary="/srs", host="h", rtmp=1935, http=8080, srt=None,
    webrtc=None, api=1985, hls_fragment_s=2.0, hls_window_s=20.0, webrtc_candidate=None,
    hooks="127.0.0.1:2023", apps=(),
)  # fmt: skip
STREAMS = ["live/a", "live/b", "rooms/x", "rooms/y", "lot/cam"]
OWN = ["live/a", "live/b", "rooms/x"]
"""Streams that streamd may make itself."""

INGESTS = [ingest_name(stream) for stream in OWN]
MADE = {"p": "made/p", "q": "made/q", "r": "rooms/r"}
"""Transcodes by name, and what they make."""

PATTERNS = [*STREAMS, "live/*", "rooms/*", "*/*"]
TO_SEND = ["*/*", "live/*", "made/*", "made/p", *PATTERNS]


def input_url(server: str, stream: str) -> str:
    return f"rtmp://{server}/{stream}"


def make_plan(
    desired: Desired, observed: Observed, now: float = NOW, clock: datetime = CLOCK
) -> Plan:
    return plan(desired, observed, input_url, now=now, clock=clock)


def key(name: str, salt: str = "") -> KeySpec:
    return KeySpec(name, (name + salt).ljust(64, "0"))


def internal(pattern: str, ingest: str | None = None) -> StreamRule:
    return StreamRule(pattern, frozenset(), internal=True, ingest=ingest)


targets = st.builds(
    TargetSpec,
    name=st.sampled_from(["t1", "t2", "t3"]),
    streams=st.lists(st.sampled_from(TO_SEND), min_size=1, max_size=2, unique=True).map(tuple),
    many=st.just(True),
    platform=st.just("custom"),
    urls=st.lists(
        st.sampled_from(["rtmp://x/a/1", "rtmp://y/{app}/{stream}"]), min_size=1, max_size=2
    ).map(tuple),
    enabled=st.sampled_from([True, True, False]),
)
recordings = st.builds(
    RecordingSpec,
    name=st.sampled_from(["archive", "evidence"]),
    streams=st.lists(st.sampled_from(TO_SEND), min_size=1, max_size=2, unique=True).map(tuple),
    directory=st.sampled_from(["/srv/one", "/srv/two/{app}"]),
    path=st.sampled_from(["{time}-{uuid}", "{uuid}"]),
    keep_for_s=st.sampled_from([None, 60.0]),
    storage=st.sampled_from([None, "cloud"]),
)
storages = st.builds(StorageSpec, st.just("cloud"), st.sampled_from(["s3://a", "s3://b"]))
rule_keys = st.none() | st.frozensets(st.sampled_from(["k1", "k2"]), min_size=1)
rules = st.builds(StreamRule, pattern=st.sampled_from(["*/*", *PATTERNS]), keys=rule_keys)
mains = st.builds(
    replace,
    st.just(SERVER),
    rtmp=st.sampled_from([1935, 1936]),
    hls_fragment_s=st.sampled_from([2.0, 4.0]),
    host=st.sampled_from(["h", "other"]),
)
seconds = st.just(replace(SERVER, name="second", rtmp=1940, api=1986))
plain_desireds = st.builds(
    Desired,
    ffmpeg=st.sampled_from(["/usr/bin/ffmpeg", "/opt/ffmpeg"]),
    daemon=st.just(Daemon()),
    servers=st.one_of(
        st.fixed_dictionaries({"main": mains}),
        st.fixed_dictionaries({"main": mains, "second": seconds}),
        st.fixed_dictionaries({}, optional={"main": mains, "second": seconds}),
    ),
    keys=st.fixed_dictionaries(
        {},
        optional={
            name: st.builds(key, st.just(name), st.sampled_from(["", "x"])) for name in ("k1", "k2")
        },
    ),
    rules=st.lists(rules, min_size=1, max_size=4).map(
        lambda found: {rule.pattern: rule for rule in found}
    ),
    targets=st.lists(targets, min_size=1, max_size=3).map(
        lambda found: {spec.name: spec for spec in found}
    ),
    recordings=st.lists(recordings, max_size=2).map(
        lambda found: {spec.name: spec for spec in found}
    ),
    storages=storages.map(lambda found: {found.name: found}),
)

files = st.builds(
    FilesInput,
    st.sampled_from([("/srv/a.mp4",), ("/srv/a.mp4", "/srv/b.mp4")]),
    loop=st.booleans(),
)
pulls = st.builds(
    PullInput,
    st.sampled_from(["rtsp://u:one@h/x", "rtsp://u:two@h/x"]),
    audio=st.sampled_from(["keep", "silent"]),
)
slates = st.builds(SlateInput, st.sampled_from(["/srv/one.mp4", "/srv/two.png"]))
windows = st.sampled_from([None, None, OPEN, CLOSED])
ladder_videos = st.sampled_from(
    [
        VideoSpec("h264", height=720, bitrate=2_000_000),
        VideoSpec("h264", bitrate=500_000),
        VideoSpec("none"),
    ]
)


own_streams: st.SearchStrategy[list[str]] = st.one_of(
    st.lists(st.sampled_from(OWN), unique=True, min_size=1, max_size=2), st.just([])
)


@st.composite
def inputs_like(draw: st.DrawFn, like: tuple[PlayoutInput, ...]) -> tuple[PlayoutInput, ...]:
    """Other inputs of the same kinds: an edit that leaves who publishes the stream as it is."""
    kinds: Mapping[type[PlayoutInput], st.SearchStrategy[PlayoutInput]] = {
        FilesInput: files,
        PullInput: pulls,
        SlateInput: slates,
    }
    return tuple(
        each if isinstance(each, IngestInput) else draw(kinds[type(each)]) for each in like
    )


@st.composite
def sources(draw: st.DrawFn, stream: str, servers: Mapping[str, ServerSpec]) -> SourceSpec:
    """A stream of streamd's own: files or something that is pulled, or what has a fallback."""
    server = draw(st.sampled_from(sorted(servers)))
    kind = draw(st.sampled_from(["pull", "fallback", "files"]))
    if kind == "fallback":
        ingest = IngestInput(f"{servers[server].loopback_rtmp}/{ingest_name(stream)}")
        return SourceSpec(stream, server, (ingest, draw(slates)))
    slate = draw(st.lists(slates, max_size=1))
    if kind == "files":
        return SourceSpec(stream, server, (draw(files), *slate), window=draw(windows))
    pulled = draw(st.lists(pulls, min_size=1, max_size=2))
    return SourceSpec(
        stream, server, (*pulled, *slate), draw(st.sampled_from([True, False])), draw(windows)
    )


@st.composite
def desireds(draw: st.DrawFn) -> Desired:
    """Anything that a file could ask for: its own streams and transcodes, and what others send."""
    base = draw(plain_desireds)
    rules = dict(base.rules)
    found = {}
    for stream in draw(own_streams) if base.servers else ():
        source = found[stream] = draw(sources(stream, base.servers))
        has_ingest = isinstance(source.inputs[0], IngestInput)
        ingest = ingest_name(stream) if has_ingest else None
        rules[stream] = internal(stream, ingest)
        if ingest is not None:
            rules[ingest] = StreamRule(ingest, draw(rule_keys), ingest_of=stream)
    transcodes = {}
    readable = list(STREAMS)
    for name, to in MADE.items():
        if draw(st.sampled_from([True, True, False])):
            transcodes[name] = draw(transcodes_of(name, readable))
            readable.append(to)  # one can be made of another, and none of itself
            rules[to] = internal(to)
    return replace(base, rules=rules, sources=found, transcodes=transcodes)


@st.composite
def transcodes_of(draw: st.DrawFn, name: str, readable: list[str]) -> TranscodeSpec:
    stream = draw(st.sampled_from(readable))
    return TranscodeSpec(name, stream, MADE[name], draw(ladder_videos), AudioSpec("copy"))


publishers = st.lists(
    st.builds(
        Publisher,
        server=st.sampled_from(["main", "second"]),
        stream=st.sampled_from([*INGESTS, *STREAMS]),
        published_as=st.just(""),
        client_id=st.sampled_from(["c1", "c2"]),
        key=st.none() | st.sampled_from(["k1", "k2"]),
    ),
    min_size=1,
    max_size=5,
).map(
    lambda found: {
        p.stream: replace(p, published_as=p.stream, key_sha256=key(p.key).sha256 if p.key else None)
        for p in found
    }
)
machines = st.builds(
    Observed, publishers=publishers, demanded=st.frozensets(st.sampled_from(OWN), max_size=2)
)


@dataclass(frozen=True)
class World:
    """A machine, and what each process of it was started from.

    Playouts and transcodes publish what they are for as soon as their server runs and lets them
    in, and as long as they run and have what they read. Archives make the place of their recorders
    as soon as they run; for `full` rules there is no room.
    """

    observed: Observed
    jobs: Mapping[str, Job] = field(default_factory=dict)
    started: int = 0
    full: frozenset[str] = frozenset()

    def after(self, step: Step, desired: Desired) -> "World":
        """Return the machine once a step is done, exits included."""
        processes = dict(self.observed.processes)
        loaded = dict(self.observed.loaded)
        present = dict(self.observed.publishers)
        jobs, started = dict(self.jobs), self.started
        if isinstance(step, Start):
            started += 1
            processes[step.process] = ObservedProcess(
                step.process,
                "running",
                started,
                job_identity(step.job),
                publisher=getattr(step.job, "publisher", ""),
            )
            jobs[step.process] = step.job
        if isinstance(step, (Start, Reload)) and isinstance(step.job, ServerJob):
            loaded[step.job.server.name] = reload_identity(step.job.server)
        if isinstance(step, (Stop, Kill)):
            ended = replace(processes[step.process], state="exited", pid=0, exit_status=-15)
            processes[step.process] = ended
            server = step.process.removeprefix("server.")
            present = {stream: p for stream, p in present.items() if p.server != server}
        if isinstance(step, Forget):
            del processes[step.process]
        if isinstance(step, Kick):
            present = {
                s: p
                for s, p in present.items()
                if p.client_id != step.client_id or s != step.stream
            }
        running = {n for n, p in processes.items() if p.state == "running"}
        observed = replace(
            self.observed,
            processes=processes,
            loaded=loaded,
            publishers=present,
            stalled=self.observed.stalled & running,
        )
        return World(observed, jobs, started, self.full).published(desired)

    def published(self, desired: Desired) -> "World":
        """Return the machine with what its own processes publish now, and nothing older."""
        index = AuthIndex(desired)
        present = {s: p for s, p in self.observed.publishers.items() if not p.internal}
        for _ in range(1 + len(MADE)):  # one may be made of what another publishes
            for name, process in self.observed.processes.items():
                if process.state != "running":
                    continue
                for stream, server in self._publishes(self.jobs[name], present):
                    own = Publisher(
                        server, stream, stream, f"{name}#{process.identity}", internal=True
                    )
                    if authorised(own, index, CLOCK) is None:
                        present.setdefault(stream, own)
        made = {
            job.recording.name: spool_of(job.recording.directory, job.recording.name)
            for name, job in self.jobs.items()
            if isinstance(job, ArchiveJob) and self._runs(name)
        }
        told = {**self.observed.spools, **made}
        spools = {rule: spool for rule, spool in told.items() if rule not in self.full}
        return replace(self, observed=replace(self.observed, publishers=present, spools=spools))

    def _publishes(self, job: Job, present: Mapping[str, Publisher]) -> list[tuple[str, str]]:
        servers = {
            each.server.loopback_rtmp: each.server.name
            for name, each in self.jobs.items()
            if isinstance(each, ServerJob) and self._runs(name)
        }
        if isinstance(job, PlayoutJob):
            server = servers.get(job.publish_url.removesuffix(f"/{job.stream}"))
            return [(job.stream, server)] if server else []
        if isinstance(job, TranscodeJob):
            source = present.get(job.stream)
            server = servers.get(job.publish_url)
            if source is not None and source.client_id == job.publisher and server:
                return [(each.to, server) for each in job.transcodes]
        return []

    def _runs(self, process: str) -> bool:
        found = self.observed.processes.get(process)
        return found is not None and found.state == "running"

    @property
    def pids(self) -> dict[str, int]:
        """The pid of each process, by its name."""
        return {name: process.pid for name, process in self.observed.processes.items()}

    def fed_by(self, streams: set[str]) -> set[str]:
        """Return the processes that read some streams or what is made of them."""
        found: set[str] = set()
        streams = set(streams)
        for _ in range(1 + len(MADE)):
            for name, job in self.jobs.items():
                if fed_by(job) in streams:
                    found.add(name)
                    if isinstance(job, TranscodeJob):
                        streams |= {each.to for each in job.transcodes}
        return found


def converge(desired: Desired, start: World | Observed) -> World:
    """Plan and carry out until nothing is left; the law is that this ends soon."""
    world = start if isinstance(start, World) else World(start)
    world = world.published(desired)
    for _ in range(6 + 2 * len(MADE)):
        todo = make_plan(desired, world.observed)
        if not todo:
            return world
        for step in todo.steps:
            world = world.after(step, desired)
    raise AssertionError(f"still to do: {make_plan(desired, world.observed).steps}")
