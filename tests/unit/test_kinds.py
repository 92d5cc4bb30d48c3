"""What the names of processes say."""

from streamd.kinds import reports_progress, server_of


def test_a_server_is_known_by_its_process() -> None:
    assert server_of("server.main") == "main"
    assert server_of("server.a.b") == "a.b"
    assert server_of("target.server.x") is None
    assert server_of("servers.main") is None


def test_ffmpegs_report_their_progress_and_servers_do_not() -> None:
    assert reports_progress("target.cdn@live/a~backup")
    assert not reports_progress("server.target.x")
    assert not reports_progress("targets.x")
