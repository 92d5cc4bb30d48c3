"""The logs below are those of real failures: FFmpeg 5.1 and 9.0, `-loglevel level+warning`."""

# ruff: noqa: E501 - the logs are left as they were

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.ffmpeg.errors import LastError, last_error

REFUSED_5 = """\
[tcp @ 0x561152d5f180] [error] Connection to tcp://127.0.0.1:1936?tcp_nodelay=1 failed: Connection refused
[rtmp @ 0x561152d60e40] [error] Cannot open connection tcp://127.0.0.1:1936?tcp_nodelay=1
[error] rtmp://127.0.0.1:1936/live: Connection refused
"""
REFUSED_9 = """\
[tcp @ 0x559250e8b880] [error] Connection to tcp://127.0.0.1:1936?tcp_nodelay=1 failed: Connection refused
[rtmp @ 0x559250ed5600] [error] Cannot open connection tcp://127.0.0.1:1936?tcp_nodelay=1
[out#0/flv @ 0x559250e23940] [fatal] Error opening output rtmp://127.0.0.1:1936/live: Connection refused
[error] Error opening output file rtmp://127.0.0.1:1936/live.
[fatal] Error opening output files: Connection refused
"""
UNRESOLVED_5 = """\
[tcp @ 0x5617a5764180] [error] Failed to resolve hostname nohost.invalid: Name or service not known
[rtmp @ 0x5617a5765e40] [error] Cannot open connection tcp://nohost.invalid:1935?tcp_nodelay=1
[error] rtmp://nohost.invalid/live: Input/output error
"""
UNRESOLVED_9 = """\
[tcp @ 0x55715917f880] [error] Failed to resolve hostname nohost.invalid: Name or service not known
[rtmp @ 0x5571591c9600] [error] Cannot open connection tcp://nohost.invalid:1935?tcp_nodelay=1
[out#0/flv @ 0x557159117940] [fatal] Error opening output rtmp://nohost.invalid/live: Input/output error
[error] Error opening output file rtmp://nohost.invalid/live.
[fatal] Error opening output files: Input/output error
"""
SILENT_5 = """\
[rtmp @ 0x55aad483e240] [error] Cannot read RTMP handshake response
[error] rtmp://127.0.0.1:1936/live: Connection timed out
"""
SILENT_9 = """\
[rtmp @ 0x55b239f15500] [error] Cannot read RTMP handshake response
[out#0/flv @ 0x55b239f10fc0] [fatal] Error opening output rtmp://127.0.0.1:1936/live: Connection timed out
[error] Error opening output file rtmp://127.0.0.1:1936/live.
[fatal] Error opening output files: Connection timed out
"""
HUNG_UP_5 = "[error] rtmp://127.0.0.1:1936/live: Input/output error\n"
HUNG_UP_9 = """\
[out#0/flv @ 0x560dd798afc0] [fatal] Error opening output rtmp://127.0.0.1:1936/live: Input/output error
[error] Error opening output file rtmp://127.0.0.1:1936/live.
[fatal] Error opening output files: Input/output error
"""
BUSY_5 = """\
[rtmp @ 0x55c9acec2240] [error] Server error: Already publishing
[error] rtmp://127.0.0.1:1936/live: Operation not permitted
"""
BUSY_9 = """\
[rtmp @ 0x55ce3cfd1500] [error] Server error: Already publishing
[out#0/flv @ 0x55ce3cfccfc0] [fatal] Error opening output rtmp://127.0.0.1:1936/live: Operation not permitted
[error] Error opening output file rtmp://127.0.0.1:1936/live.
[fatal] Error opening output files: Operation not permitted
"""
SRT_5 = """\
[srt @ 0x56308039d500] [error] Connection to srt://127.0.0.1:9000?latency=1 failed: Input/output error
[error] srt://127.0.0.1:9000?latency=1: Input/output error
"""
SRT_DROPPED_9 = """\
[aost#0:1/copy @ 0x56321ac71740] [error] Error submitting a packet to the muxer: Input/output error
    Last message repeated 1 times
[out#0/mpegts @ 0x56321abbb940] [error] Error muxing a packet
[out#0/mpegts @ 0x56321abbb940] [error] Task finished with error code: -5 (Input/output error)
[out#0/mpegts @ 0x56321abbb940] [error] Terminating thread with return code -5 (Input/output error)
[out#0/mpegts @ 0x56321abbb940] [error] Error writing trailer: Input/output error
[out#0/mpegts @ 0x56321abbb940] [error] Error closing file: Input/output error
"""
SHORT_PASSPHRASE_5 = """\
[srt @ 0x5650bd5fa4c0] [error] failed to set option SRTO_PASSPHRASE on socket: Operation not supported: Bad parameters
[error] srt://127.0.0.1:9000: Input/output error
"""
HEVC_5 = """\
[flv @ 0x560cf99aae40] [error] Video codec hevc not compatible with flv
[error] Could not write header for output file #0 (incorrect codec parameters ?): Function not implemented
[error] Error initializing output stream 0:1 --\x20
[error]\x20
"""
OPUS_5 = """\
[flv @ 0x55fb5a79bac0] [error] FLV does not support sample rate 48000, choose from (44100, 22050, 11025)
[flv @ 0x55fb5a79bac0] [error] Audio codec opus not compatible with flv
[error] Could not write header for output file #0 (incorrect codec parameters ?): Function not implemented
[error] Error initializing output stream 0:1 --\x20
[error]\x20
"""
WRONG_HOST_5 = """\
[tls @ 0x564826892a40] [error] The certificate's owner does not match hostname live.example.com
[rtmps @ 0x5648268b73c0] [error] Cannot open connection tls://live.example.com:443
[error] rtmps://live.example.com:443/live: Input/output error
"""
UNTRUSTED_5 = """\
[tls @ 0x562975b73a40] [error] Peer certificate failed verification
[rtmps @ 0x562975b983c0] [error] Cannot open connection tls://live.example.com:443
[error] rtmps://live.example.com:443/live: Input/output error
"""
UNTRUSTED_9 = """\
[tls @ 0x557306ef7bc0] [error] error:0A000086:SSL routines::certificate verify failed
[rtmps @ 0x557306ef8140] [error] Cannot open connection tls://live.example.com:443
[out#0/flv @ 0x557306fa8800] [fatal] Error opening output rtmps://live.example.com:443/live: Input/output error
[error] Error opening output file rtmps://live.example.com:443/live.
[fatal] Error opening output files: Input/output error
"""
NO_AUTHORITIES_5 = """\
[tls @ 0x55918841db40] [error] Error while reading file.
[tls @ 0x55918841db40] [error] Peer certificate failed verification
[rtmps @ 0x55918840b0c0] [error] Cannot open connection tls://live.example.com:443
[error] rtmps://live.example.com:443/live: Input/output error
"""
RECEIVER_ENDED_5 = """\
[error] av_interleaved_write_frame(): Broken pipe
[error] Error writing trailer of rtmp://127.0.0.1:1936/live: Broken pipe
[error] Error closing file rtmp://127.0.0.1:1936/live: Broken pipe
"""
RECEIVER_ENDED_9 = """\
[vost#0:0/copy @ 0x55a9159cb580] [error] Error submitting a packet to the muxer: Broken pipe
[out#0/flv @ 0x55a915a7efc0] [error] Error muxing a packet
[out#0/flv @ 0x55a915a7efc0] [error] Task finished with error code: -32 (Broken pipe)
[out#0/flv @ 0x55a915a7efc0] [error] Error writing trailer: Broken pipe
[out#0/flv @ 0x55a915a7efc0] [error] Error closing file: Broken pipe
"""
UNKNOWN_VIDEO_5 = """\
[flv @ 0x55d7c92d5c80] [warning] Video codec (1) is not implemented. Update your FFmpeg version.
[flv @ 0x55d7c92d5c80] [warning] Could not find codec parameters for stream 0 (Video: none, none): \
unknown codec
Consider increasing the value for the 'analyzeduration' (3000000) and 'probesize' (5000000) options
[segment @ 0x55d7c92db940] [error] dimensions not set
[error] Could not write header for output file #0 (incorrect codec parameters ?): Invalid argument
[error] Error initializing output stream 0:0 --
[error]
"""
RECEIVER_FROZE_5 = """\
[error] av_interleaved_write_frame(): Connection timed out
[error] Error writing trailer of rtmp://127.0.0.1:1936/live: Connection timed out
[error] Error closing file rtmp://127.0.0.1:1936/live: Connection timed out
"""
NOT_FOUND_5 = """\
[http @ 0x56231b5dc280] [warning] HTTP error 404 Not Found
[error] http://127.0.0.1:8080/live/cam.flv: Server returned 404 Not Found
"""
NOT_FOUND_9 = """\
[http @ 0x55723d5f7c00] [warning] HTTP error 404 Not Found
[in#0 @ 0x55723d5f6f40] [error] Error opening input: Server returned 404 Not Found
[error] Error opening input file http://127.0.0.1:8080/live/cam.flv.
[fatal] Error opening input files: Server returned 404 Not Found
"""
NO_SUCH_STREAM_5 = """\
[rtmp @ 0x571a75419280] [error] Server error: No such stream
[error] rtmp://127.0.0.1:1935/live: Operation not permitted
"""
NO_TRACKS_9 = """\
[out#0/flv @ 0x55cf760d56c0] [error] Output file does not contain any stream
[error] Error opening output file rtmp://127.0.0.1:1936/live.
[fatal] Error opening output files: Invalid argument
"""
INPUT_FROZE_9 = """\
[rtmp @ 0x560cdf6ead00] [error] Cannot read RTMP handshake response
[in#0 @ 0x560cdf6ea040] [error] Error opening input: Connection timed out
[error] Error opening input file rtmp://127.0.0.1:1935/live.
[fatal] Error opening input files: Connection timed out
"""
INPUT_ENDED_5 = "[error] rtmp://127.0.0.1:1935/live: Input/output error\n"
INPUT = "rtmp://127.0.0.1:1935/live/cam"


@pytest.mark.parametrize(
    ("log", "said", "permanent"),
    [
        (REFUSED_5, "127.0.0.1:1936 refuses the connection; nothing listens there", False),
        (REFUSED_9, "127.0.0.1:1936 refuses the connection; nothing listens there", False),
        (UNRESOLVED_5, "the name nohost.invalid does not resolve; check", False),
        (UNRESOLVED_9, "the name nohost.invalid does not resolve; check", False),
        (SILENT_5, "the receiver takes the connection but does not answer in RTMP", False),
        (SILENT_9, "the receiver takes the connection but does not answer in RTMP", False),
        (HUNG_UP_5, "the receiver closed the connection instead of taking the stream", False),
        (HUNG_UP_9, "the receiver closed the connection instead of taking the stream", False),
        (BUSY_5, "somebody publishes with this key already (Already publishing)", False),
        (BUSY_9, "somebody publishes with this key already (Already publishing)", False),
        (SRT_5, "no SRT connection to 127.0.0.1:9000 (Input/output error)", False),
        (SRT_DROPPED_9, "the connection to the receiver broke: Input/output error", False),
        (SHORT_PASSPHRASE_5, "SRT does not take the passphrase", True),
        (HEVC_5, "this FFmpeg cannot send the codec hevc over RTMP; publish H.264", True),
        (
            UNKNOWN_VIDEO_5,
            "this FFmpeg does not know the stream's video codec; publish H.264",
            True,
        ),
        (OPUS_5, "this FFmpeg cannot send the codec opus over RTMP; publish H.264", True),
        (WRONG_HOST_5, "the certificate of live.example.com is for another name", True),
        (UNTRUSTED_5, "the receiver's certificate cannot be verified", True),
        (UNTRUSTED_9, "the receiver's certificate cannot be verified", True),
        (NO_AUTHORITIES_5, "the certificates that this machine trusts cannot be read", True),
        (RECEIVER_ENDED_5, "the receiver closed the connection", False),
        (RECEIVER_ENDED_9, "the receiver closed the connection", False),
        (RECEIVER_FROZE_5, "the receiver stopped reading", False),
        (NOT_FOUND_5, "the stream is not at the media server (yet)", False),
        (NOT_FOUND_9, "the stream is not at the media server (yet)", False),
        (NO_SUCH_STREAM_5, "the stream is not at the media server (yet)", False),
        (NO_TRACKS_9, "the stream has neither video nor audio", False),
        (INPUT_FROZE_9, "the media server cannot be read: Connection timed out", False),
        (INPUT_ENDED_5, "the media server cannot be read: Input/output error", False),
    ],
)
def test_a_failure_is_put_into_words(log: str, said: str, permanent: bool) -> None:
    error = last_error(log, INPUT)
    assert error is not None
    assert error.message.startswith(said)
    assert error.permanent is permanent


@pytest.mark.parametrize(
    ("reason", "permanent"),
    [
        ("NetStream.Publish.BadName", True),
        ("Authentication Failed.", True),
        ("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]", True),
        ("Publish stream is denied", True),
        ("Stream is in use", False),
        ("Server is over capacity", False),
    ],
)
def test_what_a_server_says_is_passed_on(reason: str, permanent: bool) -> None:
    log = f"[rtmp @ 0x55c9acec2240] [error] Server error: {reason}\n{HUNG_UP_5}"
    error = last_error(log)
    assert error is not None
    assert reason.strip(" .") in error.message
    assert error.permanent is permanent


@pytest.mark.parametrize("before", [UNRESOLVED_5, HEVC_5, RECEIVER_ENDED_5, WRONG_HOST_5])
@pytest.mark.parametrize(
    ("last", "said"),
    [
        (HUNG_UP_5, "the receiver closed the connection instead of taking"),
        (REFUSED_5, "127.0.0.1:1936 refuses the connection"),
        (RECEIVER_ENDED_9, "the receiver closed the connection"),
    ],
)
def test_an_earlier_run_is_not_taken_for_the_last(before: str, last: str, said: str) -> None:
    error = last_error(f"{before}streamd: started 2026-12-01T00:00:00Z pid=7\n{last}")
    assert error is not None
    assert error.message.startswith(said)


@pytest.mark.parametrize("before", [UNRESOLVED_5, REFUSED_9, BUSY_5])
def test_runs_are_told_apart_without_a_line_between_them(before: str) -> None:
    error = last_error(before + HUNG_UP_5)
    assert error is not None
    assert "instead of taking" in error.message


@pytest.mark.parametrize(
    "log",
    [
        "",
        "\n",
        f"{REFUSED_5}streamd: started 2026-12-01T00:00:00Z pid=7\n",
        "[http @ 0x556b6e5d2c00] [error] Error reading HTTP response: Immediate exit requested\n",
    ],
)
def test_a_log_that_tells_nothing_is_none(log: str) -> None:
    assert last_error(log) is None


def test_what_is_not_known_is_said_as_ffmpeg_says_it() -> None:
    log = "[flv @ 0x55aa] [warning] odd\n[flv @ 0x55aa] [error] Something new\n[error] Stopped.\n"
    assert last_error(log) == LastError("Something new")


def test_no_key_is_in_a_message() -> None:
    log = "[error] Could not do rtmp://u:S3CRET@h/app/S3CRET?k=S3CRET: Function not implemented\n"
    error = last_error(log)
    assert error is not None
    assert error.message == "Could not do rtmp://***@h/app/***?k=***: Function not implemented"


@given(st.text() | st.lists(st.sampled_from((REFUSED_5 + HEVC_5).splitlines())).map("\n".join))
def test_any_log_has_at_most_one_line_to_say(log: str) -> None:
    error = last_error(log)
    assert error is None or 0 < len(error.message.splitlines()) == 1


NO_CUDA_9 = """\
[h264_nvenc @ 0x56474c720880] [error] Cannot load libcuda.so.1
[vost#0:0/h264_nvenc @ 0x56474c71fd80] [enc:h264_nvenc @ 0x56474c720740] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.
[vf#0:0 @ 0x56474c73c440] [error] Error sending frames to consumers: Operation not permitted
[out#0/flv @ 0x56474c71f1c0] [error] Nothing was written into output file, because at least one of its streams received no packets.
"""
NO_VAAPI_5 = """\
[AVHWDeviceContext @ 0x55d6eb63a940] [error] No VA display found for device /dev/dri/renderD128.
[error] Device creation failed: -22.
[error] Failed to set value 'vaapi=gpu:/dev/dri/renderD128' for option 'init_hw_device': Invalid argument
[fatal] Error parsing global options: Invalid argument
"""
NO_QSV_5 = """\
[h264_qsv @ 0x55c59d2f24c0] [error] Error initializing an internal MFX session: unsupported (-3)
[error] Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0 - maybe incorrect parameters such as bit_rate, rate, width or height
"""
NO_PRESET_5 = """\
x264 [error]: invalid preset 'quick'
[libx264 @ 0x5573484bfe80] [error] Error setting preset/tune quick/(null).
[error] Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0 - maybe incorrect parameters such as bit_rate, rate, width or height
"""
NO_PRESET_OF_NVENC_9 = """\
[h264_nvenc @ 0x55da2c5dd140] [error] Unable to parse "preset" option value "veryfast"
[h264_nvenc @ 0x55da2c5dd140] [error] Error setting option preset to value veryfast.
[error] Error opening output file rtmp://127.0.0.1:1935/live.
[fatal] Error opening output files: Invalid argument
"""
NO_OVERLAY_5 = """\
[Parsed_movie_1 @ 0x563dba9b5540] [error] Failed to avformat_open_input '/srv/it's.png'
[AVFilterGraph @ 0x563dba946900] [error] Error initializing filter 'movie' with args 'filename=/srv/it\\'s.png'
[error] Error reinitializing filters!
[error] Failed to inject frame into filter network: No such file or directory
[fatal] Error while processing the decoded data for stream #0:0
"""


@pytest.mark.parametrize(
    ("log", "says", "permanent"),
    [
        (NO_CUDA_9, "the hardware encoder cannot be used (Cannot load libcuda.so.1); check", False),
        (NO_VAAPI_5, "(No VA display found for device /dev/dri/renderD128); check", False),
        (NO_QSV_5, "(Error initializing an internal MFX session: unsupported (-3)); check", False),
        ("[fatal] Unknown encoder 'h264_x'\n", "this FFmpeg has no encoder h264_x; install", True),
        (NO_PRESET_5, "the encoder has no preset quick; choose another", True),
        (NO_PRESET_OF_NVENC_9, "the encoder has no preset veryfast; choose another", True),
        (NO_OVERLAY_5, "the overlay /srv/it's.png cannot be read; check that it is there", False),
    ],
)
def test_an_encoder_that_does_not_begin_is_explained(log: str, says: str, permanent: bool) -> None:
    error = last_error(log)
    assert error is not None
    assert says in error.message
    assert error.permanent is permanent
