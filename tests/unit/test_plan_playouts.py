"""Plans of what streamd publishes itself: playouts and transcodes."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from streamd.config.models import Daemon
from streamd.desired import (
    AudioSpec,
    Desired,
    KeySpec,
    SourceSpec,
    StreamRule,
    TargetSpec,
    TranscodeSpec,
    VideoSpec,
)
from streamd.jobs import Job, PlayoutJob, ServerJob, TargetJob, TranscodeJob, job_identity
from streamd.observed import JobHistory, Observed, ObservedProcess, Publisher
from streamd.plan import Forget, Kick, Kill, Plan, Start, Stop, is_finished
from streamd.playout.spec import FilesInput, IngestInput, PullInput, SlateInput
from streamd.schedule import DailyWindow
from streamd.wanted import PlanIndex, wanted_jobs
from tests.unit.planning import CLOCK, NOW, SERVER, converge, input_url, internal, make_plan

FILES = SourceSpec("live/a", "main", (FilesInput(("/srv/a.mp4",)),))
PULL = SourceSpec("live/a", "main", (PullInput("rtsp://h/x"),))
SLATE = SlateInput("/srv/s.mp4")
SHOWN = SourceSpec("live/a", "main", (IngestInput("rtmp://127.0.0.1:1935/in/a"), SLATE))
EVENING = DailyWindow(time(18), time(23, 30), "UTC")

BY_STREAMD = Publisher("main", "live/a", "live/a", "own", internal=True)
BY_STUDIO = Publisher("main", "in/a", "in/a", "studio")


def desired(source: SourceSpec = FILES, **changes: object) -> Desired:
    """Return one server with one stream of streamd's own, with changes by field."""
    base = Desired(
        ffmpeg="/ffmpeg",
        daemon=Daemon(),
        servers={"main": SERVER},
        keys={},
        rules={"live/a": internal("live/a")},
        targets={},
        sources={"live/a": source},
    )
    return replace(base, **changes)  # type: ignore[arg-type] # fields by name


WITH_FALLBACK = desired(
    SHOWN,
    rules={
        "live/a": internal("live/a", ingest="in/a"),
        "in/a": StreamRule("in/a", None, ingest_of="live/a"),
    },
)


def rendition(name: str, stream: str = "live/a") -> TranscodeSpec:
    video = VideoSpec("h264", height=720, bitrate=2_000_000)
    return TranscodeSpec(name, stream, f"made/{name}", video, AudioSpec("copy"))


def target(*streams: str, enabled: bool = True) -> TargetSpec:
    return TargetSpec("t", streams, True, "custom", ("rtmp://x/{app}/{stream}",), enabled)


def jobs(
    shall: Desired, *publishers: Publisher, clock: datetime = CLOCK, demanded: str = ""
) -> dict[str, Job]:
    """Return what is wanted beside servers."""
    observed = Observed(
        publishers={each.stream: each for each in publishers},
        demanded=frozenset(filter(None, (demanded,))),
    )
    found, _ = wanted_jobs(shall, observed, input_url, NOW, clock)
    return {name: job for name, job in found.items() if not isinstance(job, ServerJob)}


class TestPlayout:
    def test_it_publishes_on_loopback_what_the_stream_is_made_of(self) -> None:
        assert jobs(desired()) == {
            "playout.live/a": PlayoutJob(
                process="playout.live/a",
                stream="live/a",
                publish_url="rtmp://127.0.0.1:1935/live/a",
                inputs=FILES.inputs,
                ffmpeg="/ffmpeg",
                progress="127.0.0.1:2023",
            )
        }

    def test_it_publishes_on_the_server_of_the_stream(self) -> None:
        servers = {"main": SERVER, "two": replace(SERVER, name="two", rtmp=1940, api=1986)}
        job = jobs(desired(replace(FILES, server="two"), servers=servers))["playout.live/a"]
        assert isinstance(job, PlayoutJob)
        assert job.publish_url == "rtmp://127.0.0.1:1940/live/a"

    def test_it_runs_whoever_publishes_and_stays_the_same(self) -> None:
        assert jobs(WITH_FALLBACK) == jobs(WITH_FALLBACK, BY_STUDIO)

    def test_its_address_and_its_server_start_it_anew(self) -> None:
        start = converge(desired(PULL), Observed()).observed
        other = desired(replace(PULL, inputs=(PullInput("rtsp://h/y"),)))
        assert make_plan(other, start).steps == (Stop("playout.live/a", "its definition changed"),)
        moved = desired(PULL, servers={"main": replace(SERVER, rtmp=1936)})
        assert [
            step.process for step in make_plan(moved, start).steps if isinstance(step, Stop)
        ] == [
            "server.main",
            "playout.live/a",
        ]

    def test_what_a_server_takes_while_it_runs_leaves_it_alone(self) -> None:
        start = converge(desired(), Observed()).observed
        shown = desired(servers={"main": replace(SERVER, host="other", hls_fragment_s=4.0)})
        assert [step.process for step in make_plan(shown, start).steps] == ["server.main"]  # type: ignore[union-attr] # no kicks here

    def test_without_its_source_it_ends_and_nobody_is_kicked_for_it(self) -> None:
        start = converge(desired(), Observed()).observed
        without = desired(sources={}, rules={"live/a": StreamRule("live/a", None)})
        steps = make_plan(without, start).steps
        assert Stop("playout.live/a", "not wanted any more") in steps
        assert not any(isinstance(step, Kick) for step in steps), "SRS may abort where both meet"

    def test_one_that_hangs_is_killed(self) -> None:
        start = converge(desired(), Observed()).observed
        hanging = replace(start, stalled=frozenset({"playout.live/a"}))
        pid = start.processes["playout.live/a"].pid
        assert make_plan(desired(), hanging).steps == (Kill("playout.live/a", pid, "it hangs"),)

    def test_one_that_failed_waits_for_its_retry(self) -> None:
        start = converge(desired(), Observed()).observed
        (job,) = jobs(desired()).values()
        failed = JobHistory(job=job_identity(job), failures=1, retry_at=NOW + 5)
        observed = replace(
            start,
            processes={
                **start.processes,
                job.process: replace(start.processes[job.process], state="exited", exit_status=1),
            },
            histories={job.process: failed},
        )
        assert make_plan(desired(), observed) == Plan((), NOW + 5)
        assert make_plan(desired(), observed, NOW + 5).steps == (Start(job.process, job, "exited"),)

    def test_somebody_else_on_its_stream_is_kicked(self) -> None:
        stranger = replace(BY_STREAMD, internal=False, client_id="c9")
        (kick,) = [
            step
            for step in make_plan(WITH_FALLBACK, Observed(publishers={"live/a": stranger})).steps
            if isinstance(step, Kick)
        ]
        assert (kick.client_id, kick.published_as) == ("c9", "live/a")
        assert "publish to app in, stream a instead" in kick.reason


class TestWindow:
    @pytest.mark.parametrize(
        ("clock", "wanted"), [("17:59", False), ("18:00", True), ("23:29", True), ("23:30", False)]
    )
    def test_a_source_runs_in_its_window_only(self, clock: str, wanted: bool) -> None:
        hour, minute = map(int, clock.split(":"))
        shall = desired(replace(FILES, window=EVENING))
        found = jobs(shall, clock=CLOCK.replace(hour=hour, minute=minute), demanded="live/a")
        assert ("playout.live/a" in found) is wanted

    def test_at_its_end_it_stops_and_is_forgotten_and_begins_anew_the_next_day(self) -> None:
        shall = desired(replace(FILES, window=EVENING))
        evening = CLOCK.replace(hour=20)
        night = CLOCK.replace(hour=23, minute=30)
        (job,) = jobs(shall, clock=evening).values()
        process = ObservedProcess(job.process, "running", 7, job_identity(job))

        def steps(state: ObservedProcess, clock: datetime) -> tuple[object, ...]:
            todo = make_plan(shall, Observed({job.process: state}), clock=clock)
            return tuple(step for step in todo.steps if "playout" in getattr(step, "process", ""))

        assert steps(process, evening) == ()
        assert steps(process, night) == (Stop(job.process, "not wanted any more"),)
        ended = replace(process, state="exited", pid=0, exit_status=-15)
        assert steps(ended, night) == (Forget(job.process),)
        assert steps(ended, evening + timedelta(days=1)) == (Start(job.process, job, "exited"),)

    def test_the_index_tells_when_a_window_or_a_key_changes_next(self) -> None:
        midnight = datetime(2026, 6, 1, tzinfo=UTC)
        key = KeySpec("k", "0" * 64, not_after=midnight + timedelta(hours=20))
        sources = {
            "live/a": replace(FILES, window=EVENING),
            "live/b": replace(FILES, stream="live/b"),
            "live/c": replace(FILES, stream="live/c", window=DailyWindow(time(6), time(7), "UTC")),
        }
        index = PlanIndex(desired(sources=sources, keys={"k": key}))
        seen = []
        moment = midnight
        while moment < midnight + timedelta(days=1):
            seen.append(moment.strftime("%H:%M"))
            after = index.next_change(moment)
            assert after is not None
            moment = after
        assert seen == ["00:00", "06:00", "07:00", "18:00", "20:00", "23:30"]

    def test_without_windows_and_keys_nothing_changes_by_itself(self) -> None:
        assert PlanIndex(desired()).next_change(CLOCK) is None


class TestOnDemand:
    SOURCE = replace(PULL, on_demand=True)

    def test_it_is_pulled_while_somebody_asks_for_it(self) -> None:
        assert jobs(desired(self.SOURCE)) == {}
        assert set(jobs(desired(self.SOURCE), demanded="live/a")) == {"playout.live/a"}
        assert jobs(desired(self.SOURCE), demanded="live/b") == {}

    @pytest.mark.parametrize(
        ("of", "wanted"),
        [
            (target("live/a"), True),
            (target("live/*"), True),
            (target("live/b"), False),
            (target("live/a", enabled=False), False),
        ],
    )
    def test_it_is_pulled_while_a_target_sends_it(self, of: TargetSpec, wanted: bool) -> None:
        assert ("playout.live/a" in jobs(desired(self.SOURCE, targets={"t": of}))) is wanted

    @pytest.mark.parametrize(("stream", "wanted"), [("live/a", True), ("live/b", False)])
    def test_it_is_pulled_while_a_transcode_reads_it(self, stream: str, wanted: bool) -> None:
        shall = desired(self.SOURCE, transcodes={"p": rendition("p", stream)})
        assert ("playout.live/a" in jobs(shall)) is wanted

    def test_its_window_counts_before_any_demand(self) -> None:
        closed = replace(self.SOURCE, window=DailyWindow(time(1), time(2), "UTC"))
        assert jobs(desired(closed, targets={"t": target("live/a")}), demanded="live/a") == {}


class TestFinished:
    JOB = PlayoutJob(
        "playout.live/a", "live/a", "rtmp://h", (FilesInput(("/a",), loop=False),), "f", "h:1"
    )
    ENDED = ObservedProcess(
        "playout.live/a", "exited", 0, job_identity(JOB), exit_status=0, started_at=5.0
    )

    @pytest.mark.parametrize(
        ("change", "finished"),
        [
            ({}, True),
            ({"exit_status": 1}, False),
            ({"exit_status": -9}, False),
            ({"exit_status": None}, False),
            ({"state": "running", "pid": 7}, False),
            ({"state": "stopping", "pid": 7}, False),
            ({"identity": "of the job before"}, False),
        ],
    )
    def test_a_playlist_is_over_when_its_playout_says_so(
        self, change: dict[str, object], finished: bool
    ) -> None:
        process = replace(self.ENDED, **change)  # type: ignore[arg-type] # fields by name
        assert is_finished(self.JOB, process) is finished

    def test_no_other_kind_of_job_is_ever_over(self) -> None:
        for job in (
            ServerJob("server.main", SERVER),
            TargetJob("target.t", "t", "live/a", "rtmp://i", "rtmp://o", "c1", "f", "h:1"),
            TranscodeJob("transcode.live/a", "live/a", "i", "o", (), "c1", "f", "h:1"),
        ):
            ended = replace(self.ENDED, name=job.process, identity=job_identity(job))
            assert not is_finished(job, ended)

    def test_what_is_over_is_neither_started_again_nor_forgotten(self) -> None:
        once = desired(replace(FILES, inputs=(FilesInput(("/srv/a.mp4",), loop=False),)))
        observed = self.over(once)
        assert make_plan(once, observed) == Plan()

    def test_what_is_over_begins_anew_after_an_edit(self) -> None:
        once = desired(replace(FILES, inputs=(FilesInput(("/srv/a.mp4",), loop=False),)))
        (job,) = jobs(desired()).values()
        assert make_plan(desired(), self.over(once)).steps == (Start(job.process, job, "exited"),)

    def test_what_is_over_is_forgotten_when_it_is_not_wanted_any_more(self) -> None:
        once = desired(replace(FILES, inputs=(FilesInput(("/srv/a.mp4",), loop=False),)))
        without = replace(once, sources={}, rules={})
        assert make_plan(without, self.over(once)).steps == (Forget("playout.live/a"),)

    def over(self, shall: Desired) -> Observed:
        """Return a machine whose playlist has come to its end."""
        start = converge(shall, Observed()).observed
        ended = replace(start.processes["playout.live/a"], state="exited", pid=0, exit_status=0)
        return replace(start, processes={**start.processes, "playout.live/a": ended}, publishers={})


class TestTranscode:
    SHALL = desired(transcodes={"q": rendition("q"), "p": rendition("p")})

    def test_those_of_one_stream_are_made_by_one_process_in_order_of_their_names(self) -> None:
        assert jobs(self.SHALL, BY_STREAMD)["transcode.live/a"] == TranscodeJob(
            process="transcode.live/a",
            stream="live/a",
            input_url="rtmp://main/live/a",
            publish_url="rtmp://127.0.0.1:1935",
            transcodes=(rendition("p"), rendition("q")),
            publisher="own",
            ffmpeg="/ffmpeg",
            progress="127.0.0.1:2023",
        )

    def test_those_of_sound_alone_are_made_by_one_of_their_own(self) -> None:
        sound = replace(rendition("s"), video=VideoSpec("none"))
        shall = replace(self.SHALL, transcodes={**self.SHALL.transcodes, "s": sound})
        found = jobs(shall, BY_STREAMD)
        assert found["transcode.live/a"] == jobs(self.SHALL, BY_STREAMD)["transcode.live/a"]
        of_sound = found["transcode.live/a~sound"]
        assert isinstance(of_sound, TranscodeJob)
        assert of_sound.transcodes == (sound,)
        start = converge(self.SHALL, Observed()).observed
        assert {step.process for step in make_plan(shall, start).steps} == {  # type: ignore[union-attr] # no kicks here
            "transcode.live/a~sound"
        }

    def test_the_order_in_the_file_means_nothing(self) -> None:
        turned = replace(self.SHALL, transcodes={"p": rendition("p"), "q": rendition("q")})
        assert list(turned.transcodes) != list(self.SHALL.transcodes)
        assert jobs(turned, BY_STREAMD) == jobs(self.SHALL, BY_STREAMD)

    def test_they_live_with_the_publisher_of_what_they_read(self) -> None:
        assert "transcode.live/a" not in jobs(self.SHALL)
        start = converge(self.SHALL, Observed()).observed
        again = replace(start.publishers["live/a"], client_id="came back")
        observed = replace(start, publishers={**start.publishers, "live/a": again})
        assert make_plan(self.SHALL, observed).steps == (
            Stop("transcode.live/a", "the publisher changed"),
        )

    def test_what_they_make_is_sent_and_transcoded_like_any_stream(self) -> None:
        shall = replace(
            self.SHALL,
            transcodes={"p": rendition("p"), "q": rendition("q", "made/p")},
            targets={"t": target("made/*")},
            rules={name: internal(name) for name in ("live/a", "made/p", "made/q")},
        )
        end = converge(shall, Observed()).observed
        assert set(end.processes) == {
            "server.main", "playout.live/a", "transcode.live/a", "transcode.made/p",
            "target.t@made/p", "target.t@made/q",
        }  # fmt: skip

    def test_they_are_published_on_the_server_that_they_are_read_from(self) -> None:
        two = replace(SERVER, name="two", rtmp=1940, api=1986)
        shall = replace(
            self.SHALL,
            servers={"main": SERVER, "two": two},
            sources={},
            rules={"live/a": StreamRule("live/a", None)},
        )
        studio = Publisher("two", "live/a", "live/a", "c1")
        job = jobs(shall, studio)["transcode.live/a"]
        assert isinstance(job, TranscodeJob)
        assert (job.publish_url, job.input_url) == ("rtmp://127.0.0.1:1940", "rtmp://two/live/a")

    def test_a_secret_in_the_name_of_what_is_read_is_marked(self) -> None:
        key = KeySpec("k", "0" * 64)
        shall = replace(
            self.SHALL,
            sources={},
            keys={"k": key},
            rules={"live/a": StreamRule("live/a", frozenset({"k"}), key_in_name=True)},
        )
        camera = Publisher("main", "live/a", "live/a-SECRET", "c1", "k", key.sha256)
        job = jobs(shall, camera)["transcode.live/a"]
        assert isinstance(job, TranscodeJob)
        assert job.input_secret
        assert "SECRET" not in repr(job)


class TestIngest:
    SHALL = replace(
        WITH_FALLBACK,
        targets={"t": target("*/*")},
        transcodes={"p": rendition("p", "in/a"), "q": rendition("q")},
    )

    def test_only_the_name_that_people_watch_is_sent_and_transcoded(self) -> None:
        found = jobs(self.SHALL, BY_STUDIO, BY_STREAMD)
        assert set(found) == {"playout.live/a", "transcode.live/a", "target.t@live/a"}

    def test_when_the_studio_comes_back_nothing_is_to_be_done(self) -> None:
        shall = replace(self.SHALL, transcodes={"q": rendition("q")})
        start = converge(shall, Observed()).observed
        for client in ("c1", "c2"):
            studio = replace(BY_STUDIO, client_id=client)
            back = replace(start, publishers={**start.publishers, "in/a": studio})
            assert make_plan(shall, back) == Plan()
