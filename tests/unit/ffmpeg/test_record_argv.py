"""What a recorder is told."""

from dataclasses import replace

import pytest

from streamd.errors import FFmpegError
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.record_argv import STOP_TIMEOUT_S, record_process
from streamd.jobs import RecordJob, fed_by, job_identity
from streamd.process_names import reports_progress
from streamd.redact import Redactor
from streamd.supervision.process import ProcessSpec

BINARY = FFmpegBinary(
    path="/usr/bin/ffmpeg",
    version="5.1",
    protocols=frozenset({"rtmp"}),
    hides_output_key=True,
    hides_input_key=True,
    ca_file=None,
)
JOB = RecordJob(
    process="record.archive@live/cam",
    rule="archive",
    stream="live/cam",
    input_url="http://127.0.0.1:8080/live/cam.flv",
    spool="/rec/.spool/archive",
    publisher="17",
    ffmpeg="/usr/bin/ffmpeg",
    progress="127.0.0.1:2023",
)


def spec_of(**changes: object) -> ProcessSpec:
    job = replace(JOB, **changes)  # type: ignore[arg-type] # fields of RecordJob
    return record_process(job, BINARY, "/log/record.log", identity="id")


def test_a_recorder_is_started_in_whole() -> None:
    assert spec_of() == ProcessSpec(
        name="record.archive@live/cam",
        argv=(
            *("/usr/bin/ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
            *("-nostats", "-stats_period", "1"),
            *("-progress", "udp://127.0.0.1:2023?localaddr={pid_address}"),
            *("-rw_timeout", "15000000", "-analyzeduration", "3000000", "-fpsprobesize", "0"),
            *("-i", "http://127.0.0.1:8080/live/cam.flv"),
            *("-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"),
            *("-max_interleave_delta", "1000000", "-muxdelay", "0.2"),
            *("-f", "segment", "-segment_time", "6"),
            *("-segment_format", "mpegts", "-segment_format_options", "flush_packets=1"),
            *("-individual_header_trailer", "0"),
            "file:/rec/.spool/archive/live!cam!{spawned}-%06d.ts",
        ),
        identity="id",
        log_path="/log/record.log",
        publisher="17",
        stop_timeout_s=STOP_TIMEOUT_S,
    )


def test_a_secret_in_the_streams_name_is_in_nobodys_sight() -> None:
    url = "http://127.0.0.1:8080/live/cam_s3cretKey.flv"
    spec = spec_of(input_url=url, input_secret=True)
    assert "s3cretKey" not in " ".join(spec.argv)
    assert url in spec.secret_inputs[0]
    assert "s3cretKey" not in Redactor(spec.redact)(f"error of {url}")


@pytest.mark.parametrize(
    "stream", ["live/..", "live/é", "live/a\0b", f"live/{'x' * 300}", "live/%d"]
)
def test_a_name_that_no_file_can_have_is_refused(stream: str) -> None:
    with pytest.raises(FFmpegError, match=r"record.archive@live/cam: .* is no name of a stream"):
        spec_of(stream=stream)


def test_an_address_that_cannot_be_given_is_refused() -> None:
    with pytest.raises(FFmpegError, match=r"record.archive@live/cam: its address"):
        spec_of(input_url="rtmp://h")


def test_another_publisher_is_another_job() -> None:
    assert job_identity(JOB) == job_identity(replace(JOB))
    assert job_identity(JOB) != job_identity(replace(JOB, publisher="18"))
    assert fed_by(JOB) == "live/cam"
    assert reports_progress(JOB.process)
