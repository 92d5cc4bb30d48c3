"""Which recordings a media server finds."""

from pathlib import Path

from structlog.testing import capture_logs

from streamd.engines.hls_files import remove_expired
from streamd.recordings.places import served_directory
from streamd.recordings.serving import restore, serve_recordings, withhold


def link(servers: Path, server: str, rule: str, target: Path) -> Path:
    """Link a recording as its archive does."""
    made = Path(served_directory(str(servers), server, rule), "live/a/1/index.mp4")
    made.parent.mkdir(parents=True)
    made.symlink_to(target)
    return made


def test_what_an_archive_links_is_found_below_what_is_served(tmp_path: Path) -> None:
    servers, recording = tmp_path / "servers", tmp_path / "index.mp4"
    recording.write_text("media")
    serve_recordings(servers, {"main": ["archive"]})
    link(servers, "main", "archive", recording)
    served = servers / "main/www/recordings/archive/live/a/1/index.mp4"
    assert served.read_text() == "media"
    serve_recordings(servers, {"main": ["archive"]})
    assert served.read_text() == "media"
    (tmp_path / "moved").mkdir()
    servers.rename(tmp_path / "moved/servers")
    assert (tmp_path / "moved/servers/main/www/recordings/archive").parent.resolve().is_dir()


def test_what_is_not_to_be_served_any_more_is_gone_and_the_recording_is_not(
    tmp_path: Path,
) -> None:
    recording = tmp_path / "index.mp4"
    recording.write_text("media")
    serve_recordings(tmp_path, {"main": ["one", "two"], "other": ["one"]})
    links = [
        link(tmp_path, server, rule, recording)
        for server, rule in (("main", "one"), ("main", "two"), ("other", "one"))
    ]
    serve_recordings(tmp_path, {"main": ["two"]})
    assert [each.exists() for each in links] == [False, True, False]
    assert not (tmp_path / "other/www/recordings/one").exists()
    assert recording.read_text() == "media"


def test_what_is_withheld_comes_back_as_it_was(tmp_path: Path) -> None:
    recording = tmp_path / "index.mp4"
    recording.write_text("media")
    serve_recordings(tmp_path, {"main": ["one"]})
    link(tmp_path, "main", "one", recording)
    served = tmp_path / "main/www/recordings/one/live/a/1/index.mp4"
    for _ in range(2):
        withhold(tmp_path, "main", "one")
        assert not served.exists()
    for _ in range(2):
        restore(tmp_path, "main", "one")
        assert served.read_text() == "media"


def test_nothing_is_made_where_nothing_is_served(tmp_path: Path) -> None:
    serve_recordings(tmp_path / "none", {})
    (tmp_path / "main").mkdir()
    serve_recordings(tmp_path, {})
    assert list(tmp_path.rglob("*")) == [tmp_path / "main"]


def test_what_is_in_the_way_is_left_alone_and_holds_up_no_other(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    in_the_way = tmp_path / "main/www"
    in_the_way.write_text("of somebody else")
    with capture_logs() as logs:
        serve_recordings(tmp_path, {"main": ["archive"], "other": ["archive"]})
    assert [each["event"] for each in logs] == ["recordings.not_servable"]
    assert in_the_way.read_text() == "of somebody else"
    assert (tmp_path / "other/www/recordings/archive").is_symlink()


def test_streams_of_an_app_of_that_name_are_left_alone(tmp_path: Path) -> None:
    playlist = tmp_path / "main/www/recordings/x.m3u8"
    playlist.parent.mkdir(parents=True)
    playlist.touch()
    serve_recordings(tmp_path, {"main": ["archive"]})
    serve_recordings(tmp_path, {})
    assert playlist.exists()
    assert not (tmp_path / "main/www/recordings/archive").exists()


def test_old_recordings_are_not_tidied_away_as_old_hls(tmp_path: Path) -> None:
    recording = tmp_path / "index.m3u8"
    recording.touch()
    serve_recordings(tmp_path / "servers", {"main": ["archive"]})
    made = link(tmp_path / "servers", "main", "archive", recording)
    remove_expired(tmp_path / "servers/main/www", window_s=20, now=recording.stat().st_mtime + 1e6)
    assert made.exists()
