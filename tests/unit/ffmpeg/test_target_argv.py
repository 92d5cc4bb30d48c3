from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.errors import FFmpegError
from streamd.ffmpeg.facts import FFmpegBinary
from streamd.ffmpeg.rtmp_address import split_rtmp
from streamd.ffmpeg.target_argv import secrets_of_job, target_process
from streamd.jobs import TargetJob
from streamd.redact import Redactor
from streamd.supervision.process import ProcessSpec

BINARY = FFmpegBinary(
    path="/usr/bin/ffmpeg",
    version="5.1",
    protocols=frozenset({"rtmp", "rtmps", "srt"}),
    hides_output_key=True,
    hides_input_key=True,
    ca_file="/etc/ca.crt",
)
SHOWING = replace(BINARY, hides_output_key=False, hides_input_key=False)
JOB = TargetJob(
    process="target.youtube",
    target="youtube",
    stream="live/cam",
    input_url="rtmp://127.0.0.1:1935/live/cam",
    output_url="rtmp://h/app/KEY",
    publisher="17",
    ffmpeg="/usr/bin/ffmpeg",
    progress="127.0.0.1:2023",
)


def spec_of(output_url: str = JOB.output_url, binary: FFmpegBinary = BINARY) -> ProcessSpec:
    job = replace(JOB, output_url=output_url)
    return target_process(job, binary, "/log/target.youtube.log", identity="id")


def value_of(spec: ProcessSpec, option: str, *, after: str = "-i") -> str | None:
    """Return the value of an output's option (or of an input's, with `after` the program)."""
    argv = spec.argv[spec.argv.index(after) :]
    return argv[argv.index(option) + 1] if option in argv else None


def test_a_process_is_started_in_whole() -> None:
    assert spec_of() == ProcessSpec(
        name="target.youtube",
        argv=(
            *("/usr/bin/ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
            *("-nostats", "-stats_period", "1"),
            *("-progress", "udp://127.0.0.1:2023?localaddr={pid_address}"),
            *("-rw_timeout", "15000000", "-rtmp_app", "live", "-rtmp_playpath", "cam"),
            *("-tcp_nodelay", "1", "-analyzeduration", "10000000", "-fpsprobesize", "0"),
            *("-i", "rtmp://127.0.0.1:1935/live"),
            *("-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"),
            *("-max_interleave_delta", "1000000"),
            *("-rw_timeout", "5000000", "-send_buffer_size", "262144", "-tcp_nodelay", "1"),
            *("-flvflags", "no_duration_filesize", "-fpre", "/dev/fd/3"),
            *("-f", "flv", "rtmp://h/app"),
        ),
        identity="id",
        log_path="/log/target.youtube.log",
        publisher="17",
        secret_inputs={3: "rtmp_app=app\nrtmp_playpath=KEY\n"},
        redact=("KEY",),
    )


@pytest.mark.parametrize(
    ("url", "server", "app", "stream"),
    [
        ("rtmp://h/app/KEY", "rtmp://h/app", "app", "KEY"),
        ("rtmp://h:1936/app/KEY?x=y", "rtmp://h:1936/app", "app", "KEY?x=y"),
        ("rtmp://h/app/KEY?next=/a/b", "rtmp://h/app", "app", "KEY?next=/a/b"),
        ("rtmp://h/app/?streamname=S&key=K", "rtmp://h/app", "app", "?streamname=S&key=K"),
        ("rtmp://h/app?auth=T/KEY", "rtmp://h/app", "app?auth=T", "KEY"),
        ("rtmp://h/app?auth=T", "rtmp://h/app", "app?auth=T", ""),
        ("rtmp://h/app/instance/KEY", "rtmp://h/app/instance", "app/instance", "KEY"),
        ("rtmp://h/app/KEY/", "rtmp://h/app", "app", "KEY"),
        ("rtmp://h/app/", "rtmp://h/app", "app", ""),
        ("rtmp://h/app", "rtmp://h/app", "app", ""),
        ("rtmps://u:p@[::1]:443/app/KEY", "rtmps://u:p@[::1]:443/app", "app", "KEY"),
        ("rtmp://h/app/KEY#1", "rtmp://h/app", "app", "KEY#1"),
    ],
)
def test_an_rtmp_address_is_split(url: str, server: str, app: str, stream: str) -> None:
    assert split_rtmp(url) == (server, app, stream)


@pytest.mark.parametrize("url", ["rtmp://h", "rtmp://h/", "rtmp://h/?x=y", "rtmp://h//KEY"])
def test_an_rtmp_address_without_an_app_is_refused(url: str) -> None:
    with pytest.raises(FFmpegError, match=r"target.youtube: its address names no app; write"):
        spec_of(url)


parts = st.text(st.sampled_from("Ab0-_.~"), min_size=1, max_size=8)


@given(parts, parts, parts, st.lists(st.tuples(parts, parts), max_size=3))
def test_nothing_of_an_address_is_lost(
    host: str, app: str, key: str, query: list[tuple[str, str]]
) -> None:
    parameters = "&".join(f"{name}={value}" for name, value in query)
    url = f"rtmp://{host}/{app}/{key}" + (f"?{parameters}" if parameters else "")
    server, found_app, stream = split_rtmp(url)
    assert (server, found_app) == (f"rtmp://{host}/{app}", app)
    assert f"{server}/{stream}" == url


def test_without_a_preset_the_key_is_an_argument() -> None:
    spec = spec_of("rtmp://h/app/KEY?x=y", SHOWING)
    assert value_of(spec, "-rtmp_playpath") == "KEY?x=y"
    assert spec.secret_inputs == {}
    assert "-fpre" not in spec.argv


def test_rtmps_is_verified() -> None:
    spec = spec_of("rtmps://h:443/app/KEY")
    assert value_of(spec, "-tls_verify") == "1"
    assert value_of(spec, "-ca_file") == "/etc/ca.crt"


def test_rtmps_is_verified_even_where_no_authority_is_known() -> None:
    spec = spec_of("rtmps://h:443/app/KEY", replace(BINARY, ca_file=None))
    assert value_of(spec, "-tls_verify") == "1"
    assert "-ca_file" not in spec.argv


def test_srt_takes_stream_id_and_passphrase_decoded_and_out_of_sight() -> None:
    url = "srt://h:9000?streamid=%23!::r=live/x,m=publish&latency=200000&passphrase=a%26b+c1234"
    spec = spec_of(url)
    assert spec.secret_inputs == {3: "srt_streamid=#!::r=live/x,m=publish\npassphrase=a&b+c1234\n"}
    assert spec.argv[-3:] == ("-f", "mpegts", "srt://h:9000?latency=200000")
    assert value_of(spec, "-pkt_size") == "1316"


def test_srt_without_secrets_needs_no_preset() -> None:
    spec = spec_of("srt://h:9000")
    assert spec.secret_inputs == {}
    assert spec.argv[-1] == "srt://h:9000"


def test_http_flv_is_read_with_its_own_options() -> None:
    job = replace(JOB, input_url="http://127.0.0.1:8080/live/cam.flv")
    spec = target_process(job, BINARY, "/log", identity="id")
    assert value_of(spec, "-i") == "http://127.0.0.1:8080/live/cam.flv"
    before = spec.argv[: spec.argv.index("-i")]
    assert "-rtmp_playpath" not in before
    assert before[before.index("-analyzeduration") + 1] == "3000000"


def test_a_secret_in_the_streams_name_is_read_from_a_list() -> None:
    job = replace(JOB, input_url="rtmp://127.0.0.1:1935/lot/cam-S3CRET", input_secret=True)
    spec = target_process(job, BINARY, "/log", identity="id")
    assert value_of(spec, "-i") == "pipe:0"
    assert value_of(spec, "-protocol_whitelist", after=spec.argv[0]) == "pipe,rtmp,tcp"
    assert spec.secret_inputs[0].splitlines() == [
        "ffconcat version 1.0",
        "file 'rtmp://127.0.0.1:1935/lot'",
        "option rw_timeout '15000000'",
        "option rtmp_app 'lot'",
        "option rtmp_playpath 'cam-S3CRET'",
        "option tcp_nodelay '1'",
        "option analyzeduration '10000000'",
        "option fpsprobesize '0'",
    ]
    assert not [text for text in spec.argv if "S3CRET" in text]
    assert "cam-S3CRET" in spec.redact


def test_without_options_in_lists_the_name_is_an_argument() -> None:
    job = replace(JOB, input_url="rtmp://127.0.0.1:1935/lot/cam-S3CRET", input_secret=True)
    spec = target_process(job, SHOWING, "/log", identity="id")
    assert value_of(spec, "-rtmp_playpath", after=spec.argv[0]) == "cam-S3CRET"


def test_a_quote_does_not_end_a_name_in_a_list() -> None:
    job = replace(JOB, input_url="http://127.0.0.1:8080/live/it's.flv", input_secret=True)
    spec = target_process(job, BINARY, "/log", identity="id")
    assert "file 'http://127.0.0.1:8080/live/it'\\''s.flv'\n" in spec.secret_inputs[0]


@pytest.mark.parametrize("binary", [BINARY, SHOWING])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("rtmp://h/app/KEY\nrtmp_app=x", "target.youtube: its address holds a control character"),
        ("srt://h:1?passphrase=a%0Ab", "target.youtube: its address holds a control character"),
        (f"rtmp://h/{'a' * 128}/KEY", "has an app of more than 127 bytes"),
    ],
)
def test_what_cannot_be_said_to_ffmpeg_is_refused(
    url: str, message: str, binary: FFmpegBinary
) -> None:
    with pytest.raises(FFmpegError, match=message) as caught:
        spec_of(url, binary)
    assert "KEY" not in str(caught.value)


def test_a_key_that_is_too_long_for_a_preset_is_refused() -> None:
    spec_of(f"rtmp://h/app/{'k' * 940}")
    with pytest.raises(FFmpegError, match="has a key of more than 940 bytes"):
        spec_of(f"rtmp://h/app/{'k' * 1000}")


def test_a_protocol_that_is_lacking_is_named() -> None:
    lacking = replace(BINARY, protocols=frozenset({"rtmp"}))
    with pytest.raises(FFmpegError, match=r"/usr/bin/ffmpeg \(5.1\) cannot send over srt; install"):
        spec_of("srt://h:9000", lacking)


keys = (
    st.text(
        st.characters(exclude_characters="/?&#%{}", exclude_categories=["Cs", "Cc", "Z"]),
        max_size=60,
    )
    .filter(str.isprintable)
    .map("KEY-0123-".__add__)
)


@given(
    keys,
    st.sampled_from(
        [
            "rtmp://h/app/{}",
            "rtmp://h/app/{}?x=y",
            "rtmps://h:443/app/stream?key={}",
            "rtmp://h/app/?streamname=s&key={}",
            "srt://h:9000?streamid={}",
            "srt://h:9000?latency=1&passphrase={}",
        ]
    ),
)
def test_a_key_is_in_no_argument_and_in_no_log(key: str, form: str) -> None:
    spec = spec_of(form.format(key))
    assert not [text for text in spec.argv if key in text]
    assert key in "".join(spec.secret_inputs.values())
    log = f"[error] {form.format(key)}: Input/output error {quote(key)}"
    assert key not in Redactor(spec.redact)(log)


def test_credentials_and_longer_parameters_are_secrets() -> None:
    job = replace(JOB, output_url="rtmp://user:pa%40ss@h/app/KEY?sign=0123456789&x=1")
    assert set(secrets_of_job(job)) == {
        *("user:pa%40ss", "pa%40ss", "user:pa@ss", "pa@ss"),
        *("KEY", "KEY?sign=0123456789&x=1", "0123456789"),
    }


def test_a_key_behind_an_apps_query_is_secret() -> None:
    job = replace(JOB, output_url="rtmp://h/app?auth=token-0123/KEY")
    assert set(secrets_of_job(job)) == {"token-0123", "KEY", "token-0123/KEY"}


def test_the_spec_does_not_show_its_secrets() -> None:
    assert "KEY" not in repr(spec_of())
    assert "KEY" not in repr(JOB)
