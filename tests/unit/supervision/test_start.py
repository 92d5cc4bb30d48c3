import configparser
from pathlib import Path

import pytest

from streamd.errors import SupervisorError
from streamd.supervision.start import minimal_environment, render_ini, socket_path


def parsed(ini: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(ini)
    return parser


def test_the_ini_holds_a_private_socket_and_no_namespace_but_ours() -> None:
    ini = parsed(render_ini(Path("/run/streamd"), Path("/var/log/streamd"), lock_fd=7, umask=0o27))
    assert dict(ini["unix_http_server"]) == {
        "file": "/run/streamd/supervisord.sock",
        "chmod": "0600",
    }
    assert [name for name in ini.sections() if name.startswith("rpcinterface")] == [
        "rpcinterface:streamd"
    ]
    assert ini["rpcinterface:streamd"]["lock_fd"] == "7"
    assert ini["rpcinterface:streamd"]["umask"] == "27"
    assert ini["supervisord"]["logfile"] == "/var/log/streamd/supervisord.log"


def test_a_percent_sign_in_a_path_is_no_expansion() -> None:
    ini = parsed(render_ini(Path("/run/50%(x)s"), Path("/log"), lock_fd=3, umask=0))
    assert ini["rpcinterface:streamd"]["runtime_dir"] % {} == "/run/50%(x)s"


@pytest.mark.parametrize("path", ["/run/a ;b", "/run/a #b", "/run/a\n[program:x]", "/run/a "])
def test_a_path_that_would_become_configuration_is_refused(path: str) -> None:
    with pytest.raises(SupervisorError, match="choose one without"):
        render_ini(Path(path), Path("/log"), lock_fd=3, umask=0)


def test_a_runtime_directory_too_deep_for_a_socket_is_refused_with_the_excess() -> None:
    with pytest.raises(SupervisorError, match=r"is 18 bytes too long .* shorter --runtime-dir"):
        socket_path(Path("/" + "x" * 99))
    assert socket_path(Path("/" + "x" * 81)).name == "supervisord.sock"


def test_only_what_programs_need_of_an_environment_is_handed_on() -> None:
    assert minimal_environment({"HOME": "/root", "STUDIO_KEY": "secret", "LANG": "de_DE"}) == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }
