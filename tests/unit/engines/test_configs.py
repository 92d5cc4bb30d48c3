import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamd.desired import ServerSpec
from streamd.engines import nginx_rtmp_config, srs_config
from streamd.engines.base import ServerSecrets
from streamd.errors import EngineError

SECRETS = ServerSecrets(hook_path="hookpath", api_password="password")
DIRECTORY = Path("/var/lib/streamd/servers/main")
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")

SRS = ServerSpec(
    name="main",
    engine="srs",
    binary="/usr/local/srs/objs/srs",
    host="live.example.com",
    rtmp=1935,
    http=8080,
    srt=10080,
    webrtc=8000,
    api=1985,
    hls_fragment_s=2.0,
    hls_window_s=20.0,
    webrtc_candidate=None,
    hooks="127.0.0.1:2023",
    apps=(),
)
NGINX = replace(SRS, engine="nginx-rtmp", srt=None, webrtc=None, apps=("live", "lot/west"))


def srs(spec: ServerSpec = SRS, directory: Path = DIRECTORY, open_files: int = 20_000) -> str:
    return srs_config.render_config(spec, directory, SECRETS, open_files)


def nginx(spec: ServerSpec = NGINX, directory: Path = DIRECTORY, open_files: int = 1024) -> str:
    return nginx_rtmp_config.render_config(spec, directory, SECRETS, MODULE, open_files)


def _block(text: str, name: str) -> str:
    """Return what stands in the first block of a name."""
    start = re.search(rf"^ *{re.escape(name)} {{", text, re.MULTILINE)
    assert start is not None, f"no {name}"
    depth, position = 1, start.end()
    while depth:
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        position += 1
    return text[start.end() : position]


def test_srs_asks_its_own_hook_address() -> None:
    hook = '"http://127.0.0.1:2023/hookpath/main"'
    hooks = _block(srs(), "http_hooks")
    assert f"on_publish {hook};" in hooks
    assert f"on_unpublish {hook};" in hooks


def test_the_api_of_srs_shares_the_http_port_only_for_webrtc() -> None:
    assert "listen 8080;" in _block(srs(), "http_api")
    assert srs_config.api_endpoint(SRS) == ("127.0.0.1", 8080)
    without = replace(SRS, webrtc=None)
    assert "listen 127.0.0.1:1985;" in _block(srs(without), "http_api")
    assert srs_config.api_endpoint(without) == ("127.0.0.1", 1985)


@pytest.mark.parametrize(
    "spec", [SRS, replace(SRS, webrtc=None), replace(SRS, http=None, webrtc=None)]
)
def test_the_api_of_srs_always_asks_for_the_password(spec: ServerSpec) -> None:
    auth = _block(_block(srs(spec), "http_api"), "auth")
    assert "enabled on;" in auth
    assert 'password "password";' in auth


def test_ports_that_are_not_named_are_not_opened() -> None:
    text = srs(replace(SRS, rtmp=None, http=None, srt=None, webrtc=None))
    assert re.findall(r"listen ([^;]+);", text) == ["127.0.0.2:1985", "127.0.0.1:1985"]
    assert "hls" not in text
    text = nginx(replace(NGINX, http=None))
    assert re.findall(r"listen ([^;]+);", text) == ["1935", "127.0.0.1:1985"]
    assert "hls" not in text


def test_every_file_of_srs_lies_below_its_directory() -> None:
    for directive in ("work_dir", "ff_log_dir", "pid", "dir", "hls_path"):
        (value,) = re.findall(rf'^ *{directive} "([^"]+)";', srs(), re.MULTILINE)
        assert Path(value).is_relative_to(DIRECTORY)


def test_every_file_of_nginx_lies_below_its_directory() -> None:
    text = nginx()
    paths = re.findall(r'(?:_path|pid|lock_file|root) "([^"]+)";', text)
    assert len(paths) == 5 + 2 + 1 + 2
    assert all(Path(path).is_relative_to(DIRECTORY) for path in paths)


@pytest.mark.parametrize(
    ("open_files", "connections"), [(1024, 895), (20_000, 19_871), (10**9, 100_000)]
)
def test_srs_takes_as_many_connections_as_the_limit_allows(
    open_files: int, connections: int
) -> None:
    assert f"max_connections {connections};" in srs(open_files=open_files)


def test_a_limit_that_leaves_no_connection_is_refused() -> None:
    with pytest.raises(EngineError, match="open files is 129"):
        srs(open_files=129)


def test_webrtc_without_http_is_refused() -> None:
    with pytest.raises(EngineError, match=r"listen\.webrtc needs listen\.http"):
        srs(replace(SRS, http=None))


@pytest.mark.parametrize("port", ["srt", "webrtc"])
def test_a_port_that_nginx_has_not_is_refused(port: str) -> None:
    changed = {port: 9000}
    with pytest.raises(EngineError, match=rf"listen\.{port} needs the engine srs"):
        nginx(replace(NGINX, **changed))  # type: ignore[arg-type] # a port each


def test_nginx_without_rtmp_is_refused() -> None:
    with pytest.raises(EngineError, match=r"listen\.rtmp is needed"):
        nginx(replace(NGINX, rtmp=None))


def test_nginx_has_one_application_for_each_app() -> None:
    text = nginx()
    assert re.findall(r'application "([^"]+)"', text) == ["live", "lot/west"]
    assert text.count('on_publish "http://127.0.0.1:2023/hookpath/main";') == 2
    assert text.count('on_publish_done "http://127.0.0.1:2023/hookpath/main";') == 2


def test_hls_is_cut_as_the_file_says() -> None:
    spec = replace(SRS, hls_fragment_s=0.5, hls_window_s=90.0)
    assert "hls_fragment 0.5;" in srs(spec)
    assert "hls_window 90;" in srs(spec)
    spec = replace(NGINX, hls_fragment_s=0.5, hls_window_s=90.0)
    assert "hls_fragment 500ms;" in nginx(spec)
    assert "hls_playlist_length 90000ms;" in nginx(spec)


def test_nginx_keeps_players_waiting_in_the_apps_that_wait_alone() -> None:
    text = nginx(replace(NGINX, waiting_apps=("lot/west",)))
    assert "idle_streams off;" in _block(text, 'application "live"')
    assert "idle_streams on;" in _block(text, 'application "lot/west"')


@pytest.mark.parametrize("render", [srs, nginx])
def test_a_directory_that_cannot_be_written_down_is_refused(render: object) -> None:
    assert callable(render)
    with pytest.raises(EngineError, match="the state directory"):
        render(directory=Path('/tmp/a";daemon on;"'))


@given(
    candidate=st.text(min_size=1),
    hooks=st.text(min_size=1),
    directory=st.text(min_size=1).filter(lambda text: "\0" not in text),
)
def test_no_value_of_srs_becomes_a_directive(candidate: str, hooks: str, directory: str) -> None:
    try:
        text = srs(replace(SRS, webrtc_candidate=candidate, hooks=hooks), Path(directory))
    except EngineError:
        return
    assert _shape(text) == _shape(srs(replace(SRS, webrtc_candidate="*")))


@given(hooks=st.text(min_size=1), app=st.text(min_size=1))
def test_no_value_of_nginx_becomes_a_directive(hooks: str, app: str) -> None:
    try:
        text = nginx(replace(NGINX, hooks=hooks, apps=(app,)))
    except EngineError:
        return
    assert _shape(text) == _shape(nginx(replace(NGINX, apps=("live",))))


def _shape(text: str) -> str:
    """Return a configuration without what stands in quotes."""
    return re.sub(r'"[^"\n]*"', '""', text)
