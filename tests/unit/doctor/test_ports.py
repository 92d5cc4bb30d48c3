import errno
from dataclasses import replace

import pytest

from streamd.config.models import Daemon
from streamd.doctor.finding import Finding
from streamd.doctor.ports import PortState, daemon_ports, judge
from streamd.engines.base import OpenPort
from streamd.engines.ports import Holder

FREE = PortState("servers.main.listen.rtmp", OpenPort("rtmp", 1935, "rtmp"))
TAKEN = replace(FREE, failure=OSError(errno.EADDRINUSE, "in use"))
NGINX = Holder("nginx", 12)


def judged(state: PortState, *, sees_all: bool = True, user: str | None = None) -> Finding:
    return judge(state, sees_all=sees_all, unprivileged=1024, user=user)


def test_a_port_is_free_ours_or_somebody_elses() -> None:
    assert judged(FREE).what == "TCP port 1935 is free"
    ours = judged(replace(TAKEN, holder=NGINX, ours="server.main"))
    assert (ours.level, ours.what) == ("ok", "TCP port 1935 is held by server.main (pid 12)")
    other = judged(replace(TAKEN, holder=NGINX))
    assert (other.level, other.what) == ("error", "TCP port 1935 is taken by nginx (pid 12)")


def test_a_holder_that_cannot_be_seen_is_an_error_for_root_alone() -> None:
    assert judged(TAKEN, sees_all=True).level == "error"
    assert judged(TAKEN, sees_all=False).level == "unknown"


def test_a_forbidden_port_is_an_error_for_whom_streamd_runs_as() -> None:
    low = OpenPort("http", 80, "http")
    forbidden = replace(FREE, port=low, failure=PermissionError(errno.EACCES, "denied"))
    assert judged(forbidden).level == "error"
    assert "CAP_NET_BIND_SERVICE" in judged(forbidden).do
    assert judged(forbidden, user="streamd").level == "unknown"
    assert judged(replace(FREE, port=low), user="streamd").level == "unknown"
    assert judged(replace(FREE, port=low), user="root").level == "ok"


def test_an_address_of_another_machine_is_an_error() -> None:
    state = replace(FREE, failure=OSError(errno.EADDRNOTAVAIL, "cannot assign"))
    assert judged(state).level == "error"


@pytest.mark.parametrize("hooks", ["127.0.0.1:2023", "[::1]:2023"])
def test_the_daemon_listens_for_status_hooks_and_progress(hooks: str) -> None:
    found = [*daemon_ports(Daemon(status="0.0.0.0:2022", hooks=hooks))]
    assert [(where, port.speaks, port.host, port.number) for where, port in found] == [
        ("daemon.status", "http", "0.0.0.0", 2022),
        ("daemon.hooks", "http", hooks.rpartition(":")[0].strip("[]"), 2023),
        ("daemon.hooks", "udp", "127.0.0.1", 2023),
    ]
