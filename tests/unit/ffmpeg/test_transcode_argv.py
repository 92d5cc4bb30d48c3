from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.desired import AudioSpec, TranscodeSpec, VideoSpec
from streamd.errors import FFmpegError
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.transcode_argv import sharing_a_process, transcode_process
from streamd.ffmpeg.transcode_options import audio_arguments, video_arguments
from streamd.jobs import TranscodeJob
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
SECRET = "own-secret-0123456789"
H264, AAC = VideoSpec("h264", height=720, bitrate=2_500_000), AudioSpec("aac", 128_000)


def rendition(name: str, video: VideoSpec = H264, audio: AudioSpec = AAC) -> TranscodeSpec:
    return TranscodeSpec(name, "live/cam", f"live/cam-{name}", video, audio)


JOB = TranscodeJob(
    process="transcode.live/cam",
    stream="live/cam",
    input_url="http://127.0.0.1:8080/live/cam.flv",
    publish_url="rtmp://127.0.0.1:1935",
    transcodes=(rendition("720"),),
    publisher="17",
    ffmpeg="/usr/bin/ffmpeg",
    progress="127.0.0.1:2023",
)


def spec_of(*renditions: TranscodeSpec, binary: FFmpegBinary = BINARY) -> ProcessSpec:
    job = replace(JOB, transcodes=renditions or JOB.transcodes)
    return transcode_process(job, binary, "/log", identity="id", secret=SECRET)


def outputs_of(spec: ProcessSpec) -> list[tuple[str, ...]]:
    """Return the arguments of each output, without its address."""
    rest = spec.argv[spec.argv.index("-i") + 2 :]
    outputs, begin = [], 0
    for end, text in enumerate(rest):
        if text == "flv":
            outputs.append(rest[begin : end - 1])
            begin = end + 2
    assert begin == len(rest)
    return outputs


def test_a_process_is_started_in_whole() -> None:
    assert spec_of() == ProcessSpec(
        name="transcode.live/cam",
        argv=(
            *("/usr/bin/ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
            *("-nostats", "-stats_period", "1"),
            *("-progress", "udp://127.0.0.1:2023?localaddr={pid_address}"),
            *("-rw_timeout", "15000000", "-analyzeduration", "3000000", "-fpsprobesize", "0"),
            *("-i", "http://127.0.0.1:8080/live/cam.flv"),
            *video_arguments(H264),
            *audio_arguments(AAC),
            *("-max_interleave_delta", "3000000"),
            *("-rw_timeout", "5000000", "-send_buffer_size", "262144", "-tcp_nodelay", "1"),
            *("-flvflags", "no_duration_filesize", "-fpre", "/dev/fd/3"),
            *("-f", "flv", "rtmp://127.0.0.1:1935/live"),
        ),
        identity="id",
        log_path="/log",
        publisher="17",
        secret_inputs={3: f"rtmp_app=live\nrtmp_playpath=cam-720?secret={SECRET}\n"},
        redact=(SECRET,),
    )


names = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)


@given(names)
def test_a_ladder_is_decoded_once_and_each_rendition_has_its_own_key(chosen: list[str]) -> None:
    spec = spec_of(*map(rendition, chosen))
    assert spec.argv.count("-i") == 1
    assert len(outputs_of(spec)) == len(chosen)
    playpaths = [text.splitlines()[1] for text in spec.secret_inputs.values()]
    assert playpaths == [f"rtmp_playpath=cam-{name}?secret={SECRET}" for name in chosen]
    presets = [spec.argv[at + 1] for at, text in enumerate(spec.argv) if text == "-fpre"]
    assert presets == [f"/dev/fd/{descriptor}" for descriptor in spec.secret_inputs]


@given(names, st.booleans())
def test_the_secret_is_in_no_argument_and_in_no_log(chosen: list[str], hides: bool) -> None:
    spec = spec_of(*map(rendition, chosen), binary=replace(BINARY, hides_output_key=hides))
    assert hides is not any(SECRET in text for text in spec.argv)
    assert SECRET not in Redactor(spec.redact)(f"[error] rtmp://h/live/x?secret={SECRET}: broken")
    assert SECRET not in repr(spec)


def test_renditions_of_every_kind_go_together() -> None:
    copied = rendition("copied", VideoSpec("copy"), AudioSpec("copy"))
    heard = rendition("heard", VideoSpec("none"))
    seen = rendition("seen", H264, AudioSpec("none"))
    first, second, third = outputs_of(spec_of(copied, heard, seen))
    assert first[:8] == ("-map", "0:v:0?", "-c:v", "copy", "-map", "0:a:0?", "-c:a", "copy")
    assert second[:1] == ("-vn",)
    assert "-an" in third
    assert "0:a:0?" not in third


def test_beside_a_copy_keyframes_are_the_publishers() -> None:
    copied = rendition("copied", VideoSpec("copy"))
    (alone,) = outputs_of(spec_of(rendition("720")))
    beside, _ = outputs_of(spec_of(rendition("720"), copied))
    assert alone[alone.index("-force_key_frames") + 1].startswith("expr:")
    assert beside[beside.index("-force_key_frames") + 1] == "source"


def test_a_device_is_opened_before_the_input() -> None:
    spec = spec_of(rendition("720", replace(H264, codec="h264_vaapi")), rendition("480"))
    assert spec.argv.index("-init_hw_device") < spec.argv.index("-i")


def test_a_secret_in_the_streams_name_is_read_from_a_list_and_masked() -> None:
    job = replace(JOB, input_url="http://127.0.0.1:8080/live/cam-S3CRET%2B.flv", input_secret=True)
    spec = transcode_process(job, BINARY, "/log", identity="id", secret=SECRET)
    assert not [text for text in spec.argv if "S3CRET" in text]
    assert "file 'http://127.0.0.1:8080/live/cam-S3CRET%2B.flv'" in spec.secret_inputs[0]
    assert {"cam-S3CRET%2B.flv", "cam-S3CRET+", SECRET} <= set(spec.redact)


def test_an_address_that_ffmpeg_cannot_take_is_refused_without_its_secret() -> None:
    job = replace(JOB, transcodes=(replace(rendition("720"), to=f"{'a' * 128}/cam"),))
    with pytest.raises(
        FFmpegError, match=r"transcode\.live/cam: its address has an app of"
    ) as caught:
        transcode_process(job, BINARY, "/log", identity="id", secret=SECRET)
    assert SECRET not in str(caught.value)


def test_sound_alone_has_a_process_of_its_own() -> None:
    video, heard, also = rendition("v"), rendition("a", VideoSpec("none")), rendition("w")
    assert sharing_a_process((video, heard, also)) == ((video, also), (heard,))
    assert sharing_a_process((heard,)) == ((heard,),)
    assert sharing_a_process(()) == ()
