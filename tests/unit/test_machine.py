from pathlib import Path

import pytest

from streamd import machine
from streamd.machine import find_ffprobe, find_machine, find_rtmp_module


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide what is installed on this machine outside PATH."""
    monkeypatch.setattr(machine, "_SRS_PLACES", (str(tmp_path / "opt-srs"),))
    monkeypatch.setattr(machine, "_NGINX_PLACES", (str(tmp_path / "opt-nginx/sbin"),))
    monkeypatch.setattr(machine, "_MODULE_PLACES", (tmp_path / "modules",))


def _program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.mark.usefixtures("elsewhere")
def test_an_empty_machine_has_nothing(tmp_path: Path) -> None:
    found = find_machine(str(tmp_path))
    assert found.engines == {}
    assert found.ffmpeg is None


@pytest.mark.usefixtures("elsewhere")
def test_programs_are_found_in_the_path(tmp_path: Path) -> None:
    srs = _program(tmp_path / "bin/srs")
    ffmpeg = _program(tmp_path / "bin/ffmpeg")
    found = find_machine(str(tmp_path / "bin"))
    assert found.engines == {"srs": srs}
    assert found.ffmpeg == ffmpeg


@pytest.mark.usefixtures("elsewhere")
def test_servers_are_found_where_they_install_themselves(tmp_path: Path) -> None:
    srs = _program(tmp_path / "opt-srs/srs")
    nginx = _program(tmp_path / "opt-nginx/sbin/nginx")
    _program(tmp_path / "modules/ngx_rtmp_module.so", 0o644)
    assert find_machine("").engines == {"srs": srs, "nginx-rtmp": nginx}


@pytest.mark.usefixtures("elsewhere")
def test_the_path_comes_first(tmp_path: Path) -> None:
    _program(tmp_path / "opt-srs/srs")
    first = _program(tmp_path / "bin/srs")
    assert find_machine(str(tmp_path / "bin")).engines["srs"] == first


@pytest.mark.usefixtures("elsewhere")
def test_nginx_without_its_module_is_no_media_server(tmp_path: Path) -> None:
    nginx = _program(tmp_path / "bin/nginx")
    assert find_machine(str(tmp_path / "bin")).engines == {}
    assert find_rtmp_module(nginx) == tmp_path / "modules/ngx_rtmp_module.so"


@pytest.mark.usefixtures("elsewhere")
def test_the_module_of_a_build_of_ones_own_is_found(tmp_path: Path) -> None:
    nginx = _program(tmp_path / "opt-nginx/sbin/nginx")
    module = _program(tmp_path / "opt-nginx/modules/ngx_rtmp_module.so", 0o644)
    assert find_rtmp_module(nginx) == module
    assert find_machine("").engines == {"nginx-rtmp": nginx}


@pytest.mark.usefixtures("elsewhere")
def test_what_cannot_be_executed_does_not_count(tmp_path: Path) -> None:
    _program(tmp_path / "bin/srs", 0o644)
    assert find_machine(str(tmp_path / "bin")).engines == {}


def test_ffprobe_is_the_one_beside_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = _program(tmp_path / "own/ffprobe"), _program(tmp_path / "path/ffprobe")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_ffprobe(tmp_path / "own/ffmpeg") == own
    assert find_ffprobe(tmp_path / "elsewhere/ffmpeg") == other


def test_an_ffmpeg_without_ffprobe_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffprobe(tmp_path / "ffmpeg") is None
