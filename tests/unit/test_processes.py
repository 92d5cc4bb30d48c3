"""From a job to its process: what travels where, and what is seen of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.archive.spec import SPEC_FD as ARCHIVE_SPEC_FD
from streamd.archive.spec import ArchiveSpec, UploadSpec
from streamd.archive.spec import from_json as archive_from_json
from streamd.desired import AudioSpec, RecordingSpec, StorageSpec, TranscodeSpec, VideoSpec
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.jobs import ArchiveJob, PlayoutJob, TargetJob, TranscodeJob, job_identity
from streamd.playout.spec import (
    SPEC_FD,
    FilesInput,
    IngestInput,
    PlayoutInput,
    PlayoutSpec,
    PullInput,
    SlateInput,
    from_json,
)
from streamd.processes import PLAYOUT_STOP_S, Workshop, process_of
from streamd.redact import Redactor

OWN_SECRET = "own-secret-0123456789"
FFMPEG = FFmpegBinary(
    path="/usr/bin/ffmpeg",
    version="5.1",
    protocols=frozenset({"rtmp"}),
    hides_output_key=True,
    hides_input_key=True,
    ca_file="/etc/ca.crt",
)
WORKSHOP = Workshop(
    ffmpeg=FFMPEG,
    ffprobe="/usr/bin/ffprobe",
    own_secret=OWN_SECRET,
    cache_directory="/var/slates",
    outbox="/state/outbox",
    archives_directory="/run/archive",
    servers_directory="/state/servers",
    python="/opt/python",
)
INPUTS: tuple[PlayoutInput, ...] = (
    IngestInput("rtmp://127.0.0.1:1935/in/show"),
    FilesInput(("/srv/ä b.mp4",), loop=False, directories=("/srv",)),
    SlateInput("/srv/slate.png", ("/srv",)),
)
PLAYOUT = PlayoutJob(
    process="playout.live/show",
    stream="live/show",
    publish_url="rtmp://127.0.0.1:1935/live/show",
    inputs=INPUTS,
    ffmpeg=FFMPEG.path,
    progress="[::1]:2023",
)
TARGET = TargetJob(
    "target.t", "t", "live/show", "rtmp://127.0.0.1/live/show", "rtmp://h/a/KEY", "c1", "f", "h:1"
)
TRANSCODE = TranscodeJob(
    process="transcode.live/show",
    stream="live/show",
    input_url="rtmp://127.0.0.1/live/show",
    publish_url="rtmp://127.0.0.1:1935",
    transcodes=(
        TranscodeSpec(
            "p", "live/show", "live/p", VideoSpec("h264", bitrate=1_000_000), AudioSpec("aac")
        ),
    ),
    publisher="c1",
    ffmpeg="f",
    progress="h:1",
)


def test_a_playout_is_started_in_whole() -> None:
    spec = process_of(PLAYOUT, WORKSHOP, "/log/playout.log")
    assert (spec.name, spec.log_path) == ("playout.live/show", "/log/playout.log")
    assert spec.argv == ("/opt/python", "-m", "streamd.playout", "live/show")
    assert spec.publisher == ""
    assert spec.stop_timeout_s == PLAYOUT_STOP_S


def test_what_it_plays_travels_through_a_descriptor() -> None:
    spec = process_of(PLAYOUT, WORKSHOP, "/log")
    assert set(spec.secret_inputs) == {SPEC_FD}
    assert from_json(spec.secret_inputs[SPEC_FD]) == PlayoutSpec(
        stream="live/show",
        publish_url=f"rtmp://127.0.0.1:1935/live/show?secret={OWN_SECRET}",
        inputs=INPUTS,
        ffmpeg="/usr/bin/ffmpeg",
        ffprobe="/usr/bin/ffprobe",
        cache_directory="/var/slates",
        progress="127.0.0.1:2023",
        ca_file="/etc/ca.crt",
    )


PASSWORDS = st.text("BCDFGHJKLMNPQRSTVWXZ23456789", min_size=12, max_size=24)
PULLED = (
    "rtsp://user:SECRET@10.0.0.9:554/h264",
    "rtsp://SECRET@10.0.0.9/h264",
    "rtsp://user:pass%40SECRET@10.0.0.9/h264",
    "rtmp://h/app/SECRET",
    "rtmps://h/app/name?token=SECRET",
    "srt://h:9000?mode=caller&passphrase=SECRET",
    "srt://h:9000?streamid=#!::r=live/show,secret=SECRET,m=request",
    "https://user:SECRET@h/x/list.m3u8?y=1",
    "http://h/x.flv?auth=SECRET#end",
)


@pytest.mark.parametrize("url", PULLED)
@given(password=PASSWORDS)
def test_no_secret_of_a_playout_is_seen(url: str, password: str) -> None:
    address = url.replace("SECRET", password)
    job = replace(PLAYOUT, inputs=(PullInput(address), *INPUTS))
    spec = process_of(job, WORKSHOP, "/log")
    assert password in spec.secret_inputs[SPEC_FD]
    shown = repr((job, spec, spec.argv, spec.identity, spec.redact_patterns))
    assert [secret for secret in (password, OWN_SECRET) if secret in shown] == []
    logged = Redactor(spec.redact, spec.redact_patterns)(
        f"{address}: {OWN_SECRET} refused, as is secret={password} ({address!r})"
    )
    assert [secret for secret in (password, OWN_SECRET) if secret in logged] == []


def test_the_secrets_of_every_address_that_is_pulled_are_masked() -> None:
    inputs = (PullInput("rtsp://u:first-password@h/x"), PullInput("rtsp://u:other-password@h/x"))
    masked = Redactor(process_of(replace(PLAYOUT, inputs=inputs), WORKSHOP, "/log").redact)
    assert masked("first-password, other-password") == "***, ***"


def test_masking_leaves_the_names_of_files_and_streams_alone() -> None:
    spec = process_of(PLAYOUT, WORKSHOP, "/log")
    text = "/srv/ä b.mp4 is empty; live/show goes on with /srv/slate.png"
    assert Redactor(spec.redact)(text) == text


@pytest.mark.parametrize("job", [PLAYOUT, TARGET, TRANSCODE])
def test_every_process_carries_the_identity_of_its_job(
    job: PlayoutJob | TargetJob | TranscodeJob,
) -> None:
    spec = process_of(job, WORKSHOP, "/log")
    assert (spec.name, spec.identity) == (job.process, job_identity(job))


def test_a_transcode_publishes_with_streamds_own_secret_and_shows_it_nowhere() -> None:
    spec = process_of(TRANSCODE, WORKSHOP, "/log")
    assert any(OWN_SECRET in text for text in spec.secret_inputs.values())
    assert OWN_SECRET not in repr((spec, spec.argv))
    assert OWN_SECRET not in Redactor(spec.redact)(f"cannot publish with {OWN_SECRET}")
    assert spec.publisher == "c1"


def test_the_workshop_does_not_show_the_secret() -> None:
    assert OWN_SECRET not in repr(WORKSHOP)


RULE = RecordingSpec(
    name="archive",
    streams=(),
    directory="/srv/rec",
    path="{stream}/{uuid}",
    format="both",
    split_s=3600.0,
    keep_for_s=60.0,
    keep_bytes=10**9,
    free_share=0.1,
    storage="cloud",
    upload_when="segment",
    keep_local=False,
    served_by="main",
    url_base="http://h:8080/recordings/archive",
)
CLOUD = StorageSpec(
    "cloud", "s3://bucket", (("region", "here"), ("secret_access_key", "KEY-0123456789"))
)
ARCHIVE = ArchiveJob("archive.archive", RULE, CLOUD, FFMPEG.path)


def test_an_archive_is_handed_its_rule_and_where_everything_is() -> None:
    process = process_of(ARCHIVE, WORKSHOP, "/log")
    assert process.argv == ("/opt/python", "-m", "streamd.archive", "archive")
    assert process.identity == job_identity(ARCHIVE)
    assert archive_from_json(process.secret_inputs[ARCHIVE_SPEC_FD]) == ArchiveSpec(
        rule="archive",
        directory="/srv/rec",
        name="{stream}/{uuid}",
        format="both",
        split_s=3600.0,
        resume_s=30.0,
        keep_for_s=60.0,
        keep_bytes=10**9,
        free_share=0.1,
        free_bytes=0,
        ffmpeg="/usr/bin/ffmpeg",
        ffprobe="/usr/bin/ffprobe",
        outbox="/state/outbox",
        status="/run/archive/archive.json",
        served="/state/servers/main/served/archive",
        url_base="http://h:8080/recordings/archive",
        upload=UploadSpec(
            "cloud",
            "s3://bucket",
            {"region": "here", "secret_access_key": "KEY-0123456789"},
            "segment",
            keep_local=False,
        ),
    )


def test_what_opens_a_storage_is_seen_nowhere() -> None:
    process = process_of(ARCHIVE, WORKSHOP, "/log")
    assert "KEY-0123456789" not in "".join(process.argv)
    assert "KEY-0123456789" not in repr((ARCHIVE, process))
    assert process.redact == ("KEY-0123456789",)
    alone = replace(ARCHIVE, recording=replace(RULE, storage=None, served_by=None), storage=None)
    spec = archive_from_json(process_of(alone, WORKSHOP, "/log").secret_inputs[ARCHIVE_SPEC_FD])
    assert (spec.upload, spec.served) == (None, "")
