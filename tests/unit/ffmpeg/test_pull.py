from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.pull import (
    PullAttempt,
    PullCommand,
    first_attempt,
    next_attempt,
    pull_command,
    pull_secrets,
)
from streamd.playout.spec import AudioMode, PullInput
from streamd.redact import Redactor

CAMERA = "rtsp://user:s3cret%40@10.0.0.9:554/h264?token=s3cret1"
URLS = (
    CAMERA,
    "rtsps://10.0.0.9/h264",
    "rtmp://host/live/cam?secret=s3cret",
    "rtmps://host/live/s3cretKey",
    "srt://host:9000?streamid=s3cret&passphrase=s3cret1234",
    "http://host/live/cam.flv?token=s3cret",
    "https://user:s3cret@host/live/cam.m3u8",
)
HEVC = (
    "[h264_mp4toannexb @ 0x55] [error] Codec 'hevc' (173) is not supported by the bitstream filter "
    "'h264_mp4toannexb'. Supported codecs are: h264 (27)",
    "[error] Error initializing bitstream filter: h264_mp4toannexb",
)
PCMA = ("Codec 'pcm_alaw' (65543) is not supported by the bitstream filter 'aac_adtstoasc'.",)


def command(url: str, attempt: PullAttempt | None = None, **changes: object) -> PullCommand:
    pull = PullInput(url, **changes)  # type: ignore[arg-type] # fields of PullInput
    return pull_command("/usr/bin/ffmpeg", pull, attempt or first_attempt(pull), "/etc/ca.crt")


def options_of(made: PullCommand) -> dict[str, str]:
    """Return the options in a list, without their quotes."""
    lines = [line.split(" ", 2) for line in made.stdin.splitlines() if line.startswith("option")]
    return {name: value.strip("'") for _, name, value in lines}


def value_of(made: PullCommand, option: str) -> str:
    return made.argv[made.argv.index(option) + 1]


def test_a_camera_is_pulled_in_whole() -> None:
    made = command(CAMERA)
    assert made.argv == (
        *("/usr/bin/ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "level+warning", "-nostats"),
        *("-analyzeduration", "10000000", "-fpsprobesize", "0", "-f", "concat", "-safe", "0"),
        *("-protocol_whitelist", "pipe,tcp", "-format_whitelist", "concat,rtsp", "-i", "pipe:0"),
        *("-sn", "-dn", "-c:v", "copy", "-bsf:v"),
        r"h264_mp4toannexb,setts=pts=if(eq(PTS\,NOPTS)\,DTS\,PTS)",
        *("-af", "aresample=async=1000:first_pts=0", "-c:a", "aac", "-b:a", "128k"),
        *("-ar", "48000", "-ac", "2"),
        *("-max_interleave_delta", "300000", "-flush_packets", "1"),
        *("-flvflags", "no_duration_filesize+no_sequence_end", "-f", "flv", "pipe:1"),
    )
    assert made.stdin == (
        "ffconcat version 1.0\n"
        f"file '{CAMERA}'\n"
        "option format_whitelist 'rtsp'\n"
        "option protocol_whitelist 'tcp'\n"
        "option timeout '5000000'\n"
        "option rtsp_transport 'tcp'\n"
        "option allowed_media_types 'video+audio'\n"
        "option analyzeduration '10000000'\n"
        "option fpsprobesize '0'\n"
    )


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("mode", get_args(AudioMode))
def test_secrets_are_in_nobodys_sight(url: str, mode: AudioMode) -> None:
    made = command(url, audio=mode)
    assert not any("s3cret" in text for text in made.argv)
    assert "s3cret" not in repr(made)


@pytest.mark.parametrize(
    ("url", "protocols", "formats"),
    [
        ("rtsp://h/x", "tcp", "rtsp"),
        ("rtsps://h/x", "tls,tcp", "rtsp"),
        ("rtmp://h/a/x", "rtmp,tcp", "flv"),
        ("rtmps://h/a/x", "rtmps,tls,tcp", "flv"),
        ("srt://h:9", "srt", "mpegts"),
    ],
)
def test_a_source_is_read_with_no_more_than_it_needs(
    url: str, protocols: str, formats: str
) -> None:
    options = options_of(command(url))
    assert (options["protocol_whitelist"], options["format_whitelist"]) == (protocols, formats)


def test_media_of_cameras_may_come_over_udp() -> None:
    options = options_of(command(CAMERA, transport="udp"))
    assert options["protocol_whitelist"] == "tcp,udp,rtp"
    assert options["rtsp_transport"] == "udp"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_web_names_nothing_outside_of_it(scheme: str) -> None:
    options = options_of(command(f"{scheme}://h/x"))
    allowed = set(options["protocol_whitelist"].split(","))
    assert allowed <= {"http", "https", "tls", "tcp", "crypto"}
    assert ("http" in allowed) == (scheme == "http")
    assert not {"concat", "dash", "sdp", "image2"} & set(options["format_whitelist"].split(","))


def test_a_silent_source_is_given_up() -> None:
    for url in URLS:
        options = options_of(command(url))
        assert "5000000" in (options.get("timeout"), options.get("rw_timeout"))


def test_certificates_are_verified() -> None:
    for url in ("rtmps://h/a/x", "https://h/x.flv"):
        options = options_of(command(url))
        assert (options["tls_verify"], options["ca_file"]) == ("1", "/etc/ca.crt")
    assert "tls_verify" not in options_of(command("http://h/x.flv"))


def test_a_playlist_without_secrets_is_read_directly() -> None:
    made = command("https://h/live/cam.m3u8")
    assert made.stdin == ""
    assert value_of(made, "-i") == "https://h/live/cam.m3u8"
    assert value_of(made, "-protocol_whitelist") == "https,tls,tcp,crypto"
    assert value_of(made, "-tls_verify") == "1"
    assert value_of(made, "-m3u8_hold_counters") == "10"


@pytest.mark.parametrize(
    ("url", "slowed"),
    [
        ("http://h/x.m3u8?a=b", True),
        ("https://h/film.mp4", True),
        ("http://h/live/cam.FLV?x", False),
        (CAMERA, False),
        ("srt://h:9", False),
    ],
)
def test_what_comes_in_bursts_is_slowed_down(url: str, slowed: bool) -> None:
    assert ("-re" in command(url).argv) == slowed


def test_app_and_stream_are_named_apart() -> None:
    made = command("rtmp://host/live/cam?secret=it's")
    assert "file 'rtmp://host/live'\n" in made.stdin
    assert "option rtmp_app 'live'\n" in made.stdin
    assert "option rtmp_playpath 'cam?secret=it'\\''s'\n" in made.stdin


def test_an_address_that_would_break_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="control character") as caught:
        command("rtsp://h/x\nfile /etc/passwd")
    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "mode", "audio"),
    [
        ("rtsp://h/x", "keep", "transcode"),
        ("rtsps://h/x", "keep", "transcode"),
        ("rtmp://h/a/x", "keep", "copy"),
        ("https://h/x.m3u8", "keep", "copy"),
        ("srt://h:9", "transcode", "transcode"),
        ("rtsp://h/x", "silent", "none"),
        ("rtmp://h/a/x", "none", "none"),
    ],
)
def test_what_is_most_usual_is_tried_first(url: str, mode: AudioMode, audio: str) -> None:
    attempt = first_attempt(PullInput(url, audio=mode))
    assert (attempt.video, attempt.audio) == ("copy", audio)


def test_sound_that_is_not_wanted_is_not_asked_for() -> None:
    made = command(CAMERA, audio="silent")
    assert options_of(made)["allowed_media_types"] == "video"
    assert "-an" in made.argv


def test_an_attempt_copies_or_encodes() -> None:
    copying = command(CAMERA, PullAttempt("copy", "copy"))
    encoding = command(CAMERA, PullAttempt("transcode", "transcode"))
    assert (value_of(copying, "-c:v"), value_of(copying, "-c:a")) == ("copy", "copy")
    assert value_of(copying, "-bsf:a") == "aac_adtstoasc"
    assert (value_of(encoding, "-c:v"), value_of(encoding, "-c:a")) == ("libx264", "aac")
    assert "-bsf:v" not in encoding.argv


@pytest.mark.parametrize(
    ("log", "attempt", "following"),
    [
        (HEVC, PullAttempt(), PullAttempt("transcode", "copy")),
        (PCMA, PullAttempt(), PullAttempt("copy", "transcode")),
        (PCMA, PullAttempt("transcode", "copy"), PullAttempt("transcode", "transcode")),
        (
            ("[flv @ 0x1] [error] Video codec vp9 not compatible with flv",),
            PullAttempt(),
            PullAttempt("transcode", "copy"),
        ),
        (
            ("Decoder (codec ac4) not found for input stream #0:1",),
            PullAttempt("copy", "transcode"),
            PullAttempt("copy", "none"),
        ),
        (("Connection refused",), PullAttempt(), PullAttempt()),
        (HEVC, PullAttempt("transcode", "copy"), PullAttempt("transcode", "copy")),
        ((), PullAttempt(), PullAttempt()),
    ],
)
def test_a_failure_says_what_to_try_next(
    log: tuple[str, ...], attempt: PullAttempt, following: PullAttempt
) -> None:
    assert next_attempt(attempt, log) == following


LINES = st.lists(st.sampled_from([*HEVC, *PCMA, "Decoder (codec x) not found for input stream"]))


@given(st.lists(LINES, min_size=6))
def test_attempts_come_to_an_end(logs: list[list[str]]) -> None:
    attempt, changes = PullAttempt(), 0
    for log in logs:
        following = next_attempt(attempt, log)
        changes += following != attempt
        attempt = following
    assert changes <= 3


def test_secrets_are_masked_as_they_are_written_and_meant() -> None:
    redact = Redactor(pull_secrets(CAMERA))
    said = f"Impossible to open '{CAMERA}', user:s3cret@, s3cret1"
    assert "s3cret" not in redact(said)
    assert "10.0.0.9" in redact(said)
    for url in URLS:
        assert "s3cret" not in Redactor(pull_secrets(url))(url)


def test_an_address_without_secrets_has_none() -> None:
    assert pull_secrets("rtsp://10.0.0.9/h264") == ()
    assert pull_secrets("https://h/live/cam.m3u8") == ()
    assert pull_secrets("rtsp://h/cam?channel=1&pwd=12") == ("12",)


def test_the_app_of_an_rtmp_address_is_secret_where_it_has_no_stream() -> None:
    assert pull_secrets("rtmp://h/s3cret%2B") == ("s3cret%2B", "s3cret+")
    assert pull_secrets("rtmp://h/live/cam") == ("cam",)
    assert pull_secrets("rtmp://h") == ()
