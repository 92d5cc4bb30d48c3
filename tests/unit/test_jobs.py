"""What the names of processes say of their kind."""

from streamd.jobs import PlayoutJob, ServerJob, TargetJob, TranscodeJob, fed_by
from streamd.process_names import reports_progress, server_of
from tests.support.snapshots import SERVER


def test_a_server_is_known_by_its_process() -> None:
    assert server_of("server.main") == "main"
    assert server_of("server.a.b") == "a.b"
    assert server_of("target.server.x") is None
    assert server_of("servers.main") is None


def test_what_holds_an_ffmpeg_reports_its_progress_and_servers_do_not() -> None:
    assert reports_progress("target.cdn@live/a~backup")
    assert reports_progress("playout.live/a")
    assert reports_progress("transcode.live/a~sound")
    assert not reports_progress("server.target.x")
    assert not reports_progress("targets.x")


def test_what_is_sent_on_or_transcoded_lives_on_its_publisher_and_what_publishes_on_nobody() -> (
    None
):
    target = TargetJob("target.out", "out", "live/a", "rtmp://i", "rtmp://o", "c1", "ffmpeg", "h:1")
    ladder = TranscodeJob("transcode.live/a", "live/a", "rtmp://i", "o", (), "c1", "ffmpeg", "h:1")
    assert (fed_by(target), fed_by(ladder)) == ("live/a", "live/a")
    assert fed_by(ServerJob("server.main", SERVER)) is None
    assert fed_by(PlayoutJob("playout.live/a", "live/a", "rtmp://o", (), "ffmpeg", "h:1")) is None
