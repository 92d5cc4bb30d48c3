from dataclasses import replace
from pathlib import Path

from streamd.desired import TargetSpec
from streamd.doctor.programs import judge_ffmpeg, judge_ffprobe, judge_server
from streamd.errors import EngineError, FFmpegError
from tests.support.core import FFMPEG
from tests.support.snapshots import SERVER

GOOD = replace(FFMPEG, protocols=frozenset({"rtmp", "rtmps", "srt"}), ca_file="/etc/ca.pem")
RTMPS = TargetSpec("a", ("live/a",), False, "custom", ("rtmps://host/app/KEY",))
OFF = replace(RTMPS, name="b", urls=("srt://host:1?streamid=x",), enabled=False)
TARGETS = {"a": RTMPS, "b": OFF}
SRS = replace(SERVER, engine="srs", binary="/srs")
NGINX = replace(SERVER, engine="nginx-rtmp", binary="/nginx")


def test_an_ffmpeg_that_can_what_is_needed_is_ok() -> None:
    (found,) = judge_ffmpeg(GOOD, TARGETS, hidden=False)
    assert (found.level, found.what) == ("ok", f"{GOOD.version} at {GOOD.path}")


def test_an_ffmpeg_that_does_not_work_is_an_error() -> None:
    (found,) = judge_ffmpeg(FFmpegError("/x is not there; install it"), TARGETS, hidden=False)
    assert (found.level, found.what, found.do) == ("error", "/x is not there", "install it")


def test_a_protocol_that_enabled_targets_need_has_to_be_there() -> None:
    lacks = replace(GOOD, protocols=frozenset({"rtmp"}))
    _, found = judge_ffmpeg(lacks, TARGETS, hidden=False)
    assert found.level == "error"
    assert found.what == "cannot send over rtmps, needed by targets.a"
    assert len([*judge_ffmpeg(lacks, {"b": OFF}, hidden=False)]) == 1


def test_rtmps_needs_certificates() -> None:
    _, found = judge_ffmpeg(replace(GOOD, ca_file=None), TARGETS, hidden=False)
    assert (found.where, found.level) == ("certificates", "error")


def test_keys_in_command_lines_are_a_warning_where_others_see_them() -> None:
    shows = replace(GOOD, hides_output_key=False)
    _, found = judge_ffmpeg(shows, TARGETS, hidden=False)
    assert found.level == "warning"
    assert "hidepid" in found.do
    assert len([*judge_ffmpeg(shows, TARGETS, hidden=True)]) == 1
    assert len([*judge_ffmpeg(shows, {}, hidden=False)]) == 1


def test_a_password_in_a_command_line_is_a_warning_where_others_see_it() -> None:
    named = replace(RTMPS, urls=("rtmp://bob:hunter22@host/app/KEY",))
    srt = replace(RTMPS, name="s", urls=("srt://host:1?streamid=bob@studio",))
    _, found = judge_ffmpeg(GOOD, {"a": named, "s": srt}, hidden=False)
    assert (found.level, found.what.endswith(": targets.a")) == ("warning", True)
    assert "hunter22" not in str(found)
    assert len([*judge_ffmpeg(GOOD, {"a": named}, hidden=True)]) == 1
    assert len([*judge_ffmpeg(GOOD, {"a": replace(named, enabled=False)}, hidden=False)]) == 1


def test_ffprobe_is_looked_for() -> None:
    assert judge_ffprobe(Path("/usr/bin/ffprobe")).level == "ok"
    assert judge_ffprobe(None).level == "warning"


def test_a_servers_binary_is_there_or_not() -> None:
    assert judge_server(SRS, "6.0.157").level == "ok"
    assert judge_server(SRS, "5.0.1").level == "warning"
    assert judge_server(NGINX, "1.22.1").level == "ok"
    found = judge_server(SRS, EngineError("/srs is not there; install SRS"))
    assert (found.level, found.do) == ("error", "install SRS")


def test_an_nginx_without_its_module_is_an_error() -> None:
    found = judge_server(NGINX, "1.22.1", Path("/modules/ngx_rtmp_module.so"))
    assert found.level == "error"
    assert "/modules/ngx_rtmp_module.so" in found.what
